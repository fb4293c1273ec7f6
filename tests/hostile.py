"""Records as a kill, a NaN-ridden run or a hostile script would leave them: strategies for property tests."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from sgdoctor.record import Record, Row, load

SMALL = Path(__file__).parent / "records" / "small"  # how it was made: train.py beside it
RECORD = load(SMALL)
ROWS: list[Row] = [row for kind in RECORD.kinds() for row in RECORD.rows(kind)]

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400), 2**63, 1e308, -1e308, 5e-324, -1, 0])
    | st.floats()
    | st.sampled_from(["NaN", "Infinity", "-Infinity", "\ud800", ""])
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NUMBERS = st.sampled_from(["NaN", "Infinity", "-Infinity", None, 0, 0.0, -1.0, 1e308, 5e-324, 1e-30, 1e30])


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside a row."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from places(entry, (*path, key))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from places(entry, (*path, index))


def at(row: Any, path: tuple[Any, ...]) -> Any:
    """The value at a path."""
    for key in path:
        row = row[key]
    return row


@st.composite
def hostile_records(draw: st.DrawFn) -> Record:
    """A small real record in which some values are any JSON at all, and some are gone."""
    rows = list(ROWS)
    for index in draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=12)):
        row = rows[index] = copy.deepcopy(rows[index])
        path = draw(st.sampled_from([*places(row)] or [("new",)]))
        if path == ("new",) or draw(st.booleans()):
            at(row, path[:-1])[path[-1]] = draw(VALUES)
        else:
            del at(row, path[:-1])[path[-1]]
    return Record(rows)


@st.composite
def broken_records(draw: st.DrawFn) -> Record:
    """A small real record that lacks rows and fields, and whose numbers are not finite, zero or huge."""
    rows = copy.deepcopy(draw(st.lists(st.sampled_from(ROWS), max_size=40)) if draw(st.booleans()) else ROWS)
    kinds = sorted({row["k"] for row in rows})
    gone = draw(st.sets(st.sampled_from(kinds), max_size=3)) if kinds else set()
    rows = [row for row in rows if row["k"] not in gone]
    floats = [(row, path) for row in rows for path in places(row) if isinstance(at(row, path), float)]
    for row, path in draw(st.lists(st.sampled_from(floats), max_size=30)) if floats else []:
        at(row, path[:-1])[path[-1]] = draw(NUMBERS)
    lists = [(row, path) for row in rows for path in places(row) if isinstance(at(row, path), list)]
    for row, path in draw(st.lists(st.sampled_from(lists), max_size=6)) if lists else []:
        del at(row, path)[draw(st.integers(0, 3)) :]
    return Record(rows)
