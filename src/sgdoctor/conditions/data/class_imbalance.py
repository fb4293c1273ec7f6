"""A minority class is never predicted.

## What happens
Where one class has 95 % of the samples, an output that never names another is right 95 times in 100, and the loss of
that is low from the start. Mean cross-entropy weighs samples, not classes: the gradients of the few are drowned by
those of the many until the margin between them is large. The accuracy looks fine, and the class one cares about (the
fraud, the fault, the disease) has a recall of zero.

## How it is told apart
Decided on labels and predictions at the loss, class by class, in the later half of the run: a class that is rare but
present is (nearly) never predicted, the majority is right (nearly) always, and the outputs do say something about the
targets (the loss is worse on permuted ones).
- `uninformative-labels`: the outputs say nothing; no weighting can help. `constant-target`: there is one class only.
- `unshuffled-data`: the predictions follow the class that came last. `lr-too-low`: they have not left the start.
- `double-softmax`: outputs squeezed so that rare classes are not reached, whatever their frequency.
Not this: an imbalance that is learnt all the same, a loss that is weighted already, a balanced sampler, vocabularies
and other tasks of many classes, where rare ones are rare by nature.

## Remedy
Weigh the classes in the loss, or draw them more evenly; then judge by recall of each class or the area under the
precision-recall curve, not by accuracy.

    weight = len(y) / (len(counts) * counts.float())                 # counts = torch.bincount(y)
    criterion = nn.CrossEntropyLoss(weight=weight)
    criterion = nn.BCEWithLogitsLoss(pos_weight=(y == 0).sum() / (y == 1).sum())

or a `WeightedRandomSampler` over the training samples. The outputs are then no longer calibrated to the true shares.

## Sources
- PyTorch, CrossEntropyLoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
  [`weight`: particularly useful when you have an unbalanced training set]
- PyTorch, BCEWithLogitsLoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
  [`pos_weight` trades off recall and precision]
- M. Buda et al., A systematic study of the class imbalance problem in convolutional neural networks,
  https://arxiv.org/abs/1710.05381
"""

from __future__ import annotations

import ast
from typing import NamedTuple

import numpy as np

from ...record import Progress, Record, Site
from ...record.feeds import Labels, labels
from ...source import Edit, Source
from ...source.loading import made_constant
from ...source.loss import trails
from ...source.rates import append_argument
from ...source.spelling import spelled
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import judged, loss_site, site_at, standing

MAKERS = ("torch.nn.CrossEntropyLoss", "torch.nn.BCEWithLogitsLoss", "torch.nn.BCELoss", "torch.nn.NLLLoss")


class Imbalance(NamedTuple):
    """What the weights follow from: the loss, how often each class came, where the outputs are."""

    function: str
    counts: tuple[int, ...]
    device: str


def in_run(
    record: Record,
    source: Source,
    *,
    min_ratio: float = 5.0,  # majority over minority: below that, cross-entropy reaches both in the clinic
    max_recall: float = 0.1,  # of the minority class, late; learnt imbalances of the clinic reach 0.5 and more
    min_right: float = 0.95,  # of the majority class: what a collapse onto it looks like
    min_gap: float = 0.02,  # of the baseline, lost by permuting targets: the outputs say something
    min_minority: int = 8,  # samples of the class in the late half: fewer are no evidence
    max_classes: int = 20,  # beyond, rare classes are rare by nature
    min_steps: int = 50,  # fewer may be a slow start
) -> Answer:
    """A rare class of the training labels is never predicted, late in the run."""
    entries = judged(record)
    found = labels(record, graded=True)
    if not entries or not found:
        yield NotEvaluated("no class labels were seen at a loss" if entries else "learning cannot be judged")
        return
    for entry in entries:
        call = record.calls.get(entry.call) if entry.call is not None else None
        if call is None or call.get("weighted") or entry.count < min_steps or entry.nonfinite:
            continue
        rows = found.get(call.get("site"))
        shape = (call.get("output") or {}).get("shape") or []
        if rows is None or len(rows) < 4 or len(shape) > 2 or not _says(entry, min_gap):
            continue
        said = _collapsed(rows.late(), min_ratio, max_recall, min_right, min_minority, max_classes)
        loss = loss_site(record, entry)
        if said is None or loss is None or made_constant(trails(source, loss.file, loss.line)[1]):
            continue
        text, recall = said
        yield Finding(
            _site(source, loss),
            (
                Evidence(text, "label_recall", recall, 1.0),
                Evidence(
                    f"the {standing(entry)}: the outputs do say something, and a low loss hides the rest",
                    "objective",
                    entry.last,
                    entry.baseline,
                ),
            ),
            0.85,
            subject=Imbalance(str(call.get("fn")), _counts(rows, shape), _device(record, entry)),
        )
        return


