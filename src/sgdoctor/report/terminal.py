"""A diagnosis for a terminal: plain where it is none; the last lines hold the verdict and what to do next."""

from __future__ import annotations

import io
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..diagnosis import Diagnosis, Placed
from .json import relative
from .untrusted import clean, line

WIDTH = 100  # of a report that goes to a file
COLOURS = {"error": "bold red", "warning": "yellow", "info": "cyan"}
VERDICTS = {
    "healthy": "bold green",
    "faulty": "bold red",
    "at-the-floor": "bold yellow",
    "crashed": "bold red",
    "too-short": "bold yellow",
    "nothing-observed": "bold yellow",
}


def render(diagnosis: Diagnosis) -> str:
    """The full report as plain text."""
    buffer = io.StringIO()
    _print(diagnosis, Console(file=buffer, width=WIDTH, color_system=None, force_terminal=False, highlight=False))
    return "".join(row.rstrip() + "\n" for row in buffer.getvalue().splitlines())


def show(diagnosis: Diagnosis, stream: TextIO) -> None:
    """The full report on a stream: with colour where that is a terminal."""
    if stream.isatty():
        _print(diagnosis, Console(file=stream, highlight=False))
    else:
        encoding = stream.encoding or "utf-8"  # the frame of the report must not break where only ASCII is printed
        stream.write(render(diagnosis).encode(encoding, "replace").decode(encoding))


def concise(diagnosis: Diagnosis) -> str:
    """One line a finding, `file:line: severity condition: evidence`, and the verdict."""
    lines = []
    for placed in diagnosis.findings:
        site = placed.finding.site
        where = f"{site.file}:{site.line}" if site else "-"
        evidence = placed.finding.evidence[0].text if placed.finding.evidence else placed.condition.title
        lines.append(line(f"{where}: {placed.severity} [{placed.condition.id}] {evidence}"))
    return "\n".join([*lines, line(f"{diagnosis.verdict}: {diagnosis.summary}")])


def _print(diagnosis: Diagnosis, console: Console) -> None:
    console.print()
    console.rule("sgdoctor", style="dim")
    alarms = [placed for placed in diagnosis.findings if placed.severity != "info"]
    for placed in reversed(diagnosis.findings):
        _print_finding(placed, console, leading=bool(alarms) and placed is alarms[0])
    if not alarms:
        _print_learning(diagnosis, console)
    _print_open(diagnosis, console)
    _print_verdict(diagnosis, alarms, console)


def _print_finding(placed: Placed, console: Console, leading: bool) -> None:
    finding = placed.finding
    head = Text()
    head.append(f"{placed.severity} ", style=COLOURS[placed.severity])
    head.append(placed.condition.id, style="bold")
    head.append(f"  {placed.condition.title}")
    if placed.explained_by:
        head.append(f"  (follows from {', '.join(placed.explained_by)})", style="dim")
    console.print(head)
    rows = [("-", line(entry.text), "") for entry in finding.evidence]
    if finding.site is not None:
        site = finding.site
        rows.append(("at", line(f"{site.file}:{site.line} in {site.function}"), "cyan"))
    if leading:
        rows += [("fix", line(remedy.title), "green") for remedy, _ in placed.remedies]
    _print_rows(rows, console)
    for _, patch in placed.remedies if leading else ():
        if patch:
            _print_patch(clean(patch), console)
    console.print()


def _print_rows(rows: list[tuple[str, str, str]], console: Console) -> None:
    """Label and sentence side by side, so that a long sentence hangs under its own beginning."""
    grid = Table.grid(padding=(0, 1), expand=False)
    grid.add_column(width=1)
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column()
    for label, text, style in rows:
        grid.add_row("", label, Text(text, style=style))
    console.print(grid)


def _print_patch(patch: str, console: Console) -> None:
    for row in patch.rstrip("\n").split("\n"):
        style = {"+": "green", "-": "red", "@": "cyan"}.get(row[:1], "dim")
        console.print(Text("    " + row, style=style), soft_wrap=True)


def _print_learning(diagnosis: Diagnosis, console: Console) -> None:
    learning = diagnosis.learning
    if learning is None or learning.first != learning.first:
        return
    console.print(Text(f"loss      {learning.first:.4g} -> {learning.last:.4g} over {learning.count} steps"))
    if learning.baseline == learning.baseline:
        console.print(
            Text(f"baseline  {learning.baseline:.4g}, the loss of the best constant output; skill {learning.skill:.2f}")
        )
    if learning.gap == learning.gap:
        console.print(Text(f"targets   permuted within a batch cost {learning.gap:.2f} baselines more"))


def _print_open(diagnosis: Diagnosis, console: Console) -> None:
    """The names only: most of the reasons are that the script has nothing of the kind. JSON has them all."""
    if diagnosis.not_evaluated:
        names = ", ".join(name for name, _ in diagnosis.not_evaluated)
        console.print(Text(f"not evaluated: {names} (`sgdoctor report --json -` says why)", style="dim"))
        console.print()


def _print_verdict(diagnosis: Diagnosis, alarms: list[Placed], console: Console) -> None:
    verdict = Text()
    verdict.append(diagnosis.verdict, style=VERDICTS[diagnosis.verdict])
    verdict.append(f"  {line(diagnosis.summary)}", style="bold")
    console.print(verdict)
    rows = []
    if alarms:
        first = alarms[0]
        if first.finding.evidence:
            rows.append(("why", line(first.finding.evidence[0].text), ""))
        if first.finding.site is not None:
            rows.append(("at", line(f"{first.finding.site.file}:{first.finding.site.line}"), "cyan"))
        if first.remedies:
            rows.append(("fix", line(first.remedies[0][0].title), "green"))
        rows.append(("next", f"sgdoctor explain {first.condition.id}", "bold"))
    if diagnosis.record.path is not None:
        rows.append(("record", line(relative(diagnosis.record.path)), "dim"))
    _print_rows(rows, console)
