"""A record answers whatever its file holds: torn, newer, full of words for NaN, or written by somebody hostile."""

from __future__ import annotations

import copy
import json
import shutil
import warnings
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import ROWS, SMALL, hostile_records, places
from hypothesis import given

import clinic
from sgdoctor import RecordError
from sgdoctor.record import Progress, Record, Site, load, progress
from sgdoctor.record.inputs import doors
from sgdoctor.record.record import SCHEMA, number, numbers, reach
from sgdoctor.record.schema import FIELDS, misfits
from sgdoctor.record.steps import Steps, activations, depth_ratio
from sgdoctor.record.surroundings import SURROUNDINGS


def seen(thing: Any) -> dict[str, Any]:
    """All that a view shows: the value of each of its properties."""
    kinds = (property, cached_property)
    names = [name for entry in type(thing).__mro__ for name, value in vars(entry).items() if isinstance(value, kinds)]
    assert names
    return {name: getattr(thing, name) for name in names}


def look_at(record: Record) -> None:
    """Every view of a record, and those of what is in it."""
    with np.errstate(all="ignore"), warnings.catch_warnings():  # as `diagnose` has it
        warnings.simplefilter("ignore", RuntimeWarning)
        seen(record)
        for parameter in record.parameters.values():
            seen(parameter)
        for optimizer in record.optimizers:
            seen(optimizer)
        for steps in [Steps(record, each) for each in (None, *record.optimizers)]:
            seen(steps)
        for objective in record.objectives:
            seen(objective)
            for call in objective.calls:
                objective.losses(call).column("output.spread")
            for door in doors(record, objective.number):
                seen(door)
            assert len(depth_ratio(record, objective.number)) <= len(record.rows("signal"))
            for place in activations(record, objective.number):
                assert place.width >= 0 and len({len(column) for column in place.columns.values()}) == 1
        for entry in progress(record):
            seen(entry)
        for row in record.rows("exception"):
            record.site(row.get("frames"))


def test_make_needs_no_torch_and_holds_what_it_is_given() -> None:
    record = Record.make(
        {"k": "site", "i": 0, "file": "train.py", "line": 3, "function": "main"},
        {"k": "param", "i": 0, "name": "fc1.weight", "module": "Linear", "shape": [8, 4]},
        {"k": "optimizer", "i": 0, "site": 0, "class": "AdamW", "groups": [{"lr": 0.1, "params": [0]}]},
        {"k": "steps", "opt": 0, "n": 7},
        {"k": "objective", "site": 0, "values": [2.0, "NaN"], "stride": 1},
        {"k": "objective", "site": 0, "values": ["Infinity", 1.0], "stride": 4},
        {"k": "graph", "site": 0, "leaves": [0], "calls": [2, 1]},
    )
    assert record.site(0) == Site("train.py", 3, "main") and record.site(1) is None and record.site(None) is None
    parameter = record.parameters[0]
    assert (parameter.layer, parameter.size, parameter.declared) == ("fc1", 32, True)
    (optimizer,) = record.optimizers
    assert (optimizer.steps, optimizer.parameters, optimizer.lr, optimizer.adaptive) == (7, {0}, [0.1], True)
    (objective,) = record.objectives
    assert objective.site == record.site(0) and objective.count == 10 and objective.calls == [1, 2]
    np.testing.assert_array_equal(objective.values, [2.0, np.nan, np.inf, 1.0])
    assert record.steps == 7 and record.end is None and record.exit == {} and record.exception is None


def test_numbers_may_be_words() -> None:
    assert number("Infinity") == np.inf and number("-Infinity") == -np.inf and number(True) == 1.0
    assert all(np.isnan(number(value)) for value in ("NaN", "seven", None, [], {}))
    np.testing.assert_array_equal(numbers([1, "NaN", None]), [1.0, np.nan, np.nan])
    assert len(numbers("abc")) == len(numbers(None)) == 0
    assert reach({"a": {"b": 1}}, "a.b") == 1 and reach({"a": 3}, "a.b") is None


def test_rows_by_kind_and_field() -> None:
    record = load(SMALL)
    assert len(record.rows("loss", grad=True)) == 3 and not record.rows("loss", grad=False) and not record.rows("x")
    assert np.isfinite(record.rows("loss").column("output.spread")).all()


