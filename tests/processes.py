"""Scripts as processes, plain and under the real launcher, reduced to what can be compared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from sgdoctor.process import LAUNCHER

SCRIPTS = Path(__file__).parent / "scripts"


class Ended(NamedTuple):
    """How a process ended and what it printed."""

    status: int
    stdout: str
    stderr: str


def plain(*command: str | Path, cwd: Path, python: str = sys.executable, stdin: str = "", **environment: str) -> Ended:
    """`python COMMAND...`."""
    return _run([python, *command], cwd, stdin, environment)


def observed(
    *command: str | Path,
    cwd: Path,
    record: Path,
    python: str = sys.executable,
    stdin: str = "",
    strict: bool = True,
    max_steps: int | None = None,
    intervention: dict[str, object] | None = None,
    **environment: str,
) -> Ended:
    """The same through the launcher, writing to `record`."""
    return _run([python, *observing(record, cwd, strict, max_steps, intervention), *command], cwd, stdin, environment)


def observing(
    record: Path,
    cwd: Path,
    strict: bool = True,
    max_steps: int | None = None,
    intervention: dict[str, object] | None = None,
) -> list[str]:
    """What stands between the interpreter and the script when it is observed."""
    record.mkdir(parents=True, exist_ok=True)
    config = {"record": str(record), "cwd": str(cwd), "strict": strict, "max_steps": max_steps}
    if intervention is not None:
        config["intervention"] = intervention
    return [str(LAUNCHER), json.dumps(config)]


def _run(command: list[str | Path], cwd: Path, stdin: str, environment: dict[str, str]) -> Ended:
    # Bytecode of the scripts would be one more difference between a first and a second run.
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", **environment}
    parts = [str(part) for part in command]
    ended = subprocess.run(parts, cwd=cwd, input=stdin.encode(), env=settings, capture_output=True, timeout=120)
    # Not as text: that would take a carriage return for a newline, and fail on bytes that are none.
    return Ended(ended.returncode, *(out.decode("utf-8", "surrogateescape") for out in (ended.stdout, ended.stderr)))
