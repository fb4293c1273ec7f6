"""A layer or the loss was given shapes that cannot go together.

## What happens
The script stops in its first forward or loss, and the message gives two sizes without saying which one is wrong.
`mat1 and mat2 shapes cannot be multiplied (4x100 and 120x10)`: Linear(120, 10) received 100 features; here mat1 is the
input as (rows x features), mat2 the transposed weight. `expected input[8, 28, 28, 3] to have 3 channels, but got 28`:
images are channels-last, Conv2d wants (N, C, H, W). `Expected input batch_size (4) to match target batch_size (8)`: an
earlier `view(-1, ...)` moved samples into features. `Expected target size [2, 10], got [2, 5]`: CrossEntropyLoss wants
the class dimension second, (N, K, T). The first number to doubt is the one that changes with image size or batch.

## How it is told apart
Decided on the exception with both shapes, the module and line that raised it, and the path of the offending size back
to where it arose (flatten, view, cat, the input). Size ratios often name the operation: H*W, T, or the batch size.
- `loss-broadcast`: shapes are compatible by broadcasting, so nothing raises and the loss is wrong. Far worse.
- `dtype-mismatch`: types, not sizes. `labels-out-of-range`: values, not sizes.
- `batch-mixing`: a `view` where `permute` was meant yields a legal shape with samples blended; no exception.
- A last, smaller batch that breaks a stored hidden state or a `view(batch_size, ...)` is this; it fails at epoch's end.
Not this: exceptions that the script itself catches, shape probing on purpose, and lazy modules before their first call.

## Remedy
Keep the batch dimension explicit, and let the layer learn its input size instead of computing it by hand.

    x = torch.flatten(x, 1)                          # not x.view(-1, 16 * 5 * 5): that hides the batch dimension
    self.fc = nn.LazyLinear(10)                      # or nn.AdaptiveAvgPool2d(1) before a fixed Linear
    images = images.permute(0, 3, 1, 2)              # channels-last to (N, C, H, W); view would mix pixels
    loss = F.cross_entropy(logits.transpose(1, 2), target)    # (N, T, K) to (N, K, T)

Never silence it by a reshape that merely fits: check one sample's values before and after.

## Sources
- PyTorch, Linear, https://pytorch.org/docs/stable/generated/torch.nn.Linear [last dimension equals in_features]
- PyTorch, CrossEntropyLoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
  [input (N, C, d1, ...)]
- CANet-CZSL issue 7, https://github.com/wqshmzh/CANet-CZSL/issues/7
  [(N, 512, 1, 1) into Linear; the answer: squeeze the trailing ones]
- LO-Net-pytorch issue 1, https://github.com/PawitKoch/LO-Net-pytorch/issues/1 [flattened size differs from in_features]
"""

from __future__ import annotations

import ast
import math
import re
from typing import NamedTuple

from ...record import Record, Row, Site
from ...source import Edit, Source
from ...source.flow import Trail
from ...source.shapes import Given, Meeting, fitted_layer, fitted_loss, fitted_recurrent, fitted_view
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import layer_site, site_at

MESSAGES = re.compile(
    r"shapes cannot be multiplied|must match the size of tensor|size mismatch|Expected input batch_size"
    r"|is invalid for input of size|to have \d+ channels|must be the same as (input|target) size"
    r"|[Ee]xpected \d+(D|-D)|Expected (more than|target size|input|hidden)|should contain \d+ elements"
    r"|Given groups=|input\.size\(-1\) must be equal|normalized_shape|shape mismatch|non-singleton dimension"
    r"|Sizes of tensors must match|stack expects each tensor|same number of dimensions|must be broadcastable"
    r"|Dimension out of range|inconsistent tensor size|doesn't match the broadcast shape|mat1 dim 1 must match"
    r"|0D or 1D target tensor expected|1D target tensor expected|only batches of spatial targets|the expanded size"
    r"|Using a target size .* that is different"
)


class Subject(NamedTuple):
    """What the patch needs to know of the crash."""

    crash: Site | None
    text: str
    given: Given | None
    met: Meeting | None
    shapes: tuple[tuple[str, tuple[int, ...]], ...]


def in_run(record: Record, source: Source) -> Answer:
    """The script raised because shapes do not go together."""
    error = record.exception
    if error is None:
        return
    text = str(error.get("text"))
    if error.get("type") not in ("RuntimeError", "ValueError", "IndexError", "TypeError") or not MESSAGES.search(text):
        return
    frames = error.get("frames") or []
    if not frames:
        yield NotEvaluated("the exception came from no line of the script's own")
        return
    evidence = [Evidence(f"torch raised: {text.strip().splitlines()[0][:200]}", "exception")]
    layer, extra = _layer(error)
    site = record.site(frames[-1])
    if layer is not None:
        site = layer_site(record, source, layer) or site
    elif "hidden" in text:
        site = _state_site(source, site) or site
    yield Finding(
        site,
        (*evidence, *extra, *_loss(error)),
        0.96,
        layer=_name(record, layer),
        subject=_subject(record, error, text),
    )


