"""Says why a PyTorch training run does not learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import RecordError, ScriptError, SgdoctorError, TrialError, UsageError

if TYPE_CHECKING:
    from .api import Observation, check, diagnose, load, observe, prove, run
    from .conditions import Finding
    from .diagnosis import Diagnosis
    from .record import Record

__all__ = [
    "Diagnosis",
    "Finding",
    "Observation",
    "Record",
    "RecordError",
    "ScriptError",
    "SgdoctorError",
    "TrialError",
    "UsageError",
    "check",
    "diagnose",
    "load",
    "observe",
    "prove",
    "run",
]

_HOMES = {
    "Diagnosis": ".diagnosis",
    "Finding": ".conditions",
    "Record": ".record",
    "load_ipython_extension": ".magic",  # what `%load_ext sgdoctor` calls
    "unload_ipython_extension": ".magic",
}


def __getattr__(name: str) -> Any:
    # Looked up when asked for: `sgdoctor --help` and `import sgdoctor` must not wait for numpy.
    if name not in __all__ and name not in _HOMES:
        raise AttributeError(f"module 'sgdoctor' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES.get(name, ".api"), __name__), name)


def __dir__() -> list[str]:
    return __all__
