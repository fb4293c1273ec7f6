"""A part of the labels is wrong.

## What happens
Annotators in a hurry, a join on the wrong key, labels scraped from file names: some samples carry a label that their
input does not bear out. The network learns the rest first and is sure of it; on the wrong samples it is then sure and
wrong, their gradients never agree with those of their neighbours, and the loss stalls at a level that no setting of the
optimiser lowers. With enough capacity and time the net learns them by heart, and validation gets worse.

## How it is told apart
Decided on which errors are left, as labels are compared with outputs by how sure these are. Where a task is hard,
errors are unsure: the surest fifth is (nearly) all right. Where labels are wrong at random, the surest outputs are
wrong as often as the middling ones, in every predicted class, although most outputs are right. Looked at in
evaluations, where the network is at its best, else in the later part of training. Of values: the bulk is fitted
closely, and errors far outside of it, which carry most of the squared error, stand at small and large outputs alike.
- `overfitting`: clean labels are learnt by heart as well; the surest outputs of an evaluation stay right.
- `underfitting`: sure and wrong in some region, which is one predicted class or one range of outputs, not in all.
- `uninformative-labels`: all labels are wrong, nothing is learnt. `class-imbalance`: one class is never predicted.
Not this: overlapping classes, rare classes, tokens that follow each other by chance, targets that were mixed or
smoothed on purpose, a loss that is robust already.

## Remedy
Look at the samples of the highest loss among those that the network was not trained on, and mend or drop their labels.
Until then a loss that gives single samples less weight, and the weights of the best epoch:

    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    criterion = nn.SmoothL1Loss()                                    # of values: far errors count linearly

Judge by labels that were checked: on an evaluation whose labels are wrong too, the better network scores no better.

## Sources
- C. Northcutt, L. Jiang, I. Chuang, Confident learning: estimating uncertainty in dataset labels,
  https://arxiv.org/abs/1911.00068
- M. Lukasik et al., Does label smoothing mitigate label noise?, https://arxiv.org/abs/2003.02819
- G. Algan, I. Ulusoy, Label noise types and their effects on deep learning, https://arxiv.org/abs/2003.10471
- PyTorch, HuberLoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.HuberLoss.html
  [less sensitive to outliers than MSELoss]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ...record import Progress, Record, Site
from ...record.errors import Hits, Tails, sureness, tails
from ...record.record import Row
from ...source import Edit, Source
from ...source.criterion import constructor, exchanged, losses_at
from ...source.flow import Point
from ...source.loss import maker, trails
from ...source.rates import append_argument
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import judged, loss_site, site_of

RANDOM = ("randint", "randint_like", "integers", "choice", "permutation", "randperm", "shuffle", "multinomial")
CHANGES = ("where", "logical_xor", "logical_not", "bitwise_xor", "index_fill", "masked_fill")


class Flat(NamedTuple):
    """What wrong class labels must show at least, or at most."""

    wrong: float
    flat: float
    left: float
    alike: float
    seen: int
    lost: float


class Far(NamedTuple):
    """What wrong values must show at least, or at most."""

    share: float
    carried: float
    fit: float
    alike: float
    seen: int


def in_run(
    record: Record,
    source: Source,
    *,
    # In the last stretch, or the best evaluation: 0.07 or less in 30 healthy clinic scripts that learn labels which are
    # no tokens, 0.19 to 0.26 in the faulty ones. Of middling errors: 0.3 where a healthy task is hard, from 0.81 on.
    min_wrong: float = 0.1,  # share of errors among the surest fifth
    min_flat: float = 0.7,  # of the share of errors among middling ones
    max_left: float = 0.6,  # errors over those of naming the commonest class: faulty ones have 0.29 to 0.55
    min_alike: float = 0.25,  # errors of the best predicted class, or part, over those of all
    min_seen: int = 150,  # samples of one evaluation, or of one stretch of training
    min_lost: float = 0.03,  # of the share of right outputs: what a stretch of a run changes once it has settled
    min_far: float = 0.03,  # share of far errors; healthy up to 0.012, faulty 0.05; a t(3) has 0.007
    min_carried: float = 0.65,  # of the squared error, by far ones; healthy up to 0.41, faulty 0.74 to 0.79
    max_fit: float = 0.25,  # error over spread of the targets, both of the bulk
) -> Answer:
    """Sure outputs are wrong as often as unsure ones, in every class; or a few errors carry all of the loss."""
    entries = [entry for entry in judged(record) if not entry.nonfinite]
    if not entries or not (record.rows("sureness") or record.rows("tails")):
        yield NotEvaluated("no labels were seen at a loss" if entries else "learning cannot be judged")
        return
    flat = Flat(min_wrong, min_flat, max_left, min_alike, min_seen, min_lost)
    far = Far(min_far, min_carried, max_fit, min_alike, min_seen)
    for entry in entries:
        call = record.calls.get(entry.call) if entry.call is not None else None
        loss = loss_site(record, entry)
        if call is None or loss is None or not _plain(record, call, entry):
            continue
        said = _of_classes(record, call, flat) or _of_values(record, call, far)
        if said is not None:
            subject = (str(call.get("fn")), loss)
            yield Finding(_site(source, loss), (said,), 0.75, subject=subject)
            return


def _plain(record: Record, call: Row, entry: Progress) -> bool:
    """Whether labels are as they were given, one a sample: not smoothed, mixed, weighted, nor of one token each."""
    if call.get("smoothing") or call.get("reduction") == "none":
        return False
    rows = [*record.rows("sureness", grad=True, site=call.get("site")), *record.rows("tails", site=call.get("site"))]
    if any(row.get("grad") and row.get("n", 0) > 1.5 * row.get("step", 0) + 8 for row in rows):
        return False  # several calls a step at one line: two targets for one output, as when samples are mixed
    if len(entry.objective.calls) > 1:
        return False
    shape = (call.get("output") or {}).get("shape") or [0]
    inputs = record.rows("features")
    if shape[0] > max(((row.get("shape") or shape)[0] for row in inputs), default=shape[0]):
        return False  # a label for each step of a sequence
    for row in inputs:
        known = record.parameters.get(row.get("param", -1)) if row.get("indices") else None
        if known is not None and (shape[1:] == list(known.shape[:1]) or (row.get("shape") or shape)[0] != shape[0]):
            return False  # what follows a token is often chance
    return True


def _evaluations(record: Record, call: Row, kind: str, least: int) -> Iterator[object]:
    """Lines of the same function without gradient where one evaluation has samples enough."""
    alike = {
        row.get("site") for row in record.calls.values() if row.get("fn") == call.get("fn") and not row.get("grad")
    }
    for site in sorted((site for site in alike if site is not None), key=str):
        passes: dict[int, int] = {}
        for row in record.rows(kind, grad=False, site=site):
            passes[row.get("step", 0)] = passes.get(row.get("step", 0), 0) + int(sum(row.get("of") or []))
        if max(passes.values(), default=0) >= least:
            yield site


def _of_classes(record: Record, call: Row, flat: Flat) -> Evidence | None:
    evaluated, trained = sureness(record, graded=False), sureness(record, graded=True).get(call.get("site"), [])
    worsens = False
    for site in _evaluations(record, call, "sureness", flat.seen):
        stretches = evaluated[site]
        at = max(range(len(stretches)), key=lambda i: stretches[i].share, default=0)
        if not stretches:
            continue
        settled = _settled(stretches, at, flat) if len(stretches) > 1 else _settled(trained, len(trained) - 1, flat)
        if settled and _is_flat(stretches[at], flat):
            return _told(stretches[at], "an evaluation")
        worsens = worsens or stretches[at].share - stretches[-1].share > flat.lost
    # What is learnt by heart at last was not before: evaluations that worsen tell a run from one that still learns.
    if trained and (worsens or _settled(trained, len(trained) - 1, flat)):
        for hits in trained[-1 : -3 if worsens else -2 : -1]:
            if hits.of.sum() >= 2 * flat.seen and _is_flat(hits, flat):
                return _told(hits, "training")
    return None


def _settled(stretches: list[Hits], at: int, flat: Flat) -> bool:
    """Whether the stretch before was (nearly) as good: a run that still learns is often sure too early."""
    before = stretches[at - 1] if at > 0 else stretches[1] if len(stretches) > 1 else None
    return before is not None and stretches[at].share - before.share <= flat.lost


def _is_flat(hits: Hits, flat: Flat) -> bool:
    wrong = hits.wrong
    middling = float(wrong[2:-1].mean())
    commonest = 1 - float(hits.counts.max() / max(hits.counts.sum(), 1))
    if hits.of[-1] < 30 or wrong[-1] < flat.wrong or wrong[-1] < flat.flat * middling:
        return False
    if 1 - hits.share > flat.left * commonest:
        return False
    # A class that is hardly ever predicted with certainty says nothing; two must be.
    known = hits.sure >= 20
    each = 1 - hits.sure_right[known] / hits.sure[known]
    whole = 1 - hits.sure_right.sum() / max(hits.sure.sum(), 1)
    return bool(
        known.sum() >= 2 and hits.sure[known].sum() >= 0.8 * hits.sure.sum() and each.min() >= flat.alike * whole
    )


def _told(hits: Hits, where: str) -> Evidence:
    wrong, middling = float(hits.wrong[-1]), float(hits.wrong[2:-1].mean())
    text = (
        f"in {where} the surest fifth of the outputs is wrong for {wrong:.0%} of its labels, middling ones for "
        f"{middling:.0%}, in every predicted class, while {hits.share:.0%} of all are right: about {wrong:.0%} of the "
        "labels say something else than their inputs"
    )
    return Evidence(text, "errors_by_sureness", wrong, middling)


def _of_values(record: Record, call: Row, far: Far) -> Evidence | None:
    evaluated, trained = tails(record, graded=False), tails(record, graded=True)
    for site in _evaluations(record, call, "tails", far.seen):
        best = min(evaluated[site][-3:], key=lambda part: part.scale, default=None)
        if best is not None and _is_far(best, far):
            return _carried(best, "an evaluation")
    last = trained.get(call.get("site"), [])[-1:]
    return next(
        (_carried(part, "training") for part in last if part.of.sum() >= 2 * far.seen and _is_far(part, far)), None
    )


def _is_far(part: Tails, far: Far) -> bool:
    share = part.far / np.maximum(part.of, 1)
    fitted = part.scale > 0 and part.scale < far.fit * part.spread
    return bool(
        fitted and share.mean() >= far.share and share.min() >= far.alike * share.mean() and part.carried >= far.carried
    )


def _carried(part: Tails, where: str) -> Evidence:
    share = float(part.far.sum() / max(part.of.sum(), 1))
    text = (
        f"in {where} {share:.1%} of the errors are more than 6 standard deviations of the rest, at small and large "
        f"outputs alike, and carry {part.carried:.0%} of the squared error; the rest is fitted to "
        f"{part.scale / part.spread:.1%} of the spread of the targets"
    )
    return Evidence(text, "errors_by_sureness", share, 0.0)


def _site(source: Source, loss: Site) -> Site:
    """Where labels are drawn anew or overwritten on their way; else where they are made; else the loss."""
    target = trails(source, loss.file, loss.line)[1]
    for point in target:
        if _changes(point):
            return site_of(point)
        found = _overwritten(point)
        if found is not None:
            return site_of(found)
    made = maker(target)
    return site_of(made) if made is not None else loss


def _changes(point: Point) -> bool:
    """`where(wrong, randint(...), y)`, `(y + shift) % classes`, `y ^ flips`: labels made of other labels."""
    node = point.node
    if isinstance(node, ast.Call):
        return point.module.dotted(node.func).rpartition(".")[2] in CHANGES
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor)


def _overwritten(point: Point) -> Point | None:
    """`y[wrong] = ...` in the function that a name on the trail stands in."""
    node, module = point.node, point.module
    if not isinstance(node, (ast.Name, ast.Attribute)):
        return None
    text = ast.unparse(node)
    scope = module.enclosing(node, ast.FunctionDef, ast.AsyncFunctionDef) or module.tree
    for each in ast.walk(scope):
        targets = (
            each.targets if isinstance(each, ast.Assign) else [each.target] if isinstance(each, ast.AugAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Subscript) and ast.unparse(target.value) == text:
                return Point(module, target)
    return None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Clean labels; until then a loss that single samples cannot dominate."""
    clean = Remedy("look at the samples of highest loss that were not trained on; mend or drop their labels", "advice")
    if not isinstance(finding.subject, tuple):
        return [clean]
    function, loss = finding.subject
    places = [(loss.file, loss.line)]
    if function == "mse_loss":
        edits = exchanged(source, losses_at(source, places), "smooth_l1_loss", "SmoothL1Loss") or []
        return [
            Remedy("until then use SmoothL1Loss: far errors count linearly", "changes-training", tuple(edits)),
            clean,
        ]
    if function == "cross_entropy":
        title = "until then smooth the labels: no sample can ask for certainty; and keep the weights of the best epoch"
        return [Remedy(title, "changes-training", tuple(_smoothed(source, loss))), clean]
    return [Remedy("until then keep the weights of the epoch that validates best", "advice"), clean]


def _smoothed(source: Source, loss: Site) -> list[Edit]:
    """`label_smoothing` at the constructor of the loss, or at the call of the function."""
    calls = losses_at(source, [(loss.file, loss.line)])[:1]
    for module, call in calls:
        found = constructor(source, module, call)
        if found is None:
            return []
        where, node = found
        node = node if isinstance(node, ast.Call) else call
        spread = any(isinstance(arg, ast.Starred) for arg in node.args) or any(k.arg is None for k in node.keywords)
        if not spread and where.dotted(node.func) in ("torch.nn.CrossEntropyLoss", "torch.nn.functional.cross_entropy"):
            return [append_argument(where, node, "label_smoothing=0.1")]
    return []


CONDITION = Condition(
    "noisy-labels",
    "warning",
    needs=("errors_by_sureness", "loss_calls", "objective", "features"),
    in_run=in_run,
    remedies=remedies,
    explains=("overfitting", "no-regularisation"),
    by_learning=True,
)
