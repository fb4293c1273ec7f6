"""`sgdoctor report`: a stored record once more, in another form."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .output import FORMATS, conditions_option, report_files, write_report


@click.command()
@report_files
@click.option("--format", "form", type=click.Choice(FORMATS), default="full", help="What to print.")
@click.option("--select", multiple=True, callback=conditions_option, metavar="CONDITIONS", help="Look for these only.")
@click.option("--ignore", multiple=True, callback=conditions_option, metavar="CONDITIONS", help="Leave these out.")
@click.option("--quiet", is_flag=True, help="Print nothing; only write files and set the exit status.")
@click.argument("record", required=False, type=click.Path(path_type=Path))
def command(
    files: dict[str, str],
    form: str,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    quiet: bool,
    record: Path | None,
) -> None:
    """Diagnose RECORD (default: the last one of this folder) again.

    Exit status: 0 nothing found, 1 findings.
    """
    from ..api import load
    from ..process import last_record
    from ..settings import settings, with_settings
    from ..trials.store import recalled

    select, ignore = with_settings(settings(), select, ignore)
    diagnosis = recalled(load(record or last_record()), select, ignore)
    write_report(diagnosis, form, files, quiet, to_stderr=False)
    sys.exit(1 if any(placed.severity != "info" for placed in diagnosis.findings) else 0)
