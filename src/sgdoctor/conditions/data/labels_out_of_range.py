"""Class ids do not lie between 0 and the number of outputs minus one.

## What happens
Cross-entropy over K outputs accepts ids 0 to K-1. Files often count from 1, encode classes as pixel values (0 and 255),
mark "unknown" with -1, or gained a class after the model was written. On the CPU the script stops with
`IndexError: Target 10 is out of bounds.`; on CUDA with a `device-side assert`, raised asynchronously at a later line,
often in backward, after which the process cannot use the GPU any more. `one_hot`, `gather` and `Embedding` complain in
words of their own. The silent cases: -100 is `ignore_index`, so such samples vanish, and a batch of nothing else gives
NaN; and `BCEWithLogitsLoss` takes a target of 2 without a word, whose loss has no lower bound.

## How it is told apart
Decided on the target's min, max and dtype at the loss, as fractions of the class dimension, with the share of ignored
entries; after a crash, on the last batch before it. In a run that did not crash, on targets of a binary cross-entropy
outside of 0 to 1 in most batches. For a CUDA assert: the same batch replayed on the CPU.
- `dtype-mismatch`: ids are in range but of a float or int32 type. `shape-mismatch`: sizes disagree, not values.
- `wrong-loss-for-task`: the ids are fine, the loss treats them as quantities.
- `padding-in-loss`: ids are legal, but a padding value is counted (or a real class is ignored).
- `nonfinite-loss`: NaN with every target inside the range.
Not this: -100 or a declared `ignore_index` on part of each batch; more outputs than classes seen (ids 1..K into K+1
outputs train soundly, one output is wasted); soft labels, which are floats of the output's shape.

## Remedy
Map whatever the files contain to 0..K-1 once, where they are read, and let the data say how many outputs are needed.

    classes, y = torch.unique(y, return_inverse=True)     # ids 0..K-1; keep `classes` to translate predictions back
    model = Net(num_classes=len(classes))

Counting from 1 only: `y = y - 1`. "Unknown" pixels: `CrossEntropyLoss(ignore_index=255)`. Take the mapping from the
training split and reuse it, or a class missing from a split shifts all the ids behind it.

## Sources
- PyTorch, CrossEntropyLoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
  [class indices in [0, C); ignore_index may lie outside]
- Hugging Face course 8.4, https://github.com/huggingface/course/blob/main/chapters/en/chapter8/4.mdx
  [CUDA error in backward that was "Target 2 is out of bounds" on the CPU]
- Pytorch-UNet issue 291, https://github.com/milesial/Pytorch-UNet/issues/291 [grey values used as class ids]
- happy-transformer issue 248, https://github.com/EricFillion/happy-transformer/issues/248 [a label of -1]
"""

from __future__ import annotations

import ast
import math
import re
from typing import NamedTuple

import numpy as np

from ...record import Progress, Record, Row, Site
from ...record.record import number
from ...source import Edit, Source
from ...source.casts import ignored, shifted
from ...source.criterion import outputs_of
from ...source.flow import Point
from ...source.loss import argument, loss_call, maker, trails
from ...source.numbers import definitions
from ...source.output import output_of
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import loss_site, site_of, standing

MESSAGES = (
    re.compile(r"Target (-?\d+) is out of bounds"),
    re.compile(r"Assertion `?t >= 0 && t < n_classes`? failed"),
    re.compile(r"Class values must be (non-negative|smaller than num_classes)"),
    re.compile(r"multi-target not supported"),
)
PROBABILITIES = ("binary_cross_entropy", "binary_cross_entropy_with_logits")
ROUNDING = 1e-4  # of a soft label computed in half precision
CLASS_INDEX = ("cross_entropy", "nll_loss", "multi_margin_loss")


class Subject(NamedTuple):
    """What the patch needs: the line of the loss, the labels' range, the number of outputs."""

    crashed: Site | None
    low: int
    high: int
    outputs: int


def in_run(record: Record, source: Source) -> Answer:
    """Class ids are negative, or not smaller than the number of outputs."""
    error = record.exception
    if error is None:
        beyond = next((each for each in map(_beyond, _all(record)) if each is not None), None)
        if beyond is not None:
            entry, low, high = beyond
            yield _unbounded(record, source, entry, low, high)
            return
        if not any(call.get("fn") in CLASS_INDEX for call in record.calls.values()):
            yield NotEvaluated("no loss over class ids was seen")
        return
    text = str(error.get("text"))
    call = error.get("loss") or {}
    match = next((found for pattern in MESSAGES[:3] if (found := pattern.search(text))), None)
    known = call.get("fn") in CLASS_INDEX and match is not None
    if match is None or not (known or "class" in text.lower() or "Target" in text):
        return
    frames = error.get("frames") or []
    crashed = record.site(frames[-1]) if frames else None
    subject = _subject(call, crashed)
    site = _narrow(source, subject) or _site(record, source, crashed)
    yield Finding(site, (_evidence(call, text),), 0.97, subject=subject)


def _all(record: Record) -> list[Progress]:
    return [Progress(record, objective) for objective in record.objectives]


