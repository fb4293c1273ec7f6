"""A notebook's code cells as one text of Python, and the way back."""

from __future__ import annotations

import ast
import json
import re
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from ..source.edits import LINE, Edit, apply

# What IPython takes and Python does not: shell commands, magics, help
SPECIAL = re.compile(r"^(\s*)(?:[!%]|\?|[\w.]+\?{1,2}\s*$|[\w, ]+=\s*[!%])")


@dataclass(frozen=True)
class Notebook:
    """`text` is all code cells one after the other, line by line; what is no Python became `pass`."""

    document: dict[str, Any]
    text: str
    starts: tuple[tuple[int, int], ...]  # (first line in `text`, index of the cell) of each code cell
    indent: int | None

    @classmethod
    def read(cls, content: bytes) -> Notebook:
        """Raises ValueError where it is no notebook."""
        try:
            document = json.loads(content.decode("utf-8"))
            cells = document["cells"]
            codes = [(i, _source(cell)) for i, cell in enumerate(cells) if cell.get("cell_type") == "code"]
        except (KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError):
            raise ValueError("it is no notebook of version 4") from None
        lines: list[str] = []
        starts = []
        for index, code in codes:
            starts.append((len(lines) + 1, index))
            lines += _python(code)
        indent = re.match(rb"\{\r?\n( *)", content)
        return cls(document, "".join(line + "\n" for line in lines), tuple(starts), len(indent[1]) if indent else None)

    def cell(self, line: int) -> tuple[int, int]:
        """(number of the code cell, from 1, as one counts them; line in it) of a line of `text`."""
        number = max(1, sum(1 for first, _ in self.starts if first <= line))
        return number, line - (self.starts[number - 1][0] if self.starts else 1) + 1

    def content(self) -> bytes:
        """The file."""
        return (json.dumps(self.document, indent=self.indent, ensure_ascii=False) + "\n").encode("utf-8")

    def changed(self, edits: list[Edit]) -> bytes:
        """The notebook with edits of `text` made in its cells. Raises ValueError where one does not fit a cell."""
        document = json.loads(json.dumps(self.document))
        for number, (_, index) in enumerate(self.starts, 1):
            mine = [edit for edit in edits if self.cell(edit.line)[0] == number]
            if not mine:
                continue
            cell = document["cells"][index]
            after = apply(_source(cell), [self._shifted(edit, number) for edit in mine])
            whole = isinstance(cell["source"], str)
            cell["source"] = after if whole else LINE.findall(after)
        return replace(self, document=document).content()

    def _shifted(self, edit: Edit, number: int) -> Edit:
        first = self.starts[number - 1][0]
        following = self.starts[number][0] if number < len(self.starts) else edit.end_line
        if edit.end_line > following:
            raise ValueError("an edit reaches over the end of its cell")
        return edit._replace(line=edit.line - first + 1, end_line=edit.end_line - first + 1)


def _source(cell: dict[str, Any]) -> str:
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def _python(code: str) -> list[str]:
    """The lines of a cell, as many as it has: as they are where they are Python, else without what IPython adds."""
    lines = [line.rstrip("\r\n") for line in LINE.findall(code)]
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ast.parse(code)
        return lines
    first = next((line for line in lines if line.strip()), "")
    if first.startswith("%%") and not re.match(r"%%(time|timeit|capture|prun)\b", first):
        return ["pass"] * len(lines)
    found, continued = [], False
    for line in lines:
        special = SPECIAL.match(line)
        if continued:
            found.append("")
        elif special:
            found.append(special[1] + "pass")
        else:
            found.append(line)
        continued = (special is not None or continued) and line.endswith("\\")
    return found
