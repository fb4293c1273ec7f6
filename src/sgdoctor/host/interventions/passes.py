"""A sampled training step kept until it is over, to be gone through again beside the run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from .intervention import Intervention

EVERY = 64  # steps between looks once the first ones are over
LARGEST = 2**26  # elements of a batch that are kept for a second pass


class Pass(NamedTuple):
    """One entry of data into a module, and the loss taken of what came out."""

    module: Any
    args: Any
    kwargs: Any
    result: Any
    compute: Any = None
    shaped: Any = None  # the shape in which the loss took the output
    target: Any = None
    fn: str = ""
    site: int | None = None


class Passes(Intervention):
    """Keeps the last entry and its loss of sampled steps; `look(Pass)` is called when the step is over.

    Not sooner: a second pass before backward would change buffers that backward has kept.
    """

    def __init__(self, observer: Any, name: str) -> None:
        super().__init__(observer, name)
        self._kept: Pass | None = None
        self._count = 0

    def install(self) -> None:
        self.watch_calls()
        self.watch_losses()
        self.watch_steps()

    def look(self, kept: Pass) -> None:
        """To be overridden: go through the step again."""

    def due(self) -> bool:
        """At the first, second, fourth, eighth ... step, then at regular distances."""
        return self._count & (self._count + 1) == 0 or self._count % EVERY == 0

    def on_entered(self, module: Any, args: Any, kwargs: Any, result: Any) -> None:
        if self.due() and sum(tensor.numel() for tensor in self.tensors(args, kwargs)) <= LARGEST:
            own, named = self.map_tensors(lambda tensor: tensor.detach().clone(), (args, kwargs))
            self._kept = Pass(module, own, named, self.map_tensors(lambda tensor: tensor.detach(), result))

    def on_loss(self, name: str, compute: Any, output: Any, target: Any, result: Any) -> None:
        if self._kept is not None and self._kept.compute is None:
            import sys

            site = self.observer.sites.of_frame(sys._getframe(1))
            shape, kept = tuple(output.shape), target.detach().clone()
            self._kept = self._kept._replace(compute=compute, shaped=shape, target=kept, fn=name, site=site)

    def after_step(self, optimizer: Any) -> None:
        kept, self._kept = self._kept, None
        if kept is not None and self.observer.active:
            with self.aside(), self._restored(kept.module):
                try:
                    self.look(kept)
                except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError) as error:
                    self.reason = self.reason or f"a second pass failed: {type(error).__name__}: {error}"[:300]
        self._count += 1

    @contextmanager
    def _restored(self, module: Any) -> Iterator[None]:
        """Buffers, modes and gradients of a module as they were, whatever is done meanwhile."""
        buffers = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
        modes = [(each, each.training) for each in module.modules()]
        grads = [(parameter, parameter.grad) for parameter in module.parameters()]
        try:
            yield
        finally:
            for buffer, saved in buffers:
                buffer.data.copy_(saved)
            for each, training in modes:
                each.training = training
            for parameter, grad in grads:
                parameter.grad = grad

    @staticmethod
    def set_mode(module: Any, training: bool) -> None:
        """Every layer in one mode, without a call that the script's own class may have overridden."""
        for each in module.modules():
            each.training = training
