"""Which tensors are trained, by whom they are held, and what they are called."""

from __future__ import annotations

import weakref
from typing import Any

MAX_PARAMETERS = 5000  # tensors named in one record


class Parameters:
    """Gives each trained tensor a small integer and a name, written once as a `param` row."""

    SIGNALS = ("parameters",)

    def __init__(self, observer: Any) -> None:
        self._write = observer.write
        self._torch = observer.torch
        self._known: dict[int, tuple[Any, int]] = {}  # id(tensor) -> (weakref, number)
        self._next = 0
        self._modules: dict[int, Any] = {}  # id(module) -> weakref
        self._names: dict[int, tuple[str, str]] = {}  # id(tensor) -> (name, class of its module)
        self._stale_names = True

    def on_module(self, module: Any) -> None:
        """A module was seen (its parameters were listed, it was moved or switched): remember it for names."""
        if id(module) not in self._modules:
            try:
                self._modules[id(module)] = weakref.ref(module)
            except TypeError:
                return
            self._stale_names = True

    def modules(self) -> list[Any]:
        """The modules that were seen and are still there."""
        return [module for reference in list(self._modules.values()) if (module := reference()) is not None]

    def number(self, tensor: Any) -> int:
        """The number of a trained tensor, -1 once there are too many."""
        known = self._known.get(id(tensor))
        if known is not None and known[0]() is tensor:
            return known[1]
        if self._next >= MAX_PARAMETERS:
            return -1
        number = self._next
        self._next += 1
        self._known[id(tensor)] = (weakref.ref(tensor), number)
        name, owner = self._name(tensor)
        self._write(
            {
                "k": "param",
                "i": number,
                "name": name,
                "module": owner,
                "shape": list(tensor.shape),
                "dtype": str(tensor.dtype).replace("torch.", ""),
                "device": str(tensor.device),
                "parameter": isinstance(tensor, self._torch.nn.Parameter),
            }
        )
        return number

    def _name(self, tensor: Any) -> tuple[str | None, str | None]:
        found = self._names.get(id(tensor))
        if found is None and self._stale_names:
            self._collect()
            found = self._names.get(id(tensor))
        return (None, None) if found is None else found

    def _collect(self) -> None:
        """Names as the outermost known module gives them: the one whose parameter list is longest names first."""
        modules = [module for reference in list(self._modules.values()) if (module := reference()) is not None]
        sized = sorted(modules, key=lambda module: -sum(1 for _ in module.modules()))
        self._names = {}
        for module in sized:
            for prefix, child in module.named_modules():
                for leaf, tensor in child._parameters.items():
                    if tensor is not None:
                        name = f"{prefix}.{leaf}" if prefix else leaf
                        self._names.setdefault(id(tensor), (name, type(child).__name__))
        self._stale_names = False
