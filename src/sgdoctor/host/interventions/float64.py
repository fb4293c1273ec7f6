"""The whole computation in double precision: what is still wrong is not rounding."""

from __future__ import annotations

from typing import Any

from .intervention import Intervention


class Float64(Intervention):
    """From the first call of a module on: its weights, its inputs, float targets and new tensors are float64.

    Not earlier: data and weights are drawn in the precision of the script, and so are the same numbers.
    """

    def __init__(self, observer: Any, name: str) -> None:
        super().__init__(observer, name)
        self._done: set[int] = set()
        self._default = self.torch.get_default_dtype()

    def install(self) -> None:
        self.watch_calls()
        self.watch_losses()

    def on_entry(self, module: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        if not self._done:
            self.torch.set_default_dtype(self.torch.float64)
            self.put(self.torch.Tensor, "float", self.torch.Tensor.double)
        if id(module) not in self._done:
            self._done.add(id(module))
            module.double()
        self.acted += 1
        return self.map_tensors(self._double, args), self.map_tensors(self._double, kwargs)

    def _double(self, tensor: Any) -> Any:
        return tensor.double() if tensor.is_floating_point() else tensor

    def on_target(self, name: str, output: Any, target: Any) -> Any:
        return target.to(output.dtype) if target.is_floating_point() and output.is_floating_point() else target

    def closing(self) -> None:
        self.torch.set_default_dtype(self._default)
        if not self.acted:
            self.reason = "no module with parameters is called on data"


INTERVENTION = Float64
