"""The regression target is far from unit scale.

## What happens
A freshly initialised network gives outputs around zero with a spread below one. When the target is, say, 50 000 with a
standard deviation of 10 000, squared error starts near mean(y^2) = 2.5e9 and its gradient has that size. Plain SGD at
lr 0.01 was non-finite at the fourth step; Adam at 1e-3 moves about 1e-3 per weight and step, and after 2000 steps still
predicted 860 on average. Adam at 1e-2 had by then found little more than the mean (RMSE 9469, spread of the target
9592); with a standardised target the same 2000 steps gave an RMSE of 31. The mirror image misleads too: with a target
of spread 1e-3 a loss of 4e-4 looks excellent and was 450 times worse than predicting the mean.

## How it is told apart
Decided on the target's |mean| and std over the std of the outputs at step 0, with the loss over Var(y) (the best
constant predictor) and its trend. A large loss value alone decides nothing: it carries the target's units squared.
- `unscaled-features`: the inputs are off, not the target. Both can hold; then both are named.
- `lr-too-low`: target and output have similar scale, and only more speed is missing.
- `lr-too-high` / `exploding-gradients`: gradients are large although loss / Var(y) starts near 1.
- `restrictive-output`: the last activation cannot reach the range, whatever the scale and the number of steps.
Not this: classification, targets that enter through a log-likelihood or an exponential link, returns normalised inside
an RL library, and any run whose loss / Var(y) falls steadily towards its floor, however large the loss looks.

## Remedy
Train on the standardised target and invert at prediction; use the training split's numbers everywhere.

    mu, sd = y_train.mean(), y_train.std()
    loss = F.mse_loss(model(x), (y - mu) / sd)
    prediction = model(x) * sd + mu                  # report errors in the original units

If only the offset is wrong, start the last bias there: `nn.init.constant_(model.out.bias, y_train.mean().item())`.
Positive targets over several decades: train on `log(y)`, and know that this changes which errors count.

## Sources
- MLJ, Target transformations, https://juliaai.github.io/MLJ.jl/stable/target_transformations
  [standardise the target from training data, invert the predictions]
- scikit-learn, TransformedTargetRegressor,
  https://scikit-learn.org/stable/modules/generated/sklearn.compose.TransformedTargetRegressor.html
  [fit on the transformed target, inverse transform at prediction]
- A. Karpathy, A Recipe for Training Neural Networks, https://karpathy.github.io/2019/04/25/recipe/
  [set the final bias to the mean of the target]
- D. Holden, My Neural Network isn't working!, http://theorangeduck.com/page/neural-network-not-working
  [an untrained network outputs values of about -1 to 1; outputs need normalising as inputs do]
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...record import Progress, Record, Site
from ...record.record import number, reach
from ...source import Source
from ...source.loss import maker, trails
from ...source.scale import Moments, scaled_targets
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import fails, judged, loss_site, site_of, standing


class Subject(NamedTuple):
    """What the patch needs: (file, line) of the losses, the targets' moments."""

    places: tuple[tuple[str, int], ...]
    moments: Moments


REGRESSION = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")


def in_run(
    record: Record,
    source: Source,
    *,
    max_scale: float = 20.0,  # target RMS over first output RMS (at least 1); clinic: healthy up to 6, faulty from 3e4
    good_skill: float = 0.7,  # a large target on a run that learns well needs no alarm
) -> Answer:
    """The target of a regression is far from the scale that a fresh network puts out."""
    entries = [entry for entry in judged(record) if entry.fn in REGRESSION and len(entry.samples)]
    if not entries:
        yield NotEvaluated("no regression loss of torch was part of the objective")
        return
    for entry in entries:
        if not fails(entry, good_skill):
            continue
        samples = entry.samples
        mean, std = float(np.nanmean(samples.column("target.mean"))), float(np.nanmean(samples.column("target.std")))
        size = float(np.hypot(mean, std))
        first = number(reach(samples[0], "output.rms"))
        scale = size / max(1.0, first if np.isfinite(first) else 1.0)
        if not np.isfinite(scale) or scale < max_scale:
            continue
        yield Finding(
            _site(record, source, entry),
            (
                Evidence(
                    f"the targets have mean {mean:.4g} and std {std:.4g}; the fresh network puts out values of "
                    f"about {first:.2g}",
                    "loss_values",
                    scale,
                    1.0,
                ),
                Evidence(f"{standing(entry)}: it still travels towards them", "objective", entry.last, entry.baseline),
            ),
            0.92 if not entry.skill > 0.1 else 0.75,
            subject=Subject(_places(record, entry), Moments(mean, std if std > 0 else size)),
        )
        return


def _site(record: Record, source: Source, entry: Progress) -> Site | None:
    """Where the targets become tensors; else the loss."""
    loss = loss_site(record, entry)
    if loss is None:
        return None
    _, target = trails(source, loss.file, loss.line)
    made = maker(target)
    if made is not None:
        return site_of(made)
    return loss


def _places(record: Record, entry: Progress) -> tuple[tuple[str, int], ...]:
    """(file, line) of the losses of this kind, in validation too: their figures stay comparable."""
    sites = [record.site(call.get("site")) for call in record.calls.values() if call.get("fn") == entry.fn]
    first = loss_site(record, entry)
    return tuple(dict.fromkeys((site.file, site.line) for site in (first, *sites) if site is not None))


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Standardise inside the loss; the model's outputs keep the target's units."""
    title = "standardise the target with mean and std of the training split, and invert that when predicting"
    if not isinstance(finding.subject, Subject):
        return [Remedy(title, "changes-training")]
    places, moments = finding.subject
    edits = scaled_targets(source, places, moments) or scaled_targets(source, places[:1], moments)
    if not edits:
        return [Remedy(title, "changes-training")]
    mean, std = moments.texts
    return [Remedy(f"take the loss in units of the target's spread: (y - {mean}) / {std}", "changes-training", edits)]


CONDITION = Condition(
    "unscaled-target",
    "error",
    needs=("loss_calls", "loss_values", "constant_loss"),
    in_run=in_run,
    remedies=remedies,
    by_learning=True,
    explains=(
        "lr-too-low",
        "lr-too-high",
        "exploding-gradients",
        "nonfinite-loss",
        "dead-relu",
        "saturated-activations",
        "uninformative-labels",
    ),
)
