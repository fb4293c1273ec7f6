"""State dicts: when they were taken, whether they still share memory with the live model, what a load matched."""

from __future__ import annotations

import weakref
from typing import Any

MAX_TAKEN = 32  # state dicts followed at once: the script keeps few, and drops the others at once
MAX_ROWS = 200
MAX_FILES = 8  # state dicts that were read and are followed, of so many entries each
MAX_ENTRIES = 2000
MAX_COMPARED = 64  # tensors compared in one load
MANY = 2  # earlier dicts of one line that are alive when the next is taken: one is only about to be replaced
DEPTH = 2  # how deep a state dict may lie in what is saved: {"model": {...}}


class Taken:
    """A state dict that the script holds."""

    __slots__ = ("module", "reference", "site", "step")

    def __init__(self, state: Any, module: Any, site: int | None, step: int) -> None:
        self.reference = weakref.ref(state)
        self.module = weakref.ref(module)
        self.site = site
        self.step = step


class Checkpoints:
    """Rows `loading` (a load_state_dict), `saving` (a state dict written after the model has moved on).

    And `holding`: state dicts of several moments, taken at one line, that are held at once.
    """

    SIGNALS = ("checkpoints",)

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._torch = observer.torch
        self._taken: list[Taken] = []
        self._files: list[list[Any]] = []  # weak references to the tensors of each state dict that was read
        self._rows = 0

    def on_taken(self, module: Any, state: Any, site: int | None) -> None:
        """module.state_dict() returned."""
        if type(state).__name__ != "OrderedDict":
            return
        self._taken = [taken for taken in self._taken if taken.reference() is not None][-MAX_TAKEN:]
        self._taken.append(Taken(state, module, site, self._observer.steps))
        earlier = [t for t in self._taken if t.site == site and t.step < self._observer.steps and t.module() is module]
        if len({taken.step for taken in earlier}) >= MANY and self._rows < MAX_ROWS:
            self._rows += 1
            oldest = earlier[0].reference()
            row = {"k": "holding", "site": site, "step": self._observer.steps, "taken_step": earlier[0].step}
            aliased = 0.0 if oldest is None else self._aliased(module, oldest)
            self._observer.write({**row, "count": len(earlier) + 1, "aliased": aliased})

    def _known(self, state: Any) -> Taken | None:
        return next((taken for taken in self._taken if taken.reference() is state), None)

    def on_read(self, value: Any) -> None:
        """torch.load() returned."""
        for state in _states(value, DEPTH):
            tensors = [entry for entry in list(state.values())[:MAX_ENTRIES] if isinstance(entry, self._torch.Tensor)]
            if tensors and 2 * len(tensors) > len(state):
                self._files = [*self._files[1 - MAX_FILES :], [weakref.ref(each) for each in tensors]]

    def _left(self, module: Any, state: Any, absent: set[str]) -> dict[str, int]:
        """Entries of the file that a state dict is of, those in use, and missing parameters that another would fit."""
        given = {id(entry) for entry in state.values()}
        for references in reversed(self._files):
            tensors = [tensor for reference in references if (tensor := reference()) is not None]
            unused = [tuple(each.shape) for each in tensors if id(each) not in given]
            if len(unused) == len(tensors):
                continue
            alike = 0
            for name, parameter in module.named_parameters():
                if name in absent and tuple(parameter.shape) in unused:
                    unused.remove(tuple(parameter.shape))
                    alike += 1
            return {"stored": len(references), "used": sum(id(each) in given for each in tensors), "alike": alike}
        return {}

    def on_loaded(self, module: Any, state: Any, strict: bool, assign: bool, result: Any, site: int | None) -> None:
        """module.load_state_dict(state) returned."""
        if self._rows >= MAX_ROWS or assign or not hasattr(state, "items"):
            return
        self._rows += 1
        taken = self._known(state)
        source = taken.module() if taken is not None else None
        missing, unexpected = getattr(result, "missing_keys", []), getattr(result, "unexpected_keys", [])
        wanted = [name for name, _ in module.named_parameters()]
        absent = set(missing)
        row: dict[str, Any] = {
            "k": "loading",
            "site": site,
            "step": self._observer.steps,
            "class": type(module).__name__,
            "strict": strict,
            "wanted": len(wanted),
            "missing": sum(name in absent for name in wanted),
            "given": len(state),
            "unexpected": len(unexpected),
            "examples": [str(name)[:80] for name in (*missing[:1], *unexpected[:1])],
            "aliased": self._aliased(module, state),
            **(self._left(module, state, absent) if absent else {}),
        }
        if taken is not None:
            row.update(
                taken_site=taken.site,
                taken_step=taken.step,
                own=source is module,
                live=1.0 if source is module else 0.0 if source is None else self._aliased(source, state),
            )
        self._observer.write(row)

    def _aliased(self, module: Any, state: Any) -> float:
        """Share of the module's parameters whose entry in the state dict lies in the same memory."""
        same = total = 0
        for name, parameter in list(module.named_parameters())[:MAX_COMPARED]:
            entry = state.get(name)
            if isinstance(entry, self._torch.Tensor) and parameter.numel():
                total += 1
                same += entry is parameter or _pointer(entry) == _pointer(parameter)
        return same / total if total else 0.0

    def on_saved(self, value: Any, site: int | None) -> None:
        """torch.save(value) returned."""
        if self._rows >= MAX_ROWS:
            return
        for state in _states(value, DEPTH):
            taken = self._known(state)
            module = taken.module() if taken is not None else None
            if taken is None or module is None or taken.step == self._observer.steps:
                continue
            self._rows += 1
            row = {"k": "saving", "site": site, "step": self._observer.steps}
            aliased = self._aliased(module, state)
            self._observer.write({**row, "taken_site": taken.site, "taken_step": taken.step, "aliased": aliased})


def _states(value: Any, depth: int) -> list[Any]:
    if not isinstance(value, dict):
        return []
    found = [value]
    if depth > 1:
        for entry in list(value.values())[:20]:
            found += _states(entry, depth - 1)
    return found


def _pointer(tensor: Any) -> Any:
    try:
        return tensor.device, tensor.data_ptr()
    except RuntimeError:  # has no storage (meta, functorch): equal to nothing
        return object()
