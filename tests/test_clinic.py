"""The clinic: every script gets the diagnosis that is written on its lines, from stored records and from live runs."""

from __future__ import annotations

import datetime
import os

import pytest

import clinic
from sgdoctor.conditions import catalogue
from sgdoctor.record import load

CASES = clinic.cases()
LIVE_PARTS = 40  # a stale record cannot hide a broken probe for more than so many days
IDS = [case.name for case in CASES]


@pytest.mark.parametrize("condition", sorted(catalogue()))
def test_condition_has_scripts(condition: str) -> None:
    expected = [case for case in CASES if condition in {name for name, _ in case.expected}]
    assert expected, f"no script of the clinic expects {condition}"
    assert len({case.script.parent for case in expected if case.script.name == "faulty.py"}) >= 2


def test_every_faulty_script_has_a_healthy_twin() -> None:
    for case in CASES:
        if case.script.name == "faulty.py":
            assert case.expected and case.script.with_name("healthy.py").exists(), case.name


def test_there_are_enough_healthy_scripts() -> None:
    assert sum(case.name.startswith("healthy/") for case in CASES) >= 25
    assert sum(case.name.startswith("seeds/") for case in CASES) == 15


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_stored_record(case: clinic.Case) -> None:
    record = clinic.restore(case)
    texts = {row["file"]: row["text"] for row in record.rows("source")}
    script = case.script.read_text(encoding="utf-8")
    assert texts[f"clinic/{case.name}"] == script, "the script changed: `make clinic` and store its record anew"
    assert clinic.judge(case, record).problem == ""


def live_part() -> list[clinic.Case]:
    """The scripts whose turn it is today."""
    return CASES[datetime.date.today().toordinal() % LIVE_PARTS :: LIVE_PARTS]


@pytest.mark.parametrize("case", live_part(), ids=lambda case: case.name)
def test_live(case: clinic.Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(os.getcwd())
    clinic.record(case)
    assert clinic.judge(case, load(case.record)).problem == ""
