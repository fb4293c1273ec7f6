"""`sgdoctor prove`: the diagnosis with its remedies tried."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from ..errors import RecordError, ScriptError, UsageError
from .output import FORMATS, conditions_option, report_files, write_report


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    options_metavar="[OPTIONS]",
)
@click.option("-m", "module", is_flag=True, help="SCRIPT is a module name, as in `python -m`.")
@click.option("--seeds", type=click.IntRange(min=1), default=3, metavar="K", help="Pairs of runs (default 3).")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Trials at once (default: one a core).")
@click.option("--engine", default="local", metavar="local|ray", help="Where trials run.")
@click.option("--time-limit", type=float, default=600.0, metavar="SECONDS", help="For everything (default 600).")
@click.option("--apply", "apply_it", is_flag=True, help="Write the proven patch into the script.")
@click.option("--patch", "patch_file", metavar="FILE", help="Write the patch to a file; - is standard output.")
@report_files
@click.option("--format", "form", type=click.Choice(FORMATS), default="full", help="What to print at the end.")
@click.option("--select", multiple=True, callback=conditions_option, metavar="CONDITIONS", help="Look for these only.")
@click.option("--ignore", multiple=True, callback=conditions_option, metavar="CONDITIONS", help="Leave these out.")
@click.option("--python", default=sys.executable, metavar="PATH", help="Interpreter for the script.")
@click.option("--quiet", is_flag=True, help="Print nothing; only write files and set the exit status.")
@click.argument("script")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
def command(
    files: dict[str, str],
    module: bool,
    seeds: int,
    workers: int | None,
    engine: str,
    time_limit: float,
    apply_it: bool,
    patch_file: str | None,
    form: str,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    python: str,
    quiet: bool,
    script: str,
    arguments: tuple[str, ...],
) -> None:
    """Diagnose SCRIPT, re-run it with the changes that should mend it, and say what is proven.

    SCRIPT may be the folder of a record: then its script is not diagnosed again. Nothing of yours is overwritten:
    what the trials write goes to a scratch folder.

    Exit status: 0 nothing found, 1 findings.
    """
    if shutil.which(python) is None:
        raise ScriptError(f"--python {python}: there is no such interpreter")
    if time_limit <= 0:
        raise UsageError("--time-limit must be positive")
    from ..api import prove
    from ..settings import settings, with_settings
    from ..trials.store import keep
    from .progress import Progress

    select, ignore = with_settings(settings(), select, ignore)
    record = None
    if not module and Path(script).is_dir() and list(Path(script).glob("process-*.jsonl")):
        record, script, arguments, module = _of_record(Path(script), arguments)
    with Progress(quiet or not sys.stderr.isatty(), quiet or form == "json") as progress:
        diagnosis = prove(
            script,
            arguments,
            record=record,
            module=module,
            python=python,
            seeds=seeds,
            workers=workers,
            engine=engine,
            time_limit=time_limit,
            select=select,
            ignore=ignore,
            watch=progress.watch(),
        )
    keep(diagnosis)
    write_report(diagnosis, form, files, quiet, to_stderr=False)
    if patch_file is not None:
        _write_patch(diagnosis, patch_file)
    if apply_it:
        _apply(diagnosis, quiet or "-" in (*files.values(), patch_file))
    sys.exit(1 if any(placed.severity != "info" for placed in diagnosis.findings) else 0)


def _of_record(folder: Path, arguments: tuple[str, ...]) -> tuple[Any, str, tuple[str, ...], bool]:
    """The script that left a record, with the arguments it had; it must be where it was."""
    from ..api import load

    record = load(folder)
    target = record.exit.get("target") or record.start.get("script")
    if not isinstance(target, str):
        raise RecordError(f"{folder}: this record does not say which script it is of; give the script instead")
    given = tuple(str(argument) for argument in record.start.get("argv", []))
    return record, target, arguments or given, bool(record.exit.get("module"))


def _write_patch(diagnosis: Any, file: str) -> None:
    from ..diagnosis.diagnosis import patch

    text = patch(diagnosis)
    if file == "-":
        sys.stdout.write(text)
        return
    if not text:
        click.echo(f"sgdoctor: no change was upheld, so that {file} is not written", err=True)
        return
    try:
        Path(file).write_bytes(text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise RecordError(f"--patch {file}: cannot be written ({error.strerror})") from None


def _apply(diagnosis: Any, quiet: bool) -> None:
    """Write the patched texts over the files, each with a backup unless git can bring it back."""
    for name, text in diagnosis.patched.items():
        path = Path(name)
        backup = None if _clean_in_git(path) else path.with_name(path.name + ".orig")
        try:
            if backup is not None:
                shutil.copy2(path, backup)
            fresh = path.with_name(path.name + ".sgdoctor")
            fresh.write_bytes(text.encode("utf-8"))
            shutil.copymode(path, fresh)
            os.replace(fresh, path)  # all or nothing, also on a full disk
        except OSError as error:
            raise RecordError(f"--apply {path}: cannot be written ({error.strerror}); it is as it was") from None
        if not quiet:
            kept = f"; the file as it was is {backup}" if backup is not None else "; git has it as it was"
            click.echo(f"sgdoctor: changed {path}{kept}", err=True)
    if not diagnosis.patched and not quiet:
        click.echo("sgdoctor: no change was upheld; nothing is written", err=True)


def _clean_in_git(path: Path) -> bool:
    """Whether git tracks the file, and has it as it is."""
    command = ["git", "-C", str(path.parent or "."), "status", "--porcelain", "--ignored", "--", path.name]
    known = ["git", "-C", str(path.parent or "."), "ls-files", "--error-unmatch", "--", path.name]
    try:
        state = subprocess.run(command, capture_output=True, check=False)
        tracked = subprocess.run(known, capture_output=True, check=False)
    except OSError:
        return False
    return tracked.returncode == 0 and state.returncode == 0 and not state.stdout.strip()
