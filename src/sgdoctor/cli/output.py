"""Where reports go, and options that several commands share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from ..errors import RecordError

FORMATS = ("full", "concise", "json")


def conditions_option(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Condition ids, given several times or with commas between."""
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())


def write_text(option: str, file: str, text: str) -> None:
    """To a file, or to standard output for `-`. Raises RecordError."""
    if file == "-":
        sys.stdout.write(text)
        return
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise RecordError(f"{option} {file}: cannot be written ({error.strerror})") from None


def write_report(
    diagnosis: Any, form: str, json_file: str | None, quiet: bool, to_stderr: bool, sarif_file: str | None = None
) -> None:
    """Print the diagnosis in the chosen form, and write it as JSON and SARIF where files are named."""
    from ..report import json, terminal

    if json_file is not None:
        write_text("--json", json_file, json.render(diagnosis))
    if sarif_file is not None:
        from ..report import sarif

        write_text("--sarif", sarif_file, sarif.of_run(diagnosis))
    if quiet or (json_file == "-" and form == "json"):
        return
    if form == "json":
        sys.stdout.write(json.render(diagnosis))
    elif form == "concise":
        click.echo(terminal.concise(diagnosis), err=to_stderr)
    else:
        terminal.show(diagnosis, sys.stderr if to_stderr else sys.stdout)
