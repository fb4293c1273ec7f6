"""The validation loss rises while the training loss goes on falling.

## What happens
A network with more freedom than the data can bind learns the samples by heart. Its training loss goes to zero; on
samples that it has not seen the loss falls at first, then rises, often far above that of a constant answer, as the
network is sure of what it is wrong about. Few samples, wide layers, noisy labels, many epochs and no regularisation
make it. A mild rise at the end of a run is the normal course of training and no fault: the best epoch is kept.

## How it is told apart
Decided on the losses that the script itself computes without gradient: their last level against their lowest, while the
training loss has fallen below. `info` for a mild rise; a warning where the last level is well above the lowest and most
of the skill that there was is lost.
- `noisy-labels`: a part of the labels is wrong and is memorised last. `data-leakage`: validation too good, not too bad.
- `train-mode-in-eval`, `batch-norm-eval-gap`, `inconsistent-preprocessing`: a gap from the first epoch on.
- `no-regularisation`: named beside this one where nothing holds the network back.
Not this: a validation loss that stands above the training loss and does not rise; losses of adversaries.

## Remedy
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
    nn.Dropout(0.3); a smaller width; more or augmented data
    if val < best: best, state = val, copy.deepcopy(model.state_dict())     # keep the best epoch

## Sources
- CS231n, Neural networks part 3: the gap between training and validation accuracy says how much it overfits,
  https://cs231n.github.io/neural-networks-3/
- Goodfellow, Bengio and Courville, Deep learning, chapter 7, https://www.deeplearningbook.org/contents/regularization.html
"""

from __future__ import annotations

import numpy as np

from ...record import Record
from ...record.record import Column, number
from ...source import Source
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import judged
from ..weights import built_at


def in_run(
    record: Record,
    source: Source,
    *,
    min_samples: int = 8,  # evaluations looked at: a trend takes as many
    mild: float = 1.15,  # last over lowest level: below it is the scatter of small validation sets
    strong: float = 1.4,  # from here on a warning; clinic: early-stopped healthy scripts stay below
    max_share: float = 0.5,  # training loss over the last validation loss: above it is no gap
    useless: float = 1.1,  # in constants: an evaluation that was never better than that did not get worse by fitting
    lost_skill: float = 0.35,  # of what a constant's loss leaves: a rise that costs little is one of confidence only
) -> Answer:
    """Evaluations get worse while training gets better."""
    series = _series(record)
    entries = judged(record)
    if not series or not entries:
        yield NotEvaluated("no loss without gradient was seen" if entries else "learning cannot be judged")
        return
    if _unsettled(record):
        yield NotEvaluated("batches are off batch norm's running statistics: in eval mode it is another network")
        return
    for entry in entries:
        for (site, function), (steps, values) in sorted(series.items(), key=lambda item: -len(item[1][1])):
            if function != entry.fn or len(values) < min_samples:
                continue
            baseline = _baseline(record, site, function)
            train = entry.last / entry.scale if entry.scale else np.nan
            if np.isfinite(baseline) and np.isfinite(entry.skill):
                train = (1 - entry.skill) * baseline  # in the units of the evaluation: it may be a sum
            found = _rise(steps, values, mild)
            if found is None or not train < max_share * found[1]:
                continue
            lowest, last, at = found
            if np.isfinite(baseline) and lowest > useless * baseline:
                continue
            lost = (last - lowest) / baseline if np.isfinite(baseline) and baseline > 0 else np.nan
            grave = last > strong * lowest and (not np.isfinite(lost) or lost > lost_skill)
            text = (
                f"the loss without gradient falls to {lowest:.4g} at step {at:.0f} and rises to {last:.4g} at the end, "
                f"while the training loss goes down to {train:.4g}"
            )
            yield Finding(
                built_at(record, entry.objective) or record.site(site),
                (Evidence(text, "validations", last, lowest),),
                0.85,
                severity="warning" if grave else "info",
            )
            return


def _unsettled(record: Record, settled: float = 0.25, batches: int = 30) -> bool:
    """Whether batch norm meets batches whose means are off its running ones, in deviations, late in the run.

    Clinic: 0.12 at most in sound runs, from 0.3 on where batches come in kinds. Its eval mode is another network then.
    """
    last = {row.get("site"): row for row in record.rows("statistics")}
    entries = [entry for row in last.values() for entry in row.get("of") or []]
    return any(number(e.get("shift")) > settled and number(e.get("seen")) >= batches for e in entries)


def _series(record: Record) -> dict[tuple[int | None, str], tuple[Column, Column]]:
    """(site, function) -> (steps, mean loss of each evaluation), those before the first step left out."""
    found: dict[tuple[int | None, str], tuple[list[float], list[float]]] = {}
    for row in record.rows("validation"):
        steps, values = found.setdefault((row.get("site"), str(row.get("fn"))), ([], []))
        for step, value in zip(row.get("steps") or [], row.get("values") or []):
            if step > 0 and np.isfinite(number(value)):
                steps.append(float(step))
                values.append(number(value))
    return {key: (np.array(steps), np.array(values)) for key, (steps, values) in found.items()}


def _baseline(record: Record, site: int | None, function: str) -> float:
    """The loss of the best constant output there."""
    calls = {n for n, call in record.calls.items() if call.get("site") == site and call.get("fn") == function}
    constants = np.array([number(r.get("constant")) for r in record.rows("loss", grad=False) if r.get("call") in calls])
    known = constants[np.isfinite(constants)]
    return float(known.mean()) if len(known) else float("nan")


def _rise(steps: Column, values: Column, mild: float) -> tuple[float, float, float] | None:
    """(lowest, last, step of the lowest) where a series, smoothed by medians of 3, has risen since its lowest."""
    smooth = np.array([np.median(values[max(0, i - 1) : i + 2]) for i in range(len(values))])
    low, last = int(np.argmin(smooth)), float(np.median(values[-3:]))
    after = len(smooth) - low
    if after < 4 or not smooth[low] > 0 or last < mild * smooth[low]:
        return None
    half = smooth[low + after // 2 :]
    if float(np.median(half)) < smooth[low] * (1 + (mild - 1) / 2):
        return None  # one bad evaluation at the end
    return float(smooth[low]), last, float(steps[low])


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Words: which of them fits depends on the data."""
    title = "keep the weights of the best epoch; hold the network back with weight decay, dropout or a smaller width"
    return [Remedy(title, "changes-training")]


CONDITION = Condition(
    "overfitting",
    "warning",
    needs=("validations", "loss_values", "objective", "constant_loss", "running_statistics"),
    in_run=in_run,
    remedies=remedies,
    explains=("no-regularisation",),
)
