"""Which tensors lag far behind the others at one learning rate for all."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..record import Record
from ..record.record import Optimizer, numbers
from ..record.steps import Steps
from .questions import judged, late, middle, optimizers_of

MIN_STEPS = 60  # fewer say nothing about what lags
LAG = 30.0  # the median tensor's relative step over that of the part; healthy runs of the clinic reach it, but not
LARGER = 100.0  # the part's elements over the median tensor's: none of the clinic but the scripts of this condition


class Split(NamedTuple):
    """One optimizer with one rate, and the tensors of it that would need a higher one."""

    optimizer: Optimizer
    params: tuple[int, ...]


def split(record: Record) -> Split | None:
    """The part of what is trained that one rate does not suit, as far as a run shows."""
    for entry in judged(record):
        found = [each for each in optimizers_of(record, entry.objective) if each.steps]
        if len(found) != 1 or entry.count < MIN_STEPS or len({*found[0].lr}) != 1:
            continue
        slow = lagging(record, found[0])
        if slow:
            return Split(found[0], slow)
    return None


def lagging(record: Record, optimizer: Optimizer) -> tuple[int, ...]:
    """Tensors of another order of size, which steps of one length for all hardly move; of adaptive optimizers.

    Gradient descent has no such length, and a tensor without gradient (the bias of attention keys) lags with any.
    """
    if not optimizer.adaptive:
        return ()
    sizes: dict[int, float] = {}
    for row in optimizer.updates[:3]:
        for number, norm in zip(row.get("params") or [], numbers(row.get("weight"))):
            tensor = record.parameters.get(number)
            if tensor is not None and norm > 0:
                sizes[number] = float(norm) / max(1, tensor.size) ** 0.5
    ratios = {number: middle(late(values)) for number, values in Steps(record, optimizer).by_parameter.items()}
    known = [number for number, value in ratios.items() if value > 0 and number in sizes]
    if len(known) < 4:
        return ()
    step, size = (float(np.median([of[number] for number in known])) for of in (ratios, sizes))
    return tuple(n for n in sorted(known) if ratios[n] < step / LAG and sizes[n] > size * LARGER)
