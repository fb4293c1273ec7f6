"""A record in memory: rows by kind, with their numbers as numpy columns.

A field may always be missing: a run can end at any moment. One that is there has its type, see `schema`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from ..cells import FILE, Cells
from .schema import misfits

if TYPE_CHECKING:  # `check` reads no record: numpy is not loaded for it
    from numpy.typing import NDArray

Column: TypeAlias = "NDArray[np.float64]"
Row = dict[str, Any]
SCHEMA = 1


class Site(NamedTuple):
    """A line of the user's code."""

    file: str
    line: int
    function: str
    cell: int | None = None  # of a notebook; the line is then the cell's


class Parameter(NamedTuple):
    """One trained tensor."""

    number: int
    name: str
    module: str | None
    shape: tuple[int, ...]
    dtype: str
    device: str
    declared: bool  # an nn.Parameter, as against a plain tensor that requires grad

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def layer(self) -> str:
        """The name of the module that holds it: `fc1` for `fc1.weight`."""
        return self.name.rpartition(".")[0] or self.name


class Rows(list[Row]):
    """Rows of one kind, in the order of the run."""

    def where(self, **equal: Any) -> Rows:
        """Rows whose fields have these values."""
        return Rows(row for row in self if all(row.get(key) == value for key, value in equal.items()))

    def column(self, path: str) -> Column:
        """The numbers at `path` ("value", "target.std"), one a row, NaN where a row has none."""
        return np.array([number(reach(row, path)) for row in self], dtype=np.float64)


class Record:
    """What one process wrote, by kind of row. Build one from rows with `Record.make`, from files with `load`.

    `misfits`: names of fields that were left out, as their values had another type than the schema says.
    """

    def __init__(self, rows: Iterable[Row], *, path: Path | None = None, processes: int = 1) -> None:
        self.path = path
        self.processes = processes
        self.misfits: set[str] = set()
        self._by_kind: dict[str, Rows] = {}
        for row in rows:
            kind, dropped = str(row.get("k")), misfits(row)
            if dropped:
                self.misfits.update(f"{kind}.{name}" for name in dropped)
                row = {name: value for name, value in row.items() if name not in dropped}
            self._by_kind.setdefault(kind, Rows()).append(row)

    @classmethod
    def make(cls, *rows: Row) -> Record:
        """A record from rows written by hand, for tests that need no torch."""
        return cls([{"k": "start", "schema": SCHEMA, "pid": 1, "script": "train.py", "argv": []}, *rows])

    def rows(self, kind: str, **equal: Any) -> Rows:
        """All rows of a kind; with `equal`, those whose fields have these values."""
        found = self._by_kind.get(kind, Rows())
        return found.where(**equal) if equal else found

    def kinds(self) -> Iterator[str]:
        """The kinds of row there are."""
        return iter(self._by_kind)

    @cached_property
    def start(self) -> Row:
        """The opening row."""
        rows = self.rows("start")
        return rows[0] if rows else {}

    @cached_property
    def end(self) -> Row | None:
        """The closing row; None where the process was killed or still runs."""
        rows = self.rows("end")
        return rows[-1] if rows else None

    @cached_property
    def exit(self) -> Row:
        """What the parent saw: `status`, `seconds`; empty for a record without a parent."""
        rows = self.rows("exit")
        return rows[-1] if rows else {}

    @cached_property
    def exception(self) -> Row | None:
        """The exception the script ended with."""
        rows = self.rows("exception")
        return rows[-1] if rows else None

    @cached_property
    def rank(self) -> int | None:
        """The rank whose rows these are, None where the run has one process."""
        rows = self.rows("rank")
        return rows[0].get("rank") if rows else None

    @cached_property
    def world_size(self) -> int:
        """Number of ranks of the run, those that were not seen included."""
        return max((row.get("world", 1) for row in self.rows("rank")), default=1)

    @cached_property
    def sites(self) -> dict[int, Site]:
        """Lines of the user's code by number."""
        return {
            row["i"]: Site(row["file"], row["line"], row.get("function", ""))
            for row in self.rows("site")
            if "i" in row and "line" in row and "file" in row
        }

    @cached_property
    def cells(self) -> Cells | None:
        """Of a notebook: where they stand in the text that lines of its sites are of."""
        for row in self.rows("source", file=FILE):
            heads, numbers = row.get("heads") or [], row.get("cells") or []
            if heads and len(heads) == len(numbers):
                return Cells(tuple(heads), tuple(numbers))
        return None

    def shown(self, site: Site) -> Site:
        """The line as people know it: that of a notebook's cell, any other as it is."""
        if self.cells is None or site.file != FILE:
            return site
        name, line = self.cells.place(site.line)
        return site._replace(file=name, line=line)

    def site(self, index: Any) -> Site | None:
        """The line with this number, None where there is none."""
        return self.sites.get(index) if isinstance(index, int) else None

    @cached_property
    def parameters(self) -> dict[int, Parameter]:
        """Trained tensors by number."""
        return {
            row["i"]: Parameter(
                row["i"],
                row.get("name") or f"tensor{row.get('shape', [])}",
                row.get("module"),
                tuple(row.get("shape", ())),
                row.get("dtype", ""),
                row.get("device", ""),
                row.get("parameter", True),
            )
            for row in self.rows("param")
            if "i" in row
        }

    @cached_property
    def optimizers(self) -> list[Optimizer]:
        """Optimizers in the order they were built."""
        return [Optimizer(self, row) for row in self.rows("optimizer") if "i" in row]

    @cached_property
    def steps(self) -> int:
        """Optimizer steps of all optimizers, hand-written steps included."""
        optimizer = sum(entry.steps for entry in self.optimizers)
        by_hand = max((row.get("steps", 0) for row in self.rows("free")), default=0)
        seen = max((row.get("steps", 0) for kind in ("pulse", "end") for row in self.rows(kind)), default=0)
        return int(max(optimizer + by_hand, seen))

    @cached_property
    def objectives(self) -> list[Objective]:
        """The losses that were backpropagated, by line, the most frequent first."""
        sites: dict[int | None, Rows] = {}
        for row in self.rows("objective"):
            sites.setdefault(row.get("site"), Rows()).append(row)
        found = [Objective(self, site, rows) for site, rows in sites.items()]
        return sorted(found, key=lambda objective: -objective.count)

    @cached_property
    def calls(self) -> dict[int, Row]:
        """Distinct calls of torch's loss functions by number."""
        return {row["i"]: row for row in self.rows("call") if "i" in row}


