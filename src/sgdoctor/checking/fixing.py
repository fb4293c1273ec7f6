"""Safe remedies written into the files: encoding, line ends and byte order mark stay as they are."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..conditions import Condition
from ..diagnosis.diagnosis import Placed
from ..errors import RecordError
from ..source import Edit, Module, unified_diff
from ..source.edits import apply
from .check import chosen, gathered, judged
from .files import File
from .notebook import Notebook
from .projects import programs, with_imported


@dataclass
class Fixes:
    """`contents`: file -> (as it was, as it is mended); `mended`: how many findings are gone."""

    files: dict[str, File] = field(default_factory=dict)
    contents: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    mended: int = 0

    def diff(self) -> str:
        """All changes as one unified diff."""
        encodings = {name: self.files[name].encoding for name in self.contents}
        return "".join(
            unified_diff(name, before.decode(encodings[name]), after.decode(encodings[name]))
            for name, (before, after) in self.contents.items()
        )

    def write(self) -> None:
        """Put the texts into the files, each at once or not at all. Raises RecordError."""
        for name, (_, after) in self.contents.items():
            path = self.files[name].path
            fresh = path.with_name(path.name + ".sgdoctor")
            try:
                fresh.write_bytes(after)
                shutil.copymode(path, fresh)
                os.replace(fresh, path)
            except OSError as error:
                fresh.unlink(missing_ok=True)
                raise RecordError(f"--fix {name}: cannot be written ({error.strerror}); it is as it was") from None


def fixes(paths: Iterable[str], select: Iterable[str], ignore: Iterable[str], exclude: Iterable[str]) -> Fixes:
    """What safe remedies make of the files; nothing is written. Raises UsageError."""
    rules = chosen(tuple(select), ignore)
    files, _ = gathered(paths, exclude)
    found = Fixes({file.module.file: file for file in files})
    for program in programs(with_imported(files)):
        mended, after = _mend(program, rules)
        found.mended += mended
        for file in after:
            name = file.module.file
            if name in found.files and file is not found.files[name]:
                before = found.files[name].path.read_bytes()
                found.contents[name] = before, file.content()
    return found


def _mend(program: list[File], rules: list[Condition]) -> tuple[int, list[File]]:
    """One remedy after the other; each is kept only where its finding goes and none comes."""
    placed, refused, mended = list(judged(program, rules, {}, strict=False)), set(), 0
    while True:
        found = next(
            ((each, edits) for each in placed for edits in [_safe(each)] if edits and edits not in refused), None
        )
        if found is None:
            return mended, program
        after = _applied(program, found[1])
        left = None if after is None else list(judged(after, rules, {}, strict=False))
        before, now = Counter(p.condition.id for p in placed), Counter(p.condition.id for p in left or ())
        if after is None or left is None or now - before or now[found[0].condition.id] >= before[found[0].condition.id]:
            refused.add(found[1])
            continue
        mended += len(placed) - len(left)
        program, placed = after, left


def _safe(placed: Placed) -> tuple[Edit, ...]:
    """The edits of the first remedy that is safe to make unasked."""
    safe = (offer.remedy.edits for offer in placed.offers if offer.remedy.safety == "safe" and offer.remedy.edits)
    return next(safe, ())


def _applied(program: list[File], edits: tuple[Edit, ...]) -> list[File] | None:
    """The program with edits made; None where they do not fit, give no Python or change a file nobody named."""
    touched = {edit.file for edit in edits}
    after = []
    for file in program:
        name = file.module.file
        if name not in touched:
            after.append(file)
            continue
        mine = [edit for edit in edits if edit.file == name]
        try:
            if not file.asked:
                return None
            if file.notebook is not None:
                notebook = Notebook.read(file.notebook.changed(mine))
                after.append(File(file.path, Module(name, notebook.text), file.encoding, notebook, True))
            else:
                text = file.module.mark + apply(file.module.text, mine)
                after.append(File(file.path, Module(name, text), file.encoding, None, True))
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return None
    return after
