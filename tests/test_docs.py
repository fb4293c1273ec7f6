"""The documents say what is so: their commands exist, and their sample is what the doctor says today."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

import clinic
from sgdoctor.cli import COMMANDS, group
from sgdoctor.diagnosis import diagnose
from sgdoctor.report import terminal

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/decisions.md", "docs/promises.md"]
PROMISES = 9
SAMPLE = re.compile(r"<!-- sample: (\S+),.*-->\n```text\n(.*?)\n```", re.DOTALL)


def text(name: str) -> str:
    """A document."""
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_sample_is_what_the_doctor_says() -> None:
    ((name, shown),) = SAMPLE.findall(text("README.md"))
    (case,) = clinic.cases([name])
    assert shown == terminal.render(diagnose(clinic.restore(case), strict=True)).strip("\n")


def test_every_command_is_in_the_readme_and_has_help() -> None:
    for name in COMMANDS:
        command = group.get_command(click.Context(group), name)
        assert command is not None and command.help
        assert f"sgdoctor {name}" in text("README.md")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_documents_name_exists(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)\b(?=[` ]*[`#(])", text(name))) <= targets
    for link in re.findall(r"\]\(([^)#:]+)\)", text(name)):
        assert (ROOT / link).exists()
    for path in re.findall(r"`((?:src|tests|bench|docs|clinic)/[\w./]+)`", text(name)):
        assert (ROOT / path).exists()
    for option in re.findall(r"`(--[a-z-]+)", text(name)):
        commands = [group.get_command(click.Context(group), each) for each in COMMANDS]
        known = {opt for command in commands if command for each in command.params for opt in each.opts}
        assert option in known | {"--group", "--help"}


def test_what_is_not_built_is_not_offered() -> None:
    for name in ("prove", "check", "compare"):
        assert name in COMMANDS or f"sgdoctor {name}" not in text("README.md")


def test_contributing_stays_short() -> None:
    assert len(text("CONTRIBUTING.md").splitlines()) < 60


def test_every_promise_is_held_by_tests_that_exist() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+?) \| (.+) \|$", text("docs/promises.md"), re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, PROMISES + 1))
    for _, promise, held in rows:
        tests = re.findall(r"`(tests/\w+\.py)::(test_\w+)`", held)
        assert promise and tests and len(tests) == len(held.split(", "))
        for file, name in tests:
            assert f"\ndef {name}(" in text(file)
