"""Which room of the house may import which, read from the source of every file."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent / "src" / "sgdoctor"

# A room imports only rooms that stand lower than itself.
HEIGHT = {
    "errors": 0,
    "cells": 0,
    "lazily": 0,
    "host": 0,
    "pages": 1,
    "settings": 1,
    "record": 1,
    "source": 1,
    "conditions": 2,
    "gathering": 1,
    "process": 2,
    "diagnosis": 3,
    "trials": 4,
    "checking": 4,
    "report": 5,
    "api": 5,
    "cli": 6,
    "__init__": 6,
    "__main__": 7,
    "magic": 7,
}
ALLOWED = {
    ("diagnosis/diagnosis.py", "report"),  # str(diagnosis) is the report: what everyone tries first in a notebook
}


class Import(NamedTuple):
    """One imported module, as a dotted path from the root of the tree."""

    file: Path
    line: int
    name: str

    @property
    def room(self) -> str:
        """The room the import stands in."""
        return self.file.relative_to(ROOT).parts[0].removesuffix(".py")

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT).as_posix()}:{self.line} imports {self.name}"


def imports(file: Path) -> Iterator[Import]:
    """All imports of a file, also those inside functions and for the type checker only."""
    package = ("sgdoctor", *file.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (Import(file, node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            name = ".".join([*base, *([node.module] if node.module else [])])
            # `from . import errors` names a module where it is one, else something inside the package.
            inner = [f"{name}.{alias.name}" for alias in node.names] if node.module is None else [name]
            yield from (Import(file, node.lineno, each) for each in inner)


FILES = sorted(ROOT.rglob("*.py"))
IMPORTS = [found for file in FILES for found in imports(file)]
OURS = [found for found in IMPORTS if found.name.partition(".")[0] == "sgdoctor"]


def test_every_room_has_its_height() -> None:
    rooms = {
        path.name.removesuffix(".py") for path in ROOT.iterdir() if path.suffix == ".py" or list(path.glob("*.py"))
    }
    assert rooms == set(HEIGHT)
    assert len(OURS) > 100


def test_rooms_import_only_what_stands_lower() -> None:
    wrong = []
    for found in OURS:
        target = [*found.name.split("."), "__init__"][1]
        if target not in HEIGHT:
            target = "__init__"  # a name of the package itself
        same = found.room == target
        allowed = (found.file.relative_to(ROOT).as_posix(), target) in ALLOWED
        if not same and not allowed and HEIGHT[target] >= HEIGHT[found.room]:
            wrong.append(str(found))
    assert not wrong


def test_exceptions_to_the_rule_are_still_needed() -> None:
    made = {(found.file.relative_to(ROOT).as_posix(), found.name.split(".")[1]) for found in OURS}
    assert made >= ALLOWED


def test_only_the_host_imports_torch() -> None:
    users = {found.room for found in IMPORTS if found.name.partition(".")[0] == "torch"}
    assert users == {"host"}


def test_the_host_lives_on_the_standard_library_and_torch() -> None:
    host = [found for found in IMPORTS if found.room == "host"]
    known = {*sys.stdlib_module_names, "torch"}
    assert [
        str(f) for f in host if f.name.partition(".")[0] not in known and not f.name.startswith("sgdoctor.host")
    ] == []


def test_only_api_enters_the_host() -> None:
    # `observe()` runs in the user's process; `run` starts the host by its path, and reads what launchers say.
    assert {found.room for found in OURS if found.name.startswith("sgdoctor.host")} == {"host", "api", "gathering"}


def test_what_is_imported_is_declared() -> None:
    text = (ROOT.parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert listed is not None
    declared = set(re.findall(r'^  "([A-Za-z0-9_-]+)', listed[1], re.MULTILINE)) | {"ray"}  # an extra
    outside = {found.name.partition(".")[0] for found in IMPORTS} - set(sys.stdlib_module_names) - {"sgdoctor", "torch"}
    assert outside == declared


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_files_say_what_they_are_and_stay_short(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 400
