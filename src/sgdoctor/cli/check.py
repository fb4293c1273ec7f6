"""`sgdoctor check`: what the source alone shows, without running it."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from .output import conditions_option

FORMS = ("full", "concise", "json", "sarif", "github")


@click.command()
@click.option("--fix", is_flag=True, help="Write the remedies that are safe into the files.")
@click.option("--diff", is_flag=True, help="Print what --fix would change, and write nothing.")
@click.option("--format", "form", type=click.Choice(FORMS), default="full", help="What to print.")
@click.option("--select", multiple=True, callback=conditions_option, metavar="CONDITIONS", help="Look for these only.")
@click.option("--ignore", multiple=True, callback=conditions_option, metavar="CONDITIONS", help="Leave these out.")
@click.option("--quiet", is_flag=True, help="Print nothing; only set the exit status.")
@click.argument("paths", nargs=-1, metavar="PATH...")
def command(
    fix: bool,
    diff: bool,
    form: str,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    quiet: bool,
    paths: tuple[str, ...],
) -> None:
    """Read the Python in PATH... and say what will keep it from learning: scripts, folders, notebooks.

    Nothing of it is run or imported. What source cannot decide is not said: `sgdoctor run` sees more.
    Default: this folder.

    Exit status: 0 nothing found, 1 findings (with --diff: changes), 2 a file could not be read.
    """
    from ..lazily import imported_when_used

    imported_when_used("numpy")  # the conditions read records with it, and no record is read here
    from ..checking import examine
    from ..settings import settings, with_settings

    decided = settings()
    select, ignore = with_settings(decided, select, ignore)
    paths = paths or (".",)
    if fix or diff:
        from ..checking.fixing import fixes

        found = fixes(paths, select, ignore, decided.exclude)
        if diff:
            if not quiet:
                sys.stdout.write(found.diff())
            sys.exit(1 if found.contents else 0)
        found.write()
        if found.mended and not quiet:
            changed = ", ".join(found.contents)
            click.echo(f"sgdoctor: {found.mended} mended in {changed}", err=True)
    strict = os.environ.get("SGDOCTOR_STRICT") == "1"
    checked = examine(
        paths,
        select=select,
        ignore=ignore,
        exclude=decided.exclude,
        severities=decided.severities,
        strict=strict,
    )
    _say(checked, form, quiet)
    alarms = any(placed.severity != "info" for placed in checked.findings)
    sys.exit(1 if alarms else 2 if checked.unread else 3 if checked.failed else 0)


def _say(checked: Any, form: str, quiet: bool) -> None:
    from ..report.untrusted import line

    for each in checked.unread:
        click.echo(line(f"sgdoctor: {each.file}: {each.reason}"), err=True)
    for name, error in checked.failed:
        click.echo(line(f"sgdoctor: an error of its own in {name}: {error}; the other conditions stand"), err=True)
    if quiet:
        return
    from ..report import checked as words

    if form == "json":
        sys.stdout.write(words.as_json(checked))
    elif form == "sarif":
        from ..report import sarif

        sys.stdout.write(sarif.render(checked.findings, checked.text_of))
    elif form == "github":
        sys.stdout.write(words.github(checked))
    elif form == "concise":
        sys.stdout.write(words.concise(checked))
        click.echo(line(f"sgdoctor: {words.summary(checked)}"), err=True)
    else:
        words.show(checked, sys.stdout)
