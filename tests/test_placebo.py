"""A change that changes nothing is never proven, on faulty scripts and on healthy ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import clinic
from sgdoctor.conditions import catalogue
from sgdoctor.diagnosis import diagnose
from sgdoctor.trials import Script, Trial
from sgdoctor.trials.judge import Arms, judge
from sgdoctor.trials.local import Local
from sgdoctor.trials.prove import PLACEBO_DRAWS

SEEDS = range(3)
CASES = [case for case in clinic.cases() if case.script.name in ("faulty.py", "healthy.py")]
CHOSEN = CASES[:: max(1, len(CASES) // 24)][:24]


@pytest.mark.slow
@pytest.mark.parametrize("case", CHOSEN, ids=lambda case: case.name)
def test_a_placebo_is_never_proven(case: clinic.Case, tmp_path: Path) -> None:
    shutil.copy(case.script, tmp_path / "train.py")
    script = Script("train.py", cwd=tmp_path)
    plan = [
        Trial(script, name, seed=seed, draws=draws)
        for name, draws in (("baseline", 0), ("treated", 3), ("placebo", PLACEBO_DRAWS))
        for seed in SEEDS
    ]
    with Local(script) as engine:
        found = {id(result.trial): result.record for result in engine.run(plan)}
    records = [found[id(trial)] for trial in plan]
    arms = Arms(records[0], *(tuple(records[i : i + 3]) for i in (0, 3, 6)))
    # By the condition that the script has, and by one that only the curve can judge.
    ids = [placed.condition.id for placed in diagnose(records[0]).findings]
    for name in {*ids, "lr-too-high"}:
        assert judge(arms, catalogue()[name], diagnose).verdict not in ("proven", "worse"), name


def test_there_are_enough_of_them() -> None:
    assert len(CHOSEN) >= 20
