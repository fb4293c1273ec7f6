"""What a package exports is exactly what is there, and nothing else is public."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

import sgdoctor

ROOT = Path(sgdoctor.__file__).parent
PACKAGES = sorted(file for file in ROOT.rglob("__init__.py") if "__all__" in file.read_text(encoding="utf-8"))

# The outside contract: the functions, what they return, what they raise.
PUBLIC = {
    *("run", "prove", "check", "diagnose", "load", "observe"),
    *("Record", "Finding", "Diagnosis", "Observation"),
    *("SgdoctorError", "ScriptError", "RecordError", "TrialError", "UsageError"),
}


def module_name(file: Path) -> str:
    """`sgdoctor.record` for the file of that package."""
    return ".".join(["sgdoctor", *file.relative_to(ROOT).parts[:-1]])


def offered(file: Path) -> set[str]:
    """Names that a package's file imports from its own modules or defines, private ones aside."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("file", PACKAGES, ids=module_name)
def test_all_is_what_is_there(file: Path) -> None:
    module = import_module(module_name(file))
    assert set(module.__all__) == offered(file)
    assert list(module.__all__) == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name).__doc__


def test_the_public_surface() -> None:
    assert set(sgdoctor.__all__) == PUBLIC
    assert dir(sgdoctor) == sgdoctor.__all__


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'mend'"):
        sgdoctor.mend  # noqa: B018


def test_the_tree_of_errors() -> None:
    errors = {name: getattr(sgdoctor, name) for name in sgdoctor.__all__ if name.endswith("Error")}
    assert all(issubclass(error, sgdoctor.SgdoctorError) for error in errors.values())
    drawn = import_module("sgdoctor.errors").__doc__ or ""
    assert all(name in drawn for name in errors)
