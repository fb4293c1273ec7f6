"""Data loaders: how long, how large their batches, in what order, how often gone through."""

from __future__ import annotations

import weakref
from typing import Any

MAX_LOADERS = 100


class Loaders:
    """One `loader` row for each DataLoader, again when its count of passes has grown."""

    SIGNALS = ("loaders",)

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._loaders: dict[int, tuple[Any, dict[str, Any]]] = {}
        self._written: dict[int, int] = {}

    def on_loader(self, loader: Any, site: int | None) -> None:
        """A pass over a loader begins."""
        known = self._loaders.get(id(loader))
        if known is None or known[0]() is not loader:
            if len(self._loaders) >= MAX_LOADERS:
                return
            row = {"k": "loader", "i": len(self._loaders), "site": site, "passes": 0, **_describe(loader)}
            known = self._loaders[id(loader)] = (weakref.ref(loader), row)
        known[1]["passes"] += 1
        known[1]["last_step"] = self._observer.steps

    def number(self, loader: Any) -> int | None:
        """The number of a loader that was gone through, None where it has none."""
        known = self._loaders.get(id(loader))
        return None if known is None or known[0]() is not loader else int(known[1]["i"])

    def kind(self, loader: Any) -> tuple[Any, ...] | None:
        """What loaders have in common that a script builds anew at a line, once an epoch."""
        known = self._loaders.get(id(loader))
        if known is None:
            return None
        row = known[1]
        return tuple(row[name] for name in ("site", "batch_size", "sampler", "dataset", "samples", "workers"))

    def on_flush(self, closing: bool) -> None:
        """Counts that have grown."""
        for _, row in list(self._loaders.values()):
            written = self._written.get(row["i"], 0)
            if row["passes"] > written and (closing or row["passes"] >= written * 1.2 + 1):
                self._written[row["i"]] = row["passes"]
                self._observer.write(dict(row))


def _describe(loader: Any) -> dict[str, Any]:
    sampler = getattr(loader, "sampler", None)
    described: dict[str, Any] = {
        "batch_size": getattr(loader, "batch_size", None),
        "drop_last": bool(getattr(loader, "drop_last", False)),
        "workers": int(getattr(loader, "num_workers", 0)),
        "sampler": type(sampler).__name__,
        "dataset": type(getattr(loader, "dataset", None)).__name__,
        "samples": None,
        "batches": None,
    }
    try:
        described["samples"] = len(loader.dataset)
        described["batches"] = len(loader)
    except Exception:  # an iterable dataset has no length
        pass
    return described
