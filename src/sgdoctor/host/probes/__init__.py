"""What is looked at: each probe is a class that turns events of the run into rows of the record.

A probe names the signals it provides in `SIGNALS` (a test holds them against the table in record/signals.py) and
implements any of the events that the observer sends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from .arguments import Arguments
from .batches import Batches
from .checkpoints import Checkpoints
from .crash import Crash
from .doors import Doors
from .dropouts import Dropouts
from .errors import Errors
from .gradients import Gradients
from .kept import Evaluations, KeptGraphs
from .loaders import Loaders
from .loop import Loop
from .loss import Losses
from .modes import Modes
from .modules import Modules
from .network import Network
from .pairs import Pairs
from .parameters import Parameters
from .precision import Precision
from .ranks import Ranks
from .resumes import Resumes
from .schedules import Schedules
from .score import Score
from .seeding import Seeding
from .structure import Structure
from .updates import Updates
from .validations import Validations
from .windows import Windows

# By the name of the observer's attribute.
PROBES: dict[str, Callable[[Any], Any]] = {
    "parameters": Parameters,
    "losses": Losses,
    "arguments": Arguments,
    "pairs": Pairs,
    "network": Network,
    "gradients": Gradients,
    "updates": Updates,
    "modes": Modes,
    "loaders": Loaders,
    "loop": Loop,
    "crash": Crash,
    "score": Score,
    # What surrounds a step
    "windows": Windows,
    "schedules": Schedules,
    "checkpoints": Checkpoints,
    "kept": KeptGraphs,
    "evaluations": Evaluations,
    "precision": Precision,
    "modules": Modules,
    "dropouts": Dropouts,
    "validations": Validations,
    "structure": Structure,
    "batches": Batches,
    "doors": Doors,
    "errors": Errors,
    # Many processes
    "ranks": Ranks,
    "resumes": Resumes,
    # How the run was set up
    "seeding": Seeding,
}
ON_REQUEST = ("score",)  # attached only where it is asked for by name
BASE = ("parameters", "losses", "loop", "updates", "crash", "ranks")  # the light layer: what every verdict needs


class Absent:
    """Stands where a probe is not needed, or has failed: takes any event and does nothing."""

    waiting = None  # what a probe has to tell at the next backward pass: events that nobody waits for are not sent
    log: ClassVar[deque[Any]] = deque(maxlen=0)

    def __getattr__(self, name: str) -> Any:
        return _nothing


def _nothing(*_: Any) -> None:
    return None
