"""What reaches the first layers: per-feature mean, spread and range, pooled over the sampled batches."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from .record import Column, Record, Rows, numbers

NORMS = ("BatchNorm", "LayerNorm", "GroupNorm")
MOMENTS = ("mean", "std", "min", "max")


class Door:
    """One place where data enters the network: the columns that a layer is fed with."""

    def __init__(self, record: Record, site: object, parameter: int | None, rows: Rows) -> None:
        self.record = record
        self.site = site
        self.parameter = parameter
        width = max(len(row["mean"]) for row in rows)  # a torn record may have rows of unequal widths
        self._rows = [row for row in rows if len(row["mean"]) == width]
        self.op = str(rows[0].get("op"))

    @property
    def normalised(self) -> bool:
        """Whether a norm layer stands at the door: it takes care of scale itself."""
        return any(name in self.op for name in NORMS)

    @property
    def layer(self) -> str | None:
        """Name of the layer it feeds."""
        known = self.record.parameters.get(self.parameter) if self.parameter is not None else None
        return None if known is None else known.layer

    @cached_property
    def columns(self) -> list[int]:
        """Numbers of the described columns (all of them, unless there are very many)."""
        width = len(self.mean)
        chosen: list[int] = self._rows[0].get("columns", [])
        return chosen if len(chosen) == width else list(range(width))

    def _stack(self, name: str) -> Column:
        return np.array([numbers(row[name]) for row in self._rows])

    @cached_property
    def mean(self) -> Column:
        """Mean by column over all samples."""
        return _nanmean(self._stack("mean"))

    @cached_property
    def std(self) -> Column:
        """Standard deviation by column: within batches and between them."""
        means, stds = self._stack("mean"), self._stack("std")
        return np.asarray(np.sqrt(_nanmean(np.square(stds)) + _nanmean(np.square(means - self.mean))))

    @cached_property
    def low(self) -> Column:
        """Smallest value by column."""
        return np.asarray(np.min(self._stack("min"), axis=0))

    @cached_property
    def high(self) -> Column:
        """Largest value by column."""
        return np.asarray(np.max(self._stack("max"), axis=0))

    @cached_property
    def rms(self) -> Column:
        """sqrt(mean^2 + std^2) by column: what the curvature of a first layer goes with."""
        return np.asarray(np.sqrt(np.square(self.mean) + np.square(self.std)))


def doors(record: Record, site: object) -> list[Door]:
    """The data doors of the graphs at a line; ids that go into an embedding are none."""
    by_parameter: dict[int | None, Rows] = {}
    for row in record.rows("features", site=site):
        widths = {len(row.get(name, [])) for name in MOMENTS}
        if not row.get("indices") and len(widths) == 1 and 0 not in widths:
            by_parameter.setdefault(row.get("param"), Rows()).append(row)
    return [Door(record, site, parameter, rows) for parameter, rows in by_parameter.items()]


def _nanmean(stack: Column) -> Column:
    known = ~np.isnan(stack)
    count = np.maximum(known.sum(axis=0), 1)
    return np.asarray(np.where(known, stack, 0.0).sum(axis=0) / count)
