"""What the observer does at every step, in nanoseconds: each of its entry points on the tiny MLP, and their sum a step.

`python bench/events.py [STEPS]`. A quantile of the times of single calls is the measure that a loaded machine spoils
least: compare two versions by it. The loop's own step without the observer is timed the same way.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from sgdoctor.process import LAUNCHER

QUANTILE = 0.1
SCRIPT = """
import time, torch
from torch.nn import functional as F
torch.manual_seed(0)
features, labels = torch.randn(4096, 20), torch.randint(0, 3, (4096,))
model = torch.nn.Sequential(torch.nn.Linear(20, 64), torch.nn.ReLU(), torch.nn.Linear(64, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
times = []
for _ in range({steps}):
    began = time.perf_counter_ns()
    chosen = torch.randint(0, len(features), (32,))
    optimizer.zero_grad()
    loss = F.cross_entropy(model(features[chosen]), labels[chosen])
    loss.backward()
    optimizer.step()
    times.append(time.perf_counter_ns() - began)
"""


def main() -> None:
    """Time a plain run and an observed one, and print the table."""
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    if "--observed" in sys.argv:
        print(json.dumps(_observed(steps)))
        return
    run = subprocess.run([sys.executable, __file__, str(steps), "--observed"], capture_output=True, check=True)
    found: dict[str, list[int]] = json.loads(run.stdout)
    plain = _quantile(_run(steps))
    total = 0.0
    for name, times in sorted(found.items(), key=lambda entry: -_quantile(entry[1]) * len(entry[1])):
        each = _quantile(times) * len(times) / steps
        total += each
        print(f"{name:<24} {len(times) / steps:6.2f} a step {_quantile(times):8.0f} ns")
    print(f"{'together':<24} {total:8.0f} ns a step of {plain:.0f} ns: {total / plain:.3f}")


def _quantile(times: list[int]) -> float:
    return float(sorted(times)[int(QUANTILE * len(times))])


def _run(steps: int) -> list[int]:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(SCRIPT.format(steps=steps), "tiny.py", "exec"), names)
    times: list[int] = names["times"]
    return times


def _observed(steps: int) -> dict[str, list[int]]:
    sys.path.insert(0, str(LAUNCHER.parent))
    import launch

    attach = launch._load_host()
    observation = sys.modules[launch.PACKAGE + ".observer"]
    found: dict[str, list[int]] = defaultdict(list)
    original = observation.Observer.guarded

    def guarded(self: Any, name: str, event: Any) -> Any:
        call, times, clock = original(self, name, event), found[f"{name}:{getattr(event, '__name__', '')}"], time

        def timed(*args: Any) -> Any:
            began = clock.perf_counter_ns()
            try:
                return call(*args)
            finally:
                times.append(clock.perf_counter_ns() - began)

        return timed

    observation.Observer.guarded = guarded
    with tempfile.TemporaryDirectory() as folder:
        seen = attach.Observation({"record": folder, "cwd": str(Path.cwd())})
        seen.start()
        _run(steps)
        seen.finish("completed")
    return {name: times for name, times in found.items() if len(times) >= steps}


if __name__ == "__main__":
    main()
