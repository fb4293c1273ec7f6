"""Trials: repeatable under a forced seed, in every engine alike, and without a trace outside their scratch folder."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sgdoctor.trials import Script, Trial
from sgdoctor.trials.local import Local, unsafe
from sgdoctor.trials.trial import Engine, Result

SCRIPT = """
import argparse, os, pathlib, random, shutil, sys, tempfile
import numpy as np
import torch
from helper import SCALE
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.05)
lr = parser.parse_args().lr
x = torch.randn(64, 5)
y = SCALE * x[:, :1] + 0.1 * torch.from_numpy(np.random.default_rng().normal(size=(64, 1))).float()
model = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=lr)
for step in range(40):
    index = random.sample(range(64), 16)
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(x[index]), y[index])
    loss.backward()
    optimizer.step()
print("last", loss.item(), sys.stdin.read() == "")
"""
WRITES = """
torch.save(model.state_dict(), "model.pt")
assert torch.load("model.pt").keys() == model.state_dict().keys()
os.makedirs("runs/a/b", exist_ok=True)
with open("runs/a/b/log.txt", "w") as file:
    file.write("one")
with open("runs/a/b/log.txt", "a") as file:
    file.write(" two")
assert pathlib.Path("runs/a/b/log.txt").read_text() == "one two"
with open("notes.txt", "a") as file:
    file.write(" and more")
assert open("notes.txt").read() == "kept and more", open("notes.txt").read()
os.rename("notes.txt", "renamed.txt")
assert not os.path.exists("notes.txt") and sorted(os.listdir(".")) == [
    "helper.py", "kept", "model.pt", "renamed.txt", "runs", "train.py"
], os.listdir(".")
os.remove("helper.py")
assert not pathlib.Path("helper.py").exists()
shutil.rmtree("kept")
assert not os.path.isdir("kept")
np.save("array.npy", np.zeros(3)); assert np.load("array.npy").shape == (3,)
pathlib.Path(__file__).with_suffix(".json").write_text("{}")
descriptor = os.open("raw.bin", os.O_CREAT | os.O_WRONLY); os.write(descriptor, b"x"); os.close(descriptor)
tempfile.NamedTemporaryFile().close()
print("written")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "helper.py").write_text("SCALE = 2.0\n")
    (tmp_path / "notes.txt").write_text("kept")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "data.txt").write_text("data")
    return tmp_path


