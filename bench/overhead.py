"""What observation costs: whole processes with and without the observer, interleaved pairs, CPU and wall time.

`python bench/overhead.py [WORKLOAD...] [--pairs N]`. The observer's own figure (what it charged to its budget) stands
beside the measured one: where the two part, the observer does not see all of its own cost.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from sgdoctor.process import LAUNCHER

WORKLOADS = Path(__file__).parent / "workloads"
HEADER = """\
| workload          | plain, s | CPU ratio | range         | wall ratio | range         | own figure | same   |
|-------------------|----------|-----------|---------------|------------|---------------|------------|--------|"""


class Measured(NamedTuple):
    """One process: CPU seconds (user and system), wall seconds, what it printed, what the observer says it spent."""

    cpu: float
    wall: float
    output: bytes
    own: float = 0.0


def plain(script: Path) -> Measured:
    """The script as it is."""
    return _measure([sys.executable, str(script)])


def observed(script: Path, launcher: Path, budget: float) -> Measured:
    """The script under observation."""
    with tempfile.TemporaryDirectory() as folder:
        config = {"record": folder, "cwd": os.getcwd(), "budget": budget}
        measured = _measure([sys.executable, str(launcher), json.dumps(config), str(script)])
        rows = [json.loads(line) for file in Path(folder).glob("*.jsonl") for line in file.read_text().splitlines()]
        end = next(row for row in rows if row["k"] == "end")
        return measured._replace(own=end["spent_seconds"] / end["observed_seconds"])


def _measure(command: list[str]) -> Measured:
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        redirect = [(os.POSIX_SPAWN_DUP2, output.fileno(), 1)]
        child = os.posix_spawn(command[0], command, environment, file_actions=redirect)
        _, status, usage = os.wait4(child, 0)
        wall = time.perf_counter() - began
        if status:
            raise SystemExit(f"{' '.join(command)} ended with status {status}")
        output.seek(0)
        return Measured(usage.ru_utime + usage.ru_stime, wall, output.read())


def compare(script: Path, pairs: int, launcher: Path, budget: float) -> str:
    """One row of the table."""
    without, within = [], []
    for pair in range(pairs):
        # The order alternates, so that a drift of the machine's clock favours neither.
        for turn in (pair % 2, 1 - pair % 2):
            if turn:
                within.append(observed(script, launcher, budget))
            else:
                without.append(plain(script))
    cpu = [b.cpu / a.cpu for a, b in zip(without, within)]
    wall = [b.wall / a.wall for a, b in zip(without, within)]
    same = len({one.output for one in without + within}) == 1
    return (
        f"| {script.stem:<17} | {statistics.mean(one.cpu for one in without):8.2f} "
        f"| {statistics.mean(cpu):9.3f} | {_range(cpu)} | {statistics.mean(wall):10.3f} | {_range(wall)} "
        f"| {statistics.mean(one.own for one in within):10.3f} | {'yes' if same else 'NO':<6} |"
    )


def _range(ratios: list[float]) -> str:
    return f"{min(ratios):.3f} - {max(ratios):.3f}"


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("workloads", nargs="*", default=sorted(path.stem for path in WORKLOADS.glob("*.py")))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--budget", type=float, default=0.02)
    parser.add_argument("--launcher", type=Path, default=LAUNCHER, help="of another version, to compare with")
    options = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores, {options.pairs} pairs, budget {options.budget}")
    print(HEADER)
    for name in options.workloads:
        print(compare(WORKLOADS / f"{name}.py", options.pairs, options.launcher, options.budget), flush=True)
    print(f"load at the end {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
