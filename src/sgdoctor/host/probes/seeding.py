"""Whether anything was seeded before training, and whether torch's own generator was drawn from."""

from __future__ import annotations

from typing import Any


class Seeding:
    """Rows `seeding`, written once there are steps, and again where it changes. Draws nothing itself."""

    SIGNALS = ("seeding",)

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._torch = observer.torch
        # manual_seed, seed and set_rng_state all change it, whichever library calls them.
        self._first = self._torch.initial_seed()
        self._state = self._read()
        self._drawn = False
        self._written: dict[str, bool] = {}

    def _read(self) -> bytes:
        return bytes(self._torch.default_generator.get_state().tolist())

    def on_flush(self, closing: bool) -> None:
        """What is known now."""
        observer = self._observer
        if not observer.steps or self._written.get("seeded") or self._torch._C._len_torch_dispatch_stack():
            return
        if not self._drawn:
            self._drawn = self._read() != self._state
        row = {"seeded": self._torch.initial_seed() != self._first, "drawn": self._drawn}
        if row != self._written:
            self._written = row
            observer.write({"k": "seeding", "step": observer.steps, **row})
