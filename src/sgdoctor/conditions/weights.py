"""Remedies that conditions of the model share: the weights of an objective drawn anew, its gradient clipped."""

from __future__ import annotations

from ..record import Record, Site
from ..record.record import Objective
from ..source import Edit, Source
from ..source.initialisers import draw_before, rectifies
from ..source.training import clip, model_of
from .questions import optimizers_of


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
