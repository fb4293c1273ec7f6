"""Seeds forced on a script that is run again: its own stay where the offset is nought, and every generator has one."""

from __future__ import annotations

import functools
import random
from importlib import import_module
from typing import Any

FIRST = 20_011  # for a generator that the script never seeds
LARGEST = 2**32


def force(offset: int) -> None:
    """Seed everything, and shift every seed that the script sets itself by `offset`.

    Runs with the same offset repeat each other; others differ in their data order and initial weights.
    """
    random.seed(FIRST + offset)
    random.seed = _shifted(random.seed, offset)
    try:
        np: Any = import_module("numpy")  # the script's, where it has one
    except ImportError:
        return
    np.random.seed(FIRST + offset)
    np.random.seed = _shifted(np.random.seed, offset)
    for name in ("default_rng", "RandomState"):
        setattr(np.random, name, _seeded(getattr(np.random, name), offset))


def force_torch(torch: Any, offset: int, draws: int = 0) -> None:
    """The same for torch, as soon as it is there. `draws`: numbers thrown away each time it is seeded."""
    original = torch.manual_seed

    def seed_and_draw(given: int) -> Any:
        generator = original(given)
        torch.rand(draws)
        return generator

    seed_and_draw(FIRST + offset)
    torch.manual_seed = torch.random.manual_seed = _shifted(functools.wraps(original)(seed_and_draw), offset)
    torch.seed = torch.random.seed = functools.partial(seed_and_draw, FIRST + offset)


def _shifted(original: Any, offset: int) -> Any:
    @functools.wraps(original)
    def seed(*args: Any, **kwargs: Any) -> Any:
        given = args[0] if args else next(iter(kwargs.values()), None)
        if given is None:
            given = FIRST
        if isinstance(given, int):
            return original((given + offset) % LARGEST)
        return original(*args, **kwargs)

    return seed


def _seeded(original: Any, offset: int) -> Any:
    """A maker of generators: one made without a seed gets one. Seeds that are given make data, and stay."""
    if isinstance(original, type):
        # A class stays a class: the script may ask isinstance.
        make = original.__init__  # type: ignore[misc]

        def init(self: Any, seed: Any = None) -> None:
            make(self, FIRST + offset if seed is None else seed)

        try:
            return type(original.__name__, (original,), {"__init__": init, "__module__": original.__module__})
        except TypeError:
            return original

    @functools.wraps(original)
    def generator(seed: Any = None) -> Any:
        return original(FIRST + offset if seed is None else seed)

    return generator
