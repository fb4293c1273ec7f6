"""The update rule does not suit the problem: another one goes much further at its best rate.

## What happens
Plain SGD gives every weight the same rate. Where gradients differ by orders of magnitude between weights (embeddings of
rare tokens, attention, deep nets without norm layers, ill-conditioned losses) the largest one sets the limit and the
others hardly move, at any learning rate. One tunes the rate for days, and each value is either too slow or unstable.

## How it is told apart
By two experiments (`sgdoctor prove`): the script's rule at its rate times 1e-3 to 1e2, and another rule at three rates,
all for the same steps. Where the best of the first leaves a large part of the loss and the best of the second a small
part of that, it is the rule.
- `lr-too-low`, `lr-too-high`: the script's own rule does well at another rate, and is kept.
- `unscaled-features`: the conditioning comes from the inputs, and scaling them is the remedy.
The experiments are made where plain descent steps embeddings, or tensors whose steps differ by orders of magnitude.
- `vanishing-gradients`: the gradient does not arrive at all, whatever the rule makes of it.
Not this: a run that learns well and could be somewhat faster, few steps, a difference between seeds.

## Remedy
AdamW at 1e-3 for embeddings, attention and recurrent nets; SGD with momentum 0.9 for conv nets with batch norm.

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

## Sources
- Kunstner et al., Heavy-Tailed Class Imbalance and Why Adam Outperforms Gradient Descent on Language Models,
  https://arxiv.org/abs/2402.19449 [gradient descent hardly moves what is rare; Adam does]
- Choi et al., On Empirical Comparisons of Optimizers for Deep Learning, https://arxiv.org/abs/1910.05446
  [rules compare only when each is tuned]
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...record import Record
from ...record.record import Optimizer
from ...record.steps import Steps
from ...source import Source
from ...source.optimizers import replaced
from ..condition import Answer, Condition, Evidence, Finding, Outcome, Remedy
from ..data.unscaled_features import in_run as unscaled
from ..doubts import left_open
from ..model.vanishing_gradients import in_run as vanishing
from ..questions import fails, judged, late, middle, optimizers_of

SPREAD = 1e4  # largest over smallest relative step of a tensor; no failing SGD run of the clinic has it but from depth
MIN_STEPS = 60  # fewer steps judge the start, not the rule


def suspects(record: Record, source: Source) -> tuple[str, ...]:
    """Both experiments, where a sound loop does not get far."""
    entries = [entry for entry in judged(record) if entry.count >= MIN_STEPS and fails(entry, 0.6)]
    optimizer = _stepping(record)
    # Gradient descent only: where an adaptive rule fails at every rate, plain descent has not been seen to do better.
    if not entries or optimizer is None or optimizer.adaptive or entries[0].nonfinite:
        return ()
    if not np.isfinite(entries[0].skill):
        return ()
    if not _uneven(record, optimizer):
        return ()
    if any(isinstance(answer, Finding) for rule in (unscaled, vanishing) for answer in rule(record, source)):
        return ()
    return ("learning_rate_range", "other_optimizer")


def _uneven(record: Record, optimizer: Optimizer) -> bool:
    """Whether gradients differ by orders of magnitude: rows of an embedding that are seldom asked for, or layers."""
    if any(row.get("indices") and row.get("param") in optimizer.parameters for row in record.rows("features")):
        return True
    known = [middle(late(values)) for values in Steps(record, optimizer).by_parameter.values() if len(values) >= 3]
    known = [value for value in known if value > 0]
    return len(known) >= 3 and max(known) > SPREAD * min(known)


def _stepping(record: Record) -> Optimizer | None:
    """The one optimizer of the objective that learning is judged by."""
    entries = judged(record)
    found = [each for each in optimizers_of(record, entries[0].objective) if each.steps] if entries else []
    return found[0] if len(found) == 1 else None


def in_experiment(
    record: Record,
    source: Source,
    outcomes: Mapping[str, Outcome],
    *,
    min_gain: float = 0.3,  # of the constant predictor's loss, between the best of both rules; seeds differ by less
    max_left: float = 0.5,  # what the other rule leaves, as a share of what the script's own leaves at its best
) -> Answer:
    """The script's rule at its best rate is far behind another rule at its best."""
    rates, other = outcomes.get("learning_rate_range"), outcomes.get("other_optimizer")
    optimizer = _stepping(record)
    if rates is None or other is None or not rates.figures or not other.figures or optimizer is None:
        yield from CONDITION.in_run(record, source)
        return
    own, best = rates.figure("best_share"), other.figure("share")
    if not (own - best > min_gain and best < max_left * own):
        return
    if other.figure("end") >= rates.figure("best_end"):
        return
    evidence = (
        Evidence(f"{optimizer.kind} at its best rate tried: {rates.answer}", None, own, best),
        Evidence(f"another rule in the same steps: {other.answer}", None, best, own),
    )
    yield Finding(optimizer.site, evidence, 0.85, subject=(other.word("kind"), other.figure("rate")))


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The other rule at its best rate, in place of the call at the optimizer's line."""
    kind, rate = finding.subject if isinstance(finding.subject, tuple) else ("AdamW", 1e-3)
    settings = f"lr={rate:g}" + (", momentum=0.9" if kind == "SGD" else "")
    site = finding.site
    edits = () if site is None else replaced(source, site.file, site.line, kind, settings)
    return [Remedy(f"use {kind} with {settings}", "changes-training", edits)]


CONDITION = Condition(
    "optimizer-mismatch",
    "warning",
    needs=("objective", "constant_loss", "updates", "optimizers", "features"),
    in_run=left_open(suspects),
    by_experiment=True,
    suspects=suspects,
    in_experiment=in_experiment,
    remedies=remedies,
    by_learning=True,
    explains=("uninformative-labels", "lr-too-low"),
)
