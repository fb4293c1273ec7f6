"""A diagnosis as one page that opens offline: the verdict and its proof first, then what the record shows."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import plotly.offline
from jinja2 import Environment, PackageLoader, StrictUndefined

from ..diagnosis import Diagnosis, Placed
from ..diagnosis.comparison import Comparison
from ..diagnosis.diagnosis import source_of
from ..record import Record, Site
from ..record.loop import windows
from ..source import Source
from .figures import Figure, comparison_figure, figures, proof_figure
from .json import document
from .terminal import verdict_in_words
from .untrusted import clean, line

AROUND = 4  # lines of the script shown above and below a finding's
LONGEST = 80  # lines of the script shown beside the loop
HEAD = re.compile(r"(---|\+\+\+) \S")  # names a file
EVENTS = {
    "z": "zero_grad",
    "m": "model.zero_grad",
    "l": "loss",
    "B": "backward",
    "g": "autograd.grad",
    "c": "clip",
    "u": "unscale",
    "S": "step",
    "h": "scheduler",
    "T": "train()",
    "E": "eval()",
    "s": "scale",
    "p": "scaler.step",
    "d": "scaler.update",
}


def render(diagnosis: Diagnosis) -> str:
    """The page. Everything that comes from the script is escaped; nothing is fetched from anywhere."""
    facts = document(diagnosis)
    source = source_of(diagnosis.record)
    numbers = itertools.count()
    return _page(
        script=line(str(facts["run"]["script"])),
        verdict=diagnosis.verdict,
        summary=line(diagnosis.summary),
        says=[learnt(diagnosis)],
        findings=[_finding(placed, source, numbers) for placed in diagnosis.findings],
        experiments=[{"question": e.question, "answer": line(e.answer)} for e in diagnosis.experiments],
        loop=_loop(diagnosis, source),
        figures=[_embedded(figure, next(numbers)) for figure in figures(diagnosis)],
        tables=[
            _table("The run", (), [(name, _said(v)) for name, v in facts["run"].items() if v not in (None, [], "")])
        ],
        not_evaluated=[{"condition": name, "reason": line(reason)} for name, reason in sorted(diagnosis.not_evaluated)],
    )


def compared(comparison: Comparison) -> str:
    """The page of two runs beside each other."""
    numbers = itertools.count()
    names = [line(str(each.record.start.get("script"))) for each in (comparison.left, comparison.right)]
    figure = comparison_figure(comparison)
    rows = [(d.kind, d.name, d.left, d.right) for d in comparison.differences]
    return _page(
        script=" / ".join(dict.fromkeys(names)),
        verdict="alike" if comparison.alike else "different",
        summary=f"{comparison.left.verdict}, then {comparison.right.verdict}",
        says=[line(text) for text in comparison.says],
        figures=[_embedded(figure, next(numbers))] if figure else [],
        tables=[_table("What differs", ("", "what", "first run", "second run"), rows)] if rows else [],
        diffs=[{"file": line(file), "rows": changes(diff)} for file, diff in comparison.sources],
    )


def _page(**facts: Any) -> str:
    scripts = {
        "plotly": plotly.offline.get_plotlyjs().replace("\r\n", "\n"),
        "drawing": files(__package__).joinpath("page.js").read_text(encoding="utf-8"),
    }
    environment = Environment(
        loader=PackageLoader("sgdoctor", "report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    absent: dict[str, Any] = dict.fromkeys(("findings", "experiments", "loop", "diffs", "not_evaluated"), ())
    page = environment.get_template("page.html.jinja").render(
        **{**absent, **facts}, policy=_policy(list(scripts.values())), version=version("sgdoctor"), **scripts
    )
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


def _table(title: str, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> dict[str, Any]:
    return {"title": title, "head": head, "rows": [[line(cell) for cell in row] for row in rows]}


def _policy(scripts: list[str]) -> str:
    """Only these two scripts may run, and nothing may be loaded; plotly sets styles of its own."""
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def learnt(diagnosis: Diagnosis) -> str:
    learning = diagnosis.learning
    if learning is None or learning.first != learning.first:
        return ""
    text = f"Loss {learning.first:.4g} -> {learning.last:.4g} over {learning.count} steps"
    if learning.baseline == learning.baseline:
        text += f"; the best constant output has {learning.baseline:.4g} (skill {learning.skill:.2f})"
    return text + "."


def _finding(placed: Placed, source: Source, numbers: Iterator[int]) -> dict[str, Any]:
    site = placed.finding.site
    offers = [offer for offer in placed.offers if offer.proof is not None] or list(placed.offers)
    proofs = []
    for offer in offers:
        if offer.proof is not None:
            figure = proof_figure(offer.proof, line(offer.remedy.title))
            drawn = _embedded(figure, next(numbers)) if figure is not None else None
            proofs.append(
                {"verdict": offer.proof.verdict, "words": line(verdict_in_words(offer.proof)), "figure": drawn}
            )
    return {
        "condition": placed.condition.id,
        "title": placed.condition.title,
        "severity": placed.severity,
        "explained_by": placed.explained_by,
        "proofs": proofs,
        "evidence": [line(entry.text) for entry in placed.finding.evidence],
        "where": line(f"{site.file}:{site.line} in {site.function}") if site else "",
        "excerpt": excerpt(source, site) if site else [],
        "remedies": [{"title": line(o.remedy.title), "diff": changes(o.patch)} for o in offers],
    }


def excerpt(source: Source, site: Site, around: int = AROUND) -> list[dict[str, Any]]:
    """The lines around a finding's."""
    lines = source.lines(site.file)
    first, last = max(1, site.line - around), min(len(lines), site.line + around)
    return [{"text": line(f"{n:5}  {lines[n - 1]}"), "at": n == site.line} for n in range(first, last + 1)]


