"""Prints the distributions that thresholds are set on: one line a clinic script, one column a quantity."""

from __future__ import annotations

import sys

import numpy as np

import clinic
from sgdoctor.record import load, progress
from sgdoctor.record.inputs import doors
from sgdoctor.record.steps import Steps, activations, depth_ratio

np.seterr(all="ignore")


def median(values: object) -> float:
    column = np.asarray(values, dtype=float)
    column = column[np.isfinite(column)]
    return float(np.median(column)) if len(column) else float("nan")


def main() -> None:
    """One line a script: learning, step sizes, depth, activations, inputs."""
    print(
        f"{'script':<52} {'n':>5} {'first':>8} {'last':>8} {'base':>8} {'skill':>6} {'best':>6} {'gap':>6} "
        f"{'ratio':>8} {'over':>6} {'cos':>5} {'depth':>8} {'dead':>5} {'flat':>5} {'rms':>8} {'spread':>8} "
        f"{'stale':>5}"
    )
    for case in clinic.cases(sys.argv[1:]):
        if not case.record.is_dir():
            continue
        record = load(case.record)
        objectives = progress(record)
        if not objectives:
            print(f"{case.name:<52} no objective; {record.exception and record.exception.get('type')}")
            continue
        first = objectives[0]
        site = first.objective.number
        holders = record.optimizers or [None]
        steps = max((Steps(record, holder) for holder in holders), key=lambda s: len(s.updates))
        if not len(steps.updates):
            steps = Steps(record, None)
        places = activations(record, site)
        dead = max((median(place.columns["dead"]) for place in places if place.kind == "relu"), default=np.nan)
        flat = max(
            (median(p.columns["flat"]) for p in places if p.kind in ("tanh", "sigmoid") and p.after), default=np.nan
        )
        inputs = [door for door in doors(record, site) if not door.normalised]
        rms = max((float(np.nanmax(door.rms)) for door in inputs), default=np.nan)
        spread = max((float(np.nanmax(d.rms) / max(np.nanmedian(d.rms), 1e-12)) for d in inputs), default=np.nan)
        print(
            f"{case.name[:52]:<52} {first.count:>5} {first.first:>8.3g} {first.last:>8.3g} {first.baseline:>8.3g} "
            f"{first.skill:>6.2f} {first.best_skill:>6.2f} {first.gap:>6.2f} {median(steps.ratios):>8.1e} "
            f"{median(steps.overshoot):>6.2f} {median(steps.agreement):>5.2f} "
            f"{median(depth_ratio(record, site)):>8.1e} "
            f"{dead:>5.2f} {flat:>5.2f} {rms:>8.2g} {spread:>8.2g} {sum(steps.stale.column('norm') > 0):>5}"
        )


if __name__ == "__main__":
    main()
