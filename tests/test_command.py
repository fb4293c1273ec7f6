"""`sgdoctor run` and `report` from end to end: real scripts, real processes, the outside contract to the letter."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-m", "sgdoctor"]
HEAD = """
import os, signal, sys, time
import torch
torch.manual_seed(0)
x = torch.randn(256, 6)
y = x[:, :1] - 2 * x[:, 1:2] + 0.1 * torch.randn(256, 1)
model = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
"""
# Gradients are never cleared: line 13 of each script is the step().
FAULTY = (
    HEAD
    + """
def train(step):
    loss = ((model(x) - y) ** 2).mean()
    loss.backward()
    optimizer.step()
    return loss.item()
"""
)
HEALTHY = FAULTY.replace("    loss.backward()", "    optimizer.zero_grad(); loss.backward()")
LOOP = "for step in range(60):\n    train(step)\nprint('done')\n"


def sgdoctor(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run([*COMMAND, *arguments], cwd=cwd, env=settings, capture_output=True, text=True, timeout=120)


def document(folder: Path, name: str = "out.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / name).read_text())
    return found


def first_cause(found: dict[str, Any]) -> tuple[str, int]:
    first = found["findings"][0]
    return first["condition"], first["location"]["line"]


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(FAULTY + LOOP)
    return tmp_path


def test_faulty_script(faulty: Path) -> None:
    ended = sgdoctor("run", "--json", "out.json", "train.py", cwd=faulty)
    assert ended.returncode == 0
    assert ended.stdout == "done\n", "standard output is the script's own"
    found = document(faulty)
    assert (found["verdict"], found["run"]["exit"], found["run"]["steps"]) == ("faulty", "completed", 60)
    assert first_cause(found) == ("missing-zero-grad", 13)
    patch = found["findings"][0]["remedies"][0]["patch"]
    assert "+    optimizer.zero_grad()\n     loss.backward()" in patch
    last = ended.stderr.strip().splitlines()[-6:]
    assert any("missing-zero-grad" in line for line in last) and any("train.py:13" in line for line in last)


def test_patch_mends_the_script(faulty: Path) -> None:
    sgdoctor("run", "--quiet", "--json", "out.json", "train.py", cwd=faulty)
    patch = document(faulty)["findings"][0]["remedies"][0]["patch"]
    subprocess.run(["patch", "-p1"], cwd=faulty, input=patch, text=True, check=True, capture_output=True)
    sgdoctor("run", "--quiet", "--json", "after.json", "train.py", cwd=faulty)
    assert document(faulty, "after.json")["findings"] == []


def test_healthy_script(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(HEALTHY + LOOP)
    ended = sgdoctor("run", "--json", "out.json", "--exit-on", "warning", "train.py", cwd=tmp_path)
    assert ended.returncode == 0
    found = document(tmp_path)
    assert (found["verdict"], found["findings"]) == ("healthy", [])
    assert found["learning"]["loss_last"] < 0.1 * found["learning"]["loss_first"]


def test_quiet_prints_nothing_of_ours(faulty: Path) -> None:
    ended = sgdoctor("run", "--quiet", "train.py", cwd=faulty)
    assert (ended.stdout, ended.stderr) == ("done\n", "")


def test_json_on_standard_output_follows_the_scripts(faulty: Path) -> None:
    ended = sgdoctor("run", "--quiet", "--json", "-", "train.py", cwd=faulty)
    assert json.loads(ended.stdout.removeprefix("done\n"))["schema_version"] == 1


@pytest.mark.parametrize(("level", "status"), [("error", 10), ("warning", 10)])
def test_exit_on(level: str, status: int, faulty: Path) -> None:
    assert sgdoctor("run", "--quiet", "--exit-on", level, "train.py", cwd=faulty).returncode == status


def test_select_and_ignore(faulty: Path) -> None:
    sgdoctor("run", "--quiet", "--json", "out.json", "--ignore", "missing-zero-grad", "train.py", cwd=faulty)
    assert "missing-zero-grad" not in {f["condition"] for f in document(faulty)["findings"]}
    ended = sgdoctor("run", "--select", "no-such-thing", "train.py", cwd=faulty)
    assert ended.returncode == 2 and "no-such-thing" in ended.stderr and ended.stdout == ""


def test_comment_allows_a_condition(tmp_path: Path) -> None:
    allowed = FAULTY.replace("optimizer.step()", "optimizer.step()  # sgdoctor: allow[missing-zero-grad]")
    (tmp_path / "train.py").write_text(allowed + LOOP)
    sgdoctor("run", "--quiet", "--json", "out.json", "train.py", cwd=tmp_path)
    assert "missing-zero-grad" not in {f["condition"] for f in document(tmp_path)["findings"]}


def test_max_steps_ends_the_run_cleanly(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(FAULTY + LOOP.replace("range(60)", "range(10**9)"))
    ended = sgdoctor("run", "--quiet", "--max-steps", "25", "--json", "out.json", "train.py", cwd=tmp_path)
    found = document(tmp_path)
    assert (ended.returncode, ended.stdout, found["run"]["exit"], found["run"]["steps"]) == (0, "", "stopped", 25)


def test_stop_on_ends_a_long_run(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(FAULTY + LOOP.replace("range(60)", "range(10**9)"))
    ended = sgdoctor("run", "--quiet", "--stop-on", "missing-zero-grad", "--json", "out.json", "train.py", cwd=tmp_path)
    assert ended.returncode == 0
    assert document(tmp_path)["run"]["exit"] == "stopped"


def test_script_that_raises_is_diagnosed(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(FAULTY + LOOP.replace("    train(step)", "    train(step)\n    1 / (50 - step)"))
    ended = sgdoctor("run", "--json", "out.json", "train.py", cwd=tmp_path)
    found = document(tmp_path)
    assert ended.returncode == 1 and "ZeroDivisionError" in ended.stderr
    assert (found["verdict"], found["run"]["exit"]) == ("crashed", "raised")
    assert first_cause(found) == ("missing-zero-grad", 13)


def test_script_that_is_killed_is_diagnosed(tmp_path: Path) -> None:
    kill = "    train(step)\n    if step == 50:\n        os.kill(os.getpid(), signal.SIGKILL)"
    slow = LOOP.replace("    train(step)", "    time.sleep(0.01)\n" + kill)
    (tmp_path / "train.py").write_text(FAULTY + slow)
    ended = sgdoctor("run", "--quiet", "--json", "out.json", "train.py", cwd=tmp_path)
    found = document(tmp_path)
    assert (ended.returncode, found["run"]["exit_status"], found["run"]["exit"]) == (137, 137, "killed")
    assert found["verdict"] == "faulty"
    assert first_cause(found) == ("missing-zero-grad", 13)


def test_script_that_is_interrupted_is_diagnosed(tmp_path: Path) -> None:
    script = (
        FAULTY
        + "\nfor step in range(10**6):\n    train(step)\n    open('steps', 'a').write('.')\n    time.sleep(0.005)\n"
    )
    (tmp_path / "train.py").write_text(script)
    command = [*COMMAND, "run", "--quiet", "--json", "out.json", "train.py"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    marks = tmp_path / "steps"
    while not marks.exists() or marks.stat().st_size < 40:
        time.sleep(0.05)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    found = document(tmp_path)
    assert process.returncode == 130 and b"KeyboardInterrupt" in errors
    assert (found["run"]["exit"], found["verdict"]) == ("killed", "faulty")
    assert first_cause(found) == ("missing-zero-grad", 13)


def test_script_that_never_trains(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print('no torch here')\n")
    ended = sgdoctor("run", "--json", "out.json", "train.py", cwd=tmp_path)
    assert (ended.returncode, document(tmp_path)["verdict"]) == (0, "nothing-observed")


def test_few_steps_are_too_short(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(HEALTHY + LOOP.replace("60", "4"))
    sgdoctor("run", "--quiet", "--json", "out.json", "train.py", cwd=tmp_path)
    assert document(tmp_path)["verdict"] == "too-short"


def test_report_reads_the_last_record(faulty: Path) -> None:
    sgdoctor("run", "--quiet", "train.py", cwd=faulty)
    (faulty / "train.py").unlink()  # the record carries the source
    ended = sgdoctor("report", "--format", "concise", cwd=faulty)
    assert ended.returncode == 1 and ended.stdout.startswith("train.py:13: error [missing-zero-grad]")
    assert sgdoctor("report", "nowhere", cwd=faulty).returncode == 2


def test_disabled_is_a_plain_run(faulty: Path) -> None:
    ended = sgdoctor("run", "train.py", cwd=faulty, SGDOCTOR_DISABLE="1")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")
    assert not (faulty / ".sgdoctor").exists()


def test_missing_script_and_badnew_folder(faulty: Path) -> None:
    ended = sgdoctor("run", "nothing.py", cwd=faulty)
    assert ended.returncode == 2 and "nothing.py" in ended.stderr and "Traceback" not in ended.stderr
    ended = sgdoctor("run", "--record", "train.py", "train.py", cwd=faulty)
    assert ended.returncode == 2 and "--record" in ended.stderr and "Traceback" not in ended.stderr


def test_observe_in_process(tmp_path: Path) -> None:
    code = HEALTHY + (
        "\nimport sgdoctor\nwith sgdoctor.observe() as observation:\n    for step in range(60):\n        train(step)\n"
        "diagnosis = observation.diagnosis()\nprint(diagnosis.verdict, len(diagnosis.findings))\n"
        "assert 'healthy' in str(diagnosis)\n"
    )
    (tmp_path / "notebook.py").write_text(code)
    ended = subprocess.run(
        [sys.executable, "notebook.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert ended.stdout == "healthy 0\n", ended.stderr
