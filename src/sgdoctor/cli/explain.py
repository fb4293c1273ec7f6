"""`sgdoctor explain`: the page of a condition, or all of them in a table."""

from __future__ import annotations

import click


@click.command()
@click.argument("condition", required=False)
def command(condition: str | None) -> None:
    """Explain CONDITION: what happens, how it is told apart, the remedy, the sources.

    Without an argument: a table of all conditions.
    """
    from ..conditions import catalogue
    from ..conditions import condition as find
    from ..report import pages

    click.echo(pages.table(catalogue().values()) if condition is None else pages.page(find(condition)))
