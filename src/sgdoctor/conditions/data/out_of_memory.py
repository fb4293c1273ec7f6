"""Memory ran out.

## What happens
An allocation fails: "CUDA out of memory", "DefaultCPUAllocator: can't allocate memory", a NumPy "Unable to allocate";
or
the system kills the process, with exit status 137 and no word at all. Three causes, and three remedies: one tensor that
is too large by itself, most often a product of the whole data with itself; a batch whose activations do not fit; or a
little more kept at every step (losses with their graph, predictions of a validation without `no_grad`), until it fails
late, at a batch no larger than those before.

## How it is told apart
Decided on the exception (or the kill) with the size that was asked for, and on the resident memory of the process over
the steps before: level, then a jump, is a tensor or a batch; growing all along is a leak.
- `leaking-graph`, `undetached-hidden-state`, `grad-enabled-in-eval`: causes of a growth, where they are seen they are
  the ones to mend. `loss-broadcast`: (N,) against (N,1) makes an (N,N), which can be the tensor that does not fit.
- `device-mismatch`: the device is wrong, not full.
Not this: a process that was killed by somebody else while its memory was level.

## Remedy
A batch: halve it, and step after two of them (divide the loss by two); `torch.utils.checkpoint`; bfloat16 autocast.
A product of everything with everything: in chunks, `for part in x.split(1024)`, or `torch.cdist` on a sample.
A growth: `loss.item()`, `.detach()`, `torch.no_grad()` in validation.

## Sources
- PyTorch, Frequently asked questions: my model reports "cuda runtime error(2): out of memory",
  https://docs.pytorch.org/docs/stable/notes/faq.html [history accumulated across the training loop]
- PyTorch, torch.utils.checkpoint, https://docs.pytorch.org/docs/stable/checkpoint.html
- PyTorch, Understanding CUDA memory usage, https://docs.pytorch.org/docs/stable/torch_cuda_memory.html
"""

from __future__ import annotations

import re

import numpy as np

from ...record import Record, Site
from ...source import Source
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..optimisation.leaking_graph import kept_values
from ..questions import site_at

MESSAGES = re.compile(
    r"out of memory|can't allocate memory|not enough memory|Unable to allocate|failed to allocate|"
    r"Cannot allocate memory|bad_alloc|INSUFFICIENT_RESOURCES"
)
SIZE = re.compile(r"(?:allocate|allocating|Tried to allocate)\s+([\d.]+)\s*(bytes|KiB|MiB|GiB|TiB|PiB)?")
UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50}
KILLED = (137, -9)


def in_run(
    record: Record,
    source: Source,
    *,
    min_growth: float = 3.0,  # times the resident memory at first: start-up and caches double it at most
) -> Answer:
    """An allocation failed, or a process that grew was killed."""
    error = record.exception
    growth = _growth(record)
    if error is None and not record.rows("memory"):
        yield NotEvaluated("it ended without an exception, and how much memory it took was not seen")
    elif error is not None:
        text = str(error.get("text"))
        known = error.get("type") in ("OutOfMemoryError", "MemoryError", "_ArrayMemoryError") or MESSAGES.search(text)
        if not known:
            return
        frames = error.get("frames") or []
        line = text.strip().splitlines()[0][:200] if text.strip() else str(error.get("type"))
        evidence = [Evidence(f"raised at step {error.get('step')}: {line}", "exception", _asked(text))]
        if growth is not None:
            evidence.append(growth[0])
        leak = growth is not None and growth[1] > min_growth
        kept = _kept(record, source) if leak else None
        yield Finding(kept or (record.site(frames[-1]) if frames else None), tuple(evidence), 0.97, subject=leak)
    elif record.end is None and record.exit.get("status") in KILLED:
        if growth is None:
            yield NotEvaluated("the process was killed, and its memory is not known")
        elif growth[1] > min_growth:
            yield Finding(
                None, (Evidence("the process was killed by the system", "exception"), growth[0]), 0.7, subject=True
            )


def _kept(record: Record, source: Source) -> Site | None:
    """The one statement of a loop that trains which keeps a value with its graph, where memory grew step by step."""
    found: list[Site] = []
    for objective in record.objectives:
        module = source.module(objective.site.file) if objective.site is not None else None
        loop = module.loop_at(objective.site.line) if module is not None and objective.site is not None else None
        for statement, _ in kept_values(module) if module is not None and loop is not None else ():
            if loop is not None and module is not None and loop.lineno <= statement.lineno <= (loop.end_lineno or 0):
                found.append(site_at(module, statement))
    return found[0] if len(set(found)) == 1 else None


def _growth(record: Record) -> tuple[Evidence, float] | None:
    """Resident memory over the sampled steps, and how many times the first it is last."""
    resident, step = record.rows("memory").column("resident"), record.rows("memory").column("step")
    if len(resident) < 3 or not np.isfinite(resident).all() or resident[0] <= 0:
        return None
    ratio = float(resident[-1] / resident[0])
    text = (
        f"resident memory went {resident[0] / 2**20:.0f} -> {resident[-1] / 2**20:.0f} MiB from step {step[0]:.0f} to "
        f"step {step[-1]:.0f}"
    )
    return Evidence(text, "memory", float(resident[-1]), float(resident[0])), ratio


def _asked(text: str) -> float | None:
    found = SIZE.search(text)
    return float(found[1]) * UNITS.get(found[2] or "bytes", 1) if found is not None else None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """What does not fit, made smaller; what is kept, let go."""
    if finding.subject is True:
        return [Remedy("keep numbers, not graphs: loss.item(), .detach(), torch.no_grad() in validation", "advice")]
    return [
        Remedy(
            "work in chunks: a smaller batch with gradient accumulation, x.split(...) for products of all pairs",
            "advice",
        )
    ]


CONDITION = Condition(
    "out-of-memory",
    "error",
    needs=("exception", "memory"),
    in_run=in_run,
    remedies=remedies,
    structural=True,
)
