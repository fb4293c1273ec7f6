"""Finds every experiment by walking this package."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from .experiment import Experiment


@cache
def experiments() -> dict[str, Experiment]:
    """All experiments by name, in the order of their names."""
    found: dict[str, Experiment] = {}
    package = __name__.rpartition(".")[0]
    for info in pkgutil.iter_modules(import_module(package).__path__):
        if f"{package}.{info.name}" == __name__:
            continue
        declared = getattr(import_module(f"{package}.{info.name}"), "EXPERIMENT", None)
        if isinstance(declared, Experiment):
            found[declared.name] = declared
    return dict(sorted(found.items()))


def experiment(name: str) -> Experiment:
    """The experiment of this name; KeyError where there is none."""
    return experiments()[name]
