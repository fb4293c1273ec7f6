"""Gradient scaling and float16 autocast are combined in the wrong order, or only in part.

## What happens
In float16 small gradients vanish, so that a scaler multiplies the loss by 65536 and divides the gradients again before
the step. Each part that is missing breaks it quietly: clipped before `unscale_()`, gradients are 65536 times too large
for the limit, and every step is cut to nothing; `optimizer.step()` in place of `scaler.step(optimizer)` steps
with the scaled gradients; a loss that is not scaled is divided all the same; without `scaler.update()` the factor never
follows, and after the first overflow nothing is ever stepped again; and float16 autocast with no scaler at all loses
every gradient below 6e-8.

## How it is told apart
Decided on the order of scale, backward, unscale_, clip, step and update between two steps, and on the type that
autocast was entered with.
- `ineffective-clipping`: the same call without a scaler in play. `half-precision-optimizer`: the weights are float16.
- `nonfinite-loss`: an overflow in the forward pass, which a scaler cannot help.
- `scheduler-order`: a scheduler that steps while the scaler skips a step is harmless.
Not this: bfloat16, which needs no scaler; a disabled scaler; evaluation under autocast; unscaling once a window of
accumulation.

## Remedy
All the scaler's calls, in this order; or bfloat16, and none of them.

    with torch.autocast("cuda", dtype=torch.float16):
        loss = criterion(model(x), y)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()

## Sources
- PyTorch, Automatic mixed precision examples, https://docs.pytorch.org/docs/stable/notes/amp_examples.html
  [the order above; clipping needs unscale_ first]
- PyTorch, Automatic mixed precision package, https://docs.pytorch.org/docs/stable/amp.html
  [why float16 needs scaling and bfloat16 does not]
- Micikevicius et al., Mixed precision training, https://arxiv.org/abs/1710.03740 [gradients below the range of float16]
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from ...record import Record, Site
from ...record.loop import Window, windows
from ...source import Source
from ...source.program import Event, Value
from ...source.program.kinds import constructor, is_optimizer
from ...source.program.queries import Entry, Place, backward_of, called, entries, escapes, owner_of, scaled
from ...source.program.training import block_of, events_in
from ...source.program.values import Call, External
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_of_event


class Misuse(NamedTuple):
    """One way to get it wrong: what it is called here, what it does, and what mends it."""

    name: str
    text: str
    remedy: str


RAW = Misuse(
    "raw",
    "optimizer.step() is called itself, not scaler.step(optimizer): it uses gradients that are still scaled",
    "step through the scaler: scaler.step(optimizer)",
)
UNSCALED = Misuse(
    "unscaled",
    "scaler.step() divides gradients of a loss that was never scaled: they come out too small by the scale",
    "backpropagate the scaled loss: scaler.scale(loss).backward()",
)
CLIPPED = Misuse(
    "clipped",
    "gradients are clipped while they are still scaled: the limit cuts every step to almost nothing",
    "call scaler.unscale_(optimizer) before clipping",
)


def in_run(
    record: Record,
    source: Source,
    *,
    min_share: float = 0.9,  # of the windows with the scaler's calls; a fault in the loop is in all of them
    min_windows: int = 5,  # fewer are a trial
) -> Answer:
    """The scaler's calls in an order that cannot be right."""
    casts = [row for row in record.rows("autocast") if row.get("enabled") and row.get("graded")]
    scalers = record.rows("scaler")
    if not scalers and not casts:
        yield NotEvaluated("neither a gradient scaler nor autocast was used in training")
        return
    refused = _refused(record)
    if refused is not None:
        yield refused
        return
    for misuse in (RAW, UNSCALED, CLIPPED):
        found, total = Counter[int | None](), 0
        for window in windows(record):
            site, counts = _judged(window, misuse)
            total += window.times if counts else 0
            if site is not None:
                found[site] += window.times
        if not found or found.total() < max(min_windows, min_share * total):
            continue
        index, count = found.most_common(1)[0]
        evidence = (Evidence(f"at {found.total()} of {total} steps {misuse.text}", "precision", float(count), 0.0),)
        yield Finding(record.site(index), evidence, 0.96, subject=misuse.name)
        return
    steps = [row for row in scalers if row.get("event") == "p"]
    count = max((row.get("count", 0) for row in steps), default=0)
    if count >= min_windows and not any(row.get("event") == "d" for row in scalers):
        text = (
            f"scaler.step() was called {count} times and scaler.update() never: the scale cannot follow the gradients"
        )
        yield Finding(
            _site(record, steps[0]), (Evidence(text, "precision", 0.0, float(count)),), 0.95, subject="update"
        )
        return
    halves = [row for row in casts if row.get("dtype") == "float16" and row.get("count", 0) >= min_windows]
    if halves and not scalers and record.steps >= min_windows:
        text = (
            f"{halves[-1].get('count')} training passes ran under float16 autocast, and no gradient scaler was used: "
            "gradients below 6e-8 become zero"
        )
        yield Finding(_site(record, halves[0]), (Evidence(text, "precision", 0.0, 1.0),), 0.9, subject="none")


