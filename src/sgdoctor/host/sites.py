"""The line of the user's script that an event comes from, found in about a microsecond."""

from __future__ import annotations

import os
import sys
import sysconfig
from types import CodeType, FrameType
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
# A standard-library frame (contextlib, functools, asyncio) is never "the user's line".
STDLIB = tuple({os.path.abspath(sysconfig.get_path(key)) + os.sep for key in ("stdlib", "platstdlib")})
# File name of the wrappers' code. `warnings` does not count frames of files named so, so that a warning inside torch
# is still reported at the line it would be reported at without us; the launcher peels them from tracebacks.
OWN_FRAME = "<sgdoctor importlib._bootstrap>"
MAX_SITES = 2000  # sites written to one record; a run that generates code endlessly must not fill the disk


class Sites:
    """Interns (file, line, function) and gives each a small integer, written once as a `site` row."""

    def __init__(self, write: Any, cwd: str) -> None:
        self._write = write
        self._cwd = cwd
        self._kind: dict[CodeType, int] = {}  # 0 = not the user's, 1 = an installed package, 2 = the user's own
        self._ids: dict[tuple[CodeType, int], int] = {}
        self._rows: dict[tuple[str, int, str], int] = {}

    def here(self) -> int | None:
        """The id of the innermost user frame above the caller, or None where there is none."""
        return self.of_frame(sys._getframe(1))

    def of_frame(self, frame: FrameType | None) -> int | None:
        """The id of the innermost frame of the user's own code at or above `frame`.

        A frame of an installed package (a training framework) serves only where the user has none.
        """
        packaged: FrameType | None = None
        while frame is not None:
            kind = self._kind.get(frame.f_code)
            if kind is None:
                kind = self._classify(frame.f_code)
            if kind == 2:
                return self._intern(frame)
            if kind == 1 and packaged is None:
                packaged = frame
            frame = frame.f_back
        return None if packaged is None else self._intern(packaged)

    def of_root_call(self, frame: FrameType | None) -> int | None:
        """The id of the line that called the outermost nn.Module which `frame` runs in.

        None where torch itself called it (`update_bn`): that pass is none of the script's.
        """
        outermost: FrameType | None = None
        probe = frame
        while probe is not None:
            if probe.f_code.co_name == "_call_impl":
                outermost = probe
            probe = probe.f_back
        if outermost is None:
            return self.of_frame(frame)
        caller = outermost.f_back
        while caller is not None and caller.f_code.co_name in ("_wrapped_call_impl", "__call__"):
            caller = caller.f_back
        if caller is not None and self._classify(caller.f_code) == 0:
            return None
        return self.of_frame(caller)

    def user_frames(self, traceback: Any) -> list[tuple[Any, int]]:
        """(frame, line) of every frame of a traceback that is the user's own code, outermost first."""
        found = []
        while traceback is not None:
            if self._classify(traceback.tb_frame.f_code) == 2:
                found.append((traceback.tb_frame, traceback.tb_lineno))
            traceback = traceback.tb_next
        return found

    def intern(self, code: CodeType, line: int) -> int | None:
        """The id of a line of a code object."""
        key = (code, line)
        known = self._ids.get(key)
        if known is None and len(self._rows) < MAX_SITES:
            row = (self._relative(code.co_filename), line, getattr(code, "co_qualname", code.co_name))
            known = self._rows.get(row)
            if known is None:
                known = self._rows[row] = len(self._rows)
                self._write({"k": "site", "i": known, "file": row[0], "line": row[1], "function": row[2]})
            self._ids[key] = known
        return known

    def _intern(self, frame: FrameType) -> int | None:
        return self.intern(frame.f_code, frame.f_lineno)

    def _classify(self, code: CodeType) -> int:
        name = code.co_filename
        # "<string>" is code the user built (it counts); "<frozen ...>" and "<__array_function__>" are not.
        path = os.path.abspath(name) if not name.startswith("<") else name
        if path.startswith((HERE, OWN_FRAME, "<frozen", "<__")):
            kind = 0
        elif f"{os.sep}site-packages{os.sep}" in path or f"{os.sep}dist-packages{os.sep}" in path:
            package = path.replace("dist-packages", "site-packages").rsplit(f"{os.sep}site-packages{os.sep}", 1)[1]
            kind = 0 if package.split(os.sep, 1)[0] in ("torch", "sgdoctor") else 1
        elif path.startswith(STDLIB):
            kind = 0
        else:
            kind = 2
        self._kind[code] = kind
        return kind

    def _relative(self, path: str) -> str:
        if path.startswith("<"):
            return path
        try:
            path = os.path.relpath(path, self._cwd)
        except ValueError:  # on another drive
            path = os.path.abspath(path)
        return path.replace(os.sep, "/")
