"""However a run ends, and whatever happens to the place of its record: the script's own end, and a record that is
readable and diagnosed."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from forks import Forks

from sgdoctor.diagnosis import diagnose
from sgdoctor.record import load

TRAIN = """
import os, resource, shutil, signal, sys, time
import torch
torch.manual_seed(0)
w = torch.zeros(64, requires_grad=True)
optimizer = torch.optim.SGD([w], 0.01)
def act():
    {act}
step = 0
while step < {steps}:
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(w, torch.ones(64))
    loss.backward()
    optimizer.step()
    time.sleep({pause})
    step += 1
    if step == {at}:
        print("now", flush=True)
        act()
if "{after}" == "digest":
    print(w.sum().item(), torch.get_rng_state().sum().item())
"""
ENDS = {
    "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
    "SIGTERM": "os.kill(os.getpid(), signal.SIGTERM)",
    "SIGABRT": "os.abort()",
    "SIGINT twice": """
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
    except KeyboardInterrupt:
        print("saving", flush=True)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
    """,
    "MemoryError": "raise MemoryError",
    "no memory": "torch.ones(2**50)",
    "no more processes or files": """
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    open("more")
    """,
    "os._exit": "os._exit(7)",
    "SystemExit": "sys.exit('enough')",
}
GOES_ON = {
    "full disk": "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))",
    "record removed": "shutil.rmtree(RECORD, ignore_errors=True)",
    "record replaced": """
    if os.path.isdir(RECORD):
        shutil.rmtree(RECORD)
        open(RECORD, "w").close()
    """,
    "closed stdout": "sys.stdout.close(); sys.stdout = sys.stderr",
    "closed descriptors": "os.closerange(3, 1000)",
    "another folder": "os.chdir('/')",
    "no memory, caught": """
    try:
        torch.ones(2**50)
    except RuntimeError as error:
        print("smaller", flush=True)
    """,
}


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks() as server:
        yield server


def write(folder: Path, act: str, **given: Any) -> None:
    """The script: what happens in it, and at which step."""
    given = {"steps": 60, "at": 20, "pause": 0, "after": "digest", **given}
    text = TRAIN.format(act=dedent(act).strip().replace("\n", "\n    "), **given)
    (folder / "train.py").write_text(text.replace("RECORD", repr(str(folder / "record"))))


def both(forks: Forks, folder: Path) -> int:
    """Run it alone and observed, compare; the exit status."""
    expected = forks.run("train.py", cwd=folder, home=folder / "home")
    seen = forks.run("train.py", cwd=folder, home=folder / "home", record=folder / "record")
    assert seen == expected
    assert "now\n" in expected[1]
    return expected[0]


@pytest.mark.parametrize("at", [1, pytest.param(7, marks=pytest.mark.slow), 40])
@pytest.mark.parametrize("name", ENDS)
def test_a_run_that_ends(forks: Forks, tmp_path: Path, name: str, at: int) -> None:
    write(tmp_path, ENDS[name], at=at)
    assert both(forks, tmp_path) != 0
    record = load(tmp_path / "record")
    assert diagnose(record, strict=True).verdict
    assert not record.rows("probe_failed")


@pytest.mark.parametrize("at", [1, pytest.param(7, marks=pytest.mark.slow), 40])
@pytest.mark.parametrize("name", GOES_ON)
def test_a_run_that_goes_on(forks: Forks, tmp_path: Path, name: str, at: int) -> None:
    write(tmp_path, GOES_ON[name], at=at)
    assert both(forks, tmp_path) == 0
    if (tmp_path / "record").is_dir() and list((tmp_path / "record").iterdir()):
        assert diagnose(load(tmp_path / "record"), strict=True).verdict
    else:
        assert name.startswith("record")


def test_a_kill_loses_a_fifth_of_a_second(forks: Forks, tmp_path: Path) -> None:
    pause, at = 0.02, 40
    write(tmp_path, ENDS["SIGKILL"], at=at, pause=pause)
    both(forks, tmp_path)
    (objective,) = load(tmp_path / "record").objectives
    assert at - 0.2 / pause - 1 <= objective.count <= at


@pytest.mark.parametrize("place", ["/proc", "/dev/null/record"])
def test_no_place_for_a_record(forks: Forks, tmp_path: Path, place: str) -> None:
    write(tmp_path, "pass")
    expected = forks.run("train.py", cwd=tmp_path, home=tmp_path / "home")
    config = {"record": place, "cwd": str(tmp_path)}
    seen = forks.run("train.py", cwd=tmp_path, home=tmp_path / "home", record=tmp_path / "unused", override=config)
    assert seen == expected


def command(folder: Path, shell: str = "", **options: Any) -> subprocess.Popen[bytes]:
    """`sgdoctor run train.py` as a process, behind a shell that redirects its streams."""
    start = ["sh", "-c", f'exec "$@" {shell}', "sh", sys.executable, "-m", "sgdoctor", "run", "train.py"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(start, cwd=folder, stdin=subprocess.DEVNULL, **streams, **options)


@pytest.mark.slow
@pytest.mark.parametrize("shell", [">&-", "2>&-", ">&- 2>&-", ">/dev/full"])
def test_the_command_without_a_stream(tmp_path: Path, shell: str) -> None:
    write(tmp_path, "pass", after="")
    plain = subprocess.run(
        ["sh", "-c", f'exec "$@" {shell}', "sh", sys.executable, "train.py"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    process = command(tmp_path, shell)
    _, said = process.communicate(timeout=120)
    assert process.returncode == plain.returncode
    assert b"sgdoctor" in said or "2>" in shell
    assert b"Traceback" not in said.replace(plain.stderr, b"")


@pytest.mark.slow
@pytest.mark.parametrize("numbers", [(signal.SIGTERM,), (signal.SIGINT,), (signal.SIGINT, signal.SIGINT)])
def test_the_command_that_is_told_to_end(tmp_path: Path, numbers: tuple[int, ...]) -> None:
    write(tmp_path, "pass", steps=100_000, at=20, pause=0.01)
    process = command(tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == b"now\n"
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.1)
    _, said = process.communicate(timeout=120)
    # Python makes 1 of a KeyboardInterrupt that nobody catches, and a second Ctrl-C kills it on its way out.
    assert process.returncode in ((1, 130) if signal.SIGINT in numbers else (128 + numbers[0],))
    assert b"loss" in said and b"record" in said  # diagnosed all the same


@pytest.mark.slow
def test_the_command_where_nothing_can_be_written(tmp_path: Path) -> None:
    write(tmp_path, "pass")
    (tmp_path / ".sgdoctor").write_text("in the way")
    process = command(tmp_path)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0 and b"healthy" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == [".sgdoctor", "train.py"]


@pytest.mark.slow
def test_the_command_on_a_full_disk(tmp_path: Path) -> None:
    write(tmp_path, "pass")

    def little_space() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

    process = command(tmp_path, preexec_fn=little_space, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0 and b"Traceback" not in said
