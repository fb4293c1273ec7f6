"""Finds every condition by walking this package."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from ..pages import page
from . import condition as condition_module
from .condition import Condition

OWN = {"catalogue", condition_module.__name__.rpartition(".")[2]}


@cache
def catalogue() -> dict[str, Condition]:
    """All conditions by id, in the order of their folders and names."""
    found: dict[str, Condition] = {}
    package = __name__.rpartition(".")[0]
    root = import_module(package)
    for info in pkgutil.walk_packages(root.__path__, package + "."):
        if info.ispkg or info.name.rpartition(".")[2] in OWN:
            continue
        declared = getattr(import_module(info.name), "CONDITION", None)
        if isinstance(declared, Condition):
            found[declared.id] = declared
    return found


def shown_by_source() -> dict[str, Condition]:
    """Those that `check` looks for, by id."""
    return {name: entry for name, entry in catalogue().items() if entry.in_source is not None}


def condition(name: str) -> Condition:
    """The condition with this id; raises UsageError with the nearest ids where there is none."""
    return catalogue()[page(name).id]
