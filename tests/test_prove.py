"""`sgdoctor prove` from end to end: what it proves, what it says, and what it writes where."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-m", "sgdoctor"]
HEALTHY = """
import torch
from torch.nn import functional as F

torch.manual_seed(0)
x = torch.randn(256, 6)
y = x[:, :1] - 2 * x[:, 1:2] + 0.1 * torch.randn(256, 1)
model = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for step in range(120):
    index = torch.randint(0, 256, (32,))
    optimizer.zero_grad()
    loss = F.mse_loss(model(x[index]), y[index])
    loss.backward()
    optimizer.step()
torch.save(model.state_dict(), "model.pt")
"""
FAULTY = HEALTHY.replace("    optimizer.zero_grad()\n", "")


def sgdoctor(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    settings = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([*COMMAND, *arguments], cwd=cwd, env=settings, capture_output=True, text=True, timeout=240)


def document(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.fixture(scope="module")
def proved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder in which a faulty script was proved once, with everything asked for at once."""
    folder = tmp_path_factory.mktemp("proved")
    (folder / "train.py").write_text(FAULTY)
    ended = sgdoctor("prove", "--json", "out.json", "--patch", "fix.patch", "--apply", "train.py", cwd=folder)
    return folder, ended


def test_a_proof_by_the_contract(proved: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, ended = proved
    assert ended.returncode == 1, ended.stderr
    found = document((folder / "out.json").read_text())
    first = found["findings"][0]
    assert first["condition"] == "missing-zero-grad"
    proof = first["remedies"][0]["proof"]
    assert set(proof) == {"verdict", "metric", "baseline", "treated", "effect", "interval", "p", "steps", "seeds"}
    assert proof["verdict"] == "proven" and proof["seeds"] == 3 == len(proof["baseline"]) == len(proof["treated"])
    assert proof["interval"][0] <= proof["effect"] <= proof["interval"][1] and proof["steps"] == 120
    assert any(entry["name"].startswith("proof of missing-zero-grad") for entry in found["experiments"])
    assert all(set(entry) == {"name", "question", "answer", "figures"} for entry in found["experiments"])


def test_what_is_printed(proved: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, ended = proved
    rows = [row.split(maxsplit=1) for row in ended.stdout.splitlines()]
    labels = [row[0] for row in rows if row]
    assert labels.index("before") < labels.index("after") < labels.index("proof")
    assert "proven" in ended.stdout and "+" in ended.stdout
    assert "the same under other seeds, and a placebo (7 trials)" in ended.stderr


def test_the_patch_is_what_was_proven(proved: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, ended = proved
    assert (folder / "train.py.orig").read_text() == FAULTY
    assert not (folder / "model.pt").exists()
    applied = (folder / "train.py").read_text()
    assert applied != FAULTY and "train.py.orig" in ended.stderr
    (folder / "train.py").write_text(FAULTY)
    subprocess.run(["patch", "-p1", "-i", "fix.patch"], cwd=folder, check=True, capture_output=True)
    assert (folder / "train.py").read_text() == applied
    again = sgdoctor("run", "--format", "concise", "train.py", cwd=folder)
    assert again.returncode == 0 and "healthy" in again.stderr, again.stderr


def test_a_proof_can_be_reported_again(proved: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = proved
    records = sorted(entry.parent for entry in (folder / ".sgdoctor").glob("*/proof.json"))
    again = sgdoctor("report", "--json", "-", str(records[0]), cwd=folder)
    expected = document((folder / "out.json").read_text())
    assert document(again.stdout)["findings"] == expected["findings"]


def test_a_healthy_script_gets_no_patch(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(HEALTHY)
    ended = sgdoctor("prove", "--patch", "fix.patch", "--apply", "--json", "-", "train.py", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert document(ended.stdout)["verdict"] == "healthy"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".sgdoctor", "train.py"]


def test_a_record_is_proved_without_another_diagnosis(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(FAULTY)
    run = sgdoctor("run", "--record", "record", "--quiet", "train.py", cwd=tmp_path)
    assert run.returncode == 0
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", "add", "train.py"], cwd=tmp_path, check=True)
    subprocess.run(["git", *identity, "commit", "-qm", "x"], cwd=tmp_path, check=True)
    ended = sgdoctor("prove", "--seeds", "2", "--apply", "--json", "-", "record", cwd=tmp_path)
    proof = document(ended.stdout)["findings"][0]["remedies"][0]["proof"]
    assert proof["verdict"] == "proven" and proof["seeds"] == 2, ended.stderr
    assert not (tmp_path / "train.py.orig").exists()  # git has it
    assert (tmp_path / "train.py").read_text() != FAULTY


def test_a_script_that_does_not_repeat_itself_is_not_testable(tmp_path: Path) -> None:
    unsteady = FAULTY.replace(
        "lr=0.05)", "lr=0.02 + 0.001 * (int.from_bytes(__import__('os').urandom(2), 'big') / 65536))"
    )
    (tmp_path / "train.py").write_text(unsteady)
    ended = sgdoctor("prove", "--seeds", "2", "--patch", "-", "--json", "out.json", "--quiet", "train.py", cwd=tmp_path)
    proof = document((tmp_path / "out.json").read_text())["findings"][0]["remedies"][0]["proof"]
    assert proof["verdict"] == "not-testable" and ended.stdout == ""


def test_the_time_limit_holds(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(FAULTY.replace("range(120)", "range(10**9)"))
    ended = sgdoctor("prove", "--time-limit", "30", "--json", "-", "train.py", cwd=tmp_path)
    found = document(ended.stdout)
    assert ended.returncode == 1 and found["run"]["exit"] == "stopped" and found["run"]["steps"] > 100


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nothing.py"], "no such file"),
        (["--engine", "slurm", "train.py"], "no such engine"),
        (["--python", "nothing", "train.py"], "no such interpreter"),
        (["--time-limit", "-1", "train.py"], "must be positive"),
        (["--select", "nothing", "train.py"], "nothing"),
        (["--seeds", "0", "train.py"], "--seeds"),
    ],
)
def test_wrong_use_is_said(tmp_path: Path, arguments: list[str], text: str) -> None:
    (tmp_path / "train.py").write_text(FAULTY)
    ended = sgdoctor("prove", *arguments, cwd=tmp_path)
    assert ended.returncode == 2 and text in ended.stderr and "Traceback" not in ended.stderr


def test_a_script_without_training_and_one_with_a_wrong_syntax(tmp_path: Path) -> None:
    for text in ("print('hello')\n", "def (\n", "import torch\n"):
        (tmp_path / "train.py").write_text(text)
        ended = sgdoctor("prove", "--json", "-", "train.py", cwd=tmp_path)
        assert ended.returncode == 0 and "Traceback" not in ended.stderr, ended.stderr
        assert document(ended.stdout)["verdict"] in ("nothing-observed", "crashed")
