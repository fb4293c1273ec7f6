"""The script's own process, seen from its parent: started, watched while it runs, its exit written down."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from .cells import FILE, Session
from .errors import RecordError, ScriptError
from .gathering import claimed, join, named, own_rank, parent_file, reports, wait_for_others
from .record import Record, load
from .record.reader import PARENT_FILE

LAUNCHER = Path(__file__).parent / "host" / "launch.py"
RECORDS = ".sgdoctor"  # folder of records in the working directory
KEPT_RECORDS = 20  # newest records kept there
KEPT_BYTES = 512 * 2**20
FIRST_LOOK = 2.0  # seconds until the record is first looked at while the script runs
LOOK_SHARE = 0.01  # share of the time spent on such looks
POLL_SECONDS = 0.05
MAX_SOURCES = 40  # files of the user's own code copied into a record
MAX_SOURCE_BYTES = 512 * 1024


@dataclass(frozen=True)
class Plan:
    """What to run and how to observe it. `target` is a path, or a module name where `module` is set."""

    target: str
    arguments: tuple[str, ...] = ()
    module: bool = False
    python: str = sys.executable
    record: Path | None = None
    budget: float = 0.02
    max_steps: int | None = None
    signals: tuple[str, ...] | None = None


def run(plan: Plan, look: Callable[[Record], bool] | None = None) -> Record:
    """Run the script to its end, however it ends, and return its record.

    `look` is given the record so far every now and then, and returns whether the run should be stopped.
    Raises ScriptError where the script cannot be started, RecordError where no record can be written.
    """
    _check(plan)
    folder = new_folder(plan.record)
    join(folder, own_rank())
    config: dict[str, Any] = {
        "record": str(folder),
        "cwd": os.getcwd(),
        "budget": plan.budget,
        "max_steps": plan.max_steps,
        "signals": None if plan.signals is None else list(plan.signals),
        "strict": os.environ.get("SGDOCTOR_STRICT") == "1",
    }
    start = ["-m", plan.target] if plan.module else [plan.target]
    command = [plan.python, str(LAUNCHER), json.dumps(config), *start, *plan.arguments]
    began = time.monotonic()
    status = _wait(command, folder, look)
    _write_parent_rows(folder, plan, status, time.monotonic() - began)
    rank = own_rank()
    if rank is not None and reports(rank):
        wait_for_others(folder, status)
    return load(folder, parent_file(PARENT_FILE, rank))


def pass_through(plan: Plan) -> int:
    """Run the script without observing it; its exit status (128 + n for a signal)."""
    _check(plan)
    start = ["-m", plan.target] if plan.module else [plan.target]
    return _wait([plan.python, *start, *plan.arguments], None, None)


def _check(plan: Plan) -> None:
    if shutil.which(plan.python) is None:
        raise ScriptError(f"--python {plan.python}: there is no such interpreter")
    if not plan.module and not os.path.exists(plan.target):
        raise ScriptError(f"{plan.target}: there is no such file; give the path of the script that trains")


def _wait(command: Sequence[str], folder: Path | None, look: Callable[[Record], bool] | None) -> int:
    """Start, pass signals on, look at the record now and then; the exit status (128 + n for a signal)."""
    try:
        child = subprocess.Popen(command)
    except OSError as error:
        raise ScriptError(f"{command[0]} cannot be started: {error.strerror}") from None

    def forward(number: int, frame: FrameType | None) -> None:
        with suppress(OSError):
            child.send_signal(number)

    # The terminal sends Ctrl-C to the script as well: the parent only has to outlive it. SIGTERM comes to us alone.
    previous = {
        signal.SIGINT: signal.signal(signal.SIGINT, _interrupt_passer(child)),
        signal.SIGTERM: signal.signal(signal.SIGTERM, forward),
    }
    try:
        next_look = time.monotonic() + FIRST_LOOK
        while True:
            try:
                returned = child.wait(None if look is None or folder is None else POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                if time.monotonic() >= next_look:
                    assert look is not None and folder is not None
                    began = time.monotonic()
                    if _look(folder, look):
                        (folder / "stop").write_text(str(_last_step(load(folder))))
                        look = None
                    spent = time.monotonic() - began
                    next_look = time.monotonic() + max(FIRST_LOOK, spent / LOOK_SHARE)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return returned if returned >= 0 else 128 - returned


def _interrupt_passer(child: subprocess.Popen[bytes]) -> Callable[[int, FrameType | None], None]:
    """Ctrl-C at a terminal reaches the whole foreground group; `kill -INT` of the parent alone does not."""

    def handle(number: int, frame: FrameType | None) -> None:
        if not sys.stdin.isatty():
            with suppress(OSError):
                child.send_signal(number)

    return handle


def _look(folder: Path, look: Callable[[Record], bool]) -> bool:
    try:
        return look(load(folder))
    except RecordError:
        return False


def _last_step(record: Record) -> int:
    """The step to end at: now, for one process; for ranks one that none of them has passed yet."""
    if record.world_size < 2:
        return 0
    last = (record.rows("pulse") or [{}])[-1]
    pace = float(record.steps) / max(0.1, float(last.get("of") or 0.0))
    return record.steps + 2 + int(2.0 * pace)


def new_folder(wanted: Path | None = None) -> Path:
    """An empty folder for a record: the one wanted, or one in `.sgdoctor/` (a temporary one where that cannot be)."""
    rank = own_rank()
    if wanted is not None:
        if rank is not None:
            return claimed(wanted, rank).resolve()
        if wanted.exists() and (not wanted.is_dir() or any(wanted.iterdir())):
            raise RecordError(f"--record {wanted}: exists already and is not an empty folder; name another")
        try:
            wanted.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordError(f"--record {wanted}: cannot be made ({error.strerror})") from None
        return wanted.resolve()
    home = Path(RECORDS)
    name = time.strftime("%Y%m%d-%H%M%S-") + str(os.getpid())
    try:
        home.mkdir(exist_ok=True)
        ignore = home / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        folder = _made(home / name) if rank is None else named(home, rank, lambda: _made(home / name))
    except OSError:
        return Path(tempfile.mkdtemp(prefix="sgdoctor-"))
    _thin(home)
    return folder.resolve()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _thin(home: Path) -> None:
    """Drop the oldest records beyond what is kept by count and by size."""
    folders = sorted(
        (entry for entry in home.iterdir() if _is_record(entry)), key=lambda entry: entry.name, reverse=True
    )
    for entry in home.iterdir():
        if entry.is_symlink() and not entry.exists():
            entry.unlink(missing_ok=True)
    total = 0
    for index, folder in enumerate(folders):
        total += sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
        if index and (index >= KEPT_RECORDS or total > KEPT_BYTES):
            shutil.rmtree(folder, ignore_errors=True)


def _is_record(entry: Path) -> bool:
    return entry.is_dir() and not entry.is_symlink()


def last_record() -> Path:
    """The newest record in the working directory; raises RecordError where there is none."""
    home = Path(RECORDS)
    folders = sorted(entry for entry in home.iterdir() if _is_record(entry)) if home.is_dir() else []
    if not folders:
        raise RecordError(f"no record in {home}/: run `sgdoctor run SCRIPT` first, or name a record's folder")
    return folders[-1]


def _write_parent_rows(folder: Path, plan: Plan, status: int, seconds: float) -> None:
    rows: list[dict[str, Any]] = [
        {"k": "exit", "status": status, "seconds": round(seconds, 3), "target": plan.target, "module": plan.module}
    ]
    rows[0]["argv"] = list(plan.arguments)
    rank = own_rank()
    try:
        rows += source_rows(folder) if reports(rank) else []
        text = "".join(json.dumps(row) + "\n" for row in rows)
        file = folder / parent_file(PARENT_FILE, rank)
        file.write_text(text, encoding="utf-8", errors="backslashreplace")
        (folder / "stop").unlink(missing_ok=True)
    except OSError:
        return  # a full disk: the child's own rows stand
    if not list(folder.glob("process-*.jsonl")):
        raise ScriptError(f"{plan.target} ended with status {status} before it could be observed (see its output)")


def session_rows(session: Session) -> list[dict[str, Any]]:
    """The cells of a notebook as one text, see `cells`."""
    if session.cells is None:
        return []
    heads, numbers = list(session.cells.heads), list(session.cells.numbers)
    return [{"k": "source", "file": FILE, "text": session.text, "heads": heads, "cells": numbers}]


def source_rows(folder: Path, cwd: Path | None = None) -> list[dict[str, Any]]:
    """The user's files that the run passed through, so that the record can be read elsewhere and later.

    `cwd`: where the script was started, if not here.
    """
    home = cwd or Path.cwd()
    record = load(folder)
    script = record.start.get("script")
    files = []
    if isinstance(script, str) and script.endswith(".py"):
        files.append(os.path.relpath(home / script, home).replace(os.sep, "/"))
    files += [site.file for site in record.sites.values()]
    rows = []
    for name in dict.fromkeys(files):
        path = home / name
        with suppress(OSError, UnicodeDecodeError):
            if path.suffix == ".py" and path.is_file() and path.stat().st_size <= MAX_SOURCE_BYTES:
                rows.append({"k": "source", "file": name, "text": path.read_bytes().decode("utf-8")})
        if len(rows) >= MAX_SOURCES:
            break
    return rows
