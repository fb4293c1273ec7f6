"""A program gone through with symbols for values: what it does, in order, as far as its source says."""

from .machine import Machine
from .queries import machine_of
from .values import Branch, Event, Loop, Step, Value

__all__ = ["Branch", "Event", "Loop", "Machine", "Step", "Value", "machine_of"]
