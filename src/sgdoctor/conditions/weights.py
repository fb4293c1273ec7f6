"""What conditions of the model share about weights: their first scale, how they are drawn anew or clipped."""

from __future__ import annotations

import math

from ..record import Progress, Record, Site
from ..record.record import Objective, number, numbers
from ..source import Edit, Source
from ..source.initialisers import draw_before, rectifies
from ..source.training import clip, model_of
from .questions import optimizers_of

MATRIX = ("AddmmBackward0", "MmBackward0", "LinearBackward0", "ConvolutionBackward0")
NORMS = ("NativeBatchNormBackward0", "NativeLayerNormBackward0", "NativeGroupNormBackward0", "CudnnBatchNormBackward0")


def built_at(record: Record, objective: Objective) -> Site | None:
    """Where the optimizer that holds most of an objective's parameters is built."""
    held = sorted(optimizers_of(record, objective), key=lambda each: -len(each.parameters & objective.leaves))
    return held[0].site if held else None


def drawn_weights(source: Source, built: object, rectified: bool | None = None) -> list[Edit]:
    """All weights drawn to scale in front of the optimizer; `rectified`: by He's rule, else by Glorot's."""
    found = model_of(source, built.file, built.line) if isinstance(built, Site) else None
    if found is None:
        return []
    module, statement, model = found
    return draw_before(module, statement, model, rectifies(source) if rectified is None else rectified)


def clipped(source: Source, backward: object, built: object, limit: str = "1.0") -> list[Edit]:
    """The gradient clipped between a backward and its step."""
    if not isinstance(backward, Site):
        return []
    place = (built.file, built.line) if isinstance(built, Site) else None
    return clip(source, backward.file, backward.line, place, limit)


def gains_at_first(record: Record, entry: Progress) -> list[tuple[int, float]] | None:
    """(weight, root mean square times the root of the fan-in) of each matrix at the first look, in forward order."""
    graphs = entry.objective.graphs
    rows = record.rows("gradients", site=entry.objective.number)
    if not graphs or not rows or number(rows[0].get("n")) != 0:
        return None
    layers = [layer for layer in graphs[0].get("layers") or [] if len(layer) >= 2]
    norms = dict(zip(rows[0].get("params") or [], numbers(rows[0].get("weight"))))
    found = []
    for index, layer in enumerate(layers):
        known = record.parameters.get(layer[1])
        behind = [later[0] for later in layers[index + 1 : index + 2]]
        if layer[0] not in MATRIX or known is None or len(known.shape) < 2 or layer[1] not in norms:
            continue
        if any(name in NORMS for name in behind):
            continue
        rms = float(norms[layer[1]]) / math.sqrt(max(1, known.size))
        found.append((layer[1], rms * math.sqrt(_fan_in(known.shape, rms))))
    return found


def _fan_in(shape: tuple[int, ...], rms: float) -> float:
    """Inputs of a unit. A hand-written matrix may stand either way round: the way that says less is believed."""
    ways = [math.prod(shape[1:]), shape[0] * math.prod(shape[2:])] if len(shape) == 2 else [math.prod(shape[1:])]
    return float(min(ways) if rms > 0.3 else max(ways))
