"""The learning rate of a part of the network times a factor."""

from __future__ import annotations

from typing import Any

from .intervention import Intervention


class PartRate(Intervention):
    """After each step the change of some parameters is scaled, which is what their rate times `factor` would have done.

    `params`: their numbers in the record, which are the same in a run that does the same up to there.
    """

    def __init__(
        self, observer: Any, name: str, *, params: tuple[int, ...] | list[int] = (), factor: float = 0.1
    ) -> None:
        super().__init__(observer, name)
        self._numbers = frozenset(params)
        self._factor = factor
        self._before: list[tuple[Any, Any]] = []
        self._chosen: dict[int, bool] = {}

    def install(self) -> None:
        self.watch_steps()

    def _is_chosen(self, leaf: Any) -> bool:
        known = self._chosen.get(id(leaf))
        if known is None:
            known = self._chosen[id(leaf)] = self.observer.parameters.number(leaf) in self._numbers
        return known

    def before_step(self, optimizer: Any) -> None:
        leaves = [leaf for group in optimizer.param_groups for leaf in group["params"]]
        # An optimizer of these alone is another phase of training.
        chosen = [leaf for leaf in leaves if self._is_chosen(leaf)]
        self._before = [(leaf, leaf.detach().clone()) for leaf in chosen] if len(chosen) < len(leaves) else []

    def after_step(self, optimizer: Any) -> None:
        with self.torch.no_grad():
            for leaf, before in self._before:
                leaf.lerp_(before, 1 - self._factor)
                self.acted += 1
        self._before = []

    def closing(self) -> None:
        if not self.acted:
            self.reason = "no optimizer held these layers beside others"


INTERVENTION = PartRate