def changes(patch: str | None) -> list[dict[str, str]]:
    kinds = {"+": "add", "-": "del", "@": "hunk"}
    rows = clean(patch).rstrip("\n").split("\n") if patch else []
    return [{"text": row, "kind": "hunk" if HEAD.match(row) else kinds.get(row[:1], "")} for row in rows]


def _loop(diagnosis: Diagnosis, source: Source) -> dict[str, Any] | None:
    """The most frequent signature of the loop, each event beside the line it comes from."""
    record = diagnosis.record
    window = max(windows(record), key=lambda each: each.times, default=None)
    if window is None:
        return None
    marks = _marks(record, window.events)
    file = max(marks, key=lambda name: len(marks[name]), default="")
    text = source.lines(file)
    if not text:
        return None
    lines = sorted(marks[file])
    first = max(1, lines[0] - 1)
    last = min(len(text), lines[-1] + 1, first + LONGEST)
    found = {p.finding.site.line for p in diagnosis.findings if p.finding.site and p.finding.site.file == file}
    rows = [
        {"text": line(f"{n:5}  {text[n - 1]}"), "at": n in found, "events": " ".join(marks[file].get(n, []))}
        for n in range(first, last + 1)
    ]
    times = f"{window.times} of {record.steps} steps" if record.steps else "every step"
    return {"note": f"What happens between two optimizer steps, in its order, in {times} ({line(file)}).", "rows": rows}


def _marks(record: Record, events: list[Any]) -> dict[str, dict[int, list[str]]]:
    """file -> line -> the events there, numbered by their order; runs of the same event are one."""
    marks: dict[str, dict[int, list[str]]] = {}
    previous, order = None, 0
    for letter, index, _ in events:
        site = record.site(index)
        if site is None or (letter, index) == previous:
            continue
        previous, order = (letter, index), order + 1
        site = record.shown(site)
        marks.setdefault(site.file, {}).setdefault(site.line, []).append(f"<-{order} {EVENTS.get(letter, letter)}")
    return marks


def _embedded(figure: Figure, number: int) -> dict[str, Any]:
    """A figure with its plot as a block of data: `<` is written so that no text can end the block."""
    text = json.dumps(_finite(figure.plot), allow_nan=False).replace("<", "\\u003c")
    return {
        "id": f"plot{number}",
        "title": figure.title,
        "note": figure.note,
        "plot": text,
        "head": figure.head,
        "rows": figure.rows,
    }


def _finite(value: Any) -> Any:
    """Plain data with a gap wherever a number is none that can be drawn."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    return [_finite(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def _said(value: Any) -> str:
    return " ".join(str(part) for part in value) if isinstance(value, list) else str(value)
