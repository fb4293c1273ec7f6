"""Cells of an interactive session as one text of Python, and the way back: `In[5]`, line 3."""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

FILE = "session"  # what the text of all cells is called
MAX_CHARACTERS = 512 * 1024  # of that text; the newest cells are kept


class Cell(NamedTuple):
    """A cell that was run; `file` is what its code objects say that they come from."""

    file: str
    number: int
    text: str


@dataclass(frozen=True)
class Cells:
    """Where each cell stands in the text of all: the line of its head, below which it begins, and its number."""

    heads: tuple[int, ...]
    numbers: tuple[int, ...]

    def place(self, line: int) -> tuple[str, int]:
        """(`In[number]`, line in it) of a line of the whole text."""
        index = max(0, sum(head < line for head in self.heads) - 1)
        return f"In[{self.numbers[index]}]", max(1, line - self.heads[index])

    def split(self, text: str) -> dict[str, str]:
        """The text of each by its name, also after an edit: the heads are still there."""
        waiting = list(self.numbers)
        found: dict[str, str] = {}
        name = ""
        for line in text.splitlines(keepends=True):
            if waiting and line.rstrip() == _head(waiting[0]):
                name = f"In[{waiting.pop(0)}]"
            else:
                found[name] = found.get(name, "") + line
        return found


@dataclass(frozen=True)
class Session:
    """The cells run so far: their text, and for each file of theirs (what to call it, lines above it there)."""

    text: str = ""
    cells: Cells | None = None
    names: Mapping[str, tuple[str, int]] | None = None


def session() -> Session:
    """That of IPython, where this process is one. A cell whose every name was bound anew by later ones is left out:
    it is an older version of one of them, or what it made is gone.
    """
    run = _run_so_far()
    bound: set[str] = set()
    kept: list[Cell] = []
    room = MAX_CHARACTERS
    for cell in reversed(run):
        names = _bound(cell.text)
        room -= len(cell.text)
        if names is None or (names and names <= bound) or room < 0:
            continue
        bound |= names
        kept.insert(0, cell)
    if not run:
        return Session()
    lines: list[str] = []
    heads: list[int] = []
    called = {cell.file: (f"In[{cell.number}]", 0) for cell in run}
    for cell in kept:
        lines.append(_head(cell.number))
        heads.append(len(lines))
        called[cell.file] = FILE, len(lines)
        lines += cell.text.splitlines()
    return Session("\n".join(lines) + "\n", Cells(tuple(heads), tuple(cell.number for cell in kept)), called)


def _head(number: int) -> str:
    return f"# In[{number}]"


def _run_so_far() -> list[Cell]:
    """In the order of their numbers; of two with one number (a cell magic and what it runs) the later."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if hasattr(ipython, "get_ipython") else None
    files = getattr(getattr(shell, "compile", None), "_filename_map", None) or {}
    found = {int(number): Cell(file, int(number), "".join(linecache.getlines(file))) for file, number in files.items()}
    return sorted(found.values(), key=lambda cell: cell.number)


def _bound(text: str) -> set[str] | None:
    """Names that a cell binds at its top level; None where it is no Python."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    found: set[str] = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        if not isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            waiting.extend(ast.iter_child_nodes(node))
    return found
