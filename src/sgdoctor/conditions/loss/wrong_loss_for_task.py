"""The loss function does not fit the kind of target.

## What happens
- Class ids under MSE or L1: id 9 counts as farther from 0 than id 1, and the output is pulled to the mean id. For ten
  balanced classes the constant predictor scores (K^2 - 1) / 12 = 8.25. On a toy set that cross-entropy solved to 97 %
  this gave 51 %, with a loss that fell nicely.
- Multi-class under BCE on one-hot rows: it trains, as K separate yes/no questions, but the loss flatters: saying
  "1 in 10" everywhere already scores 0.325 for K = 10, and rows of probabilities need not sum to one.
- Multi-label rows under CrossEntropyLoss: classes compete, and the loss cannot fall below s ln s for s labels (1.386
  for two). CrossEntropyLoss does not check that float targets are probabilities; continuous targets
  can make it negative.

## How it is told apart
Decided on the kind of target (integer or few distinct values, one-hot, several ones a row, continuous), the shape of
the output, and the loss function in the graph, together with how the script scores predictions (argmax, round).
- `double-softmax`, `logits-to-probability-loss`, `double-sigmoid`: the right family, fed with the wrong activation.
- `single-logit-cross-entropy`: one output; the loss is exactly 0. `lossy-cast`: `.long()` on continuous targets.
- `restrictive-output`: the loss fits, the last activation cannot reach the targets. `dtype-mismatch`: it raised.
Not this: squared error on one-hot targets, which is a proper score and trains classifiers about as well (97 % on the
same toy set); ordinal targets treated as numbers on purpose; soft labels; Q-values, counts and ratings under MSE.

## Remedy
Choose by the target, and let the loss apply the link function.

    loss = F.cross_entropy(logits, ids)                           # one of K: logits (N, K), ids int64 (N)
    loss = F.binary_cross_entropy_with_logits(logits, y.float())  # yes/no, or several of K: same shapes
    loss = F.mse_loss(output, y)                                  # a quantity: same shapes, no activation at the end

Changing from MSE on ids needs K outputs instead of 1, and a new look at the lr: the loss has other units.

## Sources
- PyTorch, CrossEntropyLoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
  [one of C classes: unnormalised logits, class indices or class probabilities]
- Hui and Belkin, Square loss vs cross-entropy in classification, https://arxiv.org/abs/2006.07322
  [square loss performs comparably: one-hot with squared error is no fault by itself]
- Cross Validated question 568238, https://stats.stackexchange.com/questions/568238
  [squared error on one-hot targets is the Brier score, a proper scoring rule]
- EEG-Inception issue 3, https://github.com/esantamariavazquez/EEG-Inception/issues/3
  [binary cross-entropy where categorical is due]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ...record import Progress, Record, Rows
from ...source import Edit, Module, Source
from ...source.criterion import CASTING, classified, exchanged, losses_at, stripped, unsquashed
from ...source.loss import argument, trails
from ...source.output import output_of
from ...source.program.kinds import operation, reformed
from ...source.program.queries import losses
from ...source.spelling import bracketed
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import judged, loss_site, site_of_event, site_of_loss, standing


class Subject(NamedTuple):
    """What the patch needs: the kind of target, (file, line) of the losses, classes, axes of the target."""

    kind: str
    places: tuple[tuple[str, int], ...]
    classes: int
    axes: int


REGRESSION = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
BINARY = ("binary_cross_entropy", "binary_cross_entropy_with_logits")
INTEGER_MAKERS = ("randint", "argmax", "long", "bucketize", "LabelEncoder", "fit_transform", "digitize", "integers")


def in_run(
    record: Record,
    source: Source,
    *,
    max_classes: int = 128,  # whole numbers of more distinct values are counts, not classes
    good_skill: float = 0.9,  # one-hot targets under squared error can train well: then nothing is said
) -> Answer:
    """The loss function does not fit the kind of target that it is given."""
    found = judged(record)
    if not found or all(entry.call is None for entry in found):
        yield NotEvaluated("no call of a torch loss function was part of the objective")
        return
    for entry in found:
        samples = Rows(row for row in entry.samples if row.get("target"))
        if not len(samples):
            continue
        said = (
            _class_ids(entry, samples, source, record, max_classes)
            or _one_hot(entry, samples, good_skill)
            or _continuous(entry, samples)
        )
        if said is not None:
            subject = _subject(record, entry, samples, said[2])
            yield Finding(loss_site(record, entry), (Evidence(said[0], "label_counts"),), said[1], subject=subject)


def _class_ids(
    entry: Progress, samples: Rows, source: Source, record: Record, max_classes: int
) -> tuple[str, float, str] | None:
    """Squared or absolute error on whole numbers that the script treats as classes."""
    if entry.fn not in REGRESSION or np.nanmin(samples.column("target.whole")) < 1:
        return None
    distinct = int(np.nanmax(samples.column("target.distinct")))
    low, high = np.nanmin(samples.column("target.min")), np.nanmax(samples.column("target.max"))
    if not 3 <= distinct <= max_classes or high - low + 1 > max_classes or low not in (0, 1) or _wide(samples):
        return None
    if not _treated_as_classes(entry, source, record):
        return None
    return (
        f"{entry.fn} is given whole numbers from {low:.0f} to {high:.0f} ({distinct} of them), which the script "
        f"compares for equality: class ids, whose differences mean nothing; {standing(entry)}",
        0.9,
        "classes",
    )


def _treated_as_classes(entry: Progress, source: Source, record: Record) -> bool:
    """Whether the targets are cast from integers, or compared for equality with rounded or maximal outputs."""
    site = loss_site(record, entry)
    if site is None:
        return False
    _, target = trails(source, site.file, site.line)
    names = {point.node.id for point in target if isinstance(point.node, ast.Name)}
    made = {
        point.module.dotted(point.node.func).rpartition(".")[2] for point in target if isinstance(point.node, ast.Call)
    }
    return _accuracy(source) and (bool(made & {"float", "to", "type", *INTEGER_MAKERS}) or bool(names))


def _accuracy(source: Source) -> bool:
    """Whether the script counts right answers: `==` or eq() on something rounded or maximal."""
    return any(_counts_hits(module) for module in source)


def _counts_hits(module: Module) -> bool:
    marks = ("round", "argmax", "rint", "clamp", "long", "max")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq) for op in node.ops):
            scope = module.enclosing(node, ast.FunctionDef, ast.AsyncFunctionDef) or module.tree
            text = module.segment(node)
            if any(f".{mark}(" in text for mark in marks):
                return True
            names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
            for other in ast.walk(scope):
                if not isinstance(other, ast.Assign):
                    continue
                named = any(isinstance(t, ast.Name) and t.id in names for t in other.targets)
                if named and any(f".{mark}(" in module.segment(other.value) for mark in marks):
                    return True
    return False


def _wide(samples: Rows) -> bool:
    return bool(np.isfinite(samples.column("target.row_sum_min")).any())


def _one_hot(entry: Progress, samples: Rows, good_skill: float) -> tuple[str, float, str] | None:
    low, high = samples.column("target.row_sum_min"), samples.column("target.row_sum_max")
    top = samples.column("target.row_max_min")
    if not np.isfinite(low).all() or not np.allclose(low, 1) or not np.allclose(high, 1) or not np.allclose(top, 1):
        return None
    if np.nanmin(samples.column("target.whole")) < 1 or entry.skill > good_skill:
        return None
    if entry.fn in REGRESSION:
        text = f"{entry.fn} is given one-hot rows: classes, for which cross-entropy is due; {standing(entry)}"
        return text, 0.85 if entry.fn == "l1_loss" else 0.75, "one-hot"
    if entry.fn in BINARY:
        text = f"{entry.fn} is given one-hot rows: of these classes one excludes the others; {standing(entry)}"
        return text, 0.6, "one-hot"
    return None


def _continuous(entry: Progress, samples: Rows) -> tuple[str, float, str] | None:
    """Cross-entropy with float targets whose rows are no distributions."""
    if entry.fn != "cross_entropy":
        return None
    high = samples.column("target.row_sum_max")
    low = samples.column("target.row_sum_min")
    if not np.isfinite(high).all() or np.nanmin(samples.column("target.whole")) >= 1:
        return None
    if np.nanmax(np.abs(high - 1)) < 0.05 and np.nanmax(np.abs(low - 1)) < 0.05:
        return None
    text = f"cross_entropy is given rows that sum to {np.nanmin(low):.3g} ... {np.nanmax(high):.3g}: no distributions"
    return text + f", but values to be predicted; {standing(entry)}", 0.85, "continuous"


def _subject(record: Record, entry: Progress, samples: Rows, kind: str) -> Subject:
    """All losses that are called with such targets, in validation too."""
    own = record.calls.get(entry.call) if entry.call is not None else None
    shape = ((own or {}).get("target") or {}).get("shape") or []
    alike = [call for call in record.calls.values() if call.get("fn") == entry.fn]
    axes = [call for call in alike if len((call.get("target") or {}).get("shape") or []) == len(shape)]
    sites = [loss_site(record, entry), *(record.site(call.get("site")) for call in axes)]
    places = tuple(dict.fromkeys((site.file, site.line) for site in sites if site is not None))
    high = float(np.nanmax(samples.column("target.max")))
    return Subject(kind, places, int(high) + 1 if np.isfinite(high) else 0, len(shape))


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The loss that fits."""
    subject = finding.subject
    if not isinstance(subject, Subject):
        return [Remedy("use the loss that fits the target", "changes-training")]
    if subject.kind == "classes":
        title = f"use CrossEntropyLoss with {subject.classes} outputs, one a class, and integer targets"
        return [Remedy(title, "changes-training", classified(source, subject.places, subject.classes, subject.axes))]
    if subject.kind == "one-hot":
        title = "use CrossEntropyLoss on the class ids (argmax of the one-hot rows)"
        return [Remedy(title, "changes-training", _on_ids(source, subject))]
    losses = losses_at(source, subject.places)
    edits = exchanged(source, losses, "mse_loss", "MSELoss") or []
    if edits:
        edits += _off(source, losses, ("softmax", "Softmax", "log_softmax", "LogSoftmax"))
    return [Remedy("use MSELoss or SmoothL1Loss: the targets are values", "changes-training", tuple(edits))]


