"""Trials on this machine: children of a server that has imported torch, or fresh processes where that is unsafe."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import TrialError
from ..process import LAUNCHER, source_rows
from ..record import Record, load
from ..record.reader import PARENT_FILE
from .trial import Result, Script, Trial

ZYGOTE = LAUNCHER.parent / "zygote.py"
POLL_SECONDS = 0.02
STOP_SECONDS = 2.0  # a trial that is told to stop has this long until it is killed
READY_SECONDS = 120.0  # to import torch on a slow disk
OUTPUT_BYTES = 4000


@dataclass
class Running:
    """A trial that has been started."""

    trial: Trial
    folder: Path
    began: float
    pid: int = 0
    process: subprocess.Popen[bytes] | None = None
    status: int | None = None
    told: float | None = None  # when it was told to stop


def unsafe(record: Record) -> str | None:
    """Why a script may not be forked from a server that has imported torch; None where it may."""
    devices = {parameter.device.partition(":")[0] for parameter in record.parameters.values()}
    if devices - {"cpu", ""}:
        return f"it trains on {', '.join(sorted(devices - {'cpu', ''}))}, and a device does not survive a fork"
    if record.processes > 1:
        return f"{record.processes} of its processes train"
    return None


def environment() -> dict[str, str]:
    """Of a trial: one thread, so that its arms repeat each other whatever else runs, and no surprises from hashing."""
    return {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "MPLBACKEND": "Agg", **os.environ}


class Local:
    """Runs up to `workers` trials at once. `reason`: why in fresh processes; empty for the server.

    Everything lies under one temporary folder that goes when the engine is left.
    """

    def __init__(self, script: Script, workers: int | None = None, reason: str = "") -> None:
        self.kind = "fresh processes" if reason else "forked from one process"
        self.reason = reason
        self.workers = workers or len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else [0])
        self._script = script
        self._home = Path(tempfile.mkdtemp(prefix="sgdoctor-trials-"))
        self._server: subprocess.Popen[bytes] | None = None
        self._pending = b""
        self._count = 0
        self._running: dict[int, Running] = {}

    def __enter__(self) -> Local:
        return self

    def __exit__(self, *error: object) -> None:
        for running in self._running.values():
            self._kill(running)
        if self._server is not None:
            assert self._server.stdin is not None
            with suppress(OSError):
                self._server.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self._server.wait(STOP_SECONDS)
            self._server.kill()
            self._server.wait()
            assert self._server.stdout is not None
            self._server.stdout.close()
        shutil.rmtree(self._home, ignore_errors=True)

    def run(self, trials: Iterable[Trial]) -> Iterator[Result]:
        """Results as the trials end, in no order. Closing the iterator ends those that still run."""
        waiting = iter(trials)
        mine: set[int] = set()
        try:
            while True:
                while len(self._running) < self.workers and (trial := next(waiting, None)) is not None:
                    mine.add(self._start(trial))
                if not mine & set(self._running):
                    return
                self._wait()
                for number in [n for n in mine if n in self._running and self._running[n].status is not None]:
                    yield self._finish(self._running.pop(number))
        finally:
            for number in mine & set(self._running):
                self._kill(self._running.pop(number))

    # -- one trial -------------------------------------------------------------------------------------------

    def _start(self, trial: Trial) -> int:
        self._count += 1
        folder = self._home / str(self._count)
        for name in ("record", "scratch"):
            (folder / name).mkdir(parents=True)
        config = trial.config(str(folder / "record"), str(folder / "scratch"))
        running = self._running[self._count] = Running(trial, folder, time.monotonic())
        if self.reason:
            running.process = self._fresh(trial, config, folder)
            running.pid = running.process.pid
        else:
            self._ask(trial, config, folder)
        return self._count

    def _fresh(self, trial: Trial, config: dict[str, object], folder: Path) -> subprocess.Popen[bytes]:
        script = trial.script
        start = ["-m", script.target] if script.module else [script.target]
        with open(folder / "output", "wb") as output:
            return subprocess.Popen(
                [script.python, str(LAUNCHER), json.dumps(config), *start, *script.arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=script.cwd,
                env=environment(),
                start_new_session=True,
            )

    def _ask(self, trial: Trial, config: dict[str, object], folder: Path) -> None:
        server = self._server or self._serve()
        script = trial.script
        request = {
            "id": self._count,
            "config": config,
            "target": script.target,
            "arguments": list(script.arguments),
            "module": script.module,
            "output": str(folder / "output"),
            "cwd": str(script.cwd),
        }
        assert server.stdin is not None
        try:
            server.stdin.write(json.dumps(request).encode() + b"\n")
            server.stdin.flush()
        except OSError:
            raise TrialError(
                "the process that trials are forked from has ended; is the machine out of memory?"
            ) from None

    def _serve(self) -> subprocess.Popen[bytes]:
        command = [self._script.python, str(ZYGOTE)]
        errors = self._home / "server"
        with open(errors, "wb") as stream:
            self._server = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                cwd=self._script.cwd,
                env=environment(),
                start_new_session=True,  # Ctrl-C is for us to handle
            )
        deadline = time.monotonic() + READY_SECONDS
        while not (answers := self._answers(0.2)):
            if self._server.poll() is not None or time.monotonic() > deadline:
                tail = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
                raise TrialError(f"{self._script.python} cannot import torch for the trials: {' '.join(tail)}")
        assert "ready" in answers[0]
        return self._server

    def _answers(self, seconds: float) -> list[dict[str, object]]:
        assert self._server is not None and self._server.stdout is not None
        descriptor = self._server.stdout.fileno()
        if not select.select([descriptor], [], [], seconds)[0]:
            return []
        *lines, self._pending = (self._pending + os.read(descriptor, 1 << 16)).split(b"\n")
        return [json.loads(line) for line in lines]

    # -- while they run ----------------------------------------------------------------------------------------

    def _wait(self) -> None:
        if self._server is not None:
            for answer in self._answers(POLL_SECONDS):
                running = self._running.get(int(str(answer["id"])))
                if running is not None and "pid" in answer:
                    running.pid, running.began = int(str(answer["pid"])), time.monotonic()
                elif running is not None:
                    running.status = int(str(answer["status"]))
            if self._server.poll() is not None:
                raise TrialError("the process that trials are forked from has ended; is the machine out of memory?")
        else:
            time.sleep(POLL_SECONDS)
        now = time.monotonic()
        for running in self._running.values():
            if running.process is not None and (returned := running.process.poll()) is not None:
                running.status = returned if returned >= 0 else 128 - returned
            if running.pid and running.status is None and now - running.began > running.trial.seconds:
                self._out_of_time(running, now)

    def _out_of_time(self, running: Running, now: float) -> None:
        """First asked to stop at its next step, then killed."""
        if running.told is None:
            running.told = now
            with suppress(OSError):
                (running.folder / "record" / "stop").touch()
        elif now - running.told > STOP_SECONDS:
            self._kill(running)

    def _kill(self, running: Running) -> None:
        if running.pid:
            with suppress(OSError):
                os.killpg(running.pid, signal.SIGKILL)
        if running.process is not None:
            running.process.wait()

    def _finish(self, running: Running) -> Result:
        seconds = time.monotonic() - running.began
        record = finished(running.folder / "record", running.trial, running.status or 0, seconds)
        with open(running.folder / "output", "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - OUTPUT_BYTES))
            output = file.read().decode("utf-8", "replace")
        shutil.rmtree(running.folder / "scratch", ignore_errors=True)
        assert running.status is not None
        return Result(running.trial, record, running.status, seconds, output, running.told is not None, record.steps)


def finished(folder: Path, trial: Trial, status: int, seconds: float) -> Record:
    """The record of a trial that has ended, with the source that it ran; an empty one where it wrote none."""
    if not list(folder.glob("process-*.jsonl")):
        return Record([])
    rows = [{"k": "exit", "status": status, "seconds": round(seconds, 3), "target": trial.script.target}]
    for row in source_rows(folder, trial.script.cwd):
        rows.append({**row, "text": trial.sources.get(str(row["file"]), row["text"])})
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / PARENT_FILE).write_text(text, encoding="utf-8", errors="backslashreplace")
    return load(folder)
