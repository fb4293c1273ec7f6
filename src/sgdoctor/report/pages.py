"""The catalogue for people: all conditions in a table, one condition as a page."""

from __future__ import annotations

from collections.abc import Iterable

from ..conditions import Condition


def table(conditions: Iterable[Condition]) -> str:
    """All conditions, one a line."""
    entries = list(conditions)
    width = max(len(entry.id) for entry in entries)
    lines = [f"{entry.id:<{width}}  {entry.severity:<7}  {entry.title}" for entry in entries]
    return "\n".join([*lines, "", "`sgdoctor explain CONDITION` shows one page."])


def page(condition: Condition) -> str:
    """One condition's page."""
    title, _, rest = condition.page.strip().partition("\n")
    return f"{condition.id} ({condition.severity})\n{title}\n{rest}".rstrip()
