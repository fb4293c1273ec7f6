"""The command line. Each command is a module; what it needs beyond click is imported when it runs."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from ..errors import SgdoctorError

COMMANDS = ("run", "prove", "check", "report", "compare", "explain")


class Commands(click.Group):
    """Loads a command's module when it is named, so that `--help` of one does not pay for the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands there are."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command with this name."""
        if cmd_name not in COMMANDS:
            return None
        found = getattr(import_module(f".{cmd_name}", __name__), "command", None)
        return found if isinstance(found, click.Command) else None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="sgdoctor", message="%(prog)s %(version)s")
def group() -> None:
    """Says why a PyTorch training run does not learn: the cause, the line, the numbers, the change.

    Start with `sgdoctor run train.py`.
    """


def main() -> None:
    """The entry point: an error that is meant becomes one line and status 2, one that is not one line and status 3."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed: what we say goes nowhere, and the script runs
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    try:
        group.main(prog_name="sgdoctor", standalone_mode=True)
    except SgdoctorError as error:
        click.echo(f"sgdoctor: {error}", err=True)
        sys.exit(2)
    except Exception as error:
        if os.environ.get("SGDOCTOR_STRICT") == "1":
            raise
        report_bug(error)
        sys.exit(3)


def report_bug(error: Exception) -> None:
    """Say what went wrong in us, where, and what to do about it; never with a traceback."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = f" at {os.path.basename(frame.tb_frame.f_code.co_filename)}:{frame.tb_lineno}" if frame else ""
    text = str(error).splitlines()[0][:200] if str(error) else ""
    click.echo(
        f"sgdoctor: an error of its own{where}: {type(error).__name__}: {text}. The script and its record are not "
        "affected; SGDOCTOR_STRICT=1 shows where it comes from.",
        err=True,
    )
