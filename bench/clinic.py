"""The clinic: runs every script under the doctor and prints what it says as a matrix. `make clinic` runs this.

A script's expectations stand in the script: `# expect: <condition>` on the lines a diagnosis may point at, and in
`clinic/seeds/` a `# verdict: <verdict>` line. A script without marks is healthy. One that several processes are to run
says so in its first line: `# run: torchrun --standalone --nproc-per-node 2`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from sgdoctor.conditions import catalogue
from sgdoctor.diagnosis import diagnose
from sgdoctor.process import Plan, run
from sgdoctor.record import Record, load

ROOT = Path(__file__).resolve().parent.parent
RECORDS = ROOT / ".sgdoctor" / "clinic"
EXPECT = re.compile(r"# expect: ([a-z-]+)")
VERDICT = re.compile(r"^# verdict: ([a-z-]+)", re.MULTILINE)
RUN = re.compile(r"# run: torchrun (.+)")
HEALTHY = ("healthy", "too-short")


class Case(NamedTuple):
    """One script and what the doctor must say of it."""

    name: str  # path below clinic/
    expected: tuple[tuple[str, int], ...]  # (condition, line), any one of them
    verdict: str | None

    @property
    def script(self) -> Path:
        """The script."""
        return ROOT / "clinic" / self.name

    @property
    def record(self) -> Path:
        """Where its record is written when it runs here."""
        return RECORDS / self.name.replace("/", "__").removesuffix(".py")

    @property
    def stored(self) -> Path:
        """The small copy of its record that is kept beside it."""
        return self.script.with_suffix(".record.gz")


class Outcome(NamedTuple):
    """What the doctor said."""

    case: Case
    verdict: str
    findings: tuple[tuple[str, str, str, str, int, float], ...]  # condition, severity, role, file, line, confidence
    problem: str  # empty where all is as expected


def launched(script: Path, name: str) -> tuple[str, ...]:
    """What stands behind `sgdoctor run` for a script that is called `name` there."""
    with script.open(encoding="utf-8") as file:
        found = RUN.match(file.readline())
    return ("-m", "torch.distributed.run", *found[1].split(), name) if found else (name,)


def cases(only: Iterable[str] = ()) -> list[Case]:
    """All scripts of the clinic whose path contains one of `only`."""
    found = []
    for path in sorted((ROOT / "clinic").rglob("*.py")):
        name = path.relative_to(ROOT / "clinic").as_posix()
        if only and not any(part in name for part in only):
            continue
        text = path.read_text(encoding="utf-8")
        expected = tuple(
            (match[1], number) for number, line in enumerate(text.splitlines(), 1) for match in EXPECT.finditer(line)
        )
        verdict = VERDICT.search(text)
        found.append(Case(name, expected, verdict[1] if verdict else None))
    return found


def record(case: Case) -> None:
    """Run the script under observation, in the project's root, its output thrown away."""
    os.chdir(ROOT)
    os.environ.update(OMP_NUM_THREADS="1", SGDOCTOR_STRICT="1")
    shutil.rmtree(case.record, ignore_errors=True)
    quiet = os.open(os.devnull, os.O_WRONLY)
    saved = os.dup(1), os.dup(2)
    try:
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        command = launched(case.script, f"clinic/{case.name}")
        module = command[0] == "-m"
        target, *arguments = command[1:] if module else command
        run(Plan(target, tuple(arguments), module, record=case.record))
    finally:
        os.dup2(saved[0], 1)
        os.dup2(saved[1], 2)
        for descriptor in (quiet, *saved):
            os.close(descriptor)


def store(case: Case) -> None:
    """Keep a small copy of the record beside the script: numbers to five digits, packed."""
    rows = load(case.record)
    text = "".join(
        json.dumps(_rounded(row)) + "\n" for kind in rows.kinds() for row in rows.rows(kind) if kind != "pulse"
    )
    case.stored.write_bytes(gzip.compress(text.encode(), mtime=0))


def restore(case: Case) -> Record:
    """The stored record of a case."""
    text = gzip.decompress(case.stored.read_bytes()).decode()
    return Record([json.loads(line) for line in text.splitlines()])


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    return [_rounded(entry) for entry in value] if isinstance(value, list) else value


