"""Two runs beside each other: what differs between them, since which step their losses part, and what that says."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..record import Record
from ..record.record import Column, number, numbers
from ..source.edits import unified_diff
from .diagnosis import Diagnosis, diagnose

Kind = Literal["environment", "arguments", "optimizer", "loss", "network", "data"]
MIN_COMMON = 10  # backward passes in both runs below which no parting is looked for
WINDOWS = 40  # the runs are compared in so many windows
APART = 4.0  # standard errors between two windows' means; one pair in 16,000 by chance
STAYS = 0.8  # share of the windows from there on that must be apart as well
ALIKE = 0.02  # relative difference of a moment of the data that batches drawn anew may have


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same in both runs; an empty side has no such thing."""

    kind: Kind
    name: str
    left: str
    right: str


@dataclass(frozen=True)
class Comparison:
    """What two records show beside each other.

    `unequal`: the first backward pass with another loss. `parted`: the pass from which the losses stay apart by more
    than their noise. None where there is none; both None, too, where nothing can be compared, which `says` tells.
    """

    left: Diagnosis
    right: Diagnosis
    differences: tuple[Difference, ...]
    sources: tuple[tuple[str, str], ...]  # (file, unified diff)
    unequal: int | None
    parted: int | None
    says: tuple[str, ...]

    @property
    def alike(self) -> bool:
        """Whether nothing was found that differs."""
        return not self.differences and not self.sources and self.unequal is None


def compare(left: Record, right: Record) -> Comparison:
    """Compare two runs, the earlier one first."""
    differences = tuple(_differences(left, right))
    sources = tuple(_sources(left, right))
    curves = _curve(left), _curve(right)
    unequal, parted = _unequal(*curves), _parted(*curves)
    diagnoses = diagnose(left), diagnose(right)
    says = tuple(_words(diagnoses, differences, sources, curves, unequal, parted))
    return Comparison(*diagnoses, differences, sources, unequal, parted, says)


# -- what differs ------------------------------------------------------------------------------------------------


def _differences(left: Record, right: Record) -> Iterator[Difference]:
    for kind, facts in FACTS.items():
        ours, theirs = facts(left), facts(right)
        for name in dict.fromkeys([*ours, *theirs]):
            a, b = ours.get(name), theirs.get(name)
            if not _same(kind, a, b):
                yield Difference(kind, name, _text(a), _text(b))


def _same(kind: Kind, a: Any, b: Any) -> bool:
    if kind == "data" and isinstance(a, float) and isinstance(b, float):
        if not (np.isfinite(a) and np.isfinite(b)):
            return bool(np.isnan(a) == np.isnan(b)) and (bool(np.isnan(a)) or a == b)
        return abs(a - b) <= ALIKE * max(abs(a), abs(b), 1e-12)
    return bool(a == b)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _environment(record: Record) -> dict[str, Any]:
    torch = (record.rows("torch") or [{}])[-1]
    devices = sorted({parameter.device for parameter in record.parameters.values()})
    return {
        "python": record.start.get("python"),
        "torch": torch.get("version"),
        "device": ", ".join(devices) or None,
        "processes": record.processes,
    }


def _arguments(record: Record) -> dict[str, Any]:
    return {"script": record.start.get("script"), "arguments": " ".join(map(str, record.start.get("argv", []))) or None}


def _optimizer(record: Record) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for optimizer in record.optimizers:
        name = f"optimizer {optimizer.number}"
        found[name] = optimizer.kind
        for index, group in enumerate(optimizer.groups):
            where = name if len(optimizer.groups) == 1 else f"{name}, group {index}"
            found |= {f"{where}: {key}": value for key, value in group.items() if key not in ("params", "elements")}
    found["steps"] = record.steps
    return found


def _loss(record: Record) -> dict[str, Any]:
    calls = [row for row in record.calls.values() if row.get("grad")]
    found: dict[str, Any] = {}
    for index, function in enumerate(dict.fromkeys(str(row.get("fn")) for row in calls)):
        row = next(row for row in calls if str(row.get("fn")) == function)
        found[f"loss {index}"] = f"{function}, {row.get('reduction')}"
    return found


def _network(record: Record) -> dict[str, Any]:
    known = record.parameters.values()
    shapes = {f"{p.name}: shape": "x".join(map(str, p.shape)) for p in known}
    return {"trained numbers": sum(p.size for p in known), **shapes}


