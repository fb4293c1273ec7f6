"""What the trials of a change have shown, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ProofVerdict = Literal["proven", "helps", "no-effect", "worse", "not-testable"]


@dataclass(frozen=True)
class Proof:
    """One change against the script as it is, over the same seeds.

    `baseline`, `treated`: the metric, one value a seed. `effect`: mean of the paired differences, with its 95 %
    `interval` and the `p` of no difference. `curves`: loss by step before and after, for a picture.
    """

    verdict: ProofVerdict
    reason: str
    metric: str
    baseline: tuple[float, ...] = ()
    treated: tuple[float, ...] = ()
    effect: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    steps: int = 0
    seeds: int = 0
    curves: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
