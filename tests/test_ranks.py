"""Runs of several processes: who is observed, how their records become one, which rank failed first, who reports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from processes import SCRIPTS

from sgdoctor import gathering
from sgdoctor.conditions.replicas import Replicas, unjudged
from sgdoctor.diagnosis import diagnose
from sgdoctor.errors import RecordError
from sgdoctor.host.children import LAUNCHER, observed_command
from sgdoctor.host.world import Declared, declared
from sgdoctor.record import Record, Row, load
from sgdoctor.record.ranks import merged

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.mark.parametrize(
    "environment, expected",
    [
        ({"RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}, ("torchrun", 1, 4, 2)),
        ({"SLURM_PROCID": "3", "SLURM_NTASKS": "8", "SLURM_JOB_ID": "77"}, ("slurm", 3, 8, 0)),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, None),
        ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}, ("mpi", 0, 2, 0)),
        ({"RANK": "0", "WORLD_SIZE": "1"}, None),
        ({"RANK": "9", "WORLD_SIZE": "2"}, None),
        ({"RANK": "first", "WORLD_SIZE": "2"}, None),
        ({}, None),
    ],
)
def test_what_launchers_say(environment: dict[str, str], expected: Any) -> None:
    found = declared(environment)
    assert (found and (found.launcher, found.rank, found.world, found.local)) == expected


@pytest.mark.parametrize(
    "command, place",
    [
        (("/usr/bin/python3", "-u", "train.py", "--lr", "1"), 2),
        (("/usr/bin/python3", "-u", "-m", "package.train"), 2),
        (("numactl", "--cpunodebind=0", "/opt/bin/python", "-u", "train.py"), 4),
        (("/usr/bin/python3", "-u", "-m", "sgdoctor", "run", "train.py"), None),
        (("/usr/bin/python3", "-c", "print()"), None),
        (("./binary", "train.py"), None),
    ],
)
def test_a_command_line_of_a_launcher(command: tuple[str, ...], place: int | None) -> None:
    found = observed_command(command, {"record": "r"})
    if place is None:
        assert found == command
    else:
        assert found == (*command[:place], LAUNCHER, '{"record": "r"}', *command[place:])


def rank_rows(rank: int, *rows: Row, how: str | None = "completed", at: float = 1.0, restart: int = 0) -> list[Row]:
    """A process of a run of two ranks."""
    end = [{"k": "end", "how": how, "status": 0, "steps": 20, "at": at}] if how else []
    start = {"k": "start", "schema": 1, "pid": rank + 1, "script": "train.py", "argv": []}
    return [start, {"k": "rank", "rank": rank, "world": 2, "restart": restart, "at": 0.5}, *rows, *end]


def raised(kind: str, text: str = "") -> Row:
    """An exception row."""
    return {"k": "exception", "type": kind, "text": text, "step": 3}


CLOSED = raised("RuntimeError", "[/gloo/transport/tcp/pair.cc:534] Connection closed by peer")


@pytest.mark.parametrize(
    "first, second, expected",
    [
        (rank_rows(0), rank_rows(1), 0),
        (rank_rows(0), rank_rows(1, raised("ValueError"), how="raised"), 1),
        # What a rank raises because another is gone comes first by a clock that is off, and is still a consequence.
        (rank_rows(0, CLOSED, how="raised", at=1.0), rank_rows(1, raised("ValueError"), how="raised", at=2.0), 1),
        (rank_rows(0, CLOSED, how="raised"), rank_rows(1, how=None), 1),
        # The launcher ended the other one.
        (rank_rows(0, how=None), rank_rows(1, raised("ValueError"), how="raised"), 1),
        (rank_rows(0, how=None), rank_rows(1, how=None), 0),
        (rank_rows(0, raised("A"), how="raised", at=9.0), rank_rows(1, raised("B"), how="raised", at=8.0), 1),
    ],
)
def test_the_record_is_that_of_the_rank_that_failed_first(first: list[Row], second: list[Row], expected: int) -> None:
    record = Record(merged([first, second]))
    assert (record.rank, record.world_size) == (expected, 2)
    assert {row["rank"] for row in record.rows("rank")} == {0, 1}
    assert len(record.rows("start")) == 1 and len(record.rows("ended")) == 2


CHILD_FAILED = """train.py FAILED\nRoot Cause (first observed failure):\n[0]:\n  rank      : 1 (local_rank: 1)
  exitcode  : -9 (pid: 2)\n"""


@pytest.mark.parametrize("text", [CHILD_FAILED, "process 1 terminated with signal SIGKILL"])
def test_of_ranks_that_were_all_killed_the_launcher_knows_the_first(text: str) -> None:
    launcher = [{"k": "start", "schema": 1, "pid": 9, "script": "torchrun"}, raised("ChildFailedError", text)]
    assert Record(merged([launcher, rank_rows(0, how=None), rank_rows(1, how=None)])).rank == 1


def test_a_rank_that_was_told_to_go_did_not_fail_first() -> None:
    ranks = [rank_rows(0, how=None), rank_rows(1, how=None)]
    assert Record(merged(ranks, {0: 143, 1: 137})).rank == 1
    assert Record(merged(ranks, {0: 143, 1: 143})).rank == 0


def test_a_restarted_rank_counts_as_it_was_the_last_time() -> None:
    old = rank_rows(0, raised("ValueError"), how="raised")
    record = Record(merged([old, rank_rows(0, restart=1), rank_rows(1, restart=1)]))
    assert record.exception is None and record.world_size == 2


def test_processes_without_a_rank_are_no_ranks() -> None:
    launcher = [{"k": "start", "schema": 1, "pid": 9, "script": "torchrun"}] * 50
    record = Record(merged([launcher, rank_rows(0), rank_rows(1)]))
    assert record.start["script"] == "train.py"
    assert Record(merged([launcher[:1], launcher])).rows("ended") == []


def test_the_rank_that_failed_is_named() -> None:
    record = Record(
        merged([rank_rows(0, CLOSED, how="raised"), rank_rows(1, raised("ValueError", "bad"), how="raised")])
    )
    diagnosis = diagnose(record, strict=True)
    assert diagnosis.verdict == "crashed"
    assert "ValueError: bad" in diagnosis.summary and "rank 1 of 2, which raised first" in diagnosis.summary


def replica(rank: int, n: int, value: float, when: str = "step") -> Row:
    """What a rank held before its n-th step."""
    row: Row = {"k": "replica", "rank": rank, "opt": 0, "when": when, "n": n, "step": n, "shapes": [[4]]}
    return {**row, "params": [0], "sums": [value], "grads": [1.0]}


def test_weights_that_an_average_makes_equal_again_are_not_apart() -> None:
    apart = [replica(rank, n, 1.0 + rank * n) for rank in (0, 1) for n in (0, 5, 10, 20)]
    assert Replicas(Record.make({"k": "rank", "rank": 0, "world": 2}, *apart)).apart
    averaged = [replica(rank, 8, 2.0, "moves") for rank in (0, 1)]
    assert not Replicas(Record.make({"k": "rank", "rank": 0, "world": 2}, *apart, *averaged)).apart
    alike = [replica(rank, n, 1.0 + n) for rank in (0, 1) for n in (0, 5, 10)]
    assert not Replicas(Record.make({"k": "rank", "rank": 0, "world": 2}, *alike)).apart


def test_one_process_is_not_compared_with_itself() -> None:
    reason = unjudged(Record.make(), min_steps=1)
    assert reason is not None and reason.reason == "the run has one process"


def test_ranks_agree_on_a_folder(tmp_path: Path) -> None:
    made = []

    def make() -> Path:
        made.append(tmp_path / f"folder{len(made)}")
        made[-1].mkdir()
        return made[-1]

    first, second = (Declared("torchrun", rank, 2, 2, 0, "job") for rank in (0, 1))
    assert gathering.named(tmp_path, second, make) == gathering.named(tmp_path, first, make) == tmp_path / "folder0"
    other = Declared("torchrun", 0, 2, 2, 1, "job once more")
    assert gathering.named(tmp_path, other, make) == tmp_path / "folder1"
    wanted = tmp_path / "wanted"
    assert gathering.claimed(wanted, second) == gathering.claimed(wanted, first) == wanted
    with pytest.raises(RecordError, match="not an empty folder"):
        gathering.claimed(wanted, other)


def sgdoctor(cwd: Path, *command: str, through: tuple[str, ...] = ()) -> tuple[subprocess.CompletedProcess[str], Any]:
    """`sgdoctor run COMMAND`, or that as what a launcher starts, and the JSON it wrote."""
    document = cwd / "document.json"
    parts = [sys.executable, *through, "-m", "sgdoctor", "run", "--json", str(document), *command]
    settings = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(parts, cwd=cwd, env=settings, capture_output=True, text=True, timeout=300)
    return ended, json.loads(document.read_text()) if document.exists() else None


@pytest.mark.slow
def test_ranks_of_torchrun(tmp_path: Path) -> None:
    script = str(SCRIPTS / "two_ranks.py")
    settings = {**os.environ, "OMP_NUM_THREADS": "1"}
    plain = subprocess.run([sys.executable, *TORCHRUN, script], env=settings, capture_output=True, text=True)
    inside, document = sgdoctor(tmp_path, *TORCHRUN, script)
    assert inside.returncode == plain.returncode == 0, inside.stderr
    assert sorted(inside.stdout.splitlines()) == sorted(plain.stdout.splitlines())
    assert (document["run"]["world_size"], document["run"]["steps"], document["verdict"]) == (2, 30, "healthy")
    record = load(tmp_path / document["run"]["record"])
    assert {row["rank"] for row in record.rows("replica")} == {0, 1}
    assert not Replicas(record).apart and Replicas(record).steps
    outside, again = sgdoctor(tmp_path, script, through=TORCHRUN)
    assert outside.returncode == 0, outside.stderr
    assert sorted(outside.stdout.splitlines()) == sorted(plain.stdout.splitlines())
    assert outside.stderr.count("Nothing is wrong") == 1  # one of the ranks speaks
    assert again["run"]["world_size"] == 2 and len({row["rank"] for row in record.rows("ended")}) == 2


@pytest.mark.slow
@pytest.mark.parametrize("how, said", [("raise", "ValueError: a bad sample"), ("kill", "was killed first")])
def test_a_rank_that_falls(how: str, said: str, tmp_path: Path) -> None:
    ended, document = sgdoctor(tmp_path, *TORCHRUN, str(SCRIPTS / "two_ranks.py"), how)
    assert ended.returncode == 1  # torchrun's own
    assert said in document["summary"] and "rank 1 of 2" in document["summary"]
    assert document["run"]["exit"] == ("raised" if how == "raise" else "killed")
    assert document["run"]["steps"] >= 10


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_ranks_that_the_script_starts(method: str, tmp_path: Path) -> None:
    script = str(SCRIPTS / "spawned_ranks.py")
    settings = {**os.environ, "OMP_NUM_THREADS": "1"}
    plain = subprocess.run([sys.executable, script, method], env=settings, capture_output=True, text=True)
    ended, document = sgdoctor(tmp_path, script, method)
    assert (ended.returncode, ended.stdout) == (plain.returncode, plain.stdout)
    assert (document["run"]["world_size"], document["run"]["steps"]) == (2, 12)
    folder = tmp_path / document["run"]["record"]
    assert len(list(folder.glob("process-*.jsonl"))) == 3  # the script and its ranks: no worker, no pool


@pytest.mark.slow
def test_a_spawned_rank_that_raises(tmp_path: Path) -> None:
    ended, document = sgdoctor(tmp_path, str(SCRIPTS / "spawned_ranks.py"), "spawn", "raise")
    assert ended.returncode == 1 and "ValueError: a bad sample" in ended.stderr
    assert "/host/" not in ended.stderr and "<sgdoctor" not in ended.stderr  # no frame of ours
    assert "rank 1 of 2" in document["summary"] and document["verdict"] == "crashed"


@pytest.mark.slow
def test_sharded_parameters_are_left_alone(tmp_path: Path) -> None:
    script = str(SCRIPTS / "sharded_ranks.py")
    settings = {**os.environ, "OMP_NUM_THREADS": "1"}
    plain = subprocess.run([sys.executable, *TORCHRUN, script], env=settings, capture_output=True, text=True)
    ended, document = sgdoctor(tmp_path, *TORCHRUN, script)
    assert ended.returncode == 0, ended.stderr
    assert sorted(ended.stdout.splitlines()) == sorted(plain.stdout.splitlines())
    reasons = {each["condition"]: each["reason"] for each in document["not_evaluated"]}
    assert "sharded" in reasons["ranks-diverged"] and "sharded" in reasons["vanishing-gradients"]
    assert not [each for each in document["findings"] if each["severity"] != "info"]
