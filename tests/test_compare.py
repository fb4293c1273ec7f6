"""Two runs beside each other: what differs, from which pass their losses part, and what that says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_html import Skeleton
from test_report import FORBIDDEN, HOSTILE

import clinic
from sgdoctor.diagnosis.comparison import compare
from sgdoctor.record import Record
from sgdoctor.report import comparison, html

SMALL = Path(__file__).parent / "records" / "small"


def run(losses: list[float], **start: Any) -> Record:
    """A record of one loss."""
    return Record.make(
        {"k": "site", "i": 0, "file": "train.py", "line": 9, "function": "<module>"},
        {"k": "objective", "site": 0, "first": 0, "stride": 1, "values": losses},
        {"k": "torch", "version": "2.13.0"},
        {"k": "source", "file": "train.py", "text": start.pop("text", "a\n")},
        {"k": "optimizer", "i": 0, "site": 0, "class": "SGD", "groups": [{"lr": 0.1, "params": [0], **start}]},
    )


def noisy(seed: int, steps: int = 200) -> list[float]:
    """A loss with noise that ends near a fifth."""
    draws = np.random.default_rng(seed).normal(0, 0.02, steps)
    return [float(0.2 + 0.8 * 0.98**i + draws[i]) for i in range(steps)]


def test_a_run_and_itself_are_alike() -> None:
    found = compare(run(noisy(1)), run(noisy(1)))
    assert found.alike and found.unequal is None and found.parted is None


def test_another_seed_differs_from_the_first_pass_and_never_parts() -> None:
    found = compare(run(noisy(1)), run(noisy(2)))
    assert found.unequal == 0 and found.parted is None and not found.alike
    assert any("a seed" in text for text in found.says)


def test_the_pass_at_which_a_run_goes_wrong_is_named() -> None:
    wrong = noisy(1)
    wrong[120:] = [value + 0.3 for value in wrong[120:]]
    found = compare(run(noisy(1)), run(wrong, momentum=0.9))
    assert found.unequal == 120 and found.parted is not None and abs(found.parted - 120) <= 5
    assert [(each.name, each.left, each.right) for each in found.differences] == [("optimizer 0: momentum", "", "0.9")]


def test_a_run_that_turns_to_nan_parts_there() -> None:
    found = compare(run(noisy(1)), run([*noisy(1)[:100], *[float("nan")] * 100]))
    assert found.unequal == 100 and found.parted == 100


def test_faulty_and_mended_scripts_are_told_apart() -> None:
    faulty, healthy = clinic.cases(["unscaled-features/loan_grades"])
    found = compare(clinic.restore(faulty), clinic.restore(healthy))
    assert "unscaled-features is gone in the second run" in found.says
    assert "inputs: std over columns" in {each.name for each in found.differences}
    assert "+        return self.head(self.body((form - self.mean) / self.std))" in comparison.render(found)


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_nothing_of_the_scripts_acts(text: str) -> None:
    found = compare(run(noisy(1), text=text), run(noisy(2), text=text + "b", kind=text))
    assert not FORBIDDEN.search(comparison.render(found))
    assert not FORBIDDEN.search(Skeleton(html.compared(found)).text)
    assert json.loads(comparison.as_json(found))["alike"] is False


def test_the_command_says_by_its_status_whether_anything_differs(tmp_path: Path) -> None:
    def called(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sgdoctor", "compare", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    same = called(str(SMALL), str(SMALL), "--html", "page.html")
    assert (same.returncode, same.stderr) == (0, "") and "too few losses" in same.stdout
    assert "alike" in Skeleton((tmp_path / "page.html").read_text()).text
    missing = called(str(SMALL), "nowhere")
    assert missing.returncode == 2 and re.search("nowhere.*", missing.stderr) and "Traceback" not in missing.stderr
