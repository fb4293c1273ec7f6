"""Mixed precision: which autocast was entered, and what the gradient scaler was asked to do."""

from __future__ import annotations

from typing import Any

MAX_PLACES = 50


class Precision:
    """Rows `autocast` and `scaler`; the scaler's calls are also events of the loop (s scale, p step, d update)."""

    SIGNALS = ("precision",)

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._torch = observer.torch
        self._casts: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._scalers: dict[tuple[str, int | None], dict[str, Any]] = {}
        self._written: dict[Any, int] = {}

    def on_autocast(self, context: Any, site: int | None) -> None:
        """An autocast region was entered."""
        dtype = str(getattr(context, "fast_dtype", "")).replace("torch.", "")
        enabled = bool(getattr(context, "_enabled", True))
        graded = self._torch.is_grad_enabled()
        key = (site, dtype, enabled, graded)
        row = self._casts.get(key)
        if row is None:
            if len(self._casts) >= MAX_PLACES:
                return
            row = self._casts[key] = {"k": "autocast", "site": site, "dtype": dtype, "enabled": enabled, "count": 0}
            row.update(device=str(getattr(context, "device", "")), graded=graded)
        row["count"] += 1

    def on_scaler(self, letter: str, scaler: Any, site: int | None) -> None:
        """A method of an enabled gradient scaler is called."""
        if not scaler.is_enabled():
            return
        self._observer.loop.on_event(letter, site)
        row = self._scalers.get((letter, site))
        if row is None:
            if len(self._scalers) >= MAX_PLACES:
                return
            row = self._scalers[letter, site] = {"k": "scaler", "event": letter, "site": site, "count": 0}
        row["count"] += 1

    def on_flush(self, closing: bool) -> None:
        """Counts that have grown."""
        for key, row in [*self._casts.items(), *self._scalers.items()]:
            written = self._written.get(key, 0)
            if row["count"] > written and (closing or row["count"] >= written * 1.25 + 1):
                self._written[key] = row["count"]
                self._observer.write(dict(row))
