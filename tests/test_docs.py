"""The documents say what is so: their commands exist, and their sample is what the doctor says today."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import generated_pages
import pytest

import clinic
from sgdoctor.cli import COMMANDS, group
from sgdoctor.conditions import catalogue
from sgdoctor.diagnosis import diagnose
from sgdoctor.record.signals import SIGNALS
from sgdoctor.report import terminal

ROOT = Path(__file__).resolve().parent.parent


def written_by_hand() -> list[Path]:
    """Documents of the site; others are made when it is built."""
    return [path for path in sorted((ROOT / "docs").glob("*.md")) if path.name != "signals.md"]


DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", *(f"docs/{path.name}" for path in written_by_hand())]
SHOWN = [name for name in DOCUMENTS if "```console" in (ROOT / name).read_text(encoding="utf-8")]
SCRIPT = re.compile(r"```\{code-block\} python\n:caption: (\S+)\n\n(.*?)```", re.DOTALL)
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
        assert ((ROOT / name).parent / link).exists() or link.startswith("conditions/")  # made when the site is built
    for path in re.findall(r"`((?:src|tests|bench|docs|clinic)/[\w./]+)`", text(name)):
        assert (ROOT / path).exists()
    for option in re.findall(r"`(--[a-z-]+)", text(name)):
        commands = [group.get_command(click.Context(group), each) for each in COMMANDS]
        known = {opt for command in commands if command for each in command.params for opt in each.opts}
        assert option in known | {"--group", "--help"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_in_a_line_can_be_typed(name: str) -> None:
    for words in re.findall(r"(?:`|^\$ )sgdoctor ([a-z]+[^`\n]*)", text(name), re.MULTILINE):
        typed = words.split()
        command = group.get_command(click.Context(group), typed[0])
        assert command is not None, words
        known = {opt for each in command.params for opt in each.opts} | {"--help"}
        own = typed[1 : next((i for i, word in enumerate(typed) if word.endswith(".py") or word == "-m"), len(typed))]
        assert {word for word in own if word.startswith("--")} <= known, words


def shown(name: str) -> list[tuple[str, list[str]]]:
    """The commands of a document's consoles, each with the lines shown below it."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", text(name), re.DOTALL):
        for row in block.splitlines():
            if row.startswith("$ "):
                found.append((row[2:], []))
            else:
                found[-1][1].append(row)
    return found


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("proofs", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["quick", "proofs"])
def test_consoles_show_what_their_commands_print(name: str, proofs: bool, tmp_path: Path) -> None:
    for file, script in SCRIPT.findall(text(name)):
        (tmp_path / file).write_text(script, encoding="utf-8")
    for command, rows in shown(name):
        if command.startswith("sgdoctor prove") != proofs:
            continue
        words = [sys.executable, "-m", *shlex.split(command)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, env=environment)
        assert ended.returncode in (0, 1) and "Traceback" not in ended.stderr, (command, ended.stderr)
        assert [row for row in rows if row not in ended.stdout + ended.stderr] == [], command


def test_every_condition_and_signal_has_its_page(tmp_path: Path) -> None:
    generated_pages.write(tmp_path)
    for name in catalogue():
        page = (tmp_path / "conditions" / f"{name}.md").read_text(encoding="utf-8")
        assert page.startswith(f"# {name}\n")
        for script in re.findall(r"^(?:```\{literalinclude\}|:diff:) (\S+)$", page, re.MULTILINE):
            assert (ROOT / "docs" / "conditions" / script).resolve().exists()
    signals = (tmp_path / "signals.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in signals for name in SIGNALS)


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
