"""What is said while the script runs: a status in the terminal's title, and each sure finding once."""

from __future__ import annotations

import sys

import click

from ..api import diagnose
from ..record import Record
from ..report.untrusted import line

SURE = 0.9  # confidence from which a finding is said before the run is over
LOOKS = 2  # times in a row it must have been found


class Live:
    """Looks at the record so far. The terminal's title is the one place that never mixes with the script's output."""

    def __init__(self, select: tuple[str, ...], ignore: tuple[str, ...], stop_on: tuple[str, ...], quiet: bool) -> None:
        self._select, self._ignore, self._stop_on = select, ignore, stop_on
        self._terminal = sys.stderr.isatty() and not quiet
        self._seen: dict[str, int] = {}
        self._said: set[str] = set()

    def look(self, record: Record) -> bool:
        """Look; whether the run should be stopped."""
        diagnosis = diagnose(record, select=self._select and (*self._select, *self._stop_on), ignore=self._ignore)
        names = {p.condition.id: p for p in diagnosis.findings if p.severity != "info" and p.role == "cause"}
        self._seen = {name: self._seen.get(name, 0) + 1 for name in names}
        if self._terminal:
            loss = f", loss {diagnosis.learning.last:.4g}" if diagnosis.learning else ""
            click.echo(f"\033]2;sgdoctor: step {record.steps}{loss}\007", nl=False, err=True)
            for name, placed in names.items():
                sure = placed.finding.confidence >= SURE and self._seen[name] >= LOOKS
                if sure and name not in self._said:
                    self._said.add(name)
                    site = placed.finding.site
                    where = f" ({site.file}:{site.line})" if site else ""
                    click.secho(line(f"sgdoctor: {placed.condition.title}{where}"), err=True, fg="yellow")
        return any(self._seen.get(name, 0) >= LOOKS for name in self._stop_on)

    def close(self) -> None:
        """Give the terminal its title back."""
        if self._terminal:
            click.echo("\033]2;\007", nl=False, err=True)
