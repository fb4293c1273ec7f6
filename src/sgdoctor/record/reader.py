"""Records from disk: a folder of append-only JSON-lines files, one a process; a torn last line is tolerated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from ..errors import RecordError
from .ranks import merged
from .record import SCHEMA, Record, Row

PARENT_FILE = "parent.jsonl"  # what the parent saw of the process: its exit status and how long it took
DECODER = msgspec.json.Decoder()
MAX_BYTES = 256 * 2**20  # a larger file is not one of ours


def load(path: str | Path, parent_file: str = PARENT_FILE) -> Record:
    """The record in a folder (or its one file): the process that did most, with what the parent saw of it.

    Of several ranks it is the one that failed first, else the lowest, with what the others say beside it: see `ranks`.
    Raises RecordError where there is no record, or one of a newer schema.
    """
    path = Path(path)
    files = sorted(path.glob("process-*.jsonl")) if path.is_dir() else [path] if path.is_file() else []
    if not files:
        raise RecordError(f"no record in {path}: expected a folder written by `sgdoctor run`")
    processes = [_read(file) for file in files]
    rows = merged(processes, _statuses(path) if path.is_dir() else None)
    if path.is_file() and not any("k" in row for row in rows):
        raise RecordError(f"{path} is no record: expected a folder written by `sgdoctor run`, or a file of one")
    schema = rows[0].get("schema") if rows else SCHEMA
    if isinstance(schema, int) and schema > SCHEMA:
        raise RecordError(f"{path} was written by a newer sgdoctor (schema {schema}, this one reads {SCHEMA}): upgrade")
    parent = path / parent_file if path.is_dir() else None
    if parent is not None and parent.is_file():
        rows = rows + _read(parent)
    return Record(rows, path=path, processes=len(files))


def _statuses(folder: Path) -> dict[int, int]:
    """Exit statuses by rank, where every rank was run by a command of its own."""
    found = {}
    for file in folder.glob("parent-*.jsonl"):
        rows = [row for row in _read(file) if row.get("k") == "exit" and isinstance(row.get("status"), int)]
        number = file.stem.rpartition("-")[2]
        if rows and number.isdigit():
            found[int(number)] = rows[-1]["status"]
    mine = folder / PARENT_FILE
    own = [row for row in _read(mine) if row.get("k") == "exit"] if found and mine.is_file() else []
    for row in own:
        if isinstance(row.get("status"), int):
            found[0] = row["status"]
    return found


def _read(file: Path) -> list[Row]:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise RecordError(f"{file} is larger than any record ({MAX_BYTES >> 20} MB): not read")
        data = file.read_bytes()
    except OSError as error:
        raise RecordError(f"{file} cannot be read: {error.strerror}") from None
    rows = (_decode(line) for line in data.split(b"\n") if line)
    return [row for row in rows if isinstance(row, dict)]


def _decode(line: bytes) -> Any:
    """A line's row; None where it is torn by a kill or a full disk: the other lines stand."""
    try:
        return DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:  # strict JSON has no lone surrogates, but names of files and messages of exceptions do
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
