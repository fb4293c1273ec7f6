"""Changes of a source text as plain data: byte-exact spans, so that comments and layout stay as they are."""

from __future__ import annotations

import difflib
import re
from typing import NamedTuple

# Python's lines end in these three only; `str.splitlines` also splits at form feeds and a dozen other characters.
LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


class Edit(NamedTuple):
    """Replace the characters from (line, column) to (end_line, end_column) of `file` by `text`; lines count from 1."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    text: str


def insert_before(file: str, line: int, text: str) -> Edit:
    """New whole lines in front of `line`."""
    return Edit(file, line, 0, line, 0, text if text.endswith("\n") else text + "\n")


def delete_lines(file: str, first: int, last: int) -> Edit:
    """Drop whole lines, both ends included."""
    return Edit(file, first, 0, last + 1, 0, "")


def apply(text: str, edits: list[Edit]) -> str:
    """`text` with all edits made; those at one place in the order given. New lines end as the old ones do.

    Edits of one file; raises ValueError where two of them overlap.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    starts = [match.start() for match in LINE.finditer(text)]
    open_ended = bool(text) and not text.endswith(("\n", "\r"))

    def offset(line: int, column: int) -> int:
        return starts[line - 1] + column if line <= len(starts) else len(text)

    def wording(edit: Edit) -> str:
        beyond = open_ended and edit.line > len(starts)  # new lines after a last one that does not end
        new = "\n" + edit.text.removesuffix("\n") if beyond else edit.text
        return new.replace("\n", newline)

    spans = [(offset(e.line, e.column), offset(e.end_line, e.end_column), wording(e)) for e in edits]
    parts: list[str] = []
    position = 0
    for begin, end, replacement in sorted(spans, key=lambda span: span[:2]):
        if begin < position:
            raise ValueError("edits overlap")
        parts += [text[position:begin], replacement]
        position = end
    return "".join([*parts, text[position:]])


def unified_diff(file: str, before: str, after: str) -> str:
    """The change as a unified diff that `patch -p1` and `git apply` take."""
    name = f"{file}\t" if " " in file else file  # the tab tells `patch` where a name with spaces ends
    lines = difflib.unified_diff(_lines(before), _lines(after), f"a/{name}", f"b/{name}")
    return "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)


def _lines(text: str) -> list[str]:
    """As `patch` counts lines: they end in a newline and nothing else."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)
