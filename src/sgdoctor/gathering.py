"""Several `sgdoctor run` of one distributed run: one folder for all of their records, one report."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from .errors import RecordError
from .host.world import Declared, declared

PATIENCE = 20.0  # seconds that the one which reports waits for the others, when its own script ended well
SHORT = 3.0  # and when it did not: the launcher ends the others only when it sees that this one is gone
POLL_SECONDS = 0.1


def own_rank() -> Declared | None:
    """The rank that a launcher has started this very process as: `torchrun -m sgdoctor run train.py`."""
    return declared(os.environ)


def reports(rank: Declared | None) -> bool:
    """Whether this one prints the report, and writes what files are asked for."""
    return rank is None or rank.rank == 0


def named(home: Path, rank: Declared, make: Callable[[], Path]) -> Path:
    """The folder that all ranks of a run on this machine write to: made by the first, found by the others."""
    mark = home / f".run-{_key(rank)}"
    for _ in range(3):
        with suppress(OSError):
            found = home / os.readlink(mark)
            if found.is_dir():
                return found
            mark.unlink(missing_ok=True)  # of a run long past
        folder = make()
        try:
            os.symlink(folder.name, mark)
        except FileExistsError:
            folder.rmdir()  # another was first
        except OSError:
            return folder
        else:
            return folder
    return make()


def claimed(folder: Path, rank: Declared) -> Path:
    """A folder that was asked for by name: empty, or begun by another rank of this run."""
    mark = folder / f".run-{_key(rank)}"
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not mark.exists():
        raise RecordError(f"--record {folder}: exists already and is not an empty folder; name another")
    mark.touch()
    return folder


def _key(rank: Declared) -> str:
    """The same for all ranks of a run; the launcher's own process tells one run from the next on a machine."""
    launcher = "" if rank.launcher == "slurm" else str(os.getppid())
    return hashlib.sha256(f"{rank.job} {launcher}".encode()).hexdigest()[:12]


def parent_file(first: str, rank: Declared | None) -> str:
    """What the parent of a rank writes to."""
    return first if reports(rank) or rank is None else first.replace(".", f"-{rank.rank}.")


def join(folder: Path, rank: Declared | None) -> None:
    """Say that this rank is there, and is to be waited for."""
    if rank is not None and not reports(rank):
        with suppress(OSError):
            (folder / f".rank-{rank.rank}").touch()


def wait_for_others(folder: Path, status: int) -> None:
    """Until the parents of the other ranks have written what they saw, or patience is at an end."""
    until = time.monotonic() + (SHORT if status else PATIENCE)
    while time.monotonic() < until and len(list(folder.glob("parent-*.jsonl"))) < len(list(folder.glob(".rank-*"))):
        time.sleep(POLL_SECONDS)
