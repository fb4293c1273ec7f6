"""`sgdoctor run`: the script under observation, then the diagnosis."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from ..errors import SgdoctorError
from . import report_bug
from .output import FORMATS, conditions_option, report_files, write_report

EXIT_FOUND = 10


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    options_metavar="[OPTIONS]",
)
@click.option("-m", "module", is_flag=True, help="SCRIPT is a module name, as in `python -m`.")
@click.option("--max-steps", type=click.IntRange(min=1), metavar="N", help="End the run after N optimizer steps.")
@click.option("--record", type=click.Path(path_type=Path), metavar="DIR", help="Folder for the record.")
@report_files
@click.option("--format", "form", type=click.Choice(FORMATS), default="full", help="What to print at the end.")
@click.option("--select", multiple=True, callback=conditions_option, metavar="CONDITIONS", help="Look for these only.")
@click.option("--ignore", multiple=True, callback=conditions_option, metavar="CONDITIONS", help="Leave these out.")
@click.option(
    "--budget",
    type=click.FloatRange(0, 100),
    default=2.0,
    metavar="PERCENT",
    help="Share of the run's time that close looks may take (default 2).",
)
@click.option(
    "--stop-on", multiple=True, callback=conditions_option, metavar="CONDITIONS", help="End the run on these."
)
@click.option("--exit-on", type=click.Choice(["warning", "error"]), help=f"Exit with {EXIT_FOUND} on such findings.")
@click.option("--python", default=sys.executable, metavar="PATH", help="Interpreter for the script.")
@click.option("--quiet", is_flag=True, help="Print nothing of ours.")
@click.argument("script")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
def command(
    files: dict[str, str],
    module: bool,
    max_steps: int | None,
    record: Path | None,
    form: str,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    budget: float,
    stop_on: tuple[str, ...],
    exit_on: str | None,
    python: str,
    quiet: bool,
    script: str,
    arguments: tuple[str, ...],
) -> None:
    """Run SCRIPT unchanged, and say what keeps it from learning.

    The script's own output is left as it is; the report follows on standard error.
    The exit status is the script's own.
    """
    from ..process import Plan, pass_through
    from ..settings import settings, with_settings

    select, ignore = with_settings(settings(), select, ignore)
    plan = Plan(script, arguments, module, python, record, budget / 100, max_steps)
    if os.environ.get("SGDOCTOR_DISABLE") == "1":
        sys.exit(pass_through(plan))
    from ..api import diagnose, needed_signals
    from ..gathering import own_rank, reports
    from ..process import run
    from .live import Live

    for name in stop_on:
        needed_signals([name], ())
    plan = Plan(
        script, arguments, module, python, record, budget / 100, max_steps, needed_signals([*select, *stop_on], ignore)
    )
    first = reports(own_rank())  # of several ranks, each started by a command of its own, one speaks
    live = Live(select, ignore, stop_on, quiet)
    try:
        observed = run(plan, live.look if first else None)
    finally:
        live.close()
    if not first:
        sys.exit(int(observed.exit.get("status", 0)))
    try:
        diagnosis = diagnose(observed, select=select, ignore=ignore)
        write_report(diagnosis, form, files, quiet, to_stderr=True)
    except SgdoctorError:
        raise
    except Exception as error:
        if os.environ.get("SGDOCTOR_STRICT") == "1":
            raise
        report_bug(error)  # and still leave as the script left: CI must not see a failed training where there is none
        sys.exit(int(observed.exit.get("status", 0)))
    sys.exit(_status(diagnosis, exit_on))


def _status(diagnosis: Any, exit_on: str | None) -> int:
    severities = {placed.severity for placed in diagnosis.findings}
    if exit_on and severities & ({"error"} if exit_on == "error" else {"error", "warning"}):
        return EXIT_FOUND
    return int(diagnosis.record.exit.get("status", 0))
