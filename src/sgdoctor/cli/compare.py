"""`sgdoctor compare`: what differs between two runs, and since which step."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .output import write_text


@click.command()
@click.option("--json", "json_file", metavar="FILE", help="Write the comparison as JSON; - is standard output.")
@click.option("--html", "html_file", metavar="FILE", help="Write it as a page that opens offline.")
@click.option("--quiet", is_flag=True, help="Print nothing; only write files and set the exit status.")
@click.argument("first", type=click.Path(path_type=Path), metavar="RECORD")
@click.argument("second", type=click.Path(path_type=Path), metavar="RECORD")
def command(json_file: str | None, html_file: str | None, quiet: bool, first: Path, second: Path) -> None:
    """Say what differs between two runs: source, settings, versions, data, and the step from which the losses part.

    Exit status: 0 nothing differs, 1 something does.
    """
    from ..api import load
    from ..diagnosis.comparison import compare
    from ..report import comparison

    found = compare(load(first), load(second))
    if json_file is not None:
        write_text("--json", json_file, comparison.as_json(found))
    if html_file is not None:
        from ..report import html

        write_text("--html", html_file, html.compared(found))
    if not quiet and "-" not in (json_file, html_file):
        sys.stdout.write(comparison.render(found))
    sys.exit(0 if found.alike else 1)
