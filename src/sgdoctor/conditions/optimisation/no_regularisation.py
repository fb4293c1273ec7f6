"""The network overfits, and nothing holds it back.

## What happens
A network that can learn every sample by heart does so unless something makes it dear: weight decay pulls weights that
are not needed to zero, dropout lets no unit rely on a single other, label smoothing caps how sure it may be, noise and
augmentation never show it the same sample twice. With none of these the training loss goes to zero and the loss on
held-out samples turns and rises. It is easily left out: Adam and SGD have `weight_decay=0` unless told otherwise, and
only AdamW comes with one.

## How it is told apart
Decided on `overfitting` having been found in the losses that the script computes without gradient, and on what the run
did against it: no optimizer decays, no dropout was active in training, no term beside the loss, no label smoothing. It
is named beside `overfitting`, which says what it costs.
- `overfitting`: the same curve with a decay or dropout that is too weak, or with too few samples for any.
- `excessive-weight-decay`, `excessive-dropout`: too much of it. `noisy-labels`: what is memorised is wrong.
Not this: a net without any of them that does not overfit, however large; augmentation alone, where it is enough.

## Remedy
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
    nn.Dropout(0.3)                                  # between wide layers
    nn.CrossEntropyLoss(label_smoothing=0.1)

The weights under AdamW are an average over the last 1 / (lr * weight_decay) steps: a decay for which that is about the
length of the run is the least that acts. The patch takes it, between 0.01 and 0.5.

## Sources
- Wang and Aitchison, How to set AdamW's weight decay, https://arxiv.org/html/2405.13698v3
  [1 / (lr * decay) should not be much longer than the run]
- Loshchilov and Hutter, Decoupled weight decay regularization, https://arxiv.org/abs/1711.05101
- PyTorch, Adam, https://docs.pytorch.org/docs/stable/generated/torch.optim.Adam.html [weight_decay is 0 by default]
"""

from __future__ import annotations

from typing import NamedTuple

from ...record import Record
from ...record.record import Optimizer, number
from ...source import Source
from ...source.optimizers import with_setting
from ...source.rates import written
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..model.overfitting import in_run as overfits


class Undecayed(NamedTuple):
    """The optimizer that decays nothing, its rate, and how many steps it took."""

    kind: str
    rate: float
    steps: int


def in_run(
    record: Record,
    source: Source,
    *,
    max_decay: float = 0.0,  # what the user set, however little, is the user's choice
) -> Answer:
    """Overfitting, without decay, dropout, smoothing or a penalty."""
    found = list(overfits(record, source))
    curves = [answer for answer in found if isinstance(answer, Finding)]
    if not curves:
        yield from (answer for answer in found if isinstance(answer, NotEvaluated))
        return
    stepping = [optimizer for optimizer in record.optimizers if optimizer.steps]
    if not stepping:
        yield NotEvaluated("no optimizer was seen to step")
        return
    if any(_decay(optimizer) > max_decay for optimizer in stepping) or _held_back(record):
        return
    main = max(stepping, key=lambda optimizer: optimizer.steps)
    text = (
        f"it overfits, and {main.kind} decays no weight; no dropout was active, no label smoothing and no penalty "
        "stands in the loss"
    )
    rate = max((value for value in main.lr if value > 0), default=float("nan"))
    yield Finding(
        main.site,
        (Evidence(text, "optimizers", 0.0, 0.01), *curves[0].evidence[:1]),
        0.85,
        subject=Undecayed(main.kind, rate, main.steps),
    )


def _decay(optimizer: Optimizer) -> float:
    return max((number(group.get("weight_decay")) for group in optimizer.groups), default=0.0)


def _held_back(record: Record) -> bool:
    """Dropout in training, smoothed labels, or a second term in the loss."""
    if any(row.get("active") and row.get("graded") and number(row.get("p")) > 0 for row in record.rows("dropout")):
        return True
    if any(row.get("grad") and number(row.get("smoothing")) > 0 for row in record.calls.values()):
        return True
    return any(len(row.get("of") or []) > 1 for row in record.rows("terms"))


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Decay that acts within the run: AdamW's for Adam, the gradient's for SGD."""
    found, site = finding.subject, finding.site
    words = [Remedy("add dropout between wide layers, smooth the labels, or keep the best epoch", "advice")]
    if not isinstance(found, Undecayed) or site is None or not found.rate > 0:
        return words
    adam = found.kind in ("Adam", "AdamW")
    low, high = (0.01, 0.5) if adam else (1e-4, 5e-3)
    decay = written(min(high, max(low, 1 / (found.rate * max(1, found.steps)))))
    edits = with_setting(source, site.file, site.line, "weight_decay", decay, "AdamW" if adam else "")
    name = "AdamW with " if found.kind == "Adam" else ""
    return [Remedy(f"use {name}weight_decay={decay}", "changes-training", edits), *words]


CONDITION = Condition(
    "no-regularisation",
    "info",
    needs=("validations", "loss_values", "objective", "constant_loss", "optimizers", "dropouts", "loss_terms"),
    in_run=in_run,
    remedies=remedies,
)
