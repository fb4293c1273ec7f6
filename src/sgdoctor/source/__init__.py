"""A script as facts, by `ast`: resolved calls, the training loop and its order, sites; edits as plain data."""

from .edits import Edit, apply, unified_diff
from .module import Module, Source

__all__ = ["Edit", "Module", "Source", "apply", "unified_diff"]
