"""The line of the user's script that an event comes from, found in about a microsecond."""

from __future__ import annotations

import os
import sysconfig
from types import CodeType, FrameType
from typing import Any

from .frames import HERE, OWN_FRAME

# A standard-library frame (contextlib, functools, asyncio) is never "the user's line".
STDLIB = tuple({os.path.abspath(sysconfig.get_path(key)) + os.sep for key in ("stdlib", "platstdlib")})
MAX_SITES = 2000  # sites written to one record; a run that generates code endlessly must not fill the disk
MAX_CODES = 20_000  # code objects remembered; nor must it fill the memory
FOREIGN, PACKAGE, USER = 0, 1, 2  # torch's own or ours; an installed package; the user's


class Code:
    """A code object: whose it is, and the sites found in it by instruction."""

    __slots__ = ("code", "kind", "sites")

    def __init__(self, code: CodeType, kind: int) -> None:
        self.code = code  # kept, so that its id stays its own
        self.kind = kind
        self.sites: dict[int, int | None] = {}


class Sites:
    """Interns (file, line, function) and gives each a small integer, written once as a `site` row."""

    def __init__(self, write: Any, cwd: str, cells: dict[str, tuple[str, int]] | None = None) -> None:
        self._write = write
        self._cwd = cwd
        self._cells = cells or {}  # of a notebook: file of a code object -> (what it is called, lines above it there)
        # By id: to hash a code object is to hash all of its constants, which takes longer than everything else here.
        self._codes: dict[int, Code] = {}
        self._rows: dict[tuple[str, int, str], int] = {}

    def of_frame(self, frame: FrameType | None) -> int | None:
        """The id of the innermost frame of the user's own code at or above `frame`, None where there is none.

        A frame of an installed package (a training framework) serves only where the user has none.
        """
        packaged: FrameType | None = None
        codes = self._codes
        while frame is not None:
            code = codes.get(id(frame.f_code)) or self._classify(frame.f_code)
            if code.kind == USER:
                # The instruction is at hand; to find its line takes a walk through a table.
                site = code.sites.get(frame.f_lasti)
                return self._intern(frame, code) if site is None else site
            if code.kind == PACKAGE and packaged is None:
                packaged = frame
            frame = frame.f_back
        if packaged is None:
            return None
        return self._intern(packaged, self._code(packaged.f_code))

    def of_root_call(self, frame: FrameType | None) -> int | None:
        """The id of the line that called the outermost nn.Module which `frame` runs in.

        None where torch itself called it (`update_bn`): that pass is none of the script's.
        """
        outermost = probe = frame
        while probe is not None:
            name = probe.f_code.co_name
            if name == "_call_impl":
                outermost = probe
            elif name == "<module>":  # the script itself: to go on would be to make frame objects of the launcher's
                break
            probe = probe.f_back
        if outermost is frame or outermost is None:
            return self.of_frame(outermost)
        caller = outermost.f_back
        while caller is not None and caller.f_code.co_name in ("_wrapped_call_impl", "__call__"):
            caller = caller.f_back
        if caller is None or self._code(caller.f_code).kind == FOREIGN:
            return None
        return self.of_frame(caller)

    def is_users(self, frame: FrameType) -> bool:
        """Whether a frame is of the user's own code."""
        return self._code(frame.f_code).kind == USER

    def of_user_frame(self, frame: FrameType) -> tuple[int, int]:
        """(code, instruction) of the innermost frame of the user's own code: cheaper than a site."""
        probe: FrameType | None = frame
        while probe is not None:
            if self._code(probe.f_code).kind == USER:
                return id(probe.f_code), probe.f_lasti
            probe = probe.f_back
        return id(frame.f_code), frame.f_lasti

    def user_frames(self, traceback: Any) -> list[tuple[Any, int]]:
        """(frame, line) of every frame of a traceback that is the user's own code, outermost first."""
        found = []
        while traceback is not None:
            if self._code(traceback.tb_frame.f_code).kind == USER:
                found.append((traceback.tb_frame, traceback.tb_lineno))
            traceback = traceback.tb_next
        return found

    def intern(self, code: CodeType, line: int) -> int | None:
        """The id of a line of a code object; None once there are too many."""
        cell = self._cells.get(code.co_filename)
        function = getattr(code, "co_qualname", code.co_name)
        if cell is not None:
            row = (cell[0], line + cell[1], "<module>" if function.startswith("<cell line") else function)
        else:
            row = (self._relative(code.co_filename), line, function)
        known = self._rows.get(row)
        if known is None and len(self._rows) < MAX_SITES:
            known = self._rows[row] = len(self._rows)
            self._write({"k": "site", "i": known, "file": row[0], "line": row[1], "function": row[2]})
        return known

    def _intern(self, frame: FrameType, code: Code) -> int | None:
        known = code.sites.get(frame.f_lasti)
        if known is None:
            known = code.sites[frame.f_lasti] = self.intern(frame.f_code, frame.f_lineno)
        return known

    def _code(self, code: CodeType) -> Code:
        return self._codes.get(id(code)) or self._classify(code)

    def _classify(self, code: CodeType) -> Code:
        if len(self._codes) >= MAX_CODES:
            self._codes.clear()
        name = code.co_filename
        # "<string>" is code the user built (it counts); "<frozen ...>" and "<__array_function__>" are not.
        path = os.path.abspath(name) if not name.startswith("<") else name
        if path.startswith((HERE, OWN_FRAME, "<frozen", "<__")):
            kind = FOREIGN
        elif f"{os.sep}site-packages{os.sep}" in path or f"{os.sep}dist-packages{os.sep}" in path:
            package = path.replace("dist-packages", "site-packages").rsplit(f"{os.sep}site-packages{os.sep}", 1)[1]
            kind = FOREIGN if package.split(os.sep, 1)[0] in ("torch", "sgdoctor") else PACKAGE
        else:
            kind = FOREIGN if path.startswith(STDLIB) else USER
        known = self._codes[id(code)] = Code(code, kind)
        return known

    def _relative(self, path: str) -> str:
        if path.startswith("<"):
            return path
        path = os.path.abspath(path)
        if path.startswith(self._cwd + os.sep):
            path = path[len(self._cwd) + 1 :]
        return path.replace(os.sep, "/")
