"""A script as text, and what edits make of it: what the tests of patches share."""

from __future__ import annotations

from textwrap import dedent

from sgdoctor.conditions import Evidence, Finding, catalogue
from sgdoctor.record import Site
from sgdoctor.source import Edit, Source

FILE = "train.py"
HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"


def script(text: str) -> Source:
    """A script that begins with the usual imports."""
    return Source({FILE: HEAD + dedent(text)})


def line(source: Source, mark: str) -> int:
    """The number of the first line that holds a text."""
    return next(n for n, each in enumerate(source.modules[FILE].text.split("\n"), 1) if mark in each)


def change(source: Source, edits: list[Edit] | tuple[Edit, ...]) -> list[str]:
    """The lines that edits take away (-) and put in (+); the result compiles."""
    diff = source.diff(list(edits))
    assert diff is not None, edits
    kept = (each for each in diff.splitlines() if each[:1] in "+-" and not each.startswith(("+++", "---")))
    return [each[0] + each[1:].strip() for each in kept]


def remedy(condition: str, source: Source, mark: str, subject: object = None) -> list[str]:
    """The change that the first remedy of a condition makes for a finding at the line of a mark."""
    finding = Finding(Site(FILE, line(source, mark), ""), (Evidence("seen"),), 0.9, subject=subject)
    remedies = catalogue()[condition].remedies
    assert remedies is not None
    return change(source, next(iter(remedies(finding, source))).edits)
