"""Paired arms over a few seeds: the effect, its interval, and what may be claimed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..diagnosis.proof import ProofVerdict

CONFIDENCE = 0.95
# Of accuracy, R2 or likelihood. Below it a change may be real and is still not what ails a run that does not learn.
CLEAR_EFFECT = 0.05
SMALL_EFFECT = 0.01
# No metric is known more finely: with three seeds that happen to agree the interval would have no width.
FINEST = 0.002


@dataclass(frozen=True)
class Comparison:
    """Treated against baseline, seed by seed; `noise`: the standard deviation that the interval is made of."""

    verdict: ProofVerdict
    effect: float
    interval: tuple[float, float] | None
    p: float | None
    noise: float


def compare(baseline: Sequence[float], treated: Sequence[float], placebo: Sequence[float] = ()) -> Comparison:
    """Judge an effect. `placebo`: the metric under a change that changes nothing, on the same seeds.

    The noise is the larger of the spread of the treated differences and that of the placebo's, so that three seeds
    that happen to agree prove nothing. A claim asks that zero lies outside the interval, that the effect is clear, and
    that it is beyond anything the placebo did; or that all treated runs come out clearly above all that are not.
    """
    from scipy import stats

    differences = np.subtract(treated, baseline)
    count, effect = len(differences), float(np.mean(differences))
    other = np.subtract(placebo, baseline[: len(placebo)]) if len(placebo) else np.array([])
    if count < 2:
        verdict: ProofVerdict = "helps" if effect > CLEAR_EFFECT else "no-effect"
        return Comparison(verdict, effect, None, None, math.nan)
    # The root mean square of the placebo's differences: its mean is known to be nought.
    noise = max(float(np.std(differences, ddof=1)), float(np.sqrt(np.mean(other**2))) if len(other) else 0.0, FINEST)
    error = noise / math.sqrt(count)
    low, high = stats.t.interval(CONFIDENCE, count - 1, loc=effect, scale=error)
    p = float(2 * stats.t.sf(abs(effect) / error, count - 1))
    beyond = abs(effect) > 2 * float(np.max(np.abs(other), initial=0.0))
    untreated = np.concatenate([np.asarray(baseline, dtype=float), np.asarray(placebo, dtype=float)])
    # The chance that the treated ones come out above the baselines if the change does nothing: a rank test, which needs
    # no noise of equal size in both arms. An unstable script scatters widely, and mended it does not. The placebos,
    # which share seeds with the baselines, must lie below as well, but count for no evidence of their own.
    apart = 1 / math.comb(2 * count, count)
    if apart <= 1 - CONFIDENCE and float(np.min(treated)) - float(np.max(untreated)) >= CLEAR_EFFECT:
        return Comparison("proven", effect, (float(low), float(high)), min(p, apart), noise)
    if low > 0 and effect >= CLEAR_EFFECT and beyond:
        verdict = "proven"
    elif high < 0 and effect <= -CLEAR_EFFECT and beyond:
        verdict = "worse"
    elif effect >= SMALL_EFFECT and bool((differences > 0).all()) and beyond:
        verdict = "helps"
    else:
        verdict = "no-effect"
    return Comparison(verdict, effect, (float(low), float(high)), p, noise)
