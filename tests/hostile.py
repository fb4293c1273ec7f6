"""Records as a kill, a NaN-ridden run or a hostile script would leave them: strategies for property tests."""

from __future__ import annotations

import copy
import pathlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from hypothesis import strategies as st

from sgdoctor.record import Record, Row, load

SMALL = pathlib.Path(__file__).parent / "records" / "small"  # how it was made: train.py beside it
Path = tuple[Any, ...]  # keys and indices that lead to a value inside a row

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


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """The path of every value inside a row."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from places(entry, (*path, key))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from places(entry, (*path, index))


def at(row: Any, path: Path) -> Any:
    """The value at a path."""
    for key in path:
        row = row[key]
    return row


@st.composite
def hostile_records(draw: st.DrawFn, rows: list[Row] = ROWS) -> Record:
    """A real record in which some values are any JSON at all, and some are gone."""
    rows = list(rows)
    for index in draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=12)):
        row = rows[index] = copy.deepcopy(rows[index])
        path = draw(st.sampled_from([*places(row)] or [("new",)]))
        if path == ("new",) or draw(st.booleans()):
            at(row, path[:-1])[path[-1]] = draw(VALUES)
        else:
            del at(row, path[:-1])[path[-1]]
    return Record(rows)


def table(rows: list[Row], kind: type) -> dict[tuple[str, ...], list[tuple[int, Path]]]:
    """(kind of row, keys, * for any index) of all values of a type, and the places where they stand."""
    found: dict[tuple[str, ...], list[tuple[int, Path]]] = {}
    for index, row in enumerate(rows):
        for path in places(row):
            if isinstance(at(row, path), kind):
                name = (str(row["k"]), *("*" if isinstance(key, int) else str(key) for key in path))
                found.setdefault(name, []).append((index, path))
    return found


def broken_records(rows: list[Row]) -> st.SearchStrategy[Record]:
    """Records that lack rows, whose lists are cut, whose numbers are not finite, zero or huge, here or everywhere."""
    kinds = sorted({str(row["k"]) for row in rows})
    floats, lists = table(rows, float), table(rows, list)

    @st.composite
    def build(draw: st.DrawFn) -> Record:
        broken = list(rows)
        for known, values in ((floats, NUMBERS), (lists, st.integers(0, 3))):
            for name in draw(st.lists(st.sampled_from(sorted(known)), max_size=4)) if known else []:
                value = draw(values)
                for index, path in known[name] if draw(st.booleans()) else [draw(st.sampled_from(known[name]))]:
                    if broken[index] is rows[index]:
                        broken[index] = copy.deepcopy(rows[index])
                    with suppress(LookupError):  # an earlier cut took it away
                        if known is floats:
                            at(broken[index], path[:-1])[path[-1]] = value
                        else:
                            del at(broken[index], path)[value:]
        gone = draw(st.sets(st.sampled_from(kinds), max_size=2))
        broken = [row for row in broken if row["k"] not in gone]
        return Record(broken[: draw(st.integers(0, len(broken)))] if draw(st.booleans()) else broken)

    return build()
