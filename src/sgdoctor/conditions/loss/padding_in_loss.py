"""Padding is counted in the loss, or the index that is ignored is a real class.

## What happens
Sequences of unequal length are filled up to one length, and the loss counts the filler as if it were something to be
predicted. Nothing is easier to predict, so the loss falls fast and looks better than it is; the gradient is shared with
positions that teach nothing, in a batch with one long sequence most of it; and the model learns that everything ends
soon: generated text stops early, taggers say "none". The other way round, `ignore_index=0` where 0 is a real class (or
the end-of-sequence mark has the padding's id) silently drops that class from training.

## How it is told apart
Decided on the targets laid out by row and time: at the ends of rows of unequal length stands one and the same value,
where the input is filled up too, and the loss counts it (no `ignore_index` of that value, no mask, no class weight of
zero). For the reverse: the ignored index is met among the classes where nothing is padded.
- `class-imbalance`: one value dominates, but not at the ends of sequences. `label-shift`: labels are misplaced.
- `labels-out-of-range`: a padding value that is no class at all raises. `wrong-metric`: padding counted in the printed
  accuracy only.
Not this: `ignore_index`, a mask by hand with `reduction='none'`, packed sequences, one end mark after each sequence,
sequences that all end in silence at the same place, segmentation with an ignored border.

## Remedy

    criterion = nn.CrossEntropyLoss(ignore_index=PAD)
    loss = (F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none") * mask.flatten()).sum() / mask.sum()

Give padding an id that no token or class has (-100 for labels), and use that id in `ignore_index`.

## Sources
- PyTorch, CrossEntropyLoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
  [ignore_index: a target value that is ignored and does not contribute to the input gradient]
- PyTorch, pad_sequence, https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.rnn.pad_sequence.html
"""

from __future__ import annotations

import ast

import numpy as np

from ...record import Record, Row, Rows
from ...source import Edit, Source
from ..activations import loss_maker
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_at


def in_run(
    record: Record,
    source: Source,
    *,
    min_share: float = 0.08,  # of all positions; less is one end mark a sequence, or hardly costs anything
    min_rows: float = 0.3,  # share of sequences that end in filler
    min_both: float = 0.6,  # share of the filler where the input is filled up as well (an end mark shifts it by one)
    min_ignored: float = 0.02,  # of labels with the ignored index where nothing is padded: not a stray one
) -> Answer:
    """The value at the ends of sequences is counted as a class; or a class is ignored."""
    seen = False
    for number, call in record.calls.items():
        if not call.get("grad") or call.get("fn") not in ("cross_entropy", "nll_loss"):
            continue
        samples = _along_time(Rows(row for row in record.rows("sequence", call=number) if row.get("tail")))
        seen = True
        said = _counted(call, samples, min_share, min_rows, min_both) or _ignored(
            record, number, call, samples, min_ignored
        )
        if said is None:
            continue
        site = record.site(call.get("site"))
        maker = loss_maker(source, site)
        yield Finding(
            site_at(*maker) if maker else site,
            (Evidence(said[0], "sequences", said[1], 0.0),),
            0.9,
            subject=(site, said[2], said[3]),
        )
        return
    if not seen:
        yield NotEvaluated("no loss over class ids was seen")


def _along_time(samples: Rows) -> Rows:
    """Of labels given in one row, those laid out along the axis at whose ends the input is filled up."""
    axes = {axis: samples.where(axis=axis) for axis in (1, 0)}
    filled = {axis: np.nan_to_num(rows.column("tail.beyond")).sum() for axis, rows in axes.items() if len(rows)}
    return axes[max(filled, key=lambda axis: filled[axis])] if filled else samples


def _counted(
    call: Row, samples: Rows, min_share: float, min_rows: float, min_both: float
) -> tuple[str, float, str, int] | None:
    if not len(samples) or call.get("weighted") or call.get("reduction") == "none":
        return None
    values = samples.column("tail.value")
    share, rows = samples.column("tail.share"), samples.column("tail.rows")
    both, apart = samples.column("tail.both"), samples.column("tail.apart")
    keep = share > 0
    if keep.mean() < 0.5 or len(np.unique(values[keep])) != 1 or not np.isfinite(values[keep][0]):
        return None
    value = int(values[keep][0])
    if value == call.get("ignore_index") or value < 0:
        return None
    uneven = np.nanmean(apart) > 0.5 or len(np.unique(np.round(share, 4))) > 1
    filled = np.isfinite(both) & (both >= min_both)
    if not uneven or np.nanmean(share) < min_share or np.nanmean(rows) < min_rows or filled.mean() < 0.5:
        return None
    mean = float(np.nanmean(share))
    text = (
        f"{mean:.0%} of the targets are the value {value} at the ends of sequences of unequal length, where the input "
        f"is filled up too, and {call.get('fn')} counts them like any other"
    )
    return text, mean, "padding", value


def _ignored(
    record: Record, number: int, call: Row, samples: Rows, min_ignored: float
) -> tuple[str, float, str, int] | None:
    index = call.get("ignore_index")
    shape = (call.get("output") or {}).get("shape") or []
    if not isinstance(index, int) or index < 0 or len(shape) < 2 or index >= shape[1]:
        return None
    inner = samples.column("tail.inner")
    if len(samples):
        if not np.isfinite(inner).any() or np.nanmean(inner) < min_ignored:
            return None
        share = float(np.nanmean(inner))
        place = "inside sequences, where nothing is padded"
    else:
        target = (call.get("target") or {}).get("shape") or []
        counts = [row["counts"] for row in record.rows("loss", call=number) if len(row.get("counts") or []) > index]
        total = sum(sum(row) for row in counts)
        plain = len(target) == 1 and len(shape) == 2 and not record.rows("features", indices=True)
        if not plain or not total:
            return None
        share = sum(row[index] for row in counts) / total
        place = "among single samples, which need no padding"
        if share < min_ignored:
            return None
    text = (
        f"{share:.0%} of the labels are {index}, which ignore_index={index} drops from the loss, {place}: a real class"
    )
    return text, share, "ignored", index


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Set ignore_index to the filler, or take it away."""
    site, kind, value = finding.subject if isinstance(finding.subject, tuple) else (None, "padding", 0)
    title = (
        f"leave padding out of the loss: ignore_index={value}, or a mask"
        if kind == "padding"
        else "drop ignore_index, or give padding an id of its own (-100)"
    )
    maker = loss_maker(source, site)
    if maker is None:
        return [Remedy(title, "safe")]
    module, call = maker
    given = next((keyword for keyword in call.keywords if keyword.arg == "ignore_index"), None)
    edits: tuple[Edit, ...]
    if kind != "padding":
        edits = (module.replace(given.value, "-100"),) if given is not None else ()
    elif given is not None:
        edits = (module.replace(given.value, str(value)),)
    else:
        text = module.segment(call)
        inner = ", " if call.args or call.keywords else ""
        edits = (module.replace(call, f"{text[:-1].rstrip().rstrip(',')}{inner}ignore_index={value})"),)
    return [Remedy(title, "safe" if isinstance(call, ast.Call) else "advice", edits)]


CONDITION = Condition(
    "padding-in-loss",
    "warning",
    needs=("loss_calls", "label_counts", "sequences", "features"),
    in_run=in_run,
    remedies=remedies,
    flatters=True,
    explains=("class-imbalance",),
)
