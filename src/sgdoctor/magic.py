"""The cell magic `%%sgdoctor`, put there by `%load_ext sgdoctor`: runs a cell observed, then shows the diagnosis."""

from __future__ import annotations

import ast
import os
import shlex
import sys
from typing import Any

import click

from .api import Observation, diagnose, needed_signals, observe
from .cli.output import conditions_option
from .errors import UsageError
from .process import new_folder


def load_ipython_extension(shell: Any) -> None:
    """Called by `%load_ext sgdoctor`."""

    def sgdoctor(line: str, cell: str) -> None:
        try:
            options = command.main(shlex.split(line), "%%sgdoctor", standalone_mode=False)
        except click.ClickException as error:
            raise UsageError(f"%%sgdoctor: {error.format_message()}") from None
        if isinstance(options, dict):  # else it was --help
            _run(shell, line, cell, **options)

    shell.register_magic_function(sgdoctor, magic_kind="cell", magic_name="sgdoctor")


def unload_ipython_extension(shell: Any) -> None:
    """Called by `%unload_ext sgdoctor`."""
    shell.magics_manager.magics["cell"].pop("sgdoctor", None)


@click.command()
@click.option("--select", multiple=True, callback=conditions_option, metavar="CONDITIONS", help="Look for these only.")
@click.option("--ignore", multiple=True, callback=conditions_option, metavar="CONDITIONS", help="Leave these out.")
@click.option("--budget", type=click.FloatRange(0, 100), default=2.0, metavar="PERCENT", help="Share for close looks.")
@click.argument("name", required=False)
def command(**options: Any) -> dict[str, Any]:
    """Run the cell under observation; the diagnosis is shown below its output, and kept as NAME if one is given."""
    return options


def _run(
    shell: Any,
    line: str,
    cell: str,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    budget: float,
    name: str | None,
) -> None:
    needed_signals(select, ignore)  # raises where a condition does not exist
    parts = _compiled(shell, line, cell)  # before anything is observed: a cell that is no Python is not run
    observation = observe(new_folder(), budget=budget / 100)
    try:
        with observation:
            for code in parts:
                exec(code, shell.user_ns)
    finally:  # also where the cell raised or was interrupted, which goes on to the notebook
        _show(shell, observation, select, ignore, name)


def _compiled(shell: Any, line: str, cell: str) -> list[Any]:
    """The statements, and the last expression apart, whose value is shown as that of any cell."""
    empty = cell[: len(cell) - len(cell.lstrip())].count("\n")  # lines that IPython drops
    text = f"# %%sgdoctor {line}".rstrip() + "\n" * (1 + empty) + shell.transform_cell(cell)
    file = shell.compile.cache(text, _number(shell), raw_code=text)
    tree = shell.transform_ast(shell.compile.ast_parse(text, file))
    silent = shell.displayhook.semicolon_at_end_of_expression(cell)
    last = [] if silent or not tree.body or not isinstance(tree.body[-1], ast.Expr) else [tree.body.pop()]
    parts = [shell.compile(tree, file, "exec")]
    return [*parts, shell.compile(ast.Interactive(last), file, "single")] if last else parts


def _number(shell: Any) -> int:
    """Of the cell that is being run: what its code is known by. The shell's own counter is one ahead by then."""
    numbers = getattr(shell.compile, "_filename_map", {})
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename not in numbers:
        frame = frame.f_back
    return int(numbers.get(frame.f_code.co_filename, shell.execution_count))


def _show(shell: Any, observation: Observation, select: Any, ignore: Any, name: str | None) -> None:
    try:
        diagnosis = diagnose(observation.record(), select=select, ignore=ignore)
        shell.display_pub.publish(*shell.display_formatter.format(diagnosis))
    except Exception as error:
        if os.environ.get("SGDOCTOR_STRICT") == "1":
            raise
        print(f"sgdoctor: {type(error).__name__}: {error}", file=sys.stderr)  # the cell's own error is not hidden
        return
    if name is not None:
        shell.user_ns[name] = diagnosis
