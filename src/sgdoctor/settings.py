"""`[tool.sgdoctor]` of the nearest pyproject.toml."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SEVERITIES = ("error", "warning", "info")


@dataclass(frozen=True)
class Settings:
    """What a project has decided. `severities`: of conditions that count for more, or less, here."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    severities: Mapping[str, str] = field(default_factory=dict)


def settings(folder: Path | None = None) -> Settings:
    """Those of the folder, or of the nearest one above it that has a pyproject.toml. Raises UsageError."""
    here = (folder or Path.cwd()).absolute()
    for each in (here, *here.parents):
        file = each / "pyproject.toml"
        if file.is_file():
            return _of(file)
    return Settings()


def with_settings(
    decided: Settings, select: tuple[str, ...], ignore: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(select, ignore): a choice made at the command line goes before the project's."""
    return select or decided.select, (*ignore, *(name for name in decided.ignore if name not in select))


def _of(file: Path) -> Settings:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{file}: cannot be read as TOML ({error})") from None
    tool = document.get("tool")
    table: Any = tool.get("sgdoctor", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise UsageError(f"{file}: [tool.sgdoctor] is no table")
    unknown = set(table) - {"select", "ignore", "exclude", "conditions"}
    if unknown:
        raise UsageError(f"{file}: [tool.sgdoctor] knows select, ignore, exclude and conditions, not {min(unknown)}")
    switched = table.get("conditions", {})
    if not isinstance(switched, dict):
        raise UsageError(f"{file}: [tool.sgdoctor.conditions] is no table")
    ignored, severities = list(_names(file, table, "ignore")), {}
    for name, value in switched.items():
        if value is False:
            ignored.append(name)
        elif isinstance(value, str) and value in SEVERITIES:
            severities[name] = value
        elif value is not True:
            raise UsageError(f"{file}: {name} may be true, false, {', '.join(map(repr, SEVERITIES))}, not {value!r}")
    return Settings(
        _names(file, table, "select"), tuple(dict.fromkeys(ignored)), _names(file, table, "exclude"), severities
    )


def _names(file: Path, table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise UsageError(f"{file}: {key} of [tool.sgdoctor] must be a list of strings")
    return tuple(value)
