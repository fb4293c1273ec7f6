"""A program gone through with symbols for values: what it does, in order, as far as its source says."""

from __future__ import annotations

from ..module import Source
from .machine import Machine
from .values import Branch, Event, Loop, Step, Value

__all__ = ["Branch", "Event", "Loop", "Machine", "Step", "Value", "machine_of"]


def machine_of(source: Source) -> Machine:
    """The program of a source, gone through once."""
    found = source.facts.get("machine")
    if not isinstance(found, Machine):
        found = source.facts["machine"] = Machine(source)
        found.run()
    return found
