"""What the script's own evaluations say: the mean of each loss computed without gradient, between two steps."""

from __future__ import annotations

from typing import Any

MAX_PLACES = 40  # lines followed
MAX_POINTS = 400  # means of one line in one record; then every second one, every fourth one, ...


class Evaluation:
    """One line: the pass that is going on, and the means that wait to be written."""

    __slots__ = ("count", "kept", "passes", "steps", "stride", "total", "values", "when")

    def __init__(self, step: int) -> None:
        self.when, self.total, self.count = step, 0.0, 0
        self.passes, self.kept, self.stride = 0, 0, 1
        self.steps: list[int] = []
        self.values: list[Any] = []

    def end(self) -> None:
        """The pass is over."""
        if self.passes % self.stride == 0 and self.count:
            self.steps.append(self.when)
            self.values.append(self.total / self.count)
            self.kept += 1
            if self.kept % MAX_POINTS == 0:
                self.stride *= 2
        self.passes += 1
        self.total, self.count = 0.0, 0


class Validations:
    """Rows `validation`: a value for all calls at one line that no step came between."""

    SIGNALS = ("validations",)

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._places: dict[tuple[int | None, str], Evaluation] = {}
        functorch = getattr(observer.torch._C, "_functorch", None)
        self._level: Any = getattr(functorch, "maybe_current_level", None)

    def on_loss(self, name: str, site: int | None, result: Any) -> None:
        """A loss function returned a value without gradient."""
        if result.numel() != 1:
            return
        if self._level is not None and self._level() is not None:
            return  # inside torch.func transforms values belong to an inner level
        step = self._observer.steps
        key = (site, name)
        place = self._places.get(key)
        if place is None:
            if len(self._places) >= MAX_PLACES:
                return
            place = self._places[key] = Evaluation(step)
        if step != place.when:
            place.end()
            place.when = step
        # What is on another device is added up there, and read when the row is written.
        place.total = place.total + (result.item() if result.is_cpu else result.detach())
        place.count += 1

    def on_flush(self, closing: bool) -> None:
        """Means of passes that are over."""
        for (site, name), place in list(self._places.items()):
            if closing and place.count:
                place.end()
            if place.values:
                row = {"k": "validation", "site": site, "fn": name, "steps": place.steps, "values": place.values}
                place.steps, place.values = [], []
                self._observer.write(row)
