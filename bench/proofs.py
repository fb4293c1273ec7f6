"""What `sgdoctor prove` makes of every faulty script of the clinic: how many are mended, and how that is known."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from clinic import launched

CLINIC = Path(__file__).parent.parent / "clinic"
RANK = ("proven", "helps", "no-effect", "worse", "not-testable")


def proved(script: Path, seeds: int) -> dict[str, Any]:
    """The JSON document of `sgdoctor prove` on a copy of a script, which must be the same afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "train.py"
        shutil.copy(script, copy)
        command = [
            sys.executable,
            "-m",
            "sgdoctor",
            "prove",
            "--seeds",
            str(seeds),
            "--json",
            "-",
            "--quiet",
            *launched(script, "train.py"),
        ]
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
        if copy.read_bytes() != script.read_bytes():
            raise AssertionError(f"{script} was changed")
        if ended.returncode not in (0, 1):
            raise RuntimeError(ended.stderr.strip()[-400:])
        return dict(json.loads(ended.stdout))


def main() -> None:
    """A line a script, and the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("filters", nargs="*")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--healthy", action="store_true", help="healthy scripts instead: none may get a patch")
    options = parser.parse_args()
    name = "healthy.py" if options.healthy else "faulty.py"
    scripts = sorted(p for p in CLINIC.glob(f"*/*/{name}") if not p.is_relative_to(CLINIC / "seeds"))
    scripts = [p for p in scripts if not options.filters or any(text in str(p) for text in options.filters)]
    counts: Counter[str] = Counter()
    for script in scripts:
        label = str(script.parent.relative_to(CLINIC))
        try:
            document = proved(script, options.seeds)
        except Exception as error:  # one script must not end the table
            counts["failed"] += 1
            print(f"{label:58} FAILED {error}", flush=True)
            continue
        proofs = [r["proof"] for f in document["findings"] for r in f["remedies"] if r["proof"]]
        patches = [r["patch"] for f in document["findings"] for r in f["remedies"] if r["patch"]]
        best = min(proofs, key=lambda proof: RANK.index(proof["verdict"]), default=None)
        verdict = best["verdict"] if best else "no patch" if not patches else "not tried"
        counts[verdict] += 1
        ids = ",".join(f["condition"] for f in document["findings"] if f["severity"] != "info")
        figures = ""
        if best and best["effect"] is not None:
            before, after = (sum(best[arm]) / best["seeds"] for arm in ("baseline", "treated"))
            figures = f"{best['metric']} {before:.3g} -> {after:.3g}"
        print(f"{label:58} {verdict:12} {figures:44} [{ids}]", flush=True)
    total = sum(counts.values())
    print(f"{total} scripts: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))


if __name__ == "__main__":
    main()
