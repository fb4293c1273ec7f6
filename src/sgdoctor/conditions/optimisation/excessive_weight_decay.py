"""Weight decay outweighs the loss, and shrinks the weights to nothing.

## What happens
Weight decay pulls every weight towards zero by lr times decay a step; the gradient pushes back. At 1e-4 the pull is a
nudge; at 0.1 under SGD with an lr of 0.1 it is a per cent a step, and after a few hundred steps without resistance
nothing is left. The outputs shrink to the best constant, the loss comes to rest at that of a constant predictor, and
curves look like labels without information. Typical ways: an AdamW value (0.01 to 0.1) given to SGD or Adam, where the
penalty is part of the gradient; a penalty written by hand that is summed over all layers; a typo in the exponent.

## How it is told apart
Decided on the size of the decay term against the gradient's, and on the norm of the weights over the run, in a run that
does not learn. Squares of the weights that a script adds to its loss are judged by their part of that loss.
- `uninformative-labels`, `at-the-floor`: the same loss, while the weights hold their size.
- `vanishing-gradients`: gradients fade through depth with weights of usual size. `lr-too-high`: weights grow.
- `overfitting`, `no-regularisation`: too little of it.
Not this: weights that shrink in a run that learns; decay of 0.01 to 0.1 in AdamW at usual rates.

## Remedy
Lower it by orders of magnitude (1e-4 for SGD, 1e-2 for AdamW), prefer AdamW where the optimizer adapts; leave biases
and norm layers out.

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)

## Sources
- Loshchilov and Hutter, Decoupled weight decay regularization, https://arxiv.org/abs/1711.05101
  [decay in the gradient against decay of the weights]
- PyTorch, AdamW, https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html
  [weights are multiplied by 1 - lr * weight_decay each step]
"""

from __future__ import annotations

import numpy as np

from ...record import Progress, Record
from ...record.record import Optimizer, number, numbers
from ...source import Source
from ...source.numbers import Literal
from ...source.rates import multiplier, scale_setting, written
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Outcome, Remedy
from ..doubts import asks, upheld_when_better, weighed
from ..questions import fails, judged, late, middle, optimizers_of, site_at, standing


def in_run(
    record: Record,
    source: Source,
    *,
    max_left: float = 0.6,  # norm of the weights, late over early; clinic: healthy runs with decay keep 0.9
    min_pull: float = 0.4,  # decay term over gradient; clinic: healthy runs below 0.1, one sign optimizer 0.55
    max_skill: float = 0.5,  # a run that has come half of the way is not held down
    min_penalty: float = 1.0,  # a penalty written by hand over the loss beside it, late; healthy ones up to 0.01
    max_fit: float = 0.1,  # skill of that loss alone
) -> Answer:
    """Weights shrink under a decay as strong as the gradient, and nothing is learnt."""
    entries = judged(record)
    decayed = [o for o in record.optimizers if _decay(o) > 0]
    for entry in entries:
        found = _by_hand(record, source, entry, min_penalty, max_fit, max_left)
        if found is not None:
            yield found
            return
    if not entries or not record.optimizers:
        yield NotEvaluated("learning cannot be judged" if record.optimizers else "no optimizer was seen")
        return
    for entry in entries:
        if entry.nonfinite or not fails(entry, max_skill):
            continue
        for optimizer in optimizers_of(record, entry.objective):
            if optimizer not in decayed:
                continue
            left, pull = pressure(optimizer)
            if not (left < max_left and pull > min_pull):
                continue
            text = (
                f"with weight_decay {_decay(optimizer):.3g} the pull on the weights is {pull:.2g} times the gradient "
                f"of the loss, and {left:.0%} of their norm is left"
            )
            evidence = (Evidence(text, "updates", pull, 0.01), Evidence(standing(entry), "objective", entry.last))
            yield Finding(optimizer.site, evidence, 0.92, subject=_decay(optimizer))
            return


