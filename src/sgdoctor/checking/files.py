"""The Python that paths lead to: scripts, folders of them, code cells of notebooks."""

from __future__ import annotations

import fnmatch
import io
import os
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..source import Module
from .notebook import Notebook

SUFFIXES = (".py", ".ipynb")
SKIPPED = frozenset(("venv", "site-packages", "build", "dist", "node_modules", "__pycache__"))


@dataclass(frozen=True)
class Unread:
    """A path that could not be checked, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class File:
    """A parsed file. `asked`: it was named or lies in a folder that was, and is not only imported from there."""

    path: Path
    module: Module
    encoding: str
    notebook: Notebook | None = None
    asked: bool = True

    def content(self) -> bytes:
        """What the file holds, or would hold."""
        if self.notebook is not None:
            return self.notebook.content()
        return (self.module.mark + self.module.text).encode(self.encoding)


def found(paths: Iterable[str], exclude: Iterable[str]) -> Iterator[Path | Unread]:
    """The files below the paths, in order, each once; a path that leads to none as what is wrong with it."""
    patterns, seen = tuple(exclude), set()
    for name in paths:
        path = Path(name)
        if not path.exists():
            yield Unread(name, "there is no such file or folder")
            continue
        files = sorted(_below(path, patterns)) if path.is_dir() else [path]
        if not files:
            yield Unread(name, "no Python file and no notebook in it")
        for file in files:
            real = os.path.realpath(file)
            if real not in seen:
                seen.add(real)
                yield file


def _below(folder: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        inside = Path(root)
        folders[:] = [each for each in folders if not _is_skipped(inside / each, patterns)]
        yield from (
            inside / each for each in files if each.endswith(SUFFIXES) and not _is_excluded(inside / each, patterns)
        )


def _is_skipped(folder: Path, patterns: tuple[str, ...]) -> bool:
    hidden = folder.name.startswith(".") or folder.name in SKIPPED or folder.name.endswith(".egg-info")
    return hidden or (folder / "pyvenv.cfg").exists() or _is_excluded(folder, patterns)


def _is_excluded(path: Path, patterns: tuple[str, ...]) -> bool:
    name = shown(path)
    return any(
        fnmatch.fnmatch(name, pattern)
        or fnmatch.fnmatch(path.name, pattern)
        or name.startswith(pattern.rstrip("/") + "/")
        for pattern in patterns
    )


def read(path: Path, asked: bool = True) -> File | Unread:
    """A file parsed, or why it cannot be."""
    name, notebook = shown(path), None
    try:
        content = path.read_bytes()
        if path.suffix == ".ipynb":
            notebook = Notebook.read(content)
            return File(path, Module(name, notebook.text), "utf-8", notebook, asked)
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        encoding = "utf-8" if encoding == "utf-8-sig" else encoding  # the mark stays part of the text
        return File(path, Module(name, content.decode(encoding)), encoding, None, asked)
    except OSError as error:
        return Unread(name, f"cannot be read ({error.strerror})")
    except UnicodeDecodeError as error:
        return Unread(name, f"is not {error.encoding} text (byte {error.start}); is its encoding declared?")
    except SyntaxError as error:
        where = f" at line {error.lineno}" if error.lineno else ""
        if notebook is not None and error.lineno:
            where = " in code cell {}, line {}".format(*notebook.cell(error.lineno))
        return Unread(name, f"is no Python of this interpreter: {error.msg}{where}")
    except (ValueError, RecursionError, MemoryError) as error:
        return Unread(name, f"cannot be parsed ({error or type(error).__name__})")


def shown(path: Path) -> str:
    """A path as reports have it: from the working directory where it lies inside, with forward slashes."""
    here = Path.cwd()
    whole = path if path.is_absolute() else Path(os.path.normpath(here / path))
    return whole.relative_to(here).as_posix() if whole.is_relative_to(here) else Path(os.path.normpath(path)).as_posix()
