"""What enters the model set to zero: whatever is still learnt is not learnt from the inputs."""

from __future__ import annotations

from typing import Any

from .intervention import Intervention


class ZeroedInputs(Intervention):
    """Floats become 0, whole numbers (token ids) too; masks, which hold nothing but 0 and 1, stay."""

    def install(self) -> None:
        self.watch_calls()

    def on_entry(self, module: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        self.acted += 1
        return self.map_tensors(self._zero, args), self.map_tensors(self._zero, kwargs)

    def _zero(self, tensor: Any) -> Any:
        if tensor.dtype == self.torch.bool or not tensor.dim():
            return tensor
        if not tensor.is_floating_point() and tensor.numel() and int(tensor.max()) <= 1:
            return tensor
        return self.torch.zeros_like(tensor)

    def closing(self) -> None:
        if not self.acted:
            self.reason = "no module with parameters is called on data"


INTERVENTION = ZeroedInputs
