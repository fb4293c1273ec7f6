"""Pages of the catalogue, read from the conditions' files without importing them: `explain` must not wait for numpy."""

from __future__ import annotations

import ast
import difflib
from pathlib import Path
from typing import NamedTuple

from .errors import UsageError

FOLDER = Path(__file__).parent / "conditions"


class Page(NamedTuple):
    """What a condition's file says of it."""

    id: str
    severity: str
    text: str

    @property
    def title(self) -> str:
        """The first line."""
        return self.text.strip().partition("\n")[0].strip().rstrip(".")


def pages() -> list[Page]:
    """The pages of all conditions, in the order of their folders and names."""
    return [found for path in sorted(FOLDER.glob("*/*.py")) if (found := _read(path)) is not None]


def page(name: str) -> Page:
    """The page of one condition; raises UsageError with the nearest ids where there is none."""
    files = {path.stem.replace("_", "-"): path for path in sorted(FOLDER.glob("*/*.py"))}
    found = _read(files[name]) if name in files else None
    if found is None:
        near = difflib.get_close_matches(name, files, 3)
        hint = f"; did you mean {', '.join(near)}?" if near else "; `sgdoctor explain` lists them"
        raise UsageError(f"there is no condition {name!r}{hint}")
    return found


def _read(path: Path) -> Page | None:
    """A file that declares no condition (`__init__`) has no page. A test holds this against the imported catalogue."""
    text = path.read_text(encoding="utf-8")
    mark = text.rfind("\nCONDITION = Condition(")
    if mark < 0:
        return None
    declared = ast.parse(text[mark:]).body[0]
    page = ast.get_docstring(ast.parse(text[: text.index('"""', 3) + 3]), clean=False)
    assert isinstance(declared, ast.Assign) and isinstance(declared.value, ast.Call) and page is not None
    values = [argument.value for argument in declared.value.args if isinstance(argument, ast.Constant)]
    return Page(str(values[0]), str(values[1]), page)