def _on_ids(source: Source, subject: Subject) -> tuple[Edit, ...]:
    """Cross-entropy of what `one_hot` was made of, or of the rows' argmax."""
    losses = losses_at(source, subject.places)
    edits = exchanged(source, losses, "cross_entropy", "CrossEntropyLoss")
    if not losses or edits is None:
        return ()
    for module, call in losses:
        target = argument(call, 1, "target")
        if target is None:
            return ()
        rows = stripped(module, target, CASTING)
        if isinstance(rows, ast.Call) and module.dotted(rows.func).endswith("functional.one_hot") and rows.args:
            ids = rows.args[0]
            edits.append(module.replace(target, module.segment(ids)))
        else:
            edits.append(module.replace(target, f"{bracketed(module, rows)}.argmax(dim=1)"))
    squashing = ("softmax", "Softmax", "sigmoid", "Sigmoid", "relu", "ReLU")
    return (*edits, *_off(source, losses, squashing))


def _off(source: Source, losses: list[tuple[Module, ast.Call]], names: tuple[str, ...]) -> list[Edit]:
    """What squashes the outputs, taken off the way to these losses."""
    found: list[Edit] = []
    for module, call in losses:
        output = argument(call, 0, "input")
        found += unsquashed(output_of(source, module, output), names) if output is not None else []
    return list(dict.fromkeys(found))


def in_source(source: Source) -> Iterator[Finding]:
    """Absolute or squared error of rows that one_hot made."""
    for _, place, name, call in losses(source):
        made = reformed(call.argument(1, "target"))
        if name not in REGRESSION or operation(made)[0] != "one_hot":
            continue
        site = site_of_event(place.event)
        subject = Subject("one-hot", ((site.file, site.line),), 0, 2)
        text = f"{name} is given one-hot rows: classes, for which cross-entropy is due"
        yield Finding(site_of_loss(call), (Evidence(text),), 0.85, subject=subject)


CONDITION = Condition(
    "wrong-loss-for-task",
    "error",
    needs=("loss_calls", "loss_values", "label_counts"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    explains=("uninformative-labels", "dead-relu", "lr-too-low"),
)
