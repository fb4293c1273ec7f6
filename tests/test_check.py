"""`sgdoctor check`: what every rule over source says of every script of the clinic, and the command itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import clinic
import sgdoctor
from sgdoctor.checking.check import judged
from sgdoctor.checking.files import File, read
from sgdoctor.conditions import Condition, catalogue
from sgdoctor.conditions.catalogue import shown_by_source

CASES = clinic.cases()
RULES = shown_by_source()
# Faulty scripts of which the source alone cannot show what is wrong, or not with certainty.
RUN_ONLY = frozenset(Path(__file__).with_name("run_only.txt").read_text(encoding="utf-8").split())

every_rule = pytest.mark.parametrize("entry", RULES.values(), ids=list(RULES))


@cache
def said(case: clinic.Case) -> set[tuple[str, int]]:
    """(condition, line) of every finding in a script."""
    file = read(case.script)
    assert isinstance(file, File)
    found = list(judged([file], RULES.values()))
    assert all(0 <= each.finding.confidence <= 1 and each.finding.evidence for each in found)
    return {(each.condition.id, each.finding.site.line) for each in found if each.finding.site is not None}


@every_rule
def test_faulty_scripts_are_found_at_their_lines(entry: Condition) -> None:
    mine = [case for case in CASES if case.name.startswith(f"{entry.id}/") and case.expected]
    missed = {case.name for case in mine if not said(case) & set(case.expected)}
    assert missed == {case.name for case in mine} & RUN_ONLY


def test_what_only_a_run_shows_is_listed_once_and_exists() -> None:
    faulty = {case.name for case in CASES if case.expected and case.name.partition("/")[0] in RULES}
    assert faulty >= RUN_ONLY


@pytest.mark.parametrize("case", [c for c in CASES if not c.expected], ids=lambda case: case.name)
def test_healthy_scripts_are_silent(case: clinic.Case) -> None:
    if case.verdict in (None, "healthy", "too-short"):
        assert not said(case)


@pytest.mark.parametrize("case", [c for c in CASES if c.expected], ids=lambda case: case.name)
def test_faulty_scripts_have_no_other_fault(case: clinic.Case) -> None:
    expected = {name for name, _ in case.expected}
    causes = {other for name in expected for other in catalogue()[name].explains}
    assert {name for name, _ in said(case)} <= expected | causes


SCRIPT = """import torch
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in [(torch.randn(4, 2), torch.randn(4, 1))] * 9:
    optimizer.zero_grad
    loss = ((model(x) - y) ** 2).mean()
    loss.backward()
    optimizer.step()
