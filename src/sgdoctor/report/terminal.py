"""A diagnosis for a terminal: plain where it is none; the last lines hold the verdict and what to do next."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from typing import TextIO

from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from ..conditions import Condition
from ..diagnosis import Diagnosis, Placed

WIDTH = 100  # of a report that goes to a file
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]|\x1b\[[0-9;]*[A-Za-z]")
MAX_TEXT = 2000  # characters of any one text that comes from the script
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
    return buffer.getvalue()


def show(diagnosis: Diagnosis, stream: TextIO) -> None:
    """The full report on a stream: with colour where that is a terminal."""
    terminal = stream.isatty()
    _print(diagnosis, Console(file=stream, width=None if terminal else WIDTH, highlight=False))


def concise(diagnosis: Diagnosis) -> str:
    """One line a finding, `file:line: severity condition: evidence`, and the verdict."""
    lines = []
    for placed in diagnosis.findings:
        site = placed.finding.site
        where = f"{site.file}:{site.line}" if site else "-"
        evidence = placed.finding.evidence[0].text if placed.finding.evidence else placed.condition.title
        lines.append(clean(f"{where}: {placed.severity} [{placed.condition.id}] {evidence}"))
    return "\n".join([*lines, clean(f"{diagnosis.verdict}: {diagnosis.summary}")])


def table(conditions: Iterable[Condition]) -> str:
    """All conditions, one a line."""
    entries = list(conditions)
    width = max(len(entry.id) for entry in entries)
    lines = [f"{entry.id:<{width}}  {entry.severity:<7}  {entry.title}" for entry in entries]
    return "\n".join([*lines, "", "`sgdoctor explain CONDITION` shows one page."])


def page(condition: Condition) -> str:
    """One condition's page."""
    title, _, rest = condition.page.strip().partition("\n")
    return f"{condition.id} ({condition.severity})\n{title}\n{rest}".rstrip()


def clean(text: str) -> str:
    """Text of the script without control codes, and not longer than a screen."""
    text = CONTROL.sub("", text).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + " ..."


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
    for entry in finding.evidence:
        console.print(Text("  - " + clean(entry.text)))
    if finding.site is not None:
        console.print(Text(f"  at {clean(finding.site.file)}:{finding.site.line} in {clean(finding.site.function)}"))
    for remedy, patch in placed.remedies if leading else ():
        console.print(Text(f"  fix: {clean(remedy.title)}", style="green"))
        if patch:
            if console.is_terminal:
                console.print(Syntax(clean(patch), "diff", background_color="default"))
            else:
                console.print(Text("".join(f"    {line}\n" for line in clean(patch).splitlines())), end="")
    console.print()


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
    if not diagnosis.not_evaluated:
        return
    reasons: dict[str, list[str]] = {}
    for name, reason in diagnosis.not_evaluated:
        reasons.setdefault(reason, []).append(name)
    for reason, names in reasons.items():
        console.print(Text(f"not evaluated: {', '.join(names)}: {clean(reason)}", style="dim"))


def _print_verdict(diagnosis: Diagnosis, alarms: list[Placed], console: Console) -> None:
    line = Text()
    line.append(diagnosis.verdict, style=VERDICTS[diagnosis.verdict])
    line.append(f"  {clean(diagnosis.summary)}", style="bold")
    console.print(line)
    if alarms and alarms[0].finding.evidence:
        console.print(Text(f"  why:  {clean(alarms[0].finding.evidence[0].text)}"))
    if alarms and alarms[0].remedies:
        console.print(Text(f"  fix:  {clean(alarms[0].remedies[0][0].title)}"))
    if alarms:
        console.print(Text(f"  next: sgdoctor explain {alarms[0].condition.id}"))
    if diagnosis.record.path is not None:
        console.print(Text(f"  record {diagnosis.record.path}", style="dim"), soft_wrap=True)