def _state_site(source: Source, crashed: Site | None) -> Site | None:
    """Where the state is made that a recurrent layer is given beside its input: `self.rnn(x, state)`."""
    module = source.module(crashed.file) if crashed is not None else None
    statement = module.statement_at(crashed.line) if module is not None and crashed is not None else None
    for call in ast.walk(statement) if statement is not None and module is not None else ():
        if module is not None and isinstance(call, ast.Call) and len(call.args) == 2:
            trail = Trail(source).of(module, call.args[1])
            if len(trail) > 1 and isinstance(trail[0].node, ast.Name):
                return site_at(trail[1].module, trail[1].node)
    return None


def _layer(error: Row) -> tuple[int | None, list[Evidence]]:
    """(number of the weight, sentence) where a layer was given an input that its weight does not take."""
    for frame in reversed(error.get("inner") or []):
        weight, tensors = frame.get("weight"), frame.get("tensors") or {}
        given = tensors.get("input")
        if weight and given and weight.get("shape") and given.get("shape"):
            text = f"{frame.get('module')} with weight {weight['shape']} was given an input of shape {given['shape']}"
            parameter = frame.get("param")
            return (parameter if isinstance(parameter, int) else None), [Evidence(text, "exception")]
    return None, []


def _loss(error: Row) -> list[Evidence]:
    call = error.get("loss") or {}
    if not (call.get("output") and call.get("target")):
        return []
    text = f"{call.get('fn')} was given outputs {call['output'].get('shape')} and targets {call['target'].get('shape')}"
    return [Evidence(text, "exception")]


def _name(record: Record, layer: int | None) -> str | None:
    known = record.parameters.get(layer) if layer is not None else None
    return None if known is None else known.layer


def _subject(record: Record, error: Row, text: str) -> Subject:
    """What the patch needs of the crash: the layer and its input, or the loss and its arguments, or shapes."""
    frames = error.get("frames") or []
    crash = record.site(frames[-1]) if frames else None
    given = None
    for frame in reversed(error.get("inner") or []):
        weight, tensor = frame.get("weight") or {}, (frame.get("tensors") or {}).get("input") or {}
        known = record.parameters.get(frame.get("param"))
        if known is not None and known.name and weight.get("shape") and tensor.get("shape"):
            given = Given(known.name, str(frame.get("module")), tuple(weight["shape"]), tuple(tensor["shape"]))
            break
    call = error.get("loss") or {}
    output, target = call.get("output") or {}, call.get("target") or {}
    met = None
    if given is None and crash is not None and output.get("shape") and target.get("shape"):
        met = Meeting(
            str(call.get("fn")),
            (crash.file, crash.line),
            tuple(output["shape"]),
            tuple(target["shape"]),
            str(target.get("dtype")).startswith(("int", "uint"))
            or (target.get("min") == 0 and target.get("max") == output["shape"][-1] - 1),
        )
    shapes = [
        (name, tuple(facts["shape"]))
        for frame in error.get("inner") or []
        for name, facts in (frame.get("tensors") or {}).items()
        if facts.get("shape")
    ]
    return Subject(crash, text, given, met, tuple(shapes))


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The size that fits."""
    subject = finding.subject
    words = "bring both to the same shape (view, unsqueeze, or the number of outputs)"
    if finding.layer is not None:
        words = f"make {finding.layer} take what it is given (see the two shapes), or reshape its input"
    if not isinstance(subject, Subject):
        return [Remedy(words, "safe")]
    said: str
    edits: tuple[Edit, ...]
    said, edits = "", ()
    if subject.given is not None:
        said, edits = fitted_layer(source, subject.given)
        said = f"{finding.layer or 'the layer'}: {said}"
    elif subject.met is not None:
        said, edits = fitted_loss(source, subject.met)
    elif subject.crash is not None:
        said, edits = _in_forward(source, subject)
    return [Remedy(said, "safe", edits)] if edits else [Remedy(words, "safe")]


def _in_forward(source: Source, subject: Subject) -> tuple[str, tuple[Edit, ...]]:
    """Where neither a weight nor a loss is known: a view that does not go up, a recurrent layer's input size."""
    crash, text = subject.crash, subject.text
    if crash is None:
        return "", ()
    view = re.search(r"is invalid for input of size (\d+)", text)
    if view:
        for _, shape in reversed(subject.shapes):
            if math.prod(shape) == int(view[1]):
                return "flatten all axes but the first", fitted_view(source, crash.file, crash.line, shape)
    recurrent = re.search(r"input\.size\(-1\) must be equal to input_size\. Expected (\d+), got (\d+)", text)
    if recurrent:
        edits = fitted_recurrent(source, crash.file, crash.line, int(recurrent[2]))
        return f"make it take {recurrent[2]} features instead of {recurrent[1]}", edits
    return "", ()


CONDITION = Condition(
    "shape-mismatch",
    "error",
    needs=("exception",),
    in_run=in_run,
    remedies=remedies,
    structural=True,
)