class Optimizer:
    """One optimizer and what it did."""

    def __init__(self, record: Record, row: Row) -> None:
        self._record = record
        self.number: int = row["i"]
        self.kind: str = row.get("class", "")
        self.groups: list[Row] = row.get("groups", [])
        self.site = record.site(row.get("site"))
        counters = record.rows("steps", opt=self.number)
        self.counters: Row = counters[-1] if counters else {}

    @cached_property
    def steps(self) -> int:
        """Steps taken, as last counted."""
        sampled = [row["n"] + 1 for row in self.updates if "n" in row]
        return int(max([self.counters.get("n", 0), *sampled]))

    @cached_property
    def parameters(self) -> set[int]:
        """Numbers of the tensors it was given when it was built."""
        return {number for group in self.groups for number in group.get("params", [])}

    @cached_property
    def updates(self) -> Rows:
        """Sampled steps."""
        return self._record.rows("update", opt=self.number)

    @cached_property
    def given(self) -> set[int]:
        """Numbers of the tensors that had a gradient at a sampled step."""
        pairs = [pair for row in self.updates for pair in zip(row.get("params") or [], numbers(row.get("grad")))]
        return {parameter for parameter, size in pairs if size > 0}

    @cached_property
    def turns(self) -> Rows:
        """Slopes before and after sampled steps."""
        return self._record.rows("turn", opt=self.number)

    @property
    def lr(self) -> list[float]:
        """Learning rate of each group at the start."""
        return [number(group.get("lr")) for group in self.groups]

    @cached_property
    def rates(self) -> tuple[Column, Column]:
        """(step, learning rate of the first group) wherever it was seen to change."""
        rows = self._record.rows("rate", opt=self.number)
        first = [number(next(iter(row.get("lr", [])), None)) for row in rows]
        return rows.column("n"), np.array(first, dtype=np.float64)

    @property
    def adaptive(self) -> bool:
        """Whether the size of its steps does not depend on the size of the gradient."""
        return any(name in self.kind for name in ("Adam", "RMSprop", "Adagrad", "Adadelta", "Rprop", "Lion"))


class Objective:
    """The loss that one line backpropagates, step by step."""

    def __init__(self, record: Record, site: int | None, rows: Rows) -> None:
        self._record = record
        self.number = site
        self.site = record.site(site)
        values: list[float] = []
        weights: list[float] = []
        for row in rows:
            part = [number(value) for value in row.get("values", [])]
            values.extend(part)
            weights.extend([float(row.get("stride", 1))] * len(part))
        self.values: Column = np.array(values, dtype=np.float64)
        self.weights: Column = np.array(weights, dtype=np.float64)

    @property
    def count(self) -> int:
        """Backward passes."""
        return int(self.weights.sum())

    @cached_property
    def graphs(self) -> Rows:
        """Its graphs: one row, and another wherever it changed."""
        return self._record.rows("graph", site=self.number)

    @cached_property
    def calls(self) -> list[int]:
        """Numbers of the loss-function calls that are part of it."""
        return sorted({call for row in self.graphs for call in row.get("calls", [])})

    @cached_property
    def leaves(self) -> set[int]:
        """Numbers of all tensors that got a gradient from it."""
        return {leaf for row in self.graphs for leaf in row.get("leaves", [])}

    def losses(self, call: int) -> Rows:
        """Sampled evaluations of one of its loss-function calls, with gradient."""
        return self._record.rows("loss", call=call, grad=True)


def number(value: Any) -> float:
    """A number of a record: NaN and the infinities are written as words; anything else is NaN."""
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, str):
        return {"Infinity": np.inf, "-Infinity": -np.inf}.get(value, np.nan)
    return np.nan


def numbers(values: Any) -> Column:
    """A list of a record as a column; empty where it is no list."""
    return np.array([number(value) for value in values] if isinstance(values, list) else [], dtype=np.float64)


def reach(row: Any, path: str) -> Any:
    """The value at a dotted path of nested rows, None where it is not there."""
    for key in path.split("."):
        row = row.get(key) if isinstance(row, dict) else None
    return row
