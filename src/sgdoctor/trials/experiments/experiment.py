"""What an experiment is: arms to run beside the script as it is, and a judge of their records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...conditions import Outcome
from ...record import Record

Spec = dict[str, Any]  # an intervention: {"name": ..., **parameters}, see host/interventions


@dataclass(frozen=True)
class Experiment:
    """A question, the runs that answer it, and the conditions it decides.

    `arms`: name -> intervention, none where the record leaves nothing to ask. The script unchanged is always run as
    well and given to `judge` as the baseline. Both are pure functions: an experiment runs nothing itself.
    """

    name: str
    question: str
    arms: Callable[[Record], dict[str, Spec]]
    judge: Callable[[Record, dict[str, Record]], Outcome]
    decides: tuple[str, ...] = ()

    def cannot(self, reason: str) -> Outcome:
        """The outcome where it could not be made."""
        return Outcome(self.name, self.question, f"could not be made: {reason}")
