"""Experiments: arms that exist, judges that answer in words and figures, from hand-written records and real runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from processes import SCRIPTS, observed

from sgdoctor.conditions import Finding, Outcome, catalogue
from sgdoctor.record import Record, Row, load
from sgdoctor.source import Source
from sgdoctor.trials.experiments import Experiment, Spec, experiments

HOST = Path(__file__).parent.parent / "src" / "sgdoctor" / "host" / "interventions"
CLINIC = Path(__file__).parent.parent / "clinic"
every_experiment = pytest.mark.parametrize("entry", experiments().values(), ids=list(experiments()))


def trained(*losses: float, lr: float = 0.1, **extra: Row) -> Record:
    """A record of one objective and one optimizer."""
    rows: list[Row] = [
        {"k": "site", "i": 0, "file": "train.py", "line": 9, "function": "<module>"},
        {
            "k": "optimizer",
            "i": 0,
            "site": 0,
            "class": "SGD",
            "groups": [{"lr": lr, "params": [0], "momentum": 0.9, "weight_decay": 0.1}],
        },
        {"k": "steps", "opt": 0, "n": len(losses)},
        {"k": "objective", "site": 0, "first": 0, "stride": 1, "values": list(losses)},
        {"k": "graph", "site": 0, "n": 0, "step": 0, "leaves": [0], "custom": ["OwnBackward"]},
        {"k": "mode", "i": 0, "layer": "batch_norm", "active": True, "graded": True, "count": 40},
        *({"k": kind, **row} for kind, row in extra.items()),
    ]
    return Record.make(*rows)


def falling(to: float, steps: int = 40) -> list[float]:
    """A loss on its way from 1 to `to`."""
    return [to + (1 - to) * 0.8**i for i in range(steps)]


def lagging() -> Record:
    """A run of Adam over four tensors of usual size and one a thousand times larger."""
    params = list(range(5))
    weights, changes = [0.1, 0.1, 0.2, 0.1, 100.0], [1e-3] * 5
    return Record.make(
        {"k": "optimizer", "i": 0, "class": "Adam", "groups": [{"lr": 1e-3, "params": params}]},
        {"k": "steps", "opt": 0, "n": 100},
        {"k": "objective", "site": 0, "first": 0, "stride": 1, "values": falling(0.1, 100)},
        {"k": "graph", "site": 0, "n": 0, "step": 0, "leaves": params},
        *({"k": "param", "i": i, "name": f"p{i}", "shape": [1]} for i in params),
        *({"k": "update", "opt": 0, "n": n, "params": params, "weight": weights, "change": changes} for n in range(4)),
    )


def interventions(spec: Spec) -> bool:
    """Whether there is such an intervention."""
    return (HOST / f"{spec['name']}.py").is_file()


@every_experiment
def test_an_experiment_asks_for_what_there_is(entry: Experiment) -> None:
    record = trained(*falling(0.1)[:30], *[float("nan")] * 5) if entry.name != "part_rates" else lagging()
    found = entry.arms(record)
    assert found and all(interventions(spec) for spec in found.values())
    assert entry.arms(Record.make()) == {}
    assert entry.question.endswith("?") and entry.decides


@every_experiment
def test_an_experiment_without_records_says_that_it_could_not_be_made(entry: Experiment) -> None:
    base = trained(*falling(0.1))
    for arms in ({}, {name: Record.make() for name in entry.arms(base)}):
        outcome = entry.judge(base, arms)
        assert isinstance(outcome, Outcome) and outcome.name == entry.name
        assert outcome.answer.startswith("could not be made") and not outcome.figures


def test_the_range_names_the_best_and_the_largest_stable_rate() -> None:
    ends = {1e-3: 0.99, 1e-2: 0.9, 1e-1: 0.6, 1e1: 0.05, 1e2: float("nan")}
    arms = {f"lr x {factor:g}": trained(*falling(end)) for factor, end in ends.items()}
    outcome = experiments()["learning_rate_range"].judge(trained(*falling(0.3)), arms)
    assert (outcome.figure("best"), outcome.figure("largest")) == (10.0, 10.0)
    assert outcome.figure("best_rate") == pytest.approx(1.0)


def test_one_batch_counts_as_memorised_at_the_best_of_the_rates() -> None:
    judge = experiments()["memorises_one_batch"].judge
    arms = {"first batch": trained(*falling(0.9)), "first batch, lr x 10": trained(*falling(0.01))}
    assert judge(trained(*falling(0.95)), arms).word("memorised") == "yes"
    assert judge(trained(*falling(0.95)), {"first batch": trained(*falling(0.97))}).word("memorised") == "no"


def test_an_arm_that_could_not_do_what_was_asked_is_no_evidence() -> None:
    row: Row = {"name": "permuted_targets", "acted": 0, "possible": False, "reason": "no loss of torch's"}
    arms = {"permuted targets": trained(*falling(0.1), intervention=row)}
    outcome = experiments()["permuted_targets"].judge(trained(*falling(0.1)), arms)
    assert "no loss of torch's" in outcome.answer and not outcome.figures


def live(script: Path, tmp_path: Path, arm: str, intervention: dict[str, Any] | None = None) -> Record:
    """The record of a script under an intervention, with its sources."""
    folder = tmp_path / arm
    observed(script, cwd=CLINIC.parent, record=folder, intervention=intervention or None)
    rows = load(folder)
    texts = [{"k": "source", "file": script.relative_to(CLINIC.parent).as_posix(), "text": script.read_text()}]
    return Record([row for kind in rows.kinds() for row in rows.rows(kind)] + texts)


@pytest.mark.slow
@pytest.mark.parametrize(
    "condition, name, pair",
    [
        ("wrong-custom-gradient", "custom_gradients", "linear_order"),
        ("batch-mixing", "sample_independence", "recurrent"),
        ("batch-norm-eval-gap", "train_against_eval", "momentum"),
    ],
)
@pytest.mark.parametrize("state", ["faulty", "healthy"])
def test_a_condition_that_only_an_experiment_shows(
    condition: str, name: str, pair: str, state: str, tmp_path: Path
) -> None:
    script = CLINIC / condition / pair / f"{state}.py"
    base = live(script, tmp_path, "base")
    source = Source({row["file"]: row["text"] for row in base.rows("source")})
    entry, asked = catalogue()[condition], experiments()[name]
    assert entry.suspects is not None and entry.in_experiment is not None
    assert state == "healthy" or name in entry.suspects(base, source)
    arms = {arm: live(script, tmp_path, arm.replace(" ", "-"), spec) for arm, spec in asked.arms(base).items()}
    outcomes = {name: asked.judge(base, arms)}
    found = [each for each in entry.in_experiment(base, source, outcomes) if isinstance(each, Finding)]
    marked = [i for i, line in enumerate(script.read_text().splitlines(), 1) if f"# expect: {condition}" in line]
    assert [each.site.line for each in found if each.site] == marked


@pytest.mark.slow
def test_the_origin_is_put_in_words(tmp_path: Path) -> None:
    script = SCRIPTS / "origins" / "late_division.py"
    observed(script, cwd=SCRIPTS, record=tmp_path / "base")
    base, asked = load(tmp_path / "base"), experiments()["origin_of_nonfinite"]
    ((name, spec),) = asked.arms(base).items()
    assert spec == {"name": "anomaly", "start": 29}
    observed(script, cwd=SCRIPTS, record=tmp_path / "hunt", intervention=spec)
    outcome = asked.judge(base, {name: load(tmp_path / "hunt")})
    assert outcome.word("kind") == "division" and outcome.figure("line") == 13
    assert "in `div` at origins/late_division.py:13 in layer attention, at step 31" in outcome.answer
