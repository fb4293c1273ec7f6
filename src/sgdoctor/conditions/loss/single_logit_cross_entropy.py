"""Cross-entropy over a single output is always zero.

## What happens
Softmax over one class is 1 whatever the logit, so that `CrossEntropyLoss` on outputs of shape (N, 1) is exactly 0 with
a gradient of exactly 0: the loss looks perfect from the first step and no weight ever moves. With labels 0 and 1 given
as integers the second class does not exist and torch raises "Target 1 is out of bounds"; people then cast the labels to
float or zero them out, and the error is gone. Squeezed to (N), the outputs of the whole batch count as the classes of
one sample: the softmax runs over the batch, and samples compete with each other.

## How it is told apart
Decided on the shape at the loss: the class axis has length 1 (or, with float targets, outputs and targets are vectors
over the batch whose targets do not sum to one, as those of one sample would).
- `labels-out-of-range`: the exception it may end in; there the ids are wrong, here the number of outputs.
- `constant-output`: a softmax over one unit inside the model. `wrong-loss-for-task`: several outputs, another loss due.
- `constant-loss`: another reason for a gradient of zero. `missing-step`, `lr-too-low`: gradients are not zero.
Not this: `BCEWithLogitsLoss` on one output, which is right; two outputs for two classes; segmentation with two
channels.

## Remedy
One output and a sigmoid loss, with targets of the same shape and float; or two outputs and class ids.

    loss = F.binary_cross_entropy_with_logits(model(x).squeeze(1), y.float())
    predicted = (logits > 0).long()                  # argmax over one column is always 0

## Sources
- PyTorch, CrossEntropyLoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
  [the input has shape (minibatch, C): one column means one class]
- PyTorch, BCEWithLogitsLoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import numpy as np

from ...record import Record, Row
from ...source import Edit, Source
from ...source.loss import argument, loss_call
from ...source.program.kinds import operation, settled
from ...source.program.queries import losses
from ...source.program.values import Call, Const, Op, Value
from ...source.terms import backwarded, definitions
from ..activations import loss_maker
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_at, site_of_event, site_of_loss

CLASSES = ("cross_entropy", "nll_loss")
# What stands between a log_softmax and the loss where a cross-entropy is written by hand.
PICKED = ("NegBackward", "MeanBackward", "SumBackward", "MulBackward", "DivBackward", "GatherBackward", "IndexBackward",
          "SqueezeBackward", "ViewBackward")  # fmt: skip
OUT_OF_BOUNDS = "out of bounds"
RECUT = ("unsqueeze", "view", "reshape", "permute", "transpose", "stack", "cat", "expand", "repeat", "unfold")


def in_run(
    record: Record,
    source: Source,
    *,
    max_loss: float = 1e-6,  # -log(1) is exactly 0 in any precision
) -> Answer:
    """The class axis at a cross-entropy has length one."""
    error = record.exception
    crashed = (error or {}).get("loss") or {}
    if error is not None and crashed.get("fn") in CLASSES and OUT_OF_BOUNDS in str(error.get("text")):
        shape = (crashed.get("output") or {}).get("shape") or []
        if len(shape) >= 2 and shape[1] == 1:
            frames = error.get("frames") or []
            yield _finding(record, source, frames[-1] if frames else None, crashed, "and torch raised", None)
            return
    calls = [(i, row) for i, row in record.calls.items() if row.get("grad") and row.get("fn") in CLASSES]
    for number, call in calls:
        shape = (call.get("output") or {}).get("shape") or []
        samples = record.rows("loss", call=number, grad=True)
        values = np.abs(samples.column("value"))
        if len(shape) >= 2 and shape[1] == 1 and not (len(values) and np.nanmax(values) > max_loss):
            text = f"and the loss is 0 in all {len(values)} samples" if len(values) else "and the loss is 0"
            yield _finding(record, source, call.get("site"), call, text, float(np.nanmax(values, initial=0.0)))
            return
        if len(shape) == 1 and shape[0] > 1 and _over_the_batch(call, samples.column("target.mean") * shape[0]):
            text = "one output a sample, squeezed: the softmax runs over the batch, and samples compete with each other"
            yield _finding(record, source, call.get("site"), call, text, None)
            return
    yield from _by_hand(record, source)
    if not calls and not crashed:
        yield NotEvaluated("cross_entropy was not called with gradient")


def _by_hand(record: Record, source: Source) -> Answer:
    """A cross-entropy written with log_softmax: nothing but products with targets and sums stand before the loss."""
    for objective in record.objectives:
        head = [(str(entry[0]), list(entry[1])) for row in objective.graphs[:1] for entry in row.get("head", [])]
        index = next((i for i, (name, _) in enumerate(head) if not name.startswith(PICKED)), len(head))
        name, shape = head[index] if index < len(head) else ("", [])
        if objective.calls or name != "LogSoftmaxBackward0" or len(shape) < 2 or shape[1] != 1:
            continue
        found = backwarded(source, objective.site.file, objective.site.line) if objective.site is not None else None
        values = definitions(found[0], found[1]) if found is not None and isinstance(found[1], ast.Name) else []
        place = site_at(found[0], values[0][0]) if found is not None and len(values) == 1 else objective.site
        text = f"the loss by hand takes the log_softmax of outputs of shape {shape}: one class only, whose probability "
        evidence = Evidence(text + "is always 1, so that no gradient passes it", "graph", 1.0, 2.0)
        yield Finding(place, (evidence,), 0.97)
        return


def _over_the_batch(call: Row, sums: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:
    target = call.get("target") or {}
    floats = str(target.get("dtype", "")).startswith(("float", "bfloat"))
    known = sums[np.isfinite(sums)]
    return bool(floats and len(target.get("shape") or []) == 1 and len(known) and np.max(np.abs(known - 1)) > 0.05)


def _finding(record: Record, source: Source, site: object, call: Row, text: str, value: float | None) -> Finding:
    shape = (call.get("output") or {}).get("shape") or []
    place = record.site(site)
    maker = loss_maker(source, place)
    what = f"{call.get('fn')} is given outputs of shape {shape}: " + (
        f"one class only, whose probability is always 1, {text}" if len(shape) >= 2 else text
    )
    target = (call.get("target") or {}).get("shape") or []
    return Finding(
        site_at(*maker) if maker else place,
        (Evidence(what, "loss_calls", value, 0.0),),
        0.97,
        subject=(place, tuple(shape), tuple(target)),
    )


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The loss for one logit, with targets of its shape."""
    title = "use BCEWithLogitsLoss with float targets of the outputs' shape (or two outputs)"
    subject = finding.subject if isinstance(finding.subject, tuple) else (None, (), ())
    place, shape, target_shape = subject
    call, maker = (loss_call(source, place.file, place.line), loss_maker(source, place)) if place else (None, None)
    if call is None or maker is None:
        return [Remedy(title, "changes-training")]
    module, node = call
    output, target = argument(node, 0, "input"), argument(node, 1, "target")
    if output is None or target is None or maker[1].keywords:
        return [Remedy(title, "changes-training")]
    functional = maker[1] is node
    text = maker[0].segment(maker[1].func)
    name = "binary_cross_entropy_with_logits" if functional else "BCEWithLogitsLoss"
    edits: list[Edit] = [maker[0].replace(maker[1].func, text.rpartition(".")[0] + "." + name if "." in text else name)]
    if "." not in text:  # imported by its own name: the other one would have to be imported too
        return [Remedy(title, "changes-training")]
    if len(shape) > len(target_shape):
        edits.append(module.replace(output, module.segment(output) + ".squeeze(1)"))
    edits.append(module.replace(target, module.segment(target) + ".float()"))
    return [Remedy(title, "changes-training", tuple(edits))]


