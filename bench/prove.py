"""What a proof costs, and what it is worth: start-up per trial, and our repair against random search at equal compute.

Random search draws a rate, an optimizer, clipping, normalisation of inputs and initial weights anew for each trial, as
a person who turns knobs would, and keeps the best; it may use as many trials as our proof did.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import statistics
import tempfile
import time
from pathlib import Path

from sgdoctor.record import Record
from sgdoctor.trials import Script, Trial
from sgdoctor.trials.judge import Arms
from sgdoctor.trials.local import Local
from sgdoctor.trials.metric import measured, shared
from sgdoctor.trials.prove import Proving

CLINIC = Path(__file__).parent.parent / "clinic"
SCRIPTS = (
    "loss-broadcast/concrete_strength",
    "missing-zero-grad/gesture_features_mlp",
    "misplaced-zero-grad/load_forecast_tcn",
    "lr-too-high/bike_rentals_sgd",
    "missing-step/article_tags_onecycle",
    "detached-loss/gait_encoder",
)
# What random search turns, put in front of the script: the knobs as torch has them, whatever the script asks for.
KNOBS = """
import torch as _t
_lr, _kind, _clip, _normalise, _init = {knobs!r}
_made = {{}}
def _build(original):
    def make(params, *args, **kwargs):
        groups = list(params)
        rate = args[0] if args else kwargs.get("lr", 1e-3)
        built = original[_kind](groups, lr=float(rate) * _lr) if _kind else original["own"](groups, *args, **kwargs)
        if not _kind:
            for group in built.param_groups:
                group["lr"] *= _lr
        if _clip:
            tensors = [p for group in built.param_groups for p in group["params"]]
            built.register_step_pre_hook(lambda *_: _t.nn.utils.clip_grad_norm_(tensors, _clip) and None)
        if _init:
            for group in built.param_groups:
                for p in group["params"]:
                    if p.dim() > 1:
                        getattr(_t.nn.init, _init)(p.data)
        return built
    return make
_all = {{name: getattr(_t.optim, name) for name in ("SGD", "Adam", "AdamW", "RMSprop")}}
for _name, _class in _all.items():
    setattr(_t.optim, _name, _build({{**_all, "own": _class}}))
if _normalise:
    _linear = _t.nn.Linear.forward
    _first = []
    def _forward(self, x):
        _first or _first.append(self)
        if self is _first[0] and x.dim() > 1:
            x = (x - x.mean(0)) / (x.std(0) + 1e-6)
        return _linear(self, x)
    _t.nn.Linear.forward = _forward
"""


def knobs(generator: random.Random) -> tuple[float, str | None, float | None, bool, str | None]:
    """One draw: factor on the rate, optimizer, clipping norm, normalised inputs, initialiser."""
    return (
        10 ** generator.uniform(-3, 2),
        generator.choice([None, "SGD", "Adam", "AdamW", "RMSprop"]),
        generator.choice([None, 0.1, 1.0, 10.0]),
        generator.random() < 0.5,
        generator.choice([None, "xavier_uniform_", "kaiming_uniform_", "orthogonal_"]),
    )


def cost(script: Script) -> tuple[float, float]:
    """(seconds of a trial of one step, after the first; seconds of a step)."""
    with Local(script, workers=1) as engine:
        times: dict[int, list[float]] = {1: [], 200: []}
        for steps in (1, 1, 1, 1, 200, 200, 200):
            began = time.perf_counter()
            (result,) = engine.run([Trial(script, "cost", max_steps=steps)])
            times[steps].append(time.perf_counter() - began)
            done = result.steps
    start, long = statistics.median(times[1][1:]), statistics.median(times[200])
    return start, (long - start) / max(1, done - 1)


def searched(script: Script, text: str, trials: int, base: Record, reference: Record) -> float:
    """The best that random search finds with so many trials, by the metric it shares with the repair."""
    generator = random.Random(0)
    arms = Arms(base)
    best = -math.inf
    with Local(script) as engine:
        plan = [
            Trial(script, "search", {script.target: KNOBS.format(knobs=knobs(generator)) + text}) for _ in range(trials)
        ]
        for result in engine.run(plan):
            metric = shared([result.record, reference])
            if metric is not None and result.record.exception is None:
                best = max(best, measured(metric, result.record, arms.reference))
    return best


def main() -> None:
    """Two tables in one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scripts", nargs="*", default=SCRIPTS)
    options = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")
    wins = 0
    for name in options.scripts:
        text = (CLINIC / name / "faulty.py").read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            Path("train.py").write_text(text, encoding="utf-8")
            script = Script("train.py", cwd=Path(folder))
            start, step = cost(script)
            proving = Proving(script)
            found = proving.run()
            proof = next((o.proof for p in found.findings for o in p.offers if o.proof), None)
            if proof is None or not found.patched:
                print(f"{name:45} start {start:.2f} s, step {step * 1e3:.1f} ms; no repair")
                continue
            with Local(script) as engine:
                (treated,) = engine.run([Trial(script, "repair", dict(found.patched))])
            metric = shared([found.record, treated.record])
            assert metric is not None
            ours = measured(metric, treated.record, Arms(found.record).reference)
            random_best = searched(script, text, proving.trials, found.record, treated.record)
            wins += ours > random_best
            print(
                f"{name:45} start {start:.2f} s, step {step * 1e3:.1f} ms; {proving.trials} trials; {metric.name}: "
                f"ours {ours:.3f} ({proof.verdict}), best of random search {random_best:.3f}",
                flush=True,
            )
            os.chdir("/")
    print(f"ours above random search in {wins} of {len(options.scripts)}")


if __name__ == "__main__":
    main()
