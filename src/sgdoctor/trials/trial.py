"""A trial as plain data, what it yields, and what an engine is."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..record import Record
from ..record.signals import SIGNALS


@dataclass(frozen=True)
class Script:
    """What is run again. `target` is a path, or a module name where `module` is set; `cwd` where it was started."""

    target: str
    arguments: tuple[str, ...] = ()
    module: bool = False
    python: str = sys.executable
    cwd: Path = field(default_factory=Path.cwd)


@dataclass(frozen=True)
class Trial:
    """One run of a script under changed conditions.

    `sources`: file -> the text to run in its place (names as in the record). `intervention`: what the observer changes.
    `seed`: an offset on every seed, 0 for the script's own. `signals`: what is recorded, None for everything.
    """

    script: Script
    name: str
    sources: Mapping[str, str] = field(default_factory=dict)
    intervention: Mapping[str, Any] | None = None
    seed: int = 0
    draws: int = 0  # random numbers thrown away: a placebo
    max_steps: int | None = None
    seconds: float = 60.0
    memory: int | None = None  # bytes
    signals: tuple[str, ...] | None = None
    budget: float = 0.1  # share of the time that close looks may take

    def config(self, record: str, scratch: str) -> dict[str, Any]:
        """The launcher's configuration."""
        sources = {str((self.script.cwd / name).resolve()): text for name, text in self.sources.items()}
        plan = {"seed": self.seed, "draws": self.draws, "sources": sources, "scratch": scratch, "memory": self.memory}
        changed = {} if self.intervention is None else {"intervention": dict(self.intervention)}
        return {
            "record": record,
            "cwd": str(self.script.cwd),
            "budget": self.budget,
            "max_steps": self.max_steps,
            "signals": list(SIGNALS if self.signals is None else self.signals),
            "strict": False,
            "trial": plan,
            **changed,
        }


@dataclass(frozen=True)
class Result:
    """What a trial yielded. `status`: 128 + n for a signal; `stopped`: it was ended for its time."""

    trial: Trial
    record: Record
    status: int
    seconds: float
    output: str  # the last lines that it printed
    stopped: bool = False
    steps: int = 0


class Engine(Protocol):
    """Something that runs trials. Results come as they end; leaving the `with` block ends what still runs."""

    kind: str
    reason: str  # why it is this one

    def run(self, trials: Iterable[Trial]) -> Iterator[Result]: ...

    def __enter__(self) -> Engine: ...

    def __exit__(self, *error: object) -> None: ...
