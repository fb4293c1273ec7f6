"""The functions that `sgdoctor` exports; the commands call these."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .cells import Session, session
from .conditions import Finding, catalogue, condition
from .diagnosis import Diagnosis
from .diagnosis import diagnose as _diagnose
from .errors import ScriptError, UsageError
from .process import Plan, session_rows, source_rows
from .process import run as _run
from .record import Record
from .record import load as _load
from .record.reader import PARENT_FILE

if TYPE_CHECKING:
    from .trials.prove import Watch


def run(script: str | os.PathLike[str], args: Sequence[str] = (), **options: Any) -> Record:
    """Run a script under observation, in a process of its own, and return its record.

    `options`: those of `Plan` (python, record, budget, max_steps, module, signals). Raises ScriptError where the
    script cannot be started; a script that fails gives a record like any other.
    """
    return _run(Plan(os.fspath(script), tuple(args), **options))


def diagnose(
    record: Record | str | os.PathLike[str], *, select: Iterable[str] = (), ignore: Iterable[str] = ()
) -> Diagnosis:
    """What a record shows. `select`/`ignore`: ids of conditions. Raises RecordError, UsageError."""
    strict = os.environ.get("SGDOCTOR_STRICT") == "1"
    return _diagnose(
        record if isinstance(record, Record) else load(record), select=select, ignore=ignore, strict=strict
    )


def prove(
    script: str | os.PathLike[str],
    args: Sequence[str] = (),
    *,
    record: Record | None = None,
    module: bool = False,
    python: str = sys.executable,
    seeds: int = 3,
    workers: int | None = None,
    engine: str = "local",
    time_limit: float = 600.0,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    watch: Watch | None = None,
) -> Diagnosis:
    """The diagnosis of a script with its remedies tried, and judged, against the script as it is.

    Nothing of the user's is written: trials write to a scratch folder. `record`: one that the script has left already.
    `seeds`: how many pairs of runs a judgement stands on. `time_limit`: seconds for everything.
    Raises ScriptError, TrialError, UsageError.
    """
    from .trials.engines import engine_named
    from .trials.prove import Proving, Watch
    from .trials.trial import Script

    target = os.fspath(script)
    if not module and not os.path.exists(target):
        raise ScriptError(f"{target}: there is no such file; give the path of the script that trains")
    proving = Proving(
        Script(target, tuple(args), module, python),
        seeds,
        time_limit,
        workers,
        engine_named(engine),
        watch or Watch(),
        tuple(select),
        tuple(ignore),
    )
    return proving.run(record)


def check(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
) -> list[Finding]:
    """What the source of files and folders shows by itself, in the order of the files; nothing is run.

    Each finding names its `condition`. What cannot be read is warned about. Raises UsageError.
    """
    from .checking import examine

    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    strict = os.environ.get("SGDOCTOR_STRICT") == "1"
    checked = examine([os.fspath(path) for path in given], select=select, ignore=ignore, strict=strict)
    for each in checked.unread:
        warnings.warn(f"{each.file}: {each.reason}", stacklevel=2)
    return [placed.finding for placed in checked.findings]


def load(path: str | os.PathLike[str]) -> Record:
    """The record in a folder. Raises RecordError."""
    return _load(Path(path))


def needed_signals(select: Iterable[str], ignore: Iterable[str]) -> tuple[str, ...]:
    """Names of the signals that the chosen conditions need: the probes of the others are not attached."""
    dropped = {condition(name).id for name in ignore}
    chosen = [condition(name) for name in select] or list(catalogue().values())
    return tuple(sorted({signal for entry in chosen if entry.id not in dropped for signal in entry.needs}))


class Observation:
    """Code of this process under observation, between `with observe() as observation:` and its end."""

    _current: Observation | None = None  # the one that is going on in this process

    def __init__(self, record: Path, budget: float) -> None:
        self._folder = record
        self._budget = budget
        self._host: Any = None
        self._session = Session()

    def __enter__(self) -> Observation:
        from .host.attach import Observation as Host

        if Observation._current is not None:
            raise UsageError("code of this process is under observation already; two would see each other's patches")
        if self._host is not None:
            raise UsageError("this observation is over; sgdoctor.observe() makes another")
        cwd = os.getcwd()
        strict = os.environ.get("SGDOCTOR_STRICT") == "1"
        self._session = session()
        config = {"record": str(self._folder), "cwd": cwd, "budget": self._budget, "strict": strict}
        self._host = Host({**config, "cells": dict(self._session.names or {})})
        self._host.start(script=None, argv=[])
        Observation._current = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        Observation._current = None
        if error is not None:
            self._host.raised(error)
        self._host.finish("completed" if error is None else "raised", 0 if error is None else 1)
        import json

        rows = source_rows(self._folder) + session_rows(self._session)
        (self._folder / PARENT_FILE).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def _repr_html_(self) -> str:
        return self.diagnosis()._repr_html_()

    def record(self) -> Record:
        """What was seen."""
        return load(self._folder)

    def diagnosis(self) -> Diagnosis:
        """What it shows. `print(observation.diagnosis())` prints the report; a notebook shows it as its last line."""
        return diagnose(self.record())


def observe(record: str | os.PathLike[str] | None = None, *, budget: float = 0.02) -> Observation:
    """Observe code of this process, for what the command cannot start: notebooks, services.

    Nothing stays attached after the `with` block. `record`: an empty folder; a temporary one by default.
    """
    folder = Path(record) if record is not None else Path(tempfile.mkdtemp(prefix="sgdoctor-"))
    folder.mkdir(parents=True, exist_ok=True)
    return Observation(folder, budget)
