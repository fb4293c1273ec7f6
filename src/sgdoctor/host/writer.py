"""Rows to an append-only JSON-lines file: one `os.write` a batch, so that a kill loses only what was not yet handed over."""

from __future__ import annotations

import json
import math
import os
import time
from typing import Any

FLUSH_SECONDS = 0.15  # rows wait at most this long for the next event (the promise is 200 ms)
EARLY_SECONDS = 0.02  # and less at first: a script killed after a blink still leaves something to read
EARLY_FLUSHES = 50
MAX_BYTES = 60 * 2**20  # the promise is 64 MB a record; the rest is for the closing rows


class Writer:
    """Collects rows (plain dicts, whose values may be tensors) and appends them to the record's file."""

    def __init__(self, path: str) -> None:
        self._descriptor: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0
        self._due = 0.0
        self._flushes = 0

    def write(self, row: dict[str, Any]) -> None:
        """Queue one row. Tensors in it are read when it is flushed, not now."""
        self._rows.append(row)

    def due(self) -> bool:
        """Whether rows have waited long enough to be flushed at this event."""
        return time.monotonic() >= self._due

    def flush(self, closing: bool = False) -> None:
        """Append everything queued. A full disk or closed descriptor ends the writing, never the script."""
        self._flushes += 1
        self._due = time.monotonic() + (EARLY_SECONDS if self._flushes <= EARLY_FLUSHES else FLUSH_SECONDS)
        rows, self._rows = self._rows, []
        if not rows or self._descriptor is None:
            return
        data = "".join(_encode(row) for row in rows).encode("utf-8", "backslashreplace")
        if self._bytes + len(data) > MAX_BYTES and not closing:
            return
        self._bytes += len(data)
        try:
            os.write(self._descriptor, data)
        except OSError:
            self._descriptor = None

    def close(self) -> None:
        """Flush and close."""
        self.flush(closing=True)
        self.abandon()

    def abandon(self) -> None:
        """Let go of the file without writing: a forked child must not append its parent's rows."""
        self._rows = []
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)


def _encode(row: dict[str, Any]) -> str:
    try:
        return json.dumps(row, allow_nan=False, default=_read, separators=(",", ":")) + "\n"
    except ValueError:  # a NaN or an infinity somewhere: rare, and worth the slower way
        return json.dumps(_finite(row), separators=(",", ":")) + "\n"


def _read(value: Any) -> Any:
    """A tensor's numbers. The only place where the observer waits for a device."""
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
        return _finite(value.tolist())
    return value
