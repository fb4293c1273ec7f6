"""Interventions do what they say, on real scripts, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from processes import SCRIPTS, observed

from sgdoctor.record import Record, load

ORIGINS = sorted((SCRIPTS / "origins").glob("*.py"))
BORN = re.compile(r"# born: (\S+) (\S+)")


def run(script: Path, tmp_path: Path, **intervention: object) -> Record:
    """The record of a script under an intervention."""
    observed(script, cwd=SCRIPTS, record=tmp_path / "record", intervention=intervention or None)
    return load(tmp_path / "record")


def marks(script: Path) -> list[tuple[int, str, str]]:
    """(line, operation, phase) of every birth that a script's marks allow."""
    lines = enumerate(script.read_text(encoding="utf-8").splitlines(), 1)
    return [(number, match[1], match[2]) for number, line in lines if (match := BORN.search(line))]


def born(record: Record, script: Path) -> None:
    """The one origin of a record is one that is marked."""
    (row,) = record.rows("origin")
    site = record.site(row["site"])
    assert site is not None and not record.misfits
    found = [(site.line, op, row["phase"]) for op in (row["op"], row["node"])]
    assert set(found) & set(marks(script)), row
    assert row["deliberate"] is False and row["inputs"] and row["of"] >= row["bad"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("script", ORIGINS, ids=[script.stem for script in ORIGINS])
def test_the_hunt_names_operation_line_and_direction(script: Path, tmp_path: Path) -> None:
    born(run(script, tmp_path, name="anomaly"), script)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nan_in_data", "sqrt_at_zero", "zero_by_zero", "masked_row"])
def test_a_hunt_that_begins_shortly_before_finds_the_same(name: str, tmp_path: Path) -> None:
    script = SCRIPTS / "origins" / f"{name}.py"
    (objective,) = load_plain(script, tmp_path).objectives
    start = next(i for i, value in enumerate(objective.values) if value - value != 0) - 2
    assert start > 0
    born(run(script, tmp_path, name="anomaly", start=start), script)


def test_there_are_enough_origins() -> None:
    assert len(ORIGINS) >= 12 and all(marks(script) for script in ORIGINS)
    assert {phase for script in ORIGINS for _, _, phase in marks(script)} == {"forward", "backward", "data"}


def load_plain(script: Path, tmp_path: Path) -> Record:
    """The record of the script as it is."""
    observed(script, cwd=SCRIPTS, record=tmp_path / "plain")
    return load(tmp_path / "plain")


def test_infinities_that_do_no_harm_are_no_origin(tmp_path: Path) -> None:
    record = run(SCRIPTS / "healthy_infinities.py", tmp_path, name="anomaly", start=0)
    assert not record.rows("origin")
    assert record.rows("intervention")[0]["reason"]
    assert record.steps == 12


def test_the_hunt_names_the_layer(tmp_path: Path) -> None:
    record = run(SCRIPTS / "origins" / "late_division.py", tmp_path, name="anomaly", start=29)
    (row,) = record.rows("origin")
    assert (row["layer"], row["step"], row["batch"]) == ("attention", 31, 31)
