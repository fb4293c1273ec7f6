"""Two runs beside each other for a terminal, and as JSON."""

from __future__ import annotations

from dataclasses import asdict

from ..diagnosis.comparison import Comparison
from .json import dumps
from .untrusted import clean, line


def render(comparison: Comparison) -> str:
    """What differs, the change of the source, and what the losses say, the conclusion last."""
    rows = []
    width = max((len(line(each.name)) for each in comparison.differences), default=0)
    for each in comparison.differences:
        rows.append(f"{each.kind:12} {line(each.name):{width}}  {line(each.left) or '-'} -> {line(each.right) or '-'}")
    for _, diff in comparison.sources:
        rows += ["", clean(diff).rstrip("\n")]
    rows += ["", f"{comparison.left.verdict} -> {comparison.right.verdict}"]
    rows += [f"  {line(text)}" for text in comparison.says]
    return "\n".join(rows).lstrip("\n") + "\n"


def as_json(comparison: Comparison) -> str:
    """The same as one JSON document."""
    return dumps(
        {
            "schema_version": 1,
            "alike": comparison.alike,
            "verdicts": [comparison.left.verdict, comparison.right.verdict],
            "differences": [asdict(each) for each in comparison.differences],
            "sources": [{"file": file, "diff": diff} for file, diff in comparison.sources],
            "unequal": comparison.unequal,
            "parted": comparison.parted,
            "says": list(comparison.says),
        }
    )
