"""What may be claimed from a few seeds: clear effects are, luck and placebos are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import clinic
from sgdoctor.conditions import catalogue
from sgdoctor.diagnosis import diagnose
from sgdoctor.record import Record
from sgdoctor.trials.judge import Arms, broken, judge, repeats
from sgdoctor.trials.metric import Metric, measured, shared
from sgdoctor.trials.statistics import compare


@pytest.mark.parametrize(
    ("baseline", "treated", "placebo", "verdict"),
    [
        ((0.1, 0.12, 0.11), (0.9, 0.88, 0.93), (0.11, 0.1, 0.12), "proven"),
        ((0.9, 0.88, 0.93), (0.1, 0.12, 0.11), (0.91, 0.9, 0.9), "worse"),
        ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "no-effect"),
        ((0.80, 0.81, 0.79), (0.83, 0.84, 0.82), (0.80, 0.81, 0.79), "helps"),  # real, and not what ails it
        ((0.5, 0.5, 0.5), (0.6, 0.6, 0.6), (0.9, 0.1, 0.5), "no-effect"),  # the placebo does as much
        ((0.2, 0.5, 0.9), (0.4, 0.9, 0.8), (0.2, 0.5, 0.9), "no-effect"),  # one seed loses
        ((-0.9, 0.3, 0.8), (0.99, 0.99, 0.98), (0.2, 0.85, -0.5), "proven"),  # unstable as it is, and never so good
        ((-0.9, 0.3, 0.8), (0.99, 0.82, 0.98), (0.2, 0.85, -0.5), "no-effect"),
        ((0.1,), (0.9,), (), "helps"),  # one seed proves nothing
    ],
)
def test_claims(
    baseline: tuple[float, ...], treated: tuple[float, ...], placebo: tuple[float, ...], verdict: str
) -> None:
    assert compare(baseline, treated, placebo).verdict == verdict


def test_noise_is_hardly_ever_proven() -> None:
    generator = np.random.default_rng(0)
    claims = [
        compare(*(generator.normal(0.5, 0.1, size=3) for _ in range(3))).verdict in ("proven", "worse")
        for _ in range(2000)
    ]
    assert np.mean(claims) < 0.01


def test_the_interval_holds_the_truth() -> None:
    generator = np.random.default_rng(1)
    inside = 0
    for _ in range(1000):
        base = generator.normal(0.5, 0.05, size=3)
        found = compare(base, base + 0.2 + generator.normal(0, 0.05, size=3))
        assert found.interval is not None
        inside += found.interval[0] <= 0.2 <= found.interval[1]
    assert inside >= 930


def run(losses: list[float | str], **score: float) -> Record:
    """A record with a loss a step, and with a score where one is given."""
    rows = [{"k": "score", "call": 0, "n": n, "step": n, "grad": True, **score} for n in range(8)] if score else []
    return Record.make({"k": "objective", "site": 0, "first": 0, "stride": 1, "values": losses}, *rows)


def test_runs_are_judged_by_what_they_share() -> None:
    classes, values, bare = run([1.0] * 8, right=3, of=4), run([1.0] * 8, error=1.0, spread=4.0), run([2.0, 1.0])
    both = run([1.0] * 8, right=1, of=4, error=1.0, spread=2.0)
    metric = shared([classes, both])
    assert metric is not None and metric.name == "accuracy"
    assert [measured(metric, record, 1.0) for record in (classes, both)] == [0.75, 0.25]
    metric = shared([values, both])
    assert metric is not None and metric.name == "R2" and measured(metric, values, 1.0) == 0.75
    metric = shared([bare, values])
    assert metric is not None and measured(metric, bare, 2.0) == 0.5  # the same expression, in shares of its start
    assert shared([]) is None


def test_a_run_that_breaks_is_worth_what_chance_is() -> None:
    assert measured(Metric("accuracy", 0.3), run([1.0, "NaN"], right=4, of=4), 1.0) == 0.3
    assert measured(Metric("R2"), run([1.0, 2.0], error=1e9, spread=1.0), 1.0) == -1.0
    assert broken(run([1.0, "NaN"])) and not broken(run(["NaN", 1.0])) and broken(Record([]))


def test_a_script_that_does_not_repeat_itself_is_told() -> None:
    base, same, other = run([1.0, 0.5]), run([1.0, 0.5]), run([1.0, 0.6])
    assert repeats(Arms(base, (same,), (other,)))
    assert not repeats(Arms(base, (other,), (same,)))


def arms_of(story: str) -> Arms:
    """The faulty script of a story as it is, and its healthy twin in place of the mended one, over three seeds."""
    healthy, faulty = (
        clinic.restore(next(case for case in clinic.cases([f"{story}/{name}"]))) for name in ("healthy", "faulty")
    )
    return Arms(faulty, (faulty,) * 3, (healthy,) * 3)


def test_a_fault_that_flatters_is_judged_by_its_absence() -> None:
    arms, condition = arms_of("aliased-state/lake_temperature_folds"), catalogue()["aliased-state"]
    assert judge(arms, condition, diagnose).verdict == "proven"
    assert judge(arms, replace(condition, flatters=False), diagnose).verdict == "worse"


def test_accuracy_is_balanced_where_one_class_is_most() -> None:
    arms = arms_of("class-imbalance/star_spectra")
    metric = shared([*arms.baseline, *arms.treated])
    assert metric is not None and metric.name == "balanced accuracy"
    before, after = (measured(metric, arm[0], arms.reference) for arm in (arms.baseline, arms.treated))
    assert before < 0.4 < 0.5 < after  # four classes