def _by_hand(
    record: Record, source: Source, entry: Progress, min_penalty: float, max_fit: float, max_left: float
) -> Finding | None:
    """Squares of the weights, added to the loss, that outweigh it to the end."""
    terms = [term for row in record.rows("terms", site=entry.objective.number)[:1] for term in row.get("of", [])]
    squares = [number(term.get("weight")) for term in terms if term.get("form") == "square of its own"]
    weights = [number(term.get("weight")) for term in terms if entry.call in (term.get("calls") or [])]
    values = entry.samples.column("value")
    if not squares or len(weights) != 1 or len(values) < 2 or entry.nonfinite:
        return None
    fit = weights[0] * middle(late(values))
    before, after = entry.first - weights[0] * middle(values[:3]), entry.last - fit
    skill = 1 - middle(late(values)) / entry.baseline
    left = (after / before) ** 0.5 if before > 0 and after > 0 else float("nan")
    if not (after > min_penalty * fit > 0 and skill < max_fit and left < max_left):
        return None
    text = (
        f"the squares of the weights that are added to the loss, {squares[0]:.3g} times, still make up {after:.3g} of "
        f"{entry.last:.3g} at the end: {left:.0%} of the weights' norm is left, and the loss beside them is no better "
        f"than a constant output's ({fit / weights[0]:.3g}, {entry.baseline:.3g})"
    )
    factor = multiplier(source, squares[0])
    site = entry.objective.site if factor is None else site_at(factor.module, factor.node)
    return Finding(site, (Evidence(text, "loss_terms", after / fit, 1.0),), 0.92, subject=factor)


def _weigh(answer: Finding, outcome: Outcome) -> Finding | NotEvaluated:
    """The experiment takes the decay out of the optimizer: of a penalty in the loss it says nothing."""
    return upheld_when_better(answer, outcome) if isinstance(answer.subject, float) else answer


def _decay(optimizer: Optimizer) -> float:
    return max((number(group.get("weight_decay")) for group in optimizer.groups), default=float("nan"))


def pressure(optimizer: Optimizer) -> tuple[float, float]:
    """(norm of the weights late over early, decay term over gradient term, median over the sampled steps)."""
    rows = optimizer.updates
    weights = np.array([_norm(row.get("weight")) for row in rows])
    grads = np.array([_norm(row.get("grad")) for row in rows])
    changes = np.array([_norm(row.get("change")) for row in rows])
    if len(weights) < 4 or not weights[0] > 0:
        return float("nan"), float("nan")
    decay = _decay(optimizer)
    if "AdamW" in optimizer.kind:  # the decay is no part of the gradient: compare it with what the step did
        pull = max(optimizer.lr, default=0.0) * decay * weights / changes
    else:
        pull = decay * weights / grads
    return float(weights[-1] / weights[0]), middle(pull)


def _norm(values: object) -> float:
    column = numbers(values)
    return float(np.sqrt(np.nansum(np.square(column)))) if len(column) else float("nan")


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Far less of it."""
    if isinstance(finding.subject, Literal):
        factor = finding.subject
        edit = factor.module.replace(factor.node, written(factor.value * 1e-3))
        return [Remedy("lower the weight of the penalty by orders of magnitude", "changes-training", (edit,))]
    decay = finding.subject if isinstance(finding.subject, float) else None
    title = "lower weight_decay by orders of magnitude: 1e-4 for SGD and Adam, 1e-2 for AdamW"
    site = finding.site
    if decay is None or site is None:
        return [Remedy(title, "changes-training")]
    edits = scale_setting(source, site.file, site.line, "weight_decay", decay, 1e-3)
    return [Remedy(title, "changes-training", edits)]


CONDITION = Condition(
    "excessive-weight-decay",
    "warning",
    needs=("updates", "optimizers", "objective", "constant_loss", "loss_terms", "loss_values"),
    in_run=in_run,
    suspects=asks(in_run, "without_decay"),
    in_experiment=weighed(in_run, without_decay=_weigh),
    remedies=remedies,
    by_learning=True,
    explains=("uninformative-labels", "vanishing-gradients", "dead-relu", "lr-too-low"),
)