def _refused(record: Record) -> Finding | None:
    """What the scaler itself noticed: it raises where nothing was scaled, or where nothing was unscaled."""
    error = record.exception or {}
    text = str(error.get("text", ""))
    misuse = RAW if "No inf checks were recorded" in text else UNSCALED if "_scale is None" in text else None
    if misuse is None:
        return None
    letter = "S" if misuse is RAW else "B"
    lines = [site for window in windows(record) for name, site, _ in window.events if name == letter]
    if misuse is UNSCALED and record.objectives:
        lines = [record.objectives[0].number]
    site = record.site(lines[0]) if lines else record.site((error.get("frames") or [None])[-1])
    first = text.strip().splitlines()[0][:160]
    evidence = (Evidence(f"the scaler refused to go on ({first}): {misuse.text}", "exception"),)
    return Finding(site, evidence, 0.95, subject=misuse.name)


def _site(record: Record, row: dict[str, object]) -> Site | None:
    return record.site(row.get("site"))


def _judged(window: Window, misuse: Misuse) -> tuple[int | None, bool]:
    """(the line that is wrong or None, whether the window says anything about it)."""
    letters = [letter for letter, _, _ in window.events]
    if "S" not in letters or "B" not in letters:
        return None, False
    step = len(letters) - 1
    backward = step - 1 - letters[:step][::-1].index("B") if "B" in letters[:step] else None
    if backward is None:
        return None, False
    between = letters[backward + 1 : step]
    scaled = "s" in letters[:backward]
    if misuse is RAW:
        return (window.events[step][1] if scaled and "p" not in between else None), scaled or "p" in between
    if misuse is UNSCALED:
        return (window.events[backward][1] if "p" in between and not scaled else None), "p" in between
    if not scaled or "c" not in between:
        return None, False
    clip = between.index("c")
    return (window.events[backward + 1 + clip][1] if "u" not in between[:clip] else None), True


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The missing call, where its names can be read from the script."""
    titles = {misuse.name: misuse.remedy for misuse in (RAW, UNSCALED, CLIPPED)}
    titles["update"] = "call scaler.update() after scaler.step()"
    titles["none"] = "use a GradScaler, or bfloat16, which needs none"
    title = titles[str(finding.subject)]
    site = finding.site
    module = source.module(site.file) if site is not None else None
    statement = module.statement_at(site.line) if module is not None and site is not None else None
    if module is None or statement is None or site is None:
        return [Remedy(title, "safe")]
    if finding.subject == "none":
        dtypes = [n for n in ast.walk(statement) if isinstance(n, ast.Attribute) and n.attr in ("float16", "half")]
        own = [node for node in dtypes if node.lineno == site.line and module.dotted(node.value) == "torch"]
        edits = (module.replace(own[0], "torch.bfloat16"),) if len(own) == 1 else ()
        return [Remedy("autocast to bfloat16, which needs no scaler; or add a GradScaler", "changes-training", edits)]
    function = module.function_at(site.line) or module.tree
    names = {
        (module.segment(call.func).rpartition(".")[0], module.segment(call.args[0]))
        for call in module.calls("?.step", within=function)
        if len(call.args) == 1 and isinstance(call.args[0], (ast.Name, ast.Attribute))
    }
    if len(names) != 1 or not isinstance(statement, ast.Expr):
        return [Remedy(title, "safe")]
    scaler, optimizer = names.pop()
    if finding.subject == "clipped":
        return [Remedy(title, "safe", (module.insert_before(statement, f"{scaler}.unscale_({optimizer})"),))]
    if finding.subject == "update":
        return [Remedy(title, "safe", (module.insert_after(statement, f"{scaler}.update()"),))]
    return [Remedy(title, "safe")]


def in_source(source: Source) -> Iterator[Finding]:
    """The calls behind a scaled backward, in the order of the source."""
    every = entries(source)
    scalers = any(constructor(p.event.result).endswith("GradScaler") for e in every for p in e.places)
    for entry in every:
        for place in entry.calls("backward"):
            scaler = scaled(backward_of(place.event))
            if scaler is not None:
                yield from _after(entry, place, scaler, every)
        if not scalers:
            yield from _halves(entry)


def _after(entry: Entry, backward: Place, scaler: Value, every: list[Entry]) -> Iterator[Finding]:
    block = block_of(entry, backward)
    index = next((i for i, step in enumerate(block) if step is backward.event), len(block))
    clipped: Event | None = None
    for event in [each for step in block[index + 1 :] for each in events_in(step)]:
        name = called(event)
        if name == "backward" or (name in ("unscale_", "unscale") and event.name == "call"):
            return
        if name in ("clip_grad_norm_", "clip_grad_value_"):
            clipped = clipped or event
        elif name == "step" and owner_of(event) is scaler:
            if clipped is not None:
                yield Finding(site_of_event(clipped), (Evidence(CLIPPED.text),), 0.95, subject=CLIPPED.name)
            elif not any(owner_of(p.event) is scaler for e in every for p in e.calls("update")):
                text = "scaler.step() is called and scaler.update() never: the scale cannot follow the gradients"
                if not any(escapes(each, scaler) for each in every):
                    yield Finding(site_of_event(event), (Evidence(text),), 0.95, subject="update")
            return
        elif name == "step" and is_optimizer(owner_of(event)) and not event.args:
            yield Finding(site_of_event(event), (Evidence(RAW.text),), 0.95, subject=RAW.name)
            return


def _halves(entry: Entry) -> Iterator[Finding]:
    """float16 autocast around a training forward, in a program without any scaler."""
    for place in entry.calls("autocast"):
        cast = place.event.result
        dtype = cast.argument(1, "dtype") if isinstance(cast, Call) else None
        if not isinstance(dtype, External) or dtype.name not in ("torch.float16", "torch.half"):
            continue
        behind = [p for p in entry.calls("backward") if p.loop is place.loop and p.order > place.order]
        if (
            place.loop is not None
            and place.event.grad
            and behind
            and isinstance(cast, Call)
            and "enabled" not in cast.kwargs
        ):
            text = "training under float16 autocast without a scaler: gradients below 6e-8 become zero"
            yield Finding(site_of_event(place.event), (Evidence(text),), 0.9, subject="none")


CONDITION = Condition(
    "mixed-precision-misuse",
    "error",
    needs=("precision", "loop_windows", "exception"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    explains=(
        "ineffective-clipping",
        "lr-too-low",
        "lr-too-high",
        "nonfinite-loss",
        "exploding-gradients",
        "uninformative-labels",
    ),
)