def in_source(source: Source) -> Iterator[Finding]:
    """What cross_entropy is given comes straight from a linear layer of one output."""
    for _, place, name, call in losses(source):
        made = settled(call.argument(0, "input"))
        squeezed = isinstance(made, Call) and operation(made)[0] in ("squeeze", "flatten", "ravel")
        made = operation(made)[1] if squeezed else made
        if name != "cross_entropy" or not isinstance(made, Call) or operation(made)[0] != "Linear":
            continue
        layer = settled(made.fn)
        width = layer.argument(1, "out_features") if isinstance(layer, Call) else None
        if not isinstance(width, Const) or width.value != 1 or not _plain(made.argument(0, "input")):
            continue
        text = "cross_entropy is given one output a sample: softmax over one class is always 1, and the loss always 0"
        site = site_of_event(place.event)
        yield Finding(site_of_loss(call), (Evidence(text),), 0.95, subject=(site, (0,) if squeezed else (0, 1), (0,)))


def _plain(value: Value | None) -> bool:
    """Whether it is one row of features a sample, as far as the source shows: nothing on its way adds an axis.

    Scores of several answers, or of the positions of a sequence, come from a layer of one output too.
    """
    for _ in range(40):
        value = settled(value)
        name, given = operation(value)
        if name == "flatten":
            return True
        if isinstance(value, Op) or name in RECUT:
            return False
        if not isinstance(value, Call):
            return True
        value = given
    return False


CONDITION = Condition(
    "single-logit-cross-entropy",
    "error",
    needs=("graph", "loss_calls", "loss_values", "exception"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    structural=True,
    explains=(
        "constant-output",
        "labels-out-of-range",
        "vanishing-gradients",
        "dead-relu",
        "constant-loss",
        "uninformative-labels",
    ),
)