"""


def check(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sgdoctor", "check", *arguments], cwd=cwd, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(SCRIPT)
    return tmp_path


def test_exit_statuses(faulty: Path) -> None:
    (faulty / "clean.py").write_text("print(1)\n")
    assert check("train.py", cwd=faulty).returncode == 1
    assert check("clean.py", cwd=faulty).returncode == 0
    assert check("missing.py", cwd=faulty).returncode == 2
    assert check("--select", "zzz", "train.py", cwd=faulty).returncode == 2
    assert check("--ignore", "missing-zero-grad", "train.py", cwd=faulty).returncode == 0


def test_what_cannot_be_read_is_said_and_the_others_are_checked(faulty: Path) -> None:
    (faulty / "broken.py").write_text("def f(:\n")
    (faulty / "binary.py").write_bytes(b"x = '\xff\xfe'\n")
    (faulty / "empty").mkdir()
    done = check("broken.py", "binary.py", "empty", "missing.py", "train.py", "--format", "concise", cwd=faulty)
    assert done.returncode == 1
    assert done.stdout.startswith("train.py:5: error [missing-zero-grad]")
    for name in ("broken.py", "binary.py", "empty", "missing.py"):
        assert sum(line.startswith(f"sgdoctor: {name}: ") for line in done.stderr.splitlines()) == 1


def test_folders_are_walked_without_what_is_not_the_users(faulty: Path) -> None:
    for folder in (".hidden", "build", "site-packages", "pkg"):
        (faulty / folder).mkdir()
        (faulty / folder / "train.py").write_text(SCRIPT)
    (faulty / "env").mkdir()
    (faulty / "env" / "pyvenv.cfg").touch()
    (faulty / "env" / "train.py").write_text(SCRIPT)
    done = check("--format", "json", cwd=faulty)
    assert [each["location"]["file"] for each in json.loads(done.stdout)["findings"]] == ["pkg/train.py", "train.py"]


def test_settings_of_the_project(faulty: Path) -> None:
    project = faulty / "pyproject.toml"
    for text, status in (
        ('ignore = ["missing-zero-grad"]', 0),
        ('exclude = ["train.py"]', 2),  # and so nothing is left to check
        ("[tool.sgdoctor.conditions]\nmissing-zero-grad = false", 0),
        ('[tool.sgdoctor.conditions]\nmissing-zero-grad = "info"', 0),
        ("[tool.sgdoctor.conditions]\nmissing-zero-grad = 3", 2),
        ("nonsense = 1", 2),
        ("= 1", 2),
    ):
        project.write_text(f"[tool.sgdoctor]\n{text}\n")
        assert check(cwd=faulty).returncode == status, text
    assert check("--select", "missing-zero-grad", "--quiet", "train.py", cwd=faulty).returncode == 2  # "= 1" still


def test_a_comment_allows_a_finding(faulty: Path) -> None:
    text = SCRIPT.replace("optimizer.zero_grad\n", "optimizer.zero_grad  # sgdoctor: allow[missing-zero-grad]\n")
    (faulty / "train.py").write_text(text)
    assert check("train.py", cwd=faulty).returncode == 0


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "marked"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_fix_changes_what_is_wrong_and_nothing_else(tmp_path: Path, mark: bytes, end: str) -> None:
    file = tmp_path / "train.py"
    file.write_bytes(mark + SCRIPT.replace("\n", end).encode())
    done = check("--diff", "train.py", cwd=tmp_path)
    assert done.returncode == 1 and "+    optimizer.zero_grad()" in done.stdout
    assert file.read_bytes() == mark + SCRIPT.replace("\n", end).encode()
    assert check("--fix", "train.py", cwd=tmp_path).returncode == 0
    assert file.read_bytes() == mark + SCRIPT.replace("zero_grad\n", "zero_grad()\n").replace("\n", end).encode()
    assert os.listdir(tmp_path) == ["train.py"]


def test_notebooks_are_read_by_their_code_cells(tmp_path: Path) -> None:
    lines = SCRIPT.splitlines(keepends=True)
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["# title\n"]},
        {"cell_type": "code", "metadata": {}, "outputs": [], "source": ["%matplotlib inline\n", *lines[:3]]},
        {"cell_type": "code", "metadata": {}, "outputs": [], "source": ["%%bash\n", "echo $(ls)"]},
        {"cell_type": "code", "metadata": {}, "outputs": [], "source": ["!pip list\n", "# ü\n", *lines[3:]]},
    ]
    document = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    file = tmp_path / "train.ipynb"
    before = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    file.write_text(before, encoding="utf-8")
    done = check("--format", "concise", "train.ipynb", cwd=tmp_path)
    assert done.stdout.startswith("train.ipynb:cell 3:4: error [missing-zero-grad]")
    assert check("--fix", "train.ipynb", cwd=tmp_path).returncode == 0
    assert file.read_text(encoding="utf-8") == before.replace("zero_grad\\n", "zero_grad()\\n")


def test_annotations_for_github(faulty: Path) -> None:
    done = check("--format", "github", "train.py", cwd=faulty)
    (row,) = done.stdout.splitlines()
    assert row.startswith("::error file=train.py,line=5,title=missing-zero-grad%3A ")


def test_sarif_says_where_and_keeps_its_fingerprints_when_lines_move(faulty: Path) -> None:
    def log() -> dict[str, object]:
        found: dict[str, object] = json.loads(check("--format", "sarif", "train.py", cwd=faulty).stdout)
        return found

    first = log()
    assert first["version"] == "2.1.0" and str(first["$schema"]).endswith("sarif-2.1.0.json")
    (run,) = first["runs"]  # type: ignore[misc]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] and result["message"]["text"]
        assert result["level"] in ("error", "warning", "note")
        place = result["locations"][0]["physicalLocation"]
        assert not place["artifactLocation"]["uri"].startswith("/") and place["region"]["startLine"] >= 1
    assert all(rule["shortDescription"]["text"] and rule["help"]["text"] for rule in rules)
    (faulty / "train.py").write_text("# a new line\n" + SCRIPT)
    second = log()
    (one,), (two,) = first["runs"][0]["results"], second["runs"][0]["results"]  # type: ignore[index]
    assert one["partialFingerprints"] == two["partialFingerprints"]
    places = [each["locations"][0]["physicalLocation"]["region"]["startLine"] for each in (one, two)]
    assert places == [5, 6]


def test_the_function_gives_findings_with_their_conditions(faulty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(faulty)
    (found,) = sgdoctor.check(["train.py"])
    assert isinstance(found, sgdoctor.Finding)
    assert found.condition == "missing-zero-grad" and found.site == ("train.py", 5, "<module>", None)
    with pytest.warns(UserWarning, match="missing"):
        assert sgdoctor.check("missing.py") == []
