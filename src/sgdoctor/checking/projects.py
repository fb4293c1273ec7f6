"""Files that belong together: each imports another, or is imported, and they are judged as one program."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from ..source.imports import file_of, imported
from .files import File, Unread, read, shown

MAX_CONTEXT = 50  # files that are read though nobody named them


def with_imported(files: list[File]) -> list[File]:
    """The files, and those beside them that they import: a helper elsewhere may be what makes a loop right."""
    known = {file.module.file: file for file in files}
    paths = {file.module.file: file.path for file in files}
    exists = _on_disk()
    waiting = list(files)
    while waiting and len(known) < len(files) + MAX_CONTEXT:
        file = waiting.pop()
        for dotted, level in imported(file.module):
            name = _leads_to(file, dotted, level, lambda each: each in known or exists(each))
            if name is None or name in known:
                continue
            path = Path(name)
            context = read(path, asked=False)
            if isinstance(context, Unread) or shown(path) in known:
                continue
            known[context.module.file] = context
            paths[context.module.file] = path
            waiting.append(context)
    return list(known.values())


def _names(files: Iterable[File]) -> set[str]:
    """Names that an import of one of the files must have in it."""
    return {part.removesuffix(".py") for file in files for part in file.module.file.split("/")}


def _leads_to(file: File, dotted: str, level: int, exists: Callable[[str], bool]) -> str | None:
    return file_of(file.module.file, dotted, level, exists)


def _on_disk() -> Callable[[str], bool]:
    """Whether there is such a file; folders are listed once, as most imports lead nowhere here."""

    @cache
    def entries(folder: str) -> frozenset[str]:
        try:
            return frozenset(os.listdir(folder or "."))
        except OSError:
            return frozenset()

    @cache
    def exists(name: str) -> bool:
        folder, _, last = name.rpartition("/")
        return last in entries(folder) if folder in ("", ".") or _there(folder) else False

    @cache
    def _there(folder: str) -> bool:
        above, _, last = folder.rpartition("/")
        if folder.startswith("/") and not above:
            return True
        return last in entries(above) and (above in ("", ".", "..") or _there(above))

    return exists


def programs(files: Iterable[File]) -> list[list[File]]:
    """The files in groups that no import leads out of."""
    every = {file.module.file: file for file in files}
    leader = {name: name for name in every}

    def lead(name: str) -> str:
        while leader[name] != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    known = _names(every.values())
    for name, file in every.items():
        for dotted, level in imported(file.module):
            if not level and dotted.partition(".")[0] not in known:
                continue
            other = _leads_to(file, dotted, level, every.__contains__)
            if other is not None:
                leader[lead(other)] = lead(name)
    groups: dict[str, list[File]] = {}
    for name, file in every.items():
        groups.setdefault(lead(name), []).append(file)
    return list(groups.values())
