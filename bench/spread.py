"""How far the ends of healthy scripts lie apart from seed to seed: what `ALIKE` and `BETTER` of experiments rest on."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from sgdoctor.trials import Script, Trial
from sgdoctor.trials.experiments.curves import end
from sgdoctor.trials.local import Local

CLINIC = Path(__file__).parent.parent / "clinic"


def main() -> None:
    """A line a script, and the quantiles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scripts", type=int, default=40, help="every so many of the healthy ones, evenly spread")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    scripts = sorted(CLINIC.glob("*/*/healthy.py"))
    scripts = scripts[:: max(1, len(scripts) // options.scripts)]
    spreads = []
    for path in scripts:
        script = Script(str(path), cwd=path.parent)
        with Local(script) as engine:
            results = engine.run([Trial(script, f"seed {seed}", seed=seed) for seed in range(options.seeds)])
            ends = [ended.share for result in results if (ended := end(result.record)) is not None]
        if len(ends) == options.seeds and np.isfinite(ends).all():
            spreads.append(float(np.max(ends) - np.min(ends)))
            print(f"{path.parent.relative_to(CLINIC)!s:58} {spreads[-1]:.3f}", flush=True)
    marks = ", ".join(f"{q:.0%}: {np.quantile(spreads, q):.3f}" for q in (0.5, 0.8, 0.9, 0.95, 1.0))
    print(f"{len(spreads)} scripts; largest difference of the loss's share between seeds, {marks}")


if __name__ == "__main__":
    main()