def judge(case: Case, record: Record) -> Outcome:
    """Diagnose the record of a case and compare with what is expected."""
    diagnosis = diagnose(record, strict=True)
    findings = tuple(
        (
            placed.condition.id,
            placed.severity,
            placed.role,
            placed.finding.site.file if placed.finding.site else "",
            placed.finding.site.line if placed.finding.site else 0,
            placed.finding.confidence,
        )
        for placed in diagnosis.findings
    )
    return Outcome(case, diagnosis.verdict, findings, _problem(case, diagnosis.verdict, findings))


def _problem(case: Case, verdict: str, findings: tuple[tuple[str, str, str, str, int, float], ...]) -> str:
    alarms = [finding for finding in findings if finding[1] != "info"]
    if not case.expected:
        wanted = (case.verdict,) if case.verdict else HEALTHY
        if alarms and "healthy" in wanted:
            return f"false alarm: {alarms[0][0]}:{alarms[0][4]}"
        return "" if verdict in wanted else f"verdict {verdict}, expected {wanted[0]}"
    missing = _notes(case) - {(name, line) for name, _, _, file, line, _ in findings if file == f"clinic/{case.name}"}
    if {name for name, _ in missing} - {name for name, _ in _notes(case) - missing}:
        return f"missed: {min(missing)[0]} ({verdict})"
    if _later(case, alarms) and verdict != "nothing-observed":
        return ""
    if not alarms:
        return f"missed: {case.expected[0][0]} ({verdict})"
    first, _, _, file, line, _ = alarms[0]
    conditions = {condition for condition, _ in case.expected}
    if first not in conditions:
        return f"first is {first}, expected {' or '.join(sorted(conditions))}"
    lines = [number for condition, number in case.expected if condition == first]
    if line not in lines or file != f"clinic/{case.name}":
        return f"line {line}, expected {lines}"
    strangers = [f[0] for f in alarms[1:] if f[2] == "cause" and f[0] not in conditions]
    if strangers:
        return f"also says {', '.join(strangers)}"
    if case.verdict and verdict != case.verdict:
        return f"verdict {verdict}, expected {case.verdict}"
    return ""


def _notes(case: Case) -> set[tuple[str, int]]:
    """What is expected that is no alarm but worth knowing: it must be said as well."""
    return {mark for mark in case.expected if mark[0] in catalogue() and catalogue()[mark[0]].severity == "info"}


def _later(case: Case, alarms: list[tuple[str, str, str, str, int, float]]) -> bool:
    """Whether a run need not show what is expected, as an experiment does; it may name what that explains."""
    notes = {condition for condition, _ in _notes(case)}
    expected = [catalogue()[name] for name, _ in case.expected if name in catalogue() and name not in notes]
    explained = {name for entry in expected for name in entry.explains}
    return all(e.by_experiment for e in expected) and {a[0] for a in alarms} <= explained


def main() -> None:
    """Record (unless told not to), judge, print; exit status 1 where something is not as expected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="parts of script paths; all scripts by default")
    parser.add_argument("--keep", action="store_true", help="judge the records there are; record only what is missing")
    parser.add_argument("--store", action="store_true", help="keep small copies beside the scripts, for the fast tests")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    chosen = cases(options.only)
    waiting = [case for case in chosen if not (options.keep and case.record.is_dir())]
    with ProcessPoolExecutor(options.workers) as pool:
        list(pool.map(record, waiting))
    outcomes = [judge(case, load(case.record)) for case in chosen]
    if options.store:
        for case in chosen:
            store(case)
    for outcome in outcomes:
        said = " ".join(
            f"{'(' if role == 'consequence' else ''}{name}:{line}{')' if role == 'consequence' else ''}"
            for name, severity, role, _, line, _ in outcome.findings
            if severity != "info"
        )
        print(f"{'ok ' if not outcome.problem else 'BAD'} {outcome.case.name:<66} {outcome.verdict:<16} {said}")
        if outcome.problem:
            print(f"      {outcome.problem}")
    bad = sum(1 for outcome in outcomes if outcome.problem)
    print(f"\n{len(outcomes) - bad} passed, {bad} failed")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
