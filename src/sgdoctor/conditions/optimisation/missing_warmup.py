"""The first steps are too large for fresh weights, at a learning rate that is sound later on.

## What happens
At the start the curvature is at its highest, Adam divides by an average of one or two gradients, and in a post-norm
transformer the gradients of the last layers are large by construction. A rate that suits the rest of the run throws the
weights away in the first twenty steps: the loss spikes, or settles at the constant output's at once, with attention
that looks at one place or at all alike, and does not come back. Large batches with a rate scaled up to match do the
same. The usual answer, a tenth of the rate, trains, but slowly all the way.

## How it is told apart
By an experiment (`sgdoctor prove`): the same script with the same rate, reached linearly over the first 10 % or 30 % of
its steps, learns what it did not. It is made where a run begins at its full rate and does not get far, and either
has attention with layer norm or a loss that jumps in the first steps.
- `lr-too-high`: with the warm-up it fails just the same, at the full rate.
- `vanishing-gradients`, `bad-init-scale`: no rate mends it. `nonfinite-loss`: one operation fails whatever the rate.
- `exploding-gradients`: spikes come late and from depth or time; clipping mends it.
Not this: runs that warm up, by a scheduler or by hand; a pre-norm network, which seldom needs it; a spike in the first
steps that the run recovers from.

## Remedy
Reach the rate linearly over the first few per cent of the steps, then keep or decay it. Or put the norm layers first.

    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.01, total_iters=500)   # .step() each step
    nn.TransformerEncoderLayer(dim, heads, norm_first=True)

## Sources
- Xiong et al., On layer normalization in the transformer architecture, https://arxiv.org/abs/2002.04745
  [post-norm: large gradients near the output at the start, warm-up essential; pre-norm: it can be left out]
- Goyal et al., Accurate, large minibatch SGD, https://arxiv.org/abs/1706.02677 [gradual warm-up for large batches]
- pytorch/torchtitan pull request 23, https://github.com/pytorch/torchtitan/pull/23
  [linear warm-up over 10 % of the steps, then decay]
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...record import Progress, Record
from ...record.record import Optimizer
from ...record.steps import Steps
from ...source import Source
from ...source.optimizers import scheduled
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Outcome, Remedy
from ..doubts import left_open
from ..questions import fails, judged, optimizers_of, standing

MIN_STEPS = 60  # of fewer a tenth is no warm-up
MAX_SKILL = 0.5  # a run that has come half of the way has overcome its start
SPIKE = 1.5  # largest early loss over the first: runs without a spike have 1.0 to 1.3
STEP = (0.01, 0.3)  # |change| / |weight| of the largest early step: below it is none, above it is `lr-too-high`
EARLY = 0.1  # share of the steps in which a rate that rises is a warm-up


def _started_high(record: Record) -> Optimizer | None:
    """The one optimizer of a run that fails and began at its full rate."""
    entries = judged(record)
    if len(entries) != 1 or entries[0].count < MIN_STEPS or not fails(entries[0], MAX_SKILL):
        return None
    found = [each for each in optimizers_of(record, entries[0].objective) if each.steps]
    if len(found) != 1 or warms_up(found[0]):
        return None
    return found[0] if _attends(record) or _spikes(record, entries[0], found[0]) else None


def _attends(record: Record) -> bool:
    """Whether the network has attention and layer norm."""
    ops = {str(name) for row in record.rows("structure") for name in row.get("ops") or {}}
    attention = any("ScaledDotProduct" in name or name.startswith("SoftmaxBackward") for name in ops)
    return attention and any("LayerNorm" in name for name in ops)


def _spikes(record: Record, entry: Progress, optimizer: Optimizer) -> bool:
    """Whether the loss jumps in the first steps, which move the weights far but do not replace them."""
    values, ratios = entry.objective.values, Steps(record, optimizer).ratios[:8]
    early = values[: max(5, int(len(values) * EARLY))]
    largest = float(np.nanmax(ratios, initial=0.0))
    return bool(np.nanmax(early) > SPIKE * abs(float(np.nanmean(values[:2])))) and STEP[0] < largest < STEP[1]


def warms_up(optimizer: Optimizer) -> bool:
    """Whether its rate rises in the first steps, by whatever means."""
    steps, rates = optimizer.rates
    early = rates[steps <= max(3.0, EARLY * optimizer.steps)]
    return bool(len(early) and np.nanmax(early) > 1.05 * early[0]) or bool(len(rates) and rates[0] < min(optimizer.lr))


def suspects(record: Record, source: Source) -> tuple[str, ...]:
    """The same rate, warmed up, where a run that begins at its full rate does not get far."""
    return ("warm_up",) if _started_high(record) is not None else ()


MIN_GAIN = 0.3  # of the constant output's loss; seeds of one script differ by less
MAX_LEFT = 0.5  # what the warmed-up run leaves, of what the run as it is leaves


def in_experiment(record: Record, source: Source, outcomes: Mapping[str, Outcome]) -> Answer:
    """With the same rate, reached step by step, it learns."""
    outcome, optimizer = outcomes.get("warm_up"), _started_high(record)
    if outcome is None or not outcome.figures or optimizer is None:
        yield from CONDITION.in_run(record, source)
        return
    own, warm = outcome.figure("own_share"), outcome.figure("share")
    if not (own - warm > MIN_GAIN and warm < MAX_LEFT * own):
        yield NotEvaluated(f"a warm-up changes little: {outcome.answer}")
        return
    rate = max(optimizer.lr, default=float("nan"))
    first = f"with lr {rate:.3g} from the first step on: {outcome.answer}"
    evidence = (
        Evidence(first, None, outcome.figure("end"), outcome.figure("own_end")),
        Evidence(standing(judged(record)[0]), "objective", judged(record)[0].last, judged(record)[0].baseline),
    )
    yield Finding(optimizer.site, evidence, 0.95, subject=max(2, int(outcome.figure("warmup") * optimizer.steps)))


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """A linear warm-up of the length that was tried; with other schedulers only words, as two do not simply add up."""
    site, steps = finding.site, finding.subject
    title = "warm the learning rate up over the first steps"
    if site is None or not isinstance(steps, int) or any("lr_scheduler" in module.text for module in source):
        return [Remedy(title, "changes-training")]
    edits = scheduled(source, site.file, site.line, f"LinearLR({{}}, start_factor=1 / {steps}, total_iters={steps})")
    return [Remedy(f"warm the learning rate up over the first {steps} steps", "changes-training", edits)]


CONDITION = Condition(
    "missing-warmup",
    "warning",
    needs=("objective", "constant_loss", "learning_rates", "optimizers", "updates", "structure"),
    in_run=left_open(suspects),
    by_experiment=True,
    suspects=suspects,
    in_experiment=in_experiment,
    remedies=remedies,
    by_learning=True,
    explains=("lr-too-high", "uninformative-labels", "dead-relu", "saturated-activations", "vanishing-gradients"),
)
