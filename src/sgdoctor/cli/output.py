"""Where reports go, and options that several commands share."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from ..errors import RecordError
from ..report import KINDS

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


def report_files(function: Callable[..., None]) -> Callable[..., None]:
    """Options `--json FILE`, `--html FILE`, ... of a command, which gets them as `files`, by kind."""

    @functools.wraps(function)
    def gathered(**given: Any) -> None:
        files = {kind: given.pop(f"{kind}_file") for kind in KINDS}
        function(files={kind: file for kind, file in files.items() if file is not None}, **given)

    for kind, words in reversed(KINDS.items()):
        says = f"Write the report as {words}; - is standard output."
        gathered = click.option(f"--{kind}", f"{kind}_file", metavar="FILE", help=says)(gathered)
    return gathered


def write_report(diagnosis: Any, form: str, files: Mapping[str, str], quiet: bool, to_stderr: bool) -> None:
    """Write the diagnosis to the files asked for, by kind, and print it in the chosen form."""
    from ..report import render, terminal

    for kind, file in files.items():
        write_text(f"--{kind}", file, render(diagnosis, kind))
    printed = [kind for kind, file in files.items() if file == "-"]
    if quiet or (printed and (form in printed or not to_stderr)):
        return
    if form == "json":
        sys.stdout.write(render(diagnosis, "json"))
    elif form == "concise":
        click.echo(terminal.concise(diagnosis), err=to_stderr)
    else:
        terminal.show(diagnosis, sys.stderr if to_stderr else sys.stdout)
