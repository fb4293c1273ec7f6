"""The record of a run: plain numbers, names and places; everything to its right can be repeated without torch."""

from .learning import Progress, progress
from .reader import load
from .record import Record, Row, Rows, Site

__all__ = ["Progress", "Record", "Row", "Rows", "Site", "load", "progress"]