def _counts(rows: Labels, shape: list[int]) -> tuple[int, ...]:
    """How often each class came; none where the outputs are not as many as the classes that were seen."""
    counts = tuple(int(count) for count in rows.counts.sum(0))
    return counts if len(counts) == 2 or shape[1:] == [len(counts)] else ()


def _device(record: Record, entry: Progress) -> str:
    known = [record.parameters[n].device for n in entry.objective.leaves if n in record.parameters]
    return known[0] if known else ""


def _says(entry: Progress, min_gap: float) -> bool:
    """Whether the loss is better than a constant's, or than on permuted targets: else nothing is learnt at all."""
    return bool(entry.skill > 2 * min_gap or entry.gap > min_gap)


def _collapsed(
    rows: Labels, min_ratio: float, max_recall: float, min_right: float, min_minority: int, max_classes: int
) -> tuple[str, float] | None:
    counts, predicted, hits = rows.counts.sum(0), rows.predicted.sum(0), rows.hits.sum(0)
    if not 2 <= len(counts) <= max_classes or counts.sum() < 50:
        return None
    major = int(np.argmax(counts))
    recall = np.where(counts > 0, hits / np.maximum(counts, 1), np.nan)
    lost = (
        (counts >= min_minority)
        & (counts * min_ratio <= counts[major])
        & (recall <= max_recall)
        & (predicted <= 2 * max_recall * counts)
    )
    if not lost.any() or recall[major] < min_right:
        return None
    minor = int(np.argmax(np.where(lost, counts, -1)))
    text = (
        f"class {minor} is {counts[minor] / counts.sum():.1%} of the training labels and its recall is "
        f"{recall[minor]:.3f} late in the run; class {major} is {counts[major] / counts.sum():.1%} and has "
        f"{recall[major]:.3f}"
    )
    return text, float(recall[minor])


def _site(source: Source, loss: Site) -> Site:
    """Where the loss is made, as that is where a weight belongs; else where it is called."""
    for module in source:
        for call in module.calls(*MAKERS):
            return site_at(module, call)
    return loss


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """A weight by class, or a sampler."""
    title = "weigh the classes by one over their frequency: weight=... of CrossEntropyLoss, pos_weight=... for BCE"
    sampler = "or draw them evenly: DataLoader(..., sampler=WeightedRandomSampler(weight_of_each_sample, len(data)))"
    edits = _weighted(finding, source, finding.subject) if isinstance(finding.subject, Imbalance) else []
    return [Remedy(title, "changes-training", tuple(edits)), Remedy(sampler, "advice")]


def _weighted(finding: Finding, source: Source, imbalance: Imbalance) -> list[Edit]:
    """The weight of each class as one more argument of the loss, at its constructor or its call."""
    site = finding.site
    module = source.module(site.file) if site is not None else None
    torch = spelled(module, "torch") if module is not None else None
    counts = imbalance.counts
    if module is None or site is None or torch is None or not all(counts) or not counts:
        return []
    if imbalance.function == "binary_cross_entropy_with_logits" and len(counts) == 2:
        name, values = "pos_weight", f"{counts[0] / counts[1]:.3g}"
    elif imbalance.function in ("cross_entropy", "nll_loss"):
        name, values = "weight", f"[{', '.join(f'{sum(counts) / (len(counts) * count):.3g}' for count in counts)}]"
    else:
        return []
    device = f', device="{imbalance.device}"' if imbalance.device not in ("", "cpu") else ""
    for node in module.calls(*MAKERS, *(f"torch.nn.functional.{imbalance.function}",)):
        made = module.dotted(node.func) in MAKERS
        spread = any(isinstance(arg, ast.Starred) for arg in node.args) or any(k.arg is None for k in node.keywords)
        if node.lineno == site.line and not spread and len(node.args) == (0 if made else 2):
            return [append_argument(module, node, f"{name}={torch}.tensor({values}{device})")]
    return []


CONDITION = Condition(
    "class-imbalance",
    "warning",
    needs=("label_recall", "loss_calls", "permuted_loss", "objective"),
    in_run=in_run,
    remedies=remedies,
    by_learning=True,
    flatters=True,
)
