"""What observation costs: whole processes with and without the observer, interleaved pairs, CPU and wall time.

`python bench/overhead.py [WORKLOAD...] [--pairs N] [--peers]`. A ratio is that of the means, its range that of the
pairs. The host is compiled first, as installing does, so that its bytecode is there whatever the environment says.
The observer's own figure (what it charged to its budget) stands beside the measured one: where the two part, the
observer does not see all of its own cost.
"""

from __future__ import annotations

import argparse
import compileall
import functools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from peers import PEERS

from sgdoctor.process import LAUNCHER

WORKLOADS = Path(__file__).parent / "workloads"
COLUMNS = {
    "workload": 17,
    "under": 8,
    "plain, s": 8,
    "CPU": 5,
    "range": 13,
    "wall": 5,
    "range ": 13,
    "own": 5,
    "same": 4,
}
HEADER = "\n".join(
    "| " + " | ".join(text.ljust(width) for text, width in row) + " |"
    for row in (COLUMNS.items(), [("-" * width, width) for width in COLUMNS.values()])
)


class Measured(NamedTuple):
    """One process: CPU seconds (user and system), wall seconds, what it printed, what the observer says it spent."""

    cpu: float
    wall: float
    output: bytes
    own: float = 0.0


def plain(script: Path) -> Measured:
    """The script as it is."""
    return _measure([sys.executable, str(script)])


def watched(script: Path, peer: str) -> Measured:
    """The script under another way to watch it."""
    return _measure([sys.executable, str(Path(__file__).with_name("peers.py")), peer, str(script)])


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


def compare(script: Path, pairs: int, launcher: Path, budget: float, peers: tuple[str, ...]) -> Iterator[str]:
    """The rows of one workload."""
    arms: dict[str, Callable[[], Measured]] = {
        "": lambda: plain(script),
        "sgdoctor": lambda: observed(script, launcher, budget),
        **{peer: functools.partial(watched, script, peer) for peer in peers},
    }
    found: dict[str, list[Measured]] = {arm: [] for arm in arms}
    for pair in range(pairs):
        # The order alternates, so that a drift of the machine's clock favours none.
        for arm in list(arms)[:: 1 - 2 * (pair % 2)]:
            found[arm].append(arms[arm]())
    for arm in list(arms)[1:]:
        yield _row(script.stem, arm, found[""], found[arm])


def _row(workload: str, arm: str, without: list[Measured], within: list[Measured]) -> str:
    cpu = [b.cpu / a.cpu for a, b in zip(without, within)]
    wall = [b.wall / a.wall for a, b in zip(without, within)]
    same = len({one.output for one in without + within}) == 1
    cpu_ratio = sum(one.cpu for one in within) / sum(one.cpu for one in without)
    wall_ratio = sum(one.wall for one in within) / sum(one.wall for one in without)
    cells = (
        *(workload, arm, f"{statistics.mean(one.cpu for one in without):.2f}"),
        *(f"{cpu_ratio:.3f}", _range(cpu), f"{wall_ratio:.3f}", _range(wall)),
        *(f"{statistics.mean(one.own for one in within):.3f}", "yes" if same else "NO"),
    )
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, COLUMNS.values())) + " |"


def _range(ratios: list[float]) -> str:
    return f"{min(ratios):.3f} - {max(ratios):.3f}"


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("workloads", nargs="*", default=sorted(path.stem for path in WORKLOADS.glob("*.py")))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--budget", type=float, default=0.02)
    parser.add_argument("--launcher", type=Path, default=LAUNCHER, help="of another version, to compare with")
    parser.add_argument("--peers", action="store_true", help="other ways to watch a run as well")
    options = parser.parse_args()
    compileall.compile_dir(options.launcher.parent, quiet=2)
    print(f"load {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores, {options.pairs} pairs, budget {options.budget}")
    print(HEADER)
    for name in options.workloads:
        peers = PEERS if options.peers else ()
        for row in compare(WORKLOADS / f"{name}.py", options.pairs, options.launcher, options.budget, peers):
            print(row, flush=True)
    print(f"load at the end {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
