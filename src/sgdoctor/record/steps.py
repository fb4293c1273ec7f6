"""What optimizer steps did: relative size of updates, overshoot along the step, agreement of gradients."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from .record import Column, Optimizer, Record, Rows, number, numbers, reach

SIGNIFICANT_SLOPE = 0.1  # cosine between gradient and step below which a slope along the step is mostly noise


class Steps:
    """Sampled steps of one optimizer, or of hand-written steps where `optimizer` is None."""

    def __init__(self, record: Record, optimizer: Optimizer | None) -> None:
        self.record = record
        self.optimizer = optimizer
        key = None if optimizer is None else optimizer.number
        self.updates: Rows = record.rows("update", opt=key)
        self.turns: Rows = record.rows("turn", opt=key)
        self.stale: Rows = record.rows("stale", opt=key)

    @cached_property
    def ratios(self) -> Column:
        """|change| / |weight| over all matrices together, one a sampled step; NaN where there are no weights."""
        return np.array([self._ratio(row) for row in self.updates], dtype=np.float64)

    def _ratio(self, row: dict[str, object]) -> float:
        weight, change = numbers(row.get("weight")), numbers(row.get("change"))
        keep = self._matrices(row)
        if len(keep) != len(weight) or len(weight) != len(change):
            return float("nan")
        weight, change = weight[keep], change[keep]
        total = float(np.sqrt(np.square(weight).sum()))
        return float(np.sqrt(np.square(change).sum())) / total if total > 0 else float("nan")

    def _matrices(self, row: dict[str, object]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Biases start at zero, so that their relative change means nothing: matrices, where there are any."""
        known = self.record.parameters
        ids = row.get("params")
        shapes = [
            known[i].shape if isinstance(i, int) and i in known else () for i in (ids if isinstance(ids, list) else [])
        ]
        matrices = np.array([len(shape) >= 2 for shape in shapes], dtype=bool)
        return matrices if matrices.any() else np.ones(len(shapes), dtype=bool)

    @cached_property
    def by_parameter(self) -> dict[int, Column]:
        """|change| / |weight| by parameter number, one a sampled step."""
        found: dict[int, list[float]] = {}
        for row in self.updates:
            weight, change = numbers(row.get("weight")), numbers(row.get("change"))
            ids = row.get("params")
            if not isinstance(ids, list) or not len(ids) == len(weight) == len(change):
                continue
            for index, parameter in enumerate(ids):
                if isinstance(parameter, int):
                    ratio = change[index] / weight[index] if weight[index] > 0 else float("nan")
                    found.setdefault(parameter, []).append(float(ratio))
        return {parameter: np.array(values) for parameter, values in found.items()}

    @cached_property
    def gradients(self) -> Column:
        """Norm of the whole gradient, one a sampled step."""
        return np.array([float(np.sqrt(np.nansum(np.square(numbers(row.get("grad")))))) for row in self.updates])

    @cached_property
    def overshoot(self) -> Column:
        """1 - slope after / slope before, along the step: 1 = stepped to the minimum along it, 2 = as far beyond.

        For plain gradient descent this is the learning rate times the curvature along the step. Batch noise moves it
        towards 1, never beyond 2. Samples whose step does not follow the gradient are left out.
        """
        slope, after = self.turns.column("slope"), self.turns.column("slope_after")
        lengths = np.sqrt(self.turns.column("old") * self.turns.column("change"))
        with np.errstate(invalid="ignore", divide="ignore"):
            keep = (-slope > SIGNIFICANT_SLOPE * lengths) & np.isfinite(after)
            return np.asarray(1 - after[keep] / slope[keep], dtype=np.float64)

    @cached_property
    def agreement(self) -> Column:
        """Cosine of successive gradients: near 1 the same way every step, near 0 noise, negative to and fro."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.turns.column("dot") / np.sqrt(self.turns.column("old") * self.turns.column("new")))


class Place(NamedTuple):
    """The gradient that passes one place of the network, over the samples."""

    parameter: int | None
    after: int  # layers between it and the loss
    norms: Column


def gradient_by_depth(record: Record, site: object) -> list[Column]:
    """For each sampled backward at a line: norms of the passing gradient from the first place to the last."""
    found = []
    for row in record.rows("signal", site=site):
        norms = numbers(row.get("norm"))
        if len(norms) >= 2:
            found.append(norms)
    return found


def depth_ratio(record: Record, site: object) -> Column:
    """Gradient norm at the first place over that at the last, one a sampled backward; NaN where either is unknown."""
    ratios = []
    for norms in gradient_by_depth(record, site):
        known = norms[~np.isnan(norms)]
        ratios.append(float(known[0] / known[-1]) if len(known) >= 2 and known[-1] > 0 else float("nan"))
    return np.array(ratios, dtype=np.float64)


class Activation(NamedTuple):
    """One activation place of the network, over the samples."""

    kind: str
    parameter: int | None
    after: int
    width: int
    columns: dict[str, Column]  # zero, dead, flat, std, spread: one a sample


def activations(record: Record, site: object) -> list[Activation]:
    """Activations of the graphs at a line, in forward order; those at the same layer and depth are one place."""
    places: dict[tuple[str, int | None, int], list[dict[str, object]]] = {}
    for row in record.rows("activations", site=site):
        entries = row.get("of")
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict):
                after = entry.get("after")
                parameter = entry.get("param")
                key = (
                    str(entry.get("kind")),
                    parameter if isinstance(parameter, int) else None,
                    after if isinstance(after, int) else 0,
                )
                places.setdefault(key, []).append(entry)
    found = []
    for (kind, parameter, after), entries in places.items():
        columns = {
            name: np.array([number(reach(entry, name)) for entry in entries])
            for name in ("zero", "dead", "flat", "std", "spread")
        }
        shape = entries[0].get("shape")
        width = int(number(shape[-1])) if isinstance(shape, list) and shape and np.isfinite(number(shape[-1])) else 0
        found.append(Activation(kind, parameter, after, width, columns))
    return found
