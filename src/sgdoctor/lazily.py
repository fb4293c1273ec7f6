"""A module that is imported when something of it is used, not before.

`importlib.util.LazyLoader` loads at the second `import` of a module, for that reads its `__spec__` (Python 3.11).
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class Later(ModuleType):
    """Stands where the module will stand."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)

    def __getattr__(self, wanted: str) -> Any:
        name = self.__spec__.name  # type: ignore[union-attr]
        if sys.modules.get(name) is self:
            del sys.modules[name]
        module = import_module(name)
        self.__dict__.update(module.__dict__)
        return getattr(module, wanted)


def imported_when_used(name: str) -> None:
    """From here on `import name` costs nothing until an attribute of it is read."""
    sys.modules.setdefault(name, Later(name))
