"""`sgdoctor explain`: the page of a condition, or all of them in a table."""

from __future__ import annotations

import click


@click.command()
@click.argument("condition", required=False)
def command(condition: str | None) -> None:
    """Explain CONDITION: what happens, how it is told apart, the remedy, the sources.

    Without an argument: a table of all conditions.
    """
    from ..pages import page, pages

    if condition is not None:
        found = page(condition)
        _, _, rest = found.text.strip().partition("\n")
        click.echo(f"{found.id} ({found.severity})\n{found.title}.\n{rest}".rstrip())
        return
    entries = pages()
    width = max(len(entry.id) for entry in entries)
    for entry in entries:
        click.echo(f"{entry.id:<{width}}  {entry.severity:<7}  {entry.title}")
    click.echo("\n`sgdoctor explain CONDITION` shows one page.")
