"""Each script of `tests/differential` alone and observed: same output, status, files, losses, weights, random state.

A script is a file, or a folder with its command line in `run.txt`. `# run:` in its first lines is its command line,
`# stdin:` what it reads, and `# ci`: it runs in CI as well; the others are slow by their number.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import SCRIPTS, Ended, observed, plain

from sgdoctor.diagnosis import diagnose
from sgdoctor.record import Record, load

FOLDER = Path(__file__).parent / "differential"
CASES = sorted(path for path in FOLDER.iterdir() if path.name != "__pycache__")
IN_CI = 12
PRIVATE = "record"  # beside the folder that a script runs in


def said(case: Path, word: str) -> str | None:
    """What stands behind `# word` in the first lines of a script, None where that is not there."""
    files = sorted(case.rglob("*.py")) if case.is_dir() else [case]
    heads = "".join(file.read_text(encoding="utf-8").partition('"""')[0] for file in files)
    found = re.search(rf"^# {word}:?(.*)$", heads, re.MULTILINE)
    return found and found[1].strip()


def command(case: Path) -> list[str]:
    """What stands behind `python`."""
    if case.is_dir():
        return (case / "run.txt").read_text(encoding="utf-8").split()
    return (said(case, "run") or case.name).split()


def files(folder: Path) -> dict[str, bytes]:
    """What a script has written, and where."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def run(case: Path, folder: Path, record: Path | None = None, **options: Any) -> tuple[Ended, dict[str, bytes]]:
    """Run it in a fresh copy of its own, always in the same place: how it ended, what it has written."""
    shutil.rmtree(folder, ignore_errors=True)
    if case.is_dir():
        shutil.copytree(case, folder, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        folder.mkdir()
        shutil.copy(case, folder)
    before = files(folder)
    stdin = (said(case, "stdin") or "").encode().decode("unicode_escape")
    given: dict[str, Any] = {"cwd": folder, "stdin": stdin, "PYTHONPATH": str(SCRIPTS), **options}
    ended = plain(*command(case), **given) if record is None else observed(*command(case), record=record, **given)
    return ended, {name: data for name, data in files(folder).items() if before.get(name) != data}


def both(case: Path, tmp_path: Path) -> Record:
    """Run it alone and observed, compare, and return the record."""
    expected = run(case, tmp_path / "run")
    seen = run(case, tmp_path / "run", tmp_path / PRIVATE)
    assert seen[0] == expected[0]
    assert seen[1].keys() == expected[1].keys()
    assert not [name for name, data in expected[1].items() if seen[1][name] != data]
    return load(tmp_path / PRIVATE)


def parameters() -> Iterator[Any]:
    """Every script; marked slow where it is not for CI."""
    for case in CASES:
        marks = () if said(case, "ci") is not None else (pytest.mark.slow,)
        yield pytest.param(case, id=case.stem, marks=marks)


@pytest.mark.parametrize("case", list(parameters()))
def test_a_script_does_not_notice(case: Path, tmp_path: Path) -> None:
    record = both(case, tmp_path)
    assert not record.rows("probe_failed") and not record.rows("lost")
    assert diagnose(record, strict=True).verdict


def test_there_are_enough_scripts() -> None:
    assert len(CASES) >= 60
    assert sum(said(case, "ci") is not None for case in CASES) == IN_CI
