"""What is looked at: each probe is a class that turns events of the run into rows of the record.

A probe names the signals it provides in `SIGNALS` (a test holds them against the table in record/signals.py) and
implements any of the events that the observer sends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .batches import Batches
from .crash import Crash
from .doors import Doors
from .gradients import Gradients
from .loaders import Loaders
from .loop import Loop
from .loss import Losses
from .modes import Modes
from .network import Network
from .parameters import Parameters
from .updates import Updates

# By the name of the observer's attribute.
PROBES: dict[str, Callable[[Any], Any]] = {
    "parameters": Parameters,
    "losses": Losses,
    "network": Network,
    "gradients": Gradients,
    "updates": Updates,
    "modes": Modes,
    "loaders": Loaders,
    "loop": Loop,
    "crash": Crash,
    "batches": Batches,
    "doors": Doors,
}
BASE = ("parameters", "losses", "loop", "updates", "crash")  # the light layer: what every verdict needs


class Absent:
    """Stands where a probe is not needed, or has failed: takes any event and does nothing."""

    def __getattr__(self, name: str) -> Any:
        return _nothing


def _nothing(*_: Any) -> None:
    return None
