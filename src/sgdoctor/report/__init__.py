"""A diagnosis in a form for people or programs: `render(diagnosis) -> str`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # commands that only name the kinds start without numpy
    from ..diagnosis import Diagnosis

KINDS = {"json": "JSON", "html": "a page that opens offline", "sarif": "SARIF", "markdown": "Markdown"}


def render(diagnosis: Diagnosis, kind: str) -> str:
    """One of KINDS. Each is imported when it is asked for: a page needs more than the others."""
    if kind == "html":
        from . import html

        return html.render(diagnosis)
    if kind == "sarif":
        from . import sarif

        return sarif.of_run(diagnosis)
    if kind == "markdown":
        from . import markdown

        return markdown.render(diagnosis)
    from . import json

    return json.render(diagnosis)
