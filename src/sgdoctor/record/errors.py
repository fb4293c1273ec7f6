"""Which errors were left at each line of a loss: by how sure the output was, or how large."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from .record import Column, Record, Row, Rows, number, numbers

PARTS = 5  # as the probe divides samples
STRETCHES = 4  # a run is told as so many, each of as many looks


class Hits(NamedTuple):
    """Sums over a stretch of looks at outputs that name a class."""

    of: Column  # samples by how sure the output was, unsure ones first
    right: Column
    counts: Column  # labels by class
    sure: Column  # surer three fifths, by predicted class
    sure_right: Column

    @property
    def share(self) -> float:
        """How many outputs name the label."""
        return float(self.right.sum() / max(self.of.sum(), 1))

    @property
    def wrong(self) -> Column:
        """Share of errors by how sure the output was."""
        return 1 - self.right / np.maximum(self.of, 1)


class Tails(NamedTuple):
    """The same of outputs that are one number."""

    of: Column  # samples by size of the output, small ones first
    far: Column  # of them, errors far outside the bulk
    scale: float  # of the bulk of errors
    spread: float  # of the bulk of targets
    carried: float  # of the squared error, by far ones


def sureness(record: Record, *, graded: bool) -> dict[Any, list[Hits]]:
    """By the line of the loss, stretches of a run."""
    fields = ("of", "right", "counts", "sure", "sure_right")
    found = {}
    for site, rows in _lines(record, "sureness", graded).items():
        width = len(numbers(rows[-1].get("counts")))
        whole = [columns for row in rows if (columns := [numbers(row.get(field)) for field in fields])]
        kept = [each for each in whole if [len(part) for part in each] == [PARTS, PARTS, width, width, width] and width]
        found[site] = [Hits(*(np.sum([each[i] for each in part], axis=0) for i in range(5))) for part in _parts(kept)]
    return found


def tails(record: Record, *, graded: bool) -> dict[Any, list[Tails]]:
    """By the line of the loss, stretches of a run."""
    found = {}
    for site, rows in _lines(record, "tails", graded).items():
        kept = [row for row in rows if len(numbers(row.get("of"))) == len(numbers(row.get("far"))) == PARTS]
        found[site] = [_tails(part) for part in _parts(kept)]
    return found


def _tails(rows: list[Row]) -> Tails:
    of, far = (np.sum([numbers(row.get(field)) for row in rows], axis=0) for field in ("of", "far"))
    rest = (float(np.median([number(row.get(field)) for row in rows])) for field in ("scale", "spread", "carried"))
    return Tails(of, far, *rest)


def _lines(record: Record, kind: str, graded: bool) -> dict[Any, Rows]:
    lines: dict[Any, Rows] = {}
    for row in record.rows(kind, grad=graded):
        lines.setdefault(row.get("site"), Rows()).append(row)
    return lines


def _parts(looks: list[Any]) -> list[list[Any]]:
    """As many looks in each; looks grow rarer, so that the last stretch is most of the run."""
    edges = np.linspace(0, len(looks), STRETCHES + 1).astype(int)
    return [looks[i:j] for i, j in pairwise(edges) if j > i]