def files(folder: Path) -> dict[str, bytes]:
    """Everything under a folder but our own records."""
    found = (path for path in folder.rglob("*") if path.is_file() and ".sgdoctor" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def one(engine: Engine, trial: Trial) -> Result:
    (result,) = engine.run([trial])
    return result


def losses(result: Result) -> list[float]:
    return [float(value) for value in result.record.objectives[0].values]


@pytest.fixture(params=["", "asked for"], ids=["forked", "fresh"])
def local(request: pytest.FixtureRequest, folder: Path) -> Iterator[Local]:
    with Local(Script("train.py", cwd=folder), 2, request.param) as engine:
        yield engine


def test_a_forced_seed_repeats_an_unseeded_script(local: Local, folder: Path) -> None:
    script = Script("train.py", cwd=folder)
    trials = [Trial(script, "again", seed=seed, draws=draws) for seed, draws in ((0, 0), (0, 0), (1, 0), (0, 5))]
    found = {id(result.trial): result for result in local.run(trials)}
    results = [found[id(trial)] for trial in trials]
    assert [result.status for result in results] == [0] * 4, results[0].output
    same, again, other_seed, placebo = map(losses, results)
    assert same == again and len(same) == 40
    assert same != other_seed and same != placebo
    assert results[0].output.endswith("True\n")  # standard input is closed
    assert len(results[0].record.rows("score")) == 40


def test_a_seed_that_the_script_sets_is_shifted(folder: Path) -> None:
    (folder / "train.py").write_text(SCRIPT.replace("from helper", "torch.manual_seed(3)\nfrom helper"))
    with Local(Script("train.py", cwd=folder)) as engine:
        own, shifted = (losses(one(engine, Trial(Script("train.py", cwd=folder), "a", seed=seed))) for seed in (0, 1))
    assert own != shifted


def test_sources_and_arguments_and_steps(local: Local, folder: Path) -> None:
    script = Script("train.py", ("--lr", "0.01"), cwd=folder)
    plain = one(local, Trial(script, "plain"))
    patched = SCRIPT.replace("step()\nprint", "step()\nprint('patched')\nprint")
    changed = one(local, Trial(script, "changed", {"train.py": patched, "helper.py": "SCALE = 3.0\n"}, max_steps=7))
    assert plain.record.optimizers[0].lr == [0.01]
    assert losses(plain)[0] != losses(changed)[0] and changed.steps == 7
    texts = {row["file"]: row["text"] for row in changed.record.rows("source")}
    assert texts["train.py"] == patched
    assert files(folder).keys() == {"train.py", "helper.py", "notes.txt", "kept/data.txt"}


def test_what_a_trial_writes_goes_to_scratch(local: Local, folder: Path) -> None:
    (folder / "train.py").write_text(SCRIPT + WRITES)
    before = files(folder)
    result = one(local, Trial(Script("train.py", cwd=folder), "writes"))
    assert result.status == 0 and result.output.endswith("written\n"), result.output
    assert files(folder) == before


def test_writes_that_python_does_not_see_are_refused(local: Local, folder: Path) -> None:
    lines = """
import subprocess
print(subprocess.run(["sh", "-c", "echo gone > notes.txt; rm -f helper.py; mkdir made"]).returncode)
"""
    (folder / "train.py").write_text(SCRIPT + lines)
    before = files(folder)
    result = one(local, Trial(Script("train.py", cwd=folder), "writes"))
    if "ermission denied" not in result.output:
        pytest.skip("this kernel has no Landlock")
    assert files(folder) == before and not (folder / "made").exists()


def test_a_trial_out_of_time_is_stopped_at_a_step_or_killed(local: Local, folder: Path) -> None:
    slow = SCRIPT.replace("loss.backward()", "loss.backward(); __import__('time').sleep(0.2)").replace("(40)", "(4000)")
    (folder / "train.py").write_text(slow)
    result = one(local, Trial(Script("train.py", cwd=folder), "slow", seconds=20))
    assert result.stopped and 0 < result.steps < 4000 and result.record.end is not None
    (folder / "train.py").write_text("import torch\n" + "while True: pass\n")
    result = one(local, Trial(Script("train.py", cwd=folder), "endless", seconds=3))
    assert result.stopped and result.status == 128 + signal.SIGKILL


def test_memory_has_a_limit(local: Local, folder: Path) -> None:
    (folder / "train.py").write_text("import torch\nprint(torch.ones(2**31).sum())\n")
    result = one(local, Trial(Script("train.py", cwd=folder), "large", memory=4 * 2**30))
    assert result.status == 1 and "memory" in result.output


@pytest.mark.parametrize(
    "text", ["raise ValueError('x')\n", "def (\n", "import os\nos._exit(3)\n", "import nothing_of_the_kind\n"]
)
def test_a_script_that_fails_gives_a_result(local: Local, folder: Path, text: str) -> None:
    (folder / "train.py").write_text(text)
    result = one(local, Trial(Script("train.py", cwd=folder), "fails"))
    assert result.status in (1, 3) and result.steps == 0


def test_a_module_is_run_as_one(local: Local, folder: Path) -> None:
    (folder / "package").mkdir()
    (folder / "package" / "__main__.py").write_text(SCRIPT.replace("from helper", "from .helper"))
    (folder / "package" / "helper.py").write_text("SCALE = 2.0\n")
    result = one(local, Trial(Script("package", module=True, cwd=folder), "module"))
    assert result.status == 0 and result.steps == 40, result.output


def test_leaving_the_engine_leaves_nothing(folder: Path) -> None:
    (folder / "train.py").write_text("import torch, os\nprint(os.getpid(), flush=True)\nwhile True: pass\n")
    with Local(Script("train.py", cwd=folder), 1) as engine:
        results = engine.run([Trial(Script("train.py", cwd=folder), "endless")])
        engine._start(Trial(Script("train.py", cwd=folder), "endless"))
        deadline = time.monotonic() + 60
        output = engine._home / "1" / "output"
        while (not output.is_file() or not output.read_text().strip()) and time.monotonic() < deadline:
            engine._wait()
        pid = int(output.read_text())
        os.kill(pid, 0)
        results.close()
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    else:
        pytest.fail("the trial still runs")
    assert not engine._home.exists()


def test_scripts_that_must_not_be_forked_are_told_apart() -> None:
    from sgdoctor import Record

    def trained(device: str) -> Record:
        return Record.make({"k": "param", "i": 0, "name": "w", "shape": [1], "dtype": "float32", "device": device})

    assert unsafe(trained("cpu")) is None
    assert "cuda" in (unsafe(trained("cuda:0")) or "")


PROVE = [sys.executable, "-m", "sgdoctor", "prove", "--seeds", "2", "train.py"]
FAULTY = SCRIPT.replace("    optimizer.zero_grad()\n", "") + WRITES


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.3, 2.0, 5.0, 8.0])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_users_files_stay_when_a_proof_is_ended(folder: Path, seconds: float, number: int) -> None:
    (folder / "train.py").write_text(FAULTY)
    before = files(folder)
    process = subprocess.Popen(PROVE, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(seconds)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert files(folder) == before
    time.sleep(1.0)
    assert subprocess.run(["pgrep", "-f", f"zygote.*{folder}"], capture_output=True, check=False).stdout == b""


@pytest.mark.slow
def test_a_full_disk_loses_nothing(folder: Path) -> None:
    (folder / "train.py").write_text(FAULTY + "open('large.bin', 'wb').write(b'0' * 4_000_000)\n")
    before = files(folder)

    def little_space() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    ended = subprocess.run(PROVE, cwd=folder, preexec_fn=little_space, capture_output=True, text=True, timeout=120)
    assert ended.returncode in (0, 1), ended.stderr
    assert "Traceback" not in ended.stderr
    assert files(folder) == before


@pytest.mark.slow
def test_ray_gives_what_local_gives_and_retries_a_lost_worker(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    from sgdoctor.trials.ray import Ray

    script = Script("train.py", cwd=folder)
    with Local(script) as engine:
        expected = losses(one(engine, Trial(script, "a")))
    # The first time, the process above the trial dies: the worker of the cluster.
    marker = f"/dev/shm/sgdoctor-test-{os.getpid()}"
    text = f"import os, signal\nif not os.path.exists({marker!r}):\n    open({marker!r}, 'w').close()\n"
    text += "    os.kill(os.getppid(), signal.SIGKILL)\n    import time; time.sleep(60)\n"
    try:
        with Ray(script) as engine:
            lost = Trial(script, "lost", {"train.py": text + SCRIPT})
            found = {result.trial.name: result for result in engine.run([Trial(script, "a"), lost])}
    finally:
        Path(marker).unlink(missing_ok=True)
    assert losses(found["a"]) == expected and found["lost"].status == 0
    np.testing.assert_array_equal(losses(found["lost"]), expected)
