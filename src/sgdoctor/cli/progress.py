"""What `prove` shows while it works: what is being tried, how far it is, each result as it comes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from ..report.untrusted import line

if TYPE_CHECKING:
    from ..trials.prove import Watch
    from ..trials.trial import Result


class Progress:
    """A bar a stage on a terminal; a line a stage where there is none; nothing when quiet."""

    def __init__(self, plain: bool, quiet: bool) -> None:
        self._quiet = quiet
        self._bars: Any = None
        self._task: Any = None
        self._stage = ""
        if not plain:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bars

            columns = (TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), TimeRemainingColumn())
            self._bars = Bars(*columns, console=Console(file=sys.stderr), transient=True)

    def __enter__(self) -> Progress:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def watch(self) -> Watch:
        """What a proof tells it."""
        from ..trials.prove import Watch

        return Watch(self._begin, self._ended, self._say)

    def _begin(self, text: str, trials: int) -> None:
        self._stage = text
        if self._bars is not None:
            if self._task is not None:
                self._bars.remove_task(self._task)
            self._task = self._bars.add_task(text, total=trials)
        elif not self._quiet:
            click.echo(f"sgdoctor: {text} ({trials} trial{'s' if trials > 1 else ''})", err=True)

    def _ended(self, result: Result) -> None:
        if self._bars is None:
            return
        self._bars.advance(self._task)
        loss = f"ended with status {result.status}"
        if result.record.objectives and len(values := result.record.objectives[0].values):
            loss = f"loss {values[0]:.4g} -> {values[-1]:.4g}"
        seed = f" seed {result.trial.seed}"
        self._bars.console.print(line(f"  {result.trial.name}{seed}: {loss}, {result.seconds:.1f} s"), style="dim")

    def _say(self, text: str) -> None:
        if self._bars is not None:
            self._bars.console.print(line(f"  {text}"), style="dim")
        elif not self._quiet:
            click.echo(line(f"sgdoctor: {text}"), err=True)
