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

from ...record import Progress, Record
from ...record.record import Rows
from ...source import Source
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import judged


def in_run(
    record: Record,
    source: Source,
    *,
    min_samples: int = 8,  # evaluations looked at: a trend takes as many
    mild: float = 1.15,  # last over lowest level: below it is the scatter of small validation sets
    strong: float = 1.4,  # from here on a warning; clinic: early-stopped healthy scripts stay below
    max_share: float = 0.5,  # training loss over the last validation loss: above it is no gap
    lost_skill: float = 0.35,  # of what a constant's loss leaves: a rise that costs little is one of confidence only
) -> Answer:
    """Evaluations get worse while training gets better."""
    evaluated: dict[tuple[object, object], Rows] = {}
    for row in record.rows("loss", grad=False):
        call = record.calls.get(row.get("call", -1)) or {}
        evaluated.setdefault((call.get("site"), call.get("fn")), Rows()).append(row)
    entries = judged(record)
    if not evaluated or not entries:
        yield NotEvaluated("no loss without gradient was seen" if entries else "learning cannot be judged")
        return
    for entry in entries:
        for (_, function), rows in sorted(evaluated.items(), key=lambda item: -len(item[1])):
            if function != entry.fn or len(rows) < min_samples:
                continue
            found = _rise(entry, rows, mild, max_share)
            if found is None:
                continue
            lowest, last, train, at, baseline = found
            lost = (last - lowest) / baseline if np.isfinite(baseline) and baseline > 0 else np.nan
            grave = last > strong * lowest and (not np.isfinite(lost) or lost > lost_skill)
            text = (
                f"the loss without gradient falls to {lowest:.4g} at step {at:.0f} and rises to {last:.4g} at the end, "
                f"while the training loss goes down to {train:.4g}"
            )
            call = record.calls.get(rows[-1].get("call", -1)) or {}
            yield Finding(
                record.site(call.get("site")),
                (Evidence(text, "loss_values", last, lowest),),
                0.85,
                severity="warning" if grave else "info",
            )
            return


def _rise(
    entry: Progress, rows: Rows, mild: float, max_share: float
) -> tuple[float, float, float, float, float] | None:
    """(lowest, last, training loss, step of the lowest, constant's loss), where it rises at the end; medians of 3."""
    values, steps = rows.column("value"), rows.column("step")
    keep = np.isfinite(values)
    values, steps = values[keep], steps[keep]
    if len(values) < 8:
        return None
    smooth = np.array([np.median(values[max(0, i - 1) : i + 2]) for i in range(len(values))])
    low = int(np.argmin(smooth))
    last = float(np.median(values[-3:]))
    train = entry.last / entry.scale if entry.scale else np.nan
    late = smooth[low:]
    rising = len(late) >= 4 and float(np.mean(np.diff(late) >= 0)) > 0.6
    if not rising or not smooth[low] > 0 or last < mild * smooth[low] or not train < max_share * last:
        return None
    constants = rows.column("constant")
    known = constants[np.isfinite(constants)]
    baseline = float(known.mean()) if len(known) else entry.baseline
    return float(smooth[low]), last, float(train), float(steps[low]), baseline


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Words: which of them fits depends on the data."""
    title = "keep the weights of the best epoch; hold the network back with weight decay, dropout or a smaller width"
    return [Remedy(title, "changes-training")]


CONDITION = Condition(
    "overfitting",
    "warning",
    needs=("loss_values", "objective", "constant_loss"),
    in_run=in_run,
    remedies=remedies,
    explains=("no-regularisation",),
)
