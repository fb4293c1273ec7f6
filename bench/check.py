"""How long `sgdoctor check` takes: seconds of one core for 50,000 lines of the installed torch and of the clinic."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path

from sgdoctor.checking.check import chosen, judged, uncollected
from sgdoctor.checking.files import File, read
from sgdoctor.checking.projects import programs

ROOT = Path(__file__).resolve().parent.parent
LINES = 50_000
LIMIT = 3.0  # seconds


def sources() -> list[Path]:
    """Training scripts first, then the library they use."""
    spec = importlib.util.find_spec("torch")
    assert spec is not None and spec.origin is not None
    torch = Path(spec.origin).parent
    return [
        *sorted((ROOT / "clinic").rglob("*.py")),
        *sorted((torch / "optim").glob("*.py")),
        *(torch / "nn").rglob("*.py"),
    ]


def main() -> None:
    """Print it."""
    rules, lines = chosen((), ()), 0
    paths = []
    for path in sources():
        if lines < LINES:
            lines += path.read_bytes().count(b"\n")
            paths.append(path)
    began = time.process_time()
    with uncollected():
        files = [file for path in paths if isinstance(file := read(path), File)]
        parsed = time.process_time()
        found = sum(1 for program in programs(files) for _ in judged(program, rules))
    seconds = time.process_time() - began
    print(
        f"{lines} lines in {len(files)} files: {seconds:.2f} s of one core (reading {parsed - began:.2f} s), "
        f"{found} findings by {len(rules)} conditions; limit {LIMIT} s: {'met' if seconds < LIMIT else 'NOT MET'}"
    )


if __name__ == "__main__":
    main()
