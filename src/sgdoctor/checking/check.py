"""Runs what conditions say of source alone over files, program by program."""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..conditions import Condition, Finding, condition
from ..conditions.catalogue import shown_by_source
from ..diagnosis.diagnosis import RANK, Offer, Placed, allowed, offers
from ..errors import UsageError
from ..source import Source
from .files import File, Unread, found, read
from .projects import programs, with_imported


@dataclass(frozen=True)
class Checked:
    """What a check has found, what it could not read, and what of itself broke down."""

    findings: tuple[Placed, ...]
    unread: tuple[Unread, ...]
    files: int
    failed: tuple[tuple[str, str], ...] = ()  # (condition, error) of rules that broke down
    texts: Mapping[str, str] = field(default_factory=dict, compare=False)  # of the files with findings

    def text_of(self, file: str) -> str | None:
        """The text of a file with findings."""
        return self.texts.get(file)


def examine(
    paths: Iterable[str],
    *,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    exclude: Iterable[str] = (),
    severities: Mapping[str, str] | None = None,
    strict: bool = False,
) -> Checked:
    """What is wrong in these files and folders, in the order of the files. Raises UsageError.

    `strict`: let a condition's own error out (tests); otherwise it is told of in `failed`.
    """
    rules = chosen(tuple(select), ignore)
    with uncollected():
        files, unread = gathered(paths, exclude)
    placed: list[Placed] = []
    failed: dict[str, str] = {}
    with uncollected():
        for program in programs(with_imported(files)):
            for each in judged(program, rules, failed, strict):
                wanted = (severities or {}).get(each.condition.id)
                placed.append(replace(each, finding=replace(each.finding, severity=wanted)) if wanted else each)  # type: ignore[arg-type]
    placed.sort(key=_order)
    marked = {each.finding.site.file for each in placed if each.finding.site is not None}
    texts = {file.module.file: file.module.text for file in files if file.module.file in marked}
    return Checked(tuple(placed), tuple(unread), len(files), tuple(failed.items()), texts)


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the garbage collector: trees of syntax are large, live to the end, and it would walk them each time."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def chosen(select: Collection[str], ignore: Iterable[str]) -> list[Condition]:
    """The conditions to look for: of those that a source can show. Raises UsageError where none is left."""
    wanted = [condition(name) for name in select] or list(shown_by_source().values())
    dropped = {condition(name).id for name in ignore}
    rules = [entry for entry in wanted if entry.id not in dropped]
    if select and not any(entry.in_source for entry in rules):
        names = ", ".join(entry.id for entry in wanted)
        raise UsageError(f"{names}: nothing of this can be shown by source alone; use `sgdoctor run`")
    return [entry for entry in rules if entry.in_source]


def gathered(paths: Iterable[str], exclude: Iterable[str]) -> tuple[list[File], list[Unread]]:
    """The files that paths lead to, parsed, and what could not be."""
    files, unread = [], []
    for entry in found(paths, exclude):
        outcome = read(entry) if isinstance(entry, Path) else entry
        if isinstance(outcome, File):
            files.append(outcome)
        else:
            unread.append(outcome)
    return files, unread


def judged(
    program: list[File], rules: Iterable[Condition], failed: dict[str, str] | None = None, strict: bool = True
) -> Iterator[Placed]:
    """The findings of one program, at the files that were asked for, with what mends them."""
    source = Source.of(file.module for file in program)
    source.asked = frozenset(file.module.file for file in program if file.asked)
    files = {file.module.file: file for file in program}
    for entry in rules:
        assert entry.in_source is not None
        try:
            fired = list(entry.in_source(source))
        except Exception as error:
            if strict or failed is None:
                raise
            failed[entry.id] = f"{type(error).__name__}: {error}"
            continue
        seen = set()
        for _, finding in allowed([(entry, each) for each in fired], source):
            site = finding.site
            if site is None or site in seen or not files[site.file].asked:
                continue
            seen.add(site)
            yield _placed(entry, finding, files[site.file], source, strict)


def _placed(entry: Condition, finding: Finding, file: File, source: Source, strict: bool) -> Placed:
    """With its remedies, and where it stands in a notebook said in cells."""
    offered: tuple[Offer, ...] = tuple(offers(entry, finding, source, strict))
    site = finding.site
    if file.notebook is not None and site is not None:
        number, line = file.notebook.cell(site.line)
        site = site._replace(line=line, cell=number)
        offered = tuple(replace(offer, patch=None) for offer in offered)  # a diff of JSON helps nobody
    return Placed(entry, replace(finding, site=site, condition=entry.id), (), offered)


def _order(placed: Placed) -> tuple[object, ...]:
    site = placed.finding.site
    assert site is not None
    return site.file, site.cell or 0, site.line, RANK[placed.severity], placed.condition.id
