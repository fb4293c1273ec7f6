"""One learning rate for parts that need rates orders of magnitude apart.

## What happens
Adam moves every weight by about lr a step, whatever its size. A weight of 0.05 is there in a hundred steps of 1e-3; a
time constant of 200 or a depth in metres that stands among the parameters moves by 0.1 in the same time and is as good
as fixed. Raised until that one moves, the rate throws the network about. A body that was trained before under a fresh
head has the like: the rate that the head needs undoes the body; that case is not looked for yet.
The loss falls, then stands; each single rate that is tried is too low for one part or too high for the other.

## How it is told apart
By two experiments (`sgdoctor prove`): the part in question at a rate of its own (30 and 1000 times, for tensors a
hundred times larger than the rest that an adaptive optimizer hardly moves), and the whole at the script's rate times
1e-3 to 1e2. Where the first learns what none of the second does, one rate does not do.
- `lr-too-low`, `lr-too-high`: one other rate for all does as well.
- `frozen-parameters`, `parameters-not-in-optimizer`: the part does not move at all.
- `vanishing-gradients`: gradients differ by depth. `unscaled-features`: the inputs do.
Not this: parameter groups, discriminative rates and frozen bodies; fine-tuning at one low rate that does well; a tensor
that lags and need not move.

## Remedy
Give that part a group, or scale it: learn `log(tau)` or `tau / 100` in place of `tau`.

    optimizer = torch.optim.Adam([
        {"params": model.net.parameters()},
        {"params": [model.tau], "lr": 1.0},
    ], lr=1e-3)

## Sources
- PyTorch, torch.optim, Per-parameter options, https://docs.pytorch.org/docs/stable/optim.html
- detr issue 95, https://github.com/facebookresearch/detr/issues/95
  [fine-tuned backbone and fresh transformer at one rate: much lower performance]
- ClassyVision issue 289, https://github.com/facebookresearch/ClassyVision/issues/289 [rates by depth for fine-tuning]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ...record import Record
from ...source import Source
from ...source.optimizers import grouped
from ...source.rates import written
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Outcome, Remedy
from ..doubts import left_open
from ..lagging import Split, split
from ..questions import fails, judged

MAX_SKILL = 0.8  # a run that has come further has no part that holds it back by much


class Part(NamedTuple):
    """Names of the tensors that want a rate of their own, and that rate."""

    names: tuple[str, ...]
    rate: float


def _split(record: Record) -> Split | None:
    entries = judged(record)
    if not entries or not any(fails(entry, MAX_SKILL) for entry in entries):
        return None
    return split(record)


def suspects(record: Record, source: Source) -> tuple[str, ...]:
    """Rates of its own for the part, and other rates for all."""
    return ("part_rates", "learning_rate_range") if _split(record) is not None else ()


MIN_GAIN = 0.15  # of the constant output's loss, over the script's run and over the best single rate
MAX_LEFT = 0.6  # what is left of the loss of either


def in_experiment(record: Record, source: Source, outcomes: Mapping[str, Outcome]) -> Answer:
    """A rate of its own for one part does what no single rate does."""
    own, every, found = outcomes.get("part_rates"), outcomes.get("learning_rate_range"), _split(record)
    if own is None or every is None or not own.figures or not every.figures or found is None:
        yield from CONDITION.in_run(record, source)
        return
    left = own.figure("share")
    rivals = (own.figure("own_share"), every.figure("best_share"))
    if not all(rival - left > MIN_GAIN and left < MAX_LEFT * rival for rival in rivals):
        yield NotEvaluated(f"a rate of its own for one part gains little: {own.answer}")
        return
    names = tuple(record.parameters[number].name for number in found.params if number in record.parameters)
    rate = max(found.optimizer.lr, default=float("nan"))
    listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    evidence = (
        Evidence(
            f"{listed} (orders of magnitude larger than the rest): {own.answer}",
            None,
            own.figure("end"),
            own.figure("own_end"),
        ),
        Evidence(f"one rate for all: {every.answer}", None, every.figure("best_end"), own.figure("end")),
    )
    yield Finding(found.optimizer.site, evidence, 0.9, subject=Part(names, rate * own.figure("factor")))


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """A group for the part."""
    part, site = finding.subject, finding.site
    if not isinstance(part, Part) or site is None:
        return [Remedy("give each part a parameter group with a rate of its own", "changes-training")]
    edits = grouped(source, site.file, site.line, part.names, written(part.rate))
    return [Remedy(f"a parameter group with lr={written(part.rate)} for that part", "changes-training", edits)]


CONDITION = Condition(
    "single-lr-for-all",
    "warning",
    needs=("updates", "optimizers", "objective", "constant_loss"),
    in_run=left_open(suspects),
    by_experiment=True,
    suspects=suspects,
    in_experiment=in_experiment,
    remedies=remedies,
    by_learning=True,
    explains=("lr-too-low", "lr-too-high", "optimizer-mismatch"),
)