def _beyond(entry: Progress) -> tuple[Progress, float, float] | None:
    """Smallest and largest target of a binary cross-entropy where they leave [0, 1], in one sample of two or more.

    Entries that are masked out of an unreduced loss may hold anything.
    """
    call = entry.record.calls.get(entry.call) if entry.call is not None else None
    if entry.fn not in PROBABILITIES or call is None or call.get("reduction") == "none":
        return None
    low, high = entry.samples.column("target.min"), entry.samples.column("target.max")
    outside = (low < -ROUNDING) | (high > 1 + ROUNDING)
    if len(low) < 6 or outside.mean() < 0.5:
        return None
    return entry, float(np.nanmin(low)), float(np.nanmax(high))


def _unbounded(record: Record, source: Source, entry: Progress, low: float, high: float) -> Finding:
    text = (
        f"the targets of a binary cross-entropy run from {low:.4g} to {high:.4g}; outside of 0 to 1 the loss has no "
        "lower bound, and torch does not complain"
    )
    loss = loss_site(record, entry)
    outputs = 2 if low >= 1 and high - low == 1 else 0
    return Finding(
        _site(record, source, loss),
        (Evidence(text, "loss_values", high if high > 1 else low, 1.0), Evidence(standing(entry), "objective")),
        0.97,
        subject=Subject(loss, int(low), int(high), outputs) if outputs else None,
    )


def _subject(call: Row, crashed: Site | None) -> Subject | None:
    shape, low, high = _at_output(call), number(_at(call, "min")), number(_at(call, "max"))
    if shape is None or not (math.isfinite(low) and math.isfinite(high)):
        return None
    return Subject(crashed, int(low), int(high), shape)


def _narrow(source: Source, subject: Subject | None) -> Site | None:
    """Where the number of outputs is made, for labels that count from 0 and go further."""
    if subject is None or subject.crashed is None or subject.low != 0 or subject.high < subject.outputs:
        return None
    size = _outputs(source, *subject.crashed[:2])
    for _ in range(4):  # as it is handed on from name to name
        if size is None or not isinstance(size.node, ast.Name):
            break
        given = next(iter(definitions(source, size.module, size.node)), None)
        size = Point(*given) if given is not None else size
    return site_of(size) if size is not None else None


def _evidence(call: Row, text: str) -> Evidence:
    shape = _at_output(call)
    low, high = number(_at(call, "min")), number(_at(call, "max"))
    first = text.strip().splitlines()[0][:120]
    if shape is None or low != low:
        return Evidence(f"torch raised: {first}", "exception")
    return Evidence(
        f"the labels of this batch run from {low:.0f} to {high:.0f}, and {shape} outputs allow 0 to {shape - 1} "
        f"({first})",
        "exception",
        high if high >= shape else low,
        float(shape - 1),
    )


def _at(call: Row, key: str) -> object:
    target = call.get("target")
    return target.get(key) if isinstance(target, dict) else None


def _at_output(call: Row) -> int | None:
    output = call.get("output")
    shape = output.get("shape") if isinstance(output, dict) else None
    if not isinstance(shape, list) or not shape:
        return None
    return int(shape[1] if len(shape) > 1 else shape[0])


def _site(record: Record, source: Source, crashed: Site | None) -> Site | None:
    """Where the labels are made, where that can be followed from the loss; else the loss."""
    if crashed is None:
        return None
    _, target = trails(source, crashed.file, crashed.line)
    made = maker(target)
    return site_of(made) if made is not None else crashed


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Count from 0, leave out what has no class, or give the model more outputs."""
    words = "map the labels to 0 ... K-1 (subtract the smallest, or use a table), or give the model more outputs"
    subject = finding.subject
    if not isinstance(subject, Subject) or subject.crashed is None:
        return [Remedy(words, "changes-training")]
    file, line = subject.crashed[:2]
    low, high, outputs = subject.low, subject.high, subject.outputs
    found: list[tuple[str, tuple[Edit, ...]]] = []
    if low >= 1 and high - low < outputs:
        found.append((f"count the labels from 0: subtract {low}", shifted(source, file, line, -low)))
    if low == -1 and high < outputs:
        title = "leave samples labelled -1 out of the loss: ignore_index=-1"
        found.append((title, ignored(source, file, line, -1)))
    if low >= 0 and high >= outputs:
        title = f"give the model {high + 1} outputs instead of {outputs}"
        found.append((title, _wider(source, file, line, high + 1)))
    chosen = [Remedy(title, "changes-training", edits) for title, edits in found if edits]
    return chosen or [Remedy(words, "changes-training")]


def _wider(source: Source, file: str, line: int, outputs: int) -> tuple[Edit, ...]:
    size = _outputs(source, file, line)
    return () if size is None else (size.module.replace(size.node, str(outputs)),)


def _outputs(source: Source, file: str, line: int) -> Point | None:
    """The number of outputs of the model behind the loss at a line, as its last layer is given it."""
    found = loss_call(source, file, line)
    output = argument(found[1], 0, "input") if found is not None else None
    return outputs_of(output_of(source, found[0], output)) if found is not None and output is not None else None


CONDITION = Condition(
    "labels-out-of-range",
    "error",
    needs=("exception", "loss_calls", "loss_values", "objective", "constant_loss"),
    in_run=in_run,
    remedies=remedies,
    structural=True,
)
