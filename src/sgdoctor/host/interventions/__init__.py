"""Interventions: changes of a run made on purpose, so that an experiment can compare it with the run as it is.

One intervention is one file here, which ends in `INTERVENTION`, a subclass of `intervention.Intervention`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .intervention import Intervention

__all__ = ["Intervention", "make"]


def make(observer: Any, spec: dict[str, Any]) -> Intervention:
    """The intervention that `{"name": ..., **parameters}` asks for, not yet installed. ValueError for another name."""
    parameters = dict(spec)
    name = str(parameters.pop("name", ""))
    if not name.isidentifier() or name == "intervention":
        raise ValueError(f"there is no intervention {name!r}")
    try:
        module = import_module(f"{__name__}.{name}")
    except ModuleNotFoundError:
        raise ValueError(f"there is no intervention {name!r}") from None
    made: Intervention = module.INTERVENTION(observer, name, **parameters)
    return made
