"""Weights drawn anew, as the layers' own classes draw them, when data first enters the model."""

from __future__ import annotations

from typing import Any

from .intervention import Intervention


class FreshInit(Intervention):
    """Calls `reset_parameters` of every layer that is trained; loaded and frozen layers with it only if they are."""

    def __init__(self, observer: Any, name: str, *, seed: int = 1) -> None:
        super().__init__(observer, name)
        self._seed = seed
        self._done: set[int] = set()
        self._kept = 0

    def install(self) -> None:
        self.watch_calls()

    def on_entry(self, module: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        if id(module) not in self._done:
            self._done.add(id(module))
            with self.aside(), self.torch.no_grad():
                self.torch.manual_seed(self._seed)
                for layer in module.modules():
                    self._draw(layer)
        return args, kwargs

    def _draw(self, layer: Any) -> None:
        own = list(layer.parameters(recurse=False))
        if not own or not all(parameter.requires_grad for parameter in own):
            return
        if callable(getattr(layer, "reset_parameters", None)):
            layer.reset_parameters()
            self.acted += 1
        elif callable(getattr(layer, "_reset_parameters", None)):  # nn.MultiheadAttention
            layer._reset_parameters()
            self.acted += 1
        else:
            self._kept += 1

    def closing(self) -> None:
        if not self.acted:
            self.reason = "no layer was called that knows how to draw its weights"


INTERVENTION = FreshInit
