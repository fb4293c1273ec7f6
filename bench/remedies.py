"""Whether patches mend: the first patch of every faulty clinic script is applied, run and diagnosed again."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

import clinic
from sgdoctor.diagnosis import Diagnosis, diagnose
from sgdoctor.record import Record, load
from sgdoctor.source import Source

SECONDS = 120  # a patched script that takes longer is stopped


class Outcome(NamedTuple):
    """What became of one faulty script."""

    name: str
    title: str
    gone: bool
    others: tuple[str, ...]
    verdict: str  # of the second diagnosis
    figures: str
    patch: str

    @property
    def clean(self) -> bool:
        """Whether the second diagnosis names nothing."""
        return (
            bool(self.patch) and self.gone and not self.others and self.verdict not in ("crashed", "nothing-observed")
        )


def treat(case: clinic.Case, stored: bool) -> Outcome:
    """Patch the script as its diagnosis says, run it, diagnose it again."""
    record = clinic.restore(case) if stored or not case.record.is_dir() else load(case.record)
    before = diagnose(record, strict=True)
    wanted = {name for name, _ in case.expected}
    texts = {str(row["file"]): str(row["text"]) for row in record.rows("source")}
    source = Source(texts)
    for placed in before.findings:
        if placed.condition.id not in wanted or placed.condition.remedies is None:
            continue
        for remedy in placed.condition.remedies(placed.finding, source):
            changed = source.changed(list(remedy.edits)) if remedy.edits else None
            if changed:
                after = _diagnosis(case, texts | changed)
                named = [each for each in after.findings if each.severity != "info"]
                return Outcome(
                    case.name,
                    f"{placed.condition.id}: {remedy.title}",
                    placed.condition.id not in {each.condition.id for each in named},
                    tuple(each.condition.id for each in named if each.condition.id != placed.condition.id),
                    after.verdict,
                    f"{_figures(before)} => {after.verdict}, {_figures(after)}",
                    source.diff(list(remedy.edits)) or "",
                )
        return Outcome(case.name, f"{placed.condition.id}: no patch", False, (), "", _figures(before), "")
    return Outcome(case.name, "not found", False, (), "", _figures(before), "")


def _diagnosis(case: clinic.Case, texts: dict[str, str]) -> Diagnosis:
    with tempfile.TemporaryDirectory() as folder:
        for file, text in texts.items():
            path = Path(folder) / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
        command = [sys.executable, "-m", "sgdoctor", "run", "--quiet", "--record", "record", f"clinic/{case.name}"]
        package = str(clinic.ROOT / "src")
        try:
            subprocess.run(
                command,
                cwd=folder,
                env=os.environ | {"PYTHONPATH": package, "OMP_NUM_THREADS": "1"},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return diagnose(Record([]))
        return diagnose(load(Path(folder) / "record"), strict=True)


def _figures(diagnosis: Diagnosis) -> str:
    learning = diagnosis.learning
    if learning is None:
        return "no loss"
    skill = f"skill {learning.skill:.2f}" if np.isfinite(learning.skill) else "no skill"
    return f"{learning.first:.4g} -> {learning.last:.4g} ({skill})"


def main() -> None:
    """One line a script; its patch as well where `--patch` is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="parts of script paths; all faulty scripts by default")
    parser.add_argument("--patch", action="store_true", help="print the patches")
    parser.add_argument("--stored", action="store_true", help="from the records beside the scripts only")
    options = parser.parse_args()
    outcomes = []
    for case in clinic.cases(options.only):
        if not case.expected:
            continue
        outcome = treat(case, options.stored)
        outcomes.append(outcome)
        print(f"{'ok ' if outcome.clean else 'BAD'} {outcome.name:<54} {outcome.figures}", flush=True)
        print(f"    {outcome.title}" + (f"; still says {', '.join(outcome.others)}" if outcome.others else ""))
        if outcome.patch and not outcome.gone:
            print("    the condition is still found")
        if options.patch:
            print(outcome.patch)
    clean = sum(outcome.clean for outcome in outcomes)
    print(f"\n{clean} of {len(outcomes)} clean after the first patch")


if __name__ == "__main__":
    main()
