"""Loaders with what became of their batches, and labels with what was predicted for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .record import Column, Record, Row, Rows, number, numbers

if TYPE_CHECKING:
    import numpy.typing as npt


class Loader:
    """One DataLoader: how it was built, gone through, and whether its batches were trained on."""

    def __init__(self, record: Record, row: Row) -> None:
        self.number: int = row["i"]
        self.row = row
        self.site = record.site(row.get("site"))
        feeds = record.rows("feed", loader=self.number)
        feed: Row = feeds[-1] if feeds else {}
        self.passes: int = feed.get("passes") or 0
        self.batches: int = feed.get("batches") or 0
        self.backed: int = feed.get("backed") or 0
        self.seen: int = feed.get("seen") or 0
        self.distinct: int = feed.get("distinct") or 0
        self.described: Rows = record.rows("batch", loader=self.number)

    @property
    def trained(self) -> bool:
        """Whether backward followed most of its batches."""
        return self.backed * 2 > self.batches

    @property
    def ordered(self) -> bool:
        """Whether it goes through its data from first to last."""
        return bool(self.row.get("sampler") == "SequentialSampler")

    @property
    def length(self) -> int | None:
        """Batches in one pass."""
        found = self.row.get("batches")
        return found if isinstance(found, int) else None

    @property
    def samples(self) -> int | None:
        """Samples of its data."""
        found = self.row.get("samples")
        return found if isinstance(found, int) else None

    def marks(self, place: int) -> list[list[str]]:
        """Fingerprints of the tensors of the batch at a place, one list a pass."""
        rows = [row for row in self.described if row.get("n") == place]
        rows.sort(key=lambda row: number(row.get("pass")))
        return [[str(tensor.get("mark")) for tensor in row.get("of") or [] if "mark" in tensor] for row in rows]


def loaders(record: Record) -> list[Loader]:
    """Every loader of which batches were seen, each once."""
    last: dict[int, Row] = {row["i"]: row for row in record.rows("loader") if isinstance(row.get("i"), int)}
    found = [Loader(record, row) for row in last.values()]
    return [loader for loader in found if loader.batches]


def targets(record: Record, site: Any) -> tuple[Column, Column]:
    """(means, standard deviations) of the targets of training at a line, spread over the whole run."""
    means, stds = [], []
    for row in record.rows("labels", grad=True, site=site):
        counts = numbers(row.get("counts"))
        ids = np.arange(len(counts))
        mean = float((counts * ids).sum() / counts.sum()) if counts.sum() > 0 else number(row.get("mean"))
        spread = float((counts * np.square(ids - mean)).sum() / counts.sum()) if counts.sum() > 0 else np.nan
        means.append(mean)
        stds.append(float(np.sqrt(spread)) if np.isfinite(spread) else number(row.get("std")))
    return np.array(means, dtype=np.float64), np.array(stds, dtype=np.float64)


class Labels:
    """Labels at one line of a loss, and what was predicted, one row a sample."""

    def __init__(self, rows: Rows) -> None:
        columns: list[tuple[Column, Column, Column]] = []
        for row in rows:
            if "counts" not in row:
                continue
            columns.append((numbers(row.get("counts")), numbers(row.get("predicted")), numbers(row.get("hits"))))
        width = max((len(counts) for counts, _, _ in columns), default=0)
        kept = [each for each in columns if all(len(part) == width for part in each)]
        shape = (len(kept), width)
        self.counts: Column = np.array([each[0] for each in kept], dtype=np.float64).reshape(shape)
        self.predicted: Column = np.array([each[1] for each in kept], dtype=np.float64).reshape(shape)
        self.hits: Column = np.array([each[2] for each in kept], dtype=np.float64).reshape(shape)

    def __len__(self) -> int:
        return len(self.counts)

    def late(self) -> Labels:
        """The second half of the samples."""
        return self.where(np.arange(len(self)) >= len(self) // 2)

    def where(self, chosen: npt.NDArray[np.bool_]) -> Labels:
        """The samples that are chosen."""
        found = Labels(Rows())
        found.counts, found.predicted, found.hits = self.counts[chosen], self.predicted[chosen], self.hits[chosen]
        return found


def labels(record: Record, *, graded: bool) -> dict[Any, Labels]:
    """Labels by the line of the loss, in training or in evaluation."""
    lines: dict[Any, Rows] = {}
    for row in record.rows("labels", grad=graded):
        lines.setdefault(row.get("site"), Rows()).append(row)
    return {site: Labels(rows) for site, rows in lines.items()}


def entropy(counts: Column) -> float:
    """Of a distribution given by counts, in nats."""
    shares = counts[counts > 0] / counts.sum() if counts.sum() > 0 else counts[:0]
    return float(-(shares * np.log(shares)).sum())