def test_the_small_record_fits_the_schema_and_shows_everything() -> None:
    record = load(SMALL)
    assert not record.misfits
    # Nothing failed, it is no trial, and what stands around training is shown by the records of the clinic.
    assert set(record.kinds()) | {"probe_failed", "score"} == set(FIELDS) - set(SURROUNDINGS)
    unknown = {f"{row['k']}.{name}" for row in ROWS for name in row if name != "k" and name not in FIELDS[row["k"]]}
    assert not unknown
    look_at(record)
    assert record.steps == 5 and record.processes == 1  # by the optimizer three, by hand two
    assert record.exception is not None and record.exit["status"] == 1
    (entry,) = progress(record)
    assert isinstance(entry, Progress) and entry.count == 3 and np.isfinite(entry.baseline)


@pytest.mark.parametrize("case", clinic.cases(), ids=lambda case: case.name)
def test_what_the_observer_writes_fits_the_schema(case: clinic.Case) -> None:
    record = clinic.restore(case)
    written = {f"{kind}.{name}" for kind in record.kinds() for row in record.rows(kind) for name in row}
    assert not record.misfits
    assert written <= {f"{kind}.{name}" for kind, fields in FIELDS.items() for name in ("k", *fields)}


NASTY: list[Any] = [None, True, -2, 0, 10**400, 1e308, "NaN", "Infinity", "", "x", [], {}, [None], [[]], [-1], ["NaN"]]


@pytest.mark.parametrize("kind", sorted(FIELDS))
def test_any_field_may_hold_anything(kind: str) -> None:
    rows = [row for row in ROWS if row["k"] == kind]
    for name, nasty in [(name, nasty) for name in (rows[0] if rows else ()) for nasty in NASTY]:
        look_at(Record([{**row, name: nasty} if row["k"] == kind else row for row in ROWS]))


@given(hostile_records())
def test_hostile_records_never_raise(record: Record) -> None:
    look_at(record)


def test_every_row_may_lack_any_field() -> None:
    for index, row in enumerate(ROWS):
        for path in places(row):
            if len(path) == 1 and path[0] != "k":
                short = {name: value for name, value in row.items() if name != path[0]}
                assert not misfits(short)
                look_at(Record([*ROWS[:index], short, *ROWS[index + 1 :]]))


def test_a_field_of_another_type_is_left_out_alone() -> None:
    record = Record.make({"k": "site", "i": 0, "file": "train.py", "line": 3, "function": ["?"]})
    assert record.misfits == {"site.function"}
    assert record.site(0) == Site("train.py", 3, "")


def test_a_record_cut_at_any_byte_is_read(tmp_path: Path) -> None:
    (file,) = shutil.copytree(SMALL, tmp_path / "record").glob("process-*.jsonl")
    data = file.read_bytes()
    whole = -1
    with file.open("r+b") as stream:
        for size in range(len(data), -1, -1):
            stream.truncate(size)
            record = load(file.parent)
            rows = sum(len(record.rows(kind)) for kind in record.kinds() if kind not in ("exit", "source"))
            lines = data[:size].count(b"\n")
            # A last line without its newline counts where it is whole: JSON ends with its closing brace.
            assert rows == lines + (size > 0 and data[size : size + 1] == b"\n")
            if rows != whole:
                whole = rows
                look_at(record)


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    rows = [b'{"k":"pulse","steps":1}', b'{"k":"pul', b"\xff\x00", b"[1]", b"7", b"", b"[" * 100_000, b'{"k":"end"}']
    (tmp_path / "process-1.jsonl").write_bytes(b"\n".join(rows))
    record = load(tmp_path)
    assert list(record.kinds()) == ["pulse", "end"]


def test_names_that_are_no_unicode_are_kept(tmp_path: Path) -> None:
    row = json.dumps({"k": "exception", "type": "OSError", "text": "caf\udce9.csv"})
    (tmp_path / "process-1.jsonl").write_text(row + "\n")
    assert load(tmp_path).exception == {"k": "exception", "type": "OSError", "text": "caf\udce9.csv"}


def test_a_newer_schema_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "process-1.jsonl").write_text(json.dumps({"k": "start", "schema": SCHEMA + 1}) + "\n")
    with pytest.raises(RecordError, match=r"newer.*upgrade"):
        load(tmp_path)


def test_what_is_no_record_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no record in"):
        load(tmp_path)
    with pytest.raises(RecordError, match="no record in"):
        load(tmp_path / "missing")
    script = tmp_path / "train.py"
    script.write_text("import torch\n")
    with pytest.raises(RecordError, match="is no record"):
        load(script)


def test_the_process_that_did_most_is_the_run(tmp_path: Path) -> None:
    rows = [copy.deepcopy(row) for row in ROWS if row["k"] not in ("exit", "source")]
    (tmp_path / "process-1.jsonl").write_text('{"k":"start","schema":1}\n')
    (tmp_path / "process-2.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    record = load(tmp_path)
    assert record.processes == 2 and record.steps == 5
