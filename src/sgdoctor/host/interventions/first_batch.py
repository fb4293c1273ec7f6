"""Every training step sees the first batch: a sound loop with a fitting model memorises it."""

from __future__ import annotations

from typing import Any

from .intervention import Intervention


class FirstBatch(Intervention):
    """Loaders hand out their first batch for ever, epochs as long as before.

    Where a script cuts its batches by hand, what the module and the loss were given first is given again. `factor`: the
    learning rates are multiplied by it meanwhile, as in `lr`.
    """

    def __init__(self, observer: Any, name: str, *, factor: float = 1.0) -> None:
        super().__init__(observer, name)
        self._factor = factor
        self._rates: list[Any] = []
        self._loaders: dict[int, tuple[Any, Any]] = {}  # id -> (loader, its first batch)
        self._calls: dict[tuple[Any, ...], Any] = {}
        self._call = self._target = 0  # how many since the last step: a siamese net takes several a step
        self._inputs_changed = self._targets_seen = 0

    def install(self) -> None:
        self._watch_loaders()
        self.watch_calls()
        self.watch_losses()
        self.watch_steps()

    def _watch_loaders(self) -> None:
        loader_class = self.torch.utils.data.DataLoader
        original = loader_class.__iter__

        def wrapper(loader: Any) -> Any:
            return self._replayed(loader, original(loader))

        self.put(loader_class, "__iter__", wrapper)

    def _replayed(self, loader: Any, batches: Any) -> Any:
        for batch in batches:
            if id(loader) not in self._loaders:
                self._loaders[id(loader)] = (loader, self.map_tensors(self._copy, batch))
            self.acted += 1
            yield self.map_tensors(self._copy, self._loaders[id(loader)][1])

    @staticmethod
    def _copy(tensor: Any) -> Any:
        return tensor.detach().clone()

    def on_entry(self, module: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        self._call += 1
        if self._loaders:
            return args, kwargs
        key = (id(module), self._call)
        first = self._calls.get(key)
        if first is None:
            self._calls[key] = (module, self.map_tensors(self._copy, (args, kwargs)))
            return args, kwargs
        if not self._same(first[1], (args, kwargs)):
            self._inputs_changed += 1
        self.acted += 1
        changed: tuple[Any, Any] = self.map_tensors(self._copy, first[1])
        return changed

    def on_target(self, name: str, output: Any, target: Any) -> Any:
        self._target += 1
        self._targets_seen += 1
        if self._loaders or target.requires_grad:
            return target
        known = self._calls.setdefault((name, self._target), target.detach().clone())
        return known if known.shape[:1] == output.shape[:1] else target

    def _same(self, first: Any, now: Any) -> bool:
        pairs = list(zip(self.tensors(first), self.tensors(now)))
        return all(a.shape == b.shape and a.dtype == b.dtype and bool((a == b).all()) for a, b in pairs)

    def before_step(self, optimizer: Any) -> None:
        self._rates = [group.get("lr") for group in optimizer.param_groups]
        for group, rate in zip(optimizer.param_groups, self._rates):
            if rate is not None:
                group["lr"] = rate * self._factor

    def after_step(self, optimizer: Any) -> None:
        for group, rate in zip(optimizer.param_groups, self._rates):
            if rate is not None:
                group["lr"] = rate
        self._call = self._target = 0

    def closing(self) -> None:
        if not self.acted:
            self.reason = "neither a DataLoader nor a module called on data: the batch cannot be held"
        elif self._inputs_changed and not self._targets_seen:
            self.reason = "the targets meet the outputs in the script's own arithmetic and cannot be held"


INTERVENTION = FirstBatch