def _data(record: Record) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for row in record.rows("loader")[:1]:
        found |= {f"loader: {key}": row.get(key) for key in ("batch_size", "samples", "sampler", "drop_last")}
    for row in record.rows("features")[:1]:
        found["inputs: batch shape"] = "x".join(map(str, row.get("shape") or ()))
        for key in ("mean", "std"):
            values = numbers(row.get(key))
            if len(values) and np.isfinite(values).any():
                found[f"inputs: {key} over columns"] = float(np.nanmean(values))
    samples = [row for row in record.rows("loss") if row.get("grad")]
    for key in ("mean", "std", "min", "max"):
        values = np.array([number((row.get("target") or {}).get(key)) for row in samples])
        if np.isfinite(values).any():
            found[f"targets: {key}"] = float(np.nanmean(values))
    return found


FACTS: dict[Kind, Any] = {
    "environment": _environment,
    "arguments": _arguments,
    "optimizer": _optimizer,
    "loss": _loss,
    "network": _network,
    "data": _data,
}


def _sources(left: Record, right: Record) -> Iterator[tuple[str, str]]:
    texts = [{str(r.get("file")): str(r.get("text", "")) for r in record.rows("source")} for record in (left, right)]
    names = [str(record.start.get("script")) for record in (left, right)]
    if names[0] != names[1] and names[1] in texts[1] and names[0] in texts[0]:
        texts[1][names[0]] = texts[1].pop(names[1])  # two files that were each the script are the same file, changed
    for file in dict.fromkeys([*texts[0], *texts[1]]):
        before, after = texts[0].get(file), texts[1].get(file)
        if before is not None and after is not None and before != after:
            yield file, unified_diff(file, before, after)


# -- since when --------------------------------------------------------------------------------------------------


def _curve(record: Record) -> tuple[Column, Column]:
    """(pass, loss) of the loss that is backpropagated most."""
    if not record.objectives:
        return np.array([]), np.array([])
    main = record.objectives[0]
    return np.cumsum(main.weights) - main.weights, main.values


def _unequal(left: tuple[Column, Column], right: tuple[Column, Column]) -> int | None:
    common = min(len(left[1]), len(right[1]))
    a, b = left[1][:common], right[1][:common]
    apart = np.flatnonzero(~((a == b) | (np.isnan(a) & np.isnan(b))))
    return int(left[0][apart[0]]) if len(apart) else None


def _parted(left: tuple[Column, Column], right: tuple[Column, Column]) -> int | None:
    """The first window from which nearly all pairs of means lie apart by more than chance allows."""
    last = min(left[0][-1:].max(initial=-1), right[0][-1:].max(initial=-1))
    if last < MIN_COMMON:
        return None
    edges = np.unique(np.linspace(0, last + 1, min(WINDOWS, int(last) // 4 + 1) + 1))
    apart = np.array([_apart(left, right, low, high) for low, high in itertools.pairwise(edges)])
    for index in np.flatnonzero(apart):
        if apart[index:].mean() >= STAYS:
            return int(np.ceil(edges[index]))
    return None


def _apart(left: tuple[Column, Column], right: tuple[Column, Column], low: float, high: float) -> bool:
    a, b = (values[(steps >= low) & (steps < high)] for steps, values in (left, right))
    if not len(a) or not len(b):
        return False
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return bool(np.isfinite(a).all() != np.isfinite(b).all())
    if np.array_equal(a, b):
        return False
    error = np.sqrt(a.var() / len(a) + b.var() / len(b))
    return bool(abs(a.mean() - b.mean()) > APART * max(error, 1e-6 * abs(a.mean())))


# -- what it says ------------------------------------------------------------------------------------------------


def _words(
    diagnoses: tuple[Diagnosis, Diagnosis],
    differences: tuple[Difference, ...],
    sources: tuple[tuple[str, str], ...],
    curves: tuple[tuple[Column, Column], tuple[Column, Column]],
    unequal: int | None,
    parted: int | None,
) -> Iterator[str]:
    causes = [{p.condition.id for p in each.findings if p.role == "cause"} for each in diagnoses]
    if min(len(values) for _, values in curves) < MIN_COMMON:
        yield "one of the runs has too few losses to compare"
    elif unequal is None:
        yield "the losses are the same to the last digit as far as both go"
    elif unequal == 0:
        yield "the first losses differ already: other weights, other data or another loss from the start"
    else:
        yield f"the losses are the same up to pass {unequal}: the same start and the same data until then"
    if parted is not None:
        ends = [float(values[-max(1, len(values) // 10) :].mean()) for _, values in curves]
        figures = f"they end at {ends[0]:.4g} and {ends[1]:.4g}"
        yield f"from pass {parted} on they stay apart by more than their noise; {figures}"
    elif unequal is not None:
        yield "they never stay apart by more than their noise"
    for each in sorted(causes[0] - causes[1]):
        yield f"{each} is gone in the second run"
    for each in sorted(causes[1] - causes[0]):
        yield f"{each} is new in the second run"
    if unequal is not None and not differences and not sources:
        yield "nothing that was recorded differs: a seed, or an operation that does not repeat itself, remains"
