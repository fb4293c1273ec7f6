"""Which file an import leads to, by the names of the files alone."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Callable, Iterator

from .module import Module

MAX_CLIMB = 6  # folders above a file in which the modules it imports are looked for


def imported(module: Module) -> Iterator[tuple[str, int]]:
    """(dotted name, level) of what a file imports; for `from a import b` both `a.b` and `a`."""
    for plain in module.of_kind(ast.Import):
        yield from ((alias.name, 0) for alias in plain.names)
    for node in module.of_kind(ast.ImportFrom):
        base = node.module or ""
        for alias in node.names:
            yield (f"{base}.{alias.name}" if base else alias.name), node.level
        if base:
            yield base, node.level


def file_of(importer: str, dotted: str, level: int, exists: Callable[[str], bool]) -> str | None:
    """The file of a dotted name as `importer` writes it: relative to its folder, or below a folder above it."""
    path = dotted.replace(".", "/")
    for base in _bases(importer, level):
        for candidate in (f"{path}.py", f"{path}/__init__.py"):
            file = posixpath.normpath(posixpath.join(base, candidate))
            if exists(file):
                return file if file != importer else None
    return None


def _bases(importer: str, level: int) -> Iterator[str]:
    folder = posixpath.dirname(importer)
    if level:
        for _ in range(level - 1):
            folder = posixpath.join(folder, "..")
        yield folder
        return
    for _ in range(MAX_CLIMB):
        yield folder
        yield posixpath.join(folder, "src")
        above = posixpath.normpath(posixpath.join(folder, ".."))
        if above.startswith("..") or above == posixpath.normpath(folder or "."):
            return
        folder = "" if above == "." else above
