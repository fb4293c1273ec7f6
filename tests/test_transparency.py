"""Training is bit-identical under observation: losses, weights, optimizer state, random generators, output, status."""

from __future__ import annotations

from pathlib import Path

import pytest
from processes import SCRIPTS, observed, plain

from sgdoctor.record import load

# name -> optimizer (or hand-written) steps that the record must know of
TRAINED = {
    "mlp": 40,
    "cnn": 25,
    "gan": 50,
    "lbfgs": 8,
    "raw_tensors": 19,  # the last of the first phase has no backward after it; steps through `.data` leave no trace
    "amp": 20,
    "accumulation": 12,
    "loader_workers": 24,
    "compiled": 20,
    "checkpointing": 24,
}


@pytest.mark.parametrize("name", TRAINED)
def test_training_is_bit_identical(name: str, tmp_path: Path) -> None:
    script = SCRIPTS / f"{name}.py"
    expected = plain(script, cwd=tmp_path)
    seen = observed(script, cwd=tmp_path, record=tmp_path / "record")
    assert seen == expected
    assert expected.status == 0 and "weights " in expected.stdout
    record = load(tmp_path / "record")
    assert record.steps == TRAINED[name]
    assert not record.rows("probe_failed")


def test_every_script_is_tested() -> None:
    alone = {path.stem for path in SCRIPTS.glob("*.py") if not path.stem.endswith("_ranks")}  # those: test_ranks.py
    assert alone == {*TRAINED, "digest", "healthy_infinities"}
