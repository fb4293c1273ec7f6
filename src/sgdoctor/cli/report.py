"""`sgdoctor report`: a stored record once more, in another form."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .output import FORMATS, conditions_option, write_report


@click.command()
@click.option("--json", "json_file", metavar="FILE", help="Write the diagnosis as JSON; - is standard output.")
@click.option("--sarif", "sarif_file", metavar="FILE", help="Write the findings as SARIF; - is standard output.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="full", help="What to print.")
@click.option("--select", multiple=True, callback=conditions_option, metavar="CONDITIONS", help="Look for these only.")
@click.option("--ignore", multiple=True, callback=conditions_option, metavar="CONDITIONS", help="Leave these out.")
@click.option("--quiet", is_flag=True, help="Print nothing; only write files and set the exit status.")
@click.argument("record", required=False, type=click.Path(path_type=Path))
def command(
    json_file: str | None,
    sarif_file: str | None,
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
    write_report(
        diagnosis, form, json_file, quiet or "-" in (json_file, sarif_file), to_stderr=False, sarif_file=sarif_file
    )
    sys.exit(1 if any(placed.severity != "info" for placed in diagnosis.findings) else 0)
