"""Checkpoints that are read back: which of the states in a file found their way into a model, which were left there."""

from __future__ import annotations

import weakref
from typing import Any

MAX_FILES = 8  # files that were read and are followed
MAX_ROWS = 100
MAX_ENTRIES = 40  # of one dict that are looked through
DEPTH = 3
FEW = 4  # tensors by which a state dict is known again


class File:
    """What torch.load returned: where in it states lie, and how the states of models are known again."""

    def __init__(self, site: int | None) -> None:
        self.site = site
        self.models: list[tuple[list[str], list[Any], int]] = []  # path, weak references to tensors, entries
        self.optimizers: list[tuple[list[str], dict[str, Any]]] = []
        self.schedulers: list[list[str]] = []
        self.counters: list[str] = []


class Resumes:
    """Rows `resuming` (a model's state out of a file), `restored` (an optimizer's, a scheduler's), `written`."""

    SIGNALS = ("resumed",)

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._tensor = observer.torch.Tensor
        self._files: list[File] = []
        self._rows = 0

    def on_read(self, value: Any, site: int | None) -> None:
        """torch.load() returned."""
        if not hasattr(value, "items"):
            return
        file = File(site)
        self._walk(file, value, [])
        if file.models:
            self._files = [*self._files[1 - MAX_FILES :], file]

    def _walk(self, file: File, value: Any, path: list[str]) -> None:
        if "param_groups" in value and "state" in value:
            file.optimizers.append((path, value))
            return
        if "last_epoch" in value and path:
            file.schedulers.append(path)
            return
        entries = list(value.items())[:MAX_ENTRIES]
        tensors = [entry for _, entry in entries if isinstance(entry, self._tensor)]
        if tensors and 2 * len(tensors) > len(entries):
            file.models.append((path, [weakref.ref(each) for each in tensors[:FEW]], len(value)))
            return
        for name, entry in entries:
            if isinstance(entry, int) and not isinstance(entry, bool):
                file.counters.append(str(name)[:80])
            elif hasattr(entry, "items") and len(path) < DEPTH:
                self._walk(file, entry, [*path, str(name)[:80]])

    def on_loaded(self, state: Any, result: Any, site: int | None) -> None:
        """module.load_state_dict(state) returned."""
        if self._rows >= MAX_ROWS or not self._files or not hasattr(state, "values"):
            return
        given = {id(entry) for entry in list(state.values())[: FEW * MAX_ENTRIES]}
        for file in reversed(self._files):
            for path, references, _ in file.models:
                if any((tensor := reference()) is not None and id(tensor) in given for reference in references):
                    self._write(file, path, len(getattr(result, "missing_keys", [])), site)
                    return

    def _write(self, file: File, path: list[str], missing: int, site: int | None) -> None:
        self._rows += 1
        row: dict[str, Any] = {
            "k": "resuming",
            "site": site,
            "read_site": file.site,
            "step": self._observer.steps,
            "model": path,
            "counter": file.counters[:4],
            "missing": missing,
        }
        if len(file.optimizers) == 1:
            where, state = file.optimizers[0]
            groups = [group for group in state["param_groups"] if isinstance(group, dict)]
            row["optimizer"] = where
            row["held"] = sum(len(group.get("params", [])) for group in groups)
            row["entries"] = sum(bool(_plain_state(each)) for each in list(state["state"].values())[:MAX_ENTRIES])
            row["settings"] = sorted({name for group in groups[:1] for name in group if name not in OWN})
            rates = [group.get(name) for group in groups for name in ("lr", "initial_lr") if name in group]
            row["rates"] = [float(rate) for rate in rates if isinstance(rate, (int, float))]
        if len(file.schedulers) == 1:
            row["scheduler"] = file.schedulers[0]
        self._observer.write(row)

    def on_restored(self, what: str, owner: Any, site: int | None) -> None:
        """load_state_dict() of an optimizer or of a scheduler returned."""
        if self._rows < MAX_ROWS:
            self._rows += 1
            row = {"k": "restored", "what": what, "step": self._observer.steps, "site": site}
            number = self._observer.updates.number(owner) if what == "optimizer" else None
            self._observer.write({**row, "opt": number})

    def on_written(self, value: Any, site: int | None) -> None:
        """torch.save(value) returned."""
        if self._rows >= MAX_ROWS or not hasattr(value, "items"):
            return
        self._rows += 1
        file = File(site)
        self._walk(file, value, [])
        row = {"k": "written", "site": site, "step": self._observer.steps, "models": len(file.models)}
        keys = [str(name)[:80] for name in list(value)[:MAX_ENTRIES]] if file.models and file.models[0][0] else []
        self._observer.write({**row, "keys": keys, "optimizers": len(file.optimizers)})


OWN = ("params", "initial_lr", "param_names")


def _plain_state(entry: Any) -> Any:
    """The moments that an optimizer keeps of one parameter; a bare count of steps, or None, is no loss."""
    return [each for name, each in entry.items() if each is not None and name != "step"] if entry else None
