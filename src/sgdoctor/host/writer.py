"""Rows to an append-only JSON-lines file: one `os.write` a batch, so that a kill loses only what still waited."""

from __future__ import annotations

import json
import math
import os
from contextlib import suppress
from typing import Any

MAX_BYTES = 60 * 2**20  # the promise is 64 MB a record; the rest is for the closing rows
FIRST_DESCRIPTOR = 200  # ours is out of the way: the script's files get the numbers that they get without us


class Writer:
    """Collects rows (plain dicts, whose values may be tensors) and appends them to the record's file."""

    def __init__(self, path: str, strict: bool = False) -> None:
        self._path = path
        self._strict = strict
        self._descriptor: int | None = None
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0
        with suppress(OSError):  # no record then, but the script runs
            self._open(os.O_CREAT)

    def write(self, row: dict[str, Any]) -> None:
        """Queue one row. Tensors in it are read when it is flushed, not now."""
        self._rows.append(row)

    def flush(self, closing: bool = False) -> None:
        """Append everything queued. A full disk ends the writing, never the script."""
        rows, self._rows = self._rows, []
        if not rows or self._descriptor is None:
            return
        data = "".join(map(self._encoded, rows)).encode("utf-8", "backslashreplace")
        if self._bytes + len(data) > MAX_BYTES and not closing:
            return
        self._bytes += len(data)
        try:
            if not self._is_ours():
                self._open()
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            self._descriptor = None

    def close(self) -> None:
        """Flush and close."""
        self.flush(closing=True)
        self.abandon()

    def abandon(self) -> None:
        """Let go of the file without writing: a forked child must not append its parent's rows."""
        self._rows = []
        if self._descriptor is not None and self._is_ours():
            os.close(self._descriptor)
        self._descriptor = None

    def _open(self, flags: int = 0) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | flags, 0o644)
        status = os.fstat(descriptor)
        self._identity = (status.st_dev, status.st_ino)
        self._descriptor = _moved_up(descriptor)

    def _is_ours(self) -> bool:
        """Scripts that close all descriptors get the number of ours for a file of their own."""
        try:
            status = os.fstat(self._descriptor or 0)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._identity

    def _encoded(self, row: dict[str, Any]) -> str:
        try:
            return _encode(row)
        except Exception as error:  # a tensor that cannot be read: the other rows stand
            if self._strict:
                raise
            return _encode({"k": "lost", "of": row["k"], "error": f"{type(error).__name__}: {error}"[:500]})


def _moved_up(descriptor: int) -> int:
    try:
        import fcntl

        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, FIRST_DESCRIPTOR)
    except (ImportError, OSError):  # not a POSIX system, or a low limit on open files
        return descriptor
    os.close(descriptor)
    return moved


def _encode(row: dict[str, Any]) -> str:
    try:
        return json.dumps(row, allow_nan=False, default=_read, separators=(",", ":")) + "\n"
    except ValueError:  # a NaN or an infinity somewhere: rare, and worth the slower way
        return json.dumps(_finite(row), default=_read, separators=(",", ":")) + "\n"


def _read(value: Any) -> Any:
    """A tensor's numbers. The only place where the observer waits for a device."""
    if getattr(value, "is_meta", False):  # it has a shape, and no numbers
        return ["NaN"] * value.numel() if value.dim() else "NaN"
    if hasattr(value, "tolist"):
        return _finite(value.tolist())
    return str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    if hasattr(value, "tolist"):
        return _read(value)
    return value
