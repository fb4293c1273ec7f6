"""What `check` found, in words, as JSON, and as the commands that GitHub turns into annotations."""

from __future__ import annotations

import io
from importlib.metadata import version
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from ..checking import Checked
from ..conditions.catalogue import shown_by_source
from ..diagnosis import Placed
from .json import SCHEMA_VERSION, dumps, finding_document
from .terminal import COLOURS, WIDTH, print_finding
from .untrusted import line

LEVELS = {"error": "error", "warning": "warning", "info": "notice"}


def as_json(checked: Checked) -> str:
    """One JSON document; a finding looks as it does in that of a run."""
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "sgdoctor", "version": version("sgdoctor")},
        "check": {"files": checked.files, "conditions": len(shown_by_source())},
        "findings": [finding_document(placed) for placed in checked.findings],
        "not_checked": [{"file": each.file, "reason": each.reason} for each in checked.unread],
        "not_evaluated": [{"condition": name, "reason": reason} for name, reason in checked.failed],
    }
    return dumps(document)


def concise(checked: Checked) -> str:
    """One line a finding."""
    return "".join(
        line(f"{place(each)}: {each.severity} [{each.condition.id}] {said(each)}") + "\n" for each in checked.findings
    )


def github(checked: Checked) -> str:
    """One workflow command a finding: an annotation on its line of the pull request."""
    rows = []
    for placed in checked.findings:
        site = placed.finding.site
        where = f"file={_property(site.file)},line={site.line}," if site is not None else ""
        title = _property(f"{placed.condition.id}: {placed.condition.title}")
        text = "%0A".join(_message(entry) for entry in [said(placed), *_fixes(placed)])
        rows.append(f"::{LEVELS[placed.severity]} {where}title={title}::{text}\n")
    return "".join(rows)


def show(checked: Checked, stream: TextIO) -> None:
    """The findings in full on a stream: with colour where that is a terminal."""
    if stream.isatty():
        _print(checked, Console(file=stream, highlight=False))
        return
    buffer = io.StringIO()
    _print(
        checked,
        Console(
            file=buffer, width=WIDTH, color_system=None, force_terminal=False, force_jupyter=False, highlight=False
        ),
    )
    text = "".join(row.rstrip() + "\n" for row in buffer.getvalue().splitlines())
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding))


def summary(checked: Checked) -> str:
    """One sentence at the end."""
    count = len(checked.findings)
    files = f"{checked.files} file{'s' if checked.files != 1 else ''}"
    if not count:
        return f"nothing found in {files} by {len(shown_by_source())} conditions that source alone can show"
    return f"{count} finding{'s' if count != 1 else ''} in {files}"


def place(placed: Placed) -> str:
    """`file:line`, and the cell of a notebook."""
    site = placed.finding.site
    if site is None:
        return "-"
    return f"{site.file}:{site.line}" if site.cell is None else f"{site.file}:cell {site.cell}:{site.line}"


def said(placed: Placed) -> str:
    """What shows it, in one sentence."""
    return placed.finding.evidence[0].text if placed.finding.evidence else placed.condition.title


def _fixes(placed: Placed) -> list[str]:
    return [f"fix: {offer.remedy.title}" for offer in placed.offers[:1]]


def _print(checked: Checked, console: Console) -> None:
    for placed in checked.findings:
        print_finding(placed, console, leading=True)
    console.print(Text(line(summary(checked)), style=COLOURS["error"] if checked.findings else "bold green"))


def _message(text: str) -> str:
    return line(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
