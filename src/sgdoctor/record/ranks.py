"""Several processes of one run as one record: that of the rank to look at, with what the others say beside it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

Row = dict[str, Any]
# What is said by rank, and so is of use beside the rows of another: none of them names a line of the source.
BY_RANK = ("rank", "replica", "portion", "share", "pass", "moves", "sharded")
# What a rank dies of when another has died: not its own fault.
COLLECTIVE = ("DistBackendError", "DistNetworkError", "DistStoreError")
COLLECTIVE_TEXT = ("Connection closed by peer", "Connection reset by peer", "/gloo/", "NCCL", "ProcessGroup")


# What launchers raise when a rank is gone: torchrun names its process, torch.multiprocessing its number.
BLAMED = (
    ("pid", re.compile(r"Root Cause.*?\(pid: (\d+)\)", re.DOTALL)),
    ("rank", re.compile(r"process (\d+) (?:term|exit)")),
)
TERMINATED = 128 + 15  # what a rank ends with that its launcher has told to go


def merged(processes: Sequence[list[Row]], statuses: Mapping[int, int] | None = None) -> list[Row]:
    """The rows of the process that a diagnosis is made of, with what is comparable of the other ranks.

    That is the rank which failed first, else the lowest one; without ranks the process that did most.
    `statuses`: exit statuses by rank, where each had a parent of its own.
    """
    ranks = _ranks(processes)
    if len(ranks) < 2:
        return max(ranks.values() or processes, key=len)
    ended = [_ended(number, rows) for number, rows in sorted(ranks.items())]
    _excuse(ended, processes, ranks, statuses or {})
    failed = first_failed(ended)
    main = failed if failed is not None else min(ranks)
    others = [row for number in sorted(ranks) if number != main for row in ranks[number] if row.get("k") in BY_RANK]
    return [*ranks[main], *others, *ended]


def _ranks(processes: Sequence[list[Row]]) -> dict[int, list[Row]]:
    """The rows of each rank; of one that was restarted, those of the last time."""
    found: dict[int, tuple[tuple[float, float], list[Row]]] = {}
    for rows in processes:
        said = [row for row in rows if row.get("k") == "rank" and isinstance(row.get("rank"), int)]
        if not said:
            continue
        key = (_number(said[-1].get("restart")), _number(said[-1].get("at")))
        number = said[-1]["rank"]
        if number not in found or key > found[number][0]:
            found[number] = (key, rows)
    latest = max((key[0] for key, _ in found.values()), default=0.0)
    return {number: rows for number, (key, rows) in found.items() if key[0] == latest}


def _ended(number: int, rows: list[Row]) -> Row:
    """How a rank ended, as one row."""
    end = next((row for row in reversed(rows) if row.get("k") == "end"), {})
    error = next((row for row in reversed(rows) if row.get("k") == "exception"), {})
    row = {"k": "ended", "rank": number, "how": str(end.get("how", "killed")), "at": end.get("at")}
    kind, text = str(error.get("type", "")), str(error.get("text", ""))
    collective = kind in COLLECTIVE or any(part in text for part in COLLECTIVE_TEXT)
    return {**row, "error": kind, "follows": bool(error) and collective}


def _excuse(
    ended: list[Row], processes: Sequence[list[Row]], ranks: Mapping[int, list[Row]], statuses: Mapping[int, int]
) -> None:
    """Ranks that were killed because another had failed: their launcher ended them."""
    killed = [row for row in ended if row["how"] == "killed"]
    blamed = _blamed(processes, ranks)
    for row in killed:
        row["follows"] = statuses.get(row["rank"]) == TERMINATED or blamed not in (None, row["rank"])


def _blamed(processes: Sequence[list[Row]], ranks: Mapping[int, list[Row]]) -> int | None:
    """The rank that the launcher's own exception names."""
    pids = {row.get("pid"): number for number, rows in ranks.items() for row in rows if row.get("k") == "start"}
    for rows in processes:
        for row in rows:
            if row.get("k") != "exception" or any(rows is other for other in ranks.values()):
                continue
            for kind, pattern in BLAMED:
                found = pattern.search(str(row.get("text", "")))
                if found is not None:
                    number = int(found[1])
                    return pids.get(number) if kind == "pid" else number
    return None


def first_failed(ended: Sequence[Row]) -> int | None:
    """The rank that failed before the others, None where none did.

    Raised by its own fault: the earliest. Else one that was killed, where others outlived it: those raise because it is
    gone, or were ended by the launcher. All killed is a run that was ended from outside.
    """
    raised = [row for row in ended if row.get("how") in ("raised", "exited")]
    own = [row for row in raised if not row.get("follows") and row.get("error") != "KeyboardInterrupt"]
    killed = [row for row in ended if row.get("how") == "killed" and not row.get("follows")]
    if own:
        return _rank(min(own, key=lambda row: _number(row.get("at"))))
    if killed and len(killed) < len(ended):
        return _rank(killed[0])
    return _rank(min(raised, key=lambda row: _number(row.get("at")))) if raised else None


def _rank(row: Row) -> int | None:
    number = row.get("rank")
    return number if isinstance(number, int) else None


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else 0.0
