"""Targets torn from their inputs: each sample gets the target of another, the same one every time it comes."""

from __future__ import annotations

from typing import Any

from .intervention import Intervention

MULTIPLIER = 6364136223846793005  # of Knuth's linear congruential generator: spreads the bits of a row's content


class PermutedTargets(Intervention):
    """The target of a sample is drawn from those of the first batch by a number made of the sample's content.

    The pairing is so fixed over epochs, as with a set of wrongly labelled samples. Where no input belongs to a target
    (other lengths, no module call), targets are permuted within the batch, by a generator of our own.
    """

    def __init__(self, observer: Any, name: str, *, seed: int = 0) -> None:
        super().__init__(observer, name)
        self._generator = self.torch.Generator().manual_seed(seed)
        self._seed = seed
        self._draw: Any = None  # one number in [0, 1) for each sample of the batch that entered last
        self._pools: dict[tuple[Any, ...], Any] = {}

    def install(self) -> None:
        self.watch_calls()
        self.watch_losses()

    def on_entry(self, module: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        inputs = [tensor for tensor in self.tensors(args, kwargs) if tensor.dim() and tensor.numel()]
        self._draw = self._content(inputs[0]) if inputs else None
        return args, kwargs

    def _content(self, data: Any) -> Any:
        """A number in [0, 1) for each row, the same wherever the same row comes again."""
        torch = self.torch
        rows = data.detach().reshape(data.shape[0], -1)
        bits = rows.float().contiguous().view(torch.int32).long() if rows.is_floating_point() else rows.long()
        weights = torch.arange(1, bits.shape[1] + 1, device=bits.device) * MULTIPLIER + self._seed
        mixed = (bits * weights).sum(1) * MULTIPLIER
        return ((mixed >> 20) & 0xFFFFFF).double() / 0x1000000

    def on_target(self, name: str, output: Any, target: Any) -> Any:
        if not target.dim() or target.shape[0] < 2:
            return target
        self.acted += 1
        key = (name, target.shape[1:], target.dtype)
        pool = self._pools.setdefault(key, target.detach().clone())
        if self._draw is None or len(self._draw) != target.shape[0]:
            order = self.torch.randperm(target.shape[0], generator=self._generator)
            return target[order.to(target.device)]
        chosen = (self._draw * pool.shape[0]).long().clamp(max=pool.shape[0] - 1)
        return pool[chosen.to(pool.device)]

    def closing(self) -> None:
        if not self.acted:
            self.reason = "targets meet outputs in the script's own arithmetic, in no loss of torch's"


INTERVENTION = PermutedTargets
