"""Runs the conditions on a record and puts what fired in order."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from ..conditions import Condition, Finding, NotEvaluated, Outcome, Remedy, catalogue, condition
from ..errors import UsageError
from ..record import Progress, Record, progress
from ..record.ranks import first_failed
from ..record.signals import SIGNALS
from ..source import Source
from ..source.edits import unified_diff
from .proof import Proof

Verdict = Literal["healthy", "faulty", "at-the-floor", "crashed", "too-short", "nothing-observed"]
STUCK = 0.05  # skill and permutation gap below which a run of some length has learnt nothing
STUCK_STEPS = 100
MIN_STEPS = 10  # below this nothing can be said about learning: the dense start alone is six steps long
RANK = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class Offer:
    """A remedy with its patch (a unified diff of `edits`), and what trials have shown of it."""

    remedy: Remedy
    patch: str | None = None
    proof: Proof | None = None


@dataclass(frozen=True)
class Placed:
    """A finding with its condition, its place among the others, and what mends it."""

    condition: Condition
    finding: Finding
    explained_by: tuple[str, ...] = ()
    offers: tuple[Offer, ...] = ()  # the best first

    @property
    def severity(self) -> str:
        """Of this finding, or of its condition."""
        return self.finding.severity or self.condition.severity

    @property
    def role(self) -> str:
        """Whether another finding explains this one."""
        return "consequence" if self.explained_by else "cause"


@dataclass(frozen=True)
class Diagnosis:
    """What a run has: the verdict, the findings (most probable cause first), and what could not be judged."""

    record: Record
    verdict: Verdict
    summary: str
    findings: tuple[Placed, ...]
    not_evaluated: tuple[tuple[str, str], ...]
    learning: Progress | None = field(default=None, compare=False)
    experiments: tuple[Outcome, ...] = ()
    patched: Mapping[str, str] = field(default_factory=dict, compare=False)  # file -> text, with what trials upheld

    def __str__(self) -> str:
        # The one step back in the house: printing a diagnosis is what everyone tries first in a notebook.
        from ..report import terminal

        return terminal.render(self)

    def _repr_html_(self) -> str:
        from ..report import cell

        return cell.render(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))  # IPython in a terminal


def diagnose(
    record: Record,
    *,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    strict: bool = False,
    outcomes: Mapping[str, Outcome] | None = None,
) -> Diagnosis:
    """The diagnosis of a record. `select`/`ignore`: condition ids; UsageError where one does not exist.

    `strict`: let a condition's own error out (tests); otherwise it becomes a reason not to have evaluated it.
    `outcomes`: what experiments have shown, by name.
    """
    # Records hold NaN and infinities by nature: arithmetic with them is meant, and numpy need not say so.
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return _diagnose(record, select, ignore, strict, outcomes or {})


def _diagnose(
    record: Record, select: Iterable[str], ignore: Iterable[str], strict: bool, outcomes: Mapping[str, Outcome]
) -> Diagnosis:
    source = source_of(record)
    fired: list[tuple[Condition, Finding]] = []
    open_questions: dict[str, str] = {}
    for entry in _chosen(select, ignore):
        try:
            for answer in _answers(entry, record, source, outcomes):
                if isinstance(answer, NotEvaluated):
                    open_questions[entry.id] = answer.reason
                else:
                    fired.append((entry, answer))
        except Exception as error:
            if strict:
                raise
            open_questions[entry.id] = f"its rule failed on this record ({type(error).__name__}: {error})"
        if (
            not any(other is entry for other, _ in fired)
            and _unseen(record, entry)
            and "sharded" not in open_questions.get(entry.id, "")
        ):
            open_questions[entry.id] = "parameters are sharded over ranks: to look at one closely would be a collective"
        failed = _failed(record, entry)
        if failed and not any(other is entry for other, _ in fired):
            open_questions[entry.id] = f"the observer's probe of {failed} failed in this run and was switched off"
    fired = _judgeable(allowed(fired, source), open_questions)
    findings = [_shown(placed, record) for placed in _ordered(fired, source, strict)]
    objectives = progress(record)
    learning = objectives[0] if objectives else None
    verdict = _verdict(record, findings, learning)
    return Diagnosis(
        record,
        verdict,
        _summary(record, verdict, findings, learning),
        tuple(findings),
        tuple(sorted(open_questions.items())),
        learning,
        tuple(outcomes.values()),
    )


def _unseen(record: Record, entry: Condition) -> bool:
    """Whether a condition needs close looks, and there were none as each rank holds a part of every parameter."""
    return bool(record.rows("sharded")) and any(SIGNALS[name].cost == "sample" for name in entry.needs)


def _failed(record: Record, entry: Condition) -> str:
    """The name of a probe that failed and that a condition needs; empty where there is none."""
    failed = record.rows("probe_failed")
    return next((str(row.get("probe")) for row in failed if set(row.get("signals") or ()) & set(entry.needs)), "")


def _answers(
    entry: Condition, record: Record, source: Source, outcomes: Mapping[str, Outcome]
) -> Iterable[Finding | NotEvaluated]:
    """What the run shows; where an experiment has an answer of its own, that."""
    tried = list(entry.in_experiment(record, source, outcomes)) if entry.in_experiment and outcomes else []
    return tried or entry.in_run(record, source)


def suspicions(
    record: Record, *, select: Iterable[str] = (), ignore: Iterable[str] = (), strict: bool = False
) -> list[str]:
    """Names of the experiments that would decide something about a record, the most asked for first."""
    source = source_of(record)
    asked: Counter[str] = Counter()
    for entry in _chosen(select, ignore):
        try:
            asked.update(entry.suspects(record, source) if entry.suspects else ())
        except Exception:
            if strict:
                raise
    return [name for name, _ in asked.most_common()]


def source_of(record: Record) -> Source:
    """The files that a run passed through."""
    source = Source(
        {str(row["file"]): str(row["text"]) for row in record.rows("source") if "file" in row and "text" in row}
    )
    source.cells = record.cells
    return source


def patch(diagnosis: Diagnosis) -> str:
    """What trials upheld as one unified diff; empty where there is nothing."""
    modules = source_of(diagnosis.record).modules
    before = {file: modules[file].mark + modules[file].text for file in diagnosis.patched if file in modules}
    return "".join(unified_diff(file, before[file], diagnosis.patched[file]) for file in before)


def _chosen(select: Iterable[str], ignore: Iterable[str]) -> list[Condition]:
    wanted = [condition(name) for name in select] or list(catalogue().values())
    dropped = {condition(name).id for name in ignore}
    chosen = [entry for entry in wanted if entry.id not in dropped]
    if not chosen:
        raise UsageError("--select and --ignore leave no condition to look for")
    return chosen


def allowed(fired: list[tuple[Condition, Finding]], source: Source) -> list[tuple[Condition, Finding]]:
    """Without what a comment in the source allows: `# sgdoctor: allow[condition-id]` on the line."""
    kept = []
    for entry, finding in fired:
        module = source.module(finding.site.file) if finding.site else None
        line = module.lines[finding.site.line - 1] if module and finding.site.line <= len(module.lines) else ""  # type: ignore[union-attr]
        names = line.partition("# sgdoctor: allow[")[2].partition("]")[0]
        if entry.id not in [name.strip() for name in names.split(",")]:
            kept.append((entry, finding))
    return kept


def _judgeable(
    fired: list[tuple[Condition, Finding]], open_questions: dict[str, str]
) -> list[tuple[Condition, Finding]]:
    """Without what cannot be judged beside the others: learning in a broken loop, leftovers where there is a cause."""
    structural = [entry.id for entry, _ in fired if entry.structural]
    kept = []
    for entry, finding in fired:
        causes = [other.id for other, _ in fired if entry.id in other.explains]
        if entry.by_learning and structural and not set(structural) & set(causes):
            open_questions[entry.id] = f"the loss is no fair judge while {structural[0]} holds"
        elif entry.by_exclusion and (causes or structural):
            open_questions[entry.id] = f"{(causes or structural)[0]} explains why nothing is learnt"
        else:
            kept.append((entry, finding))
    return kept


def _ordered(fired: list[tuple[Condition, Finding]], source: Source, strict: bool) -> list[Placed]:
    """Causes first (by severity, then confidence), each followed by what it explains."""
    ids = {entry.id for entry, _ in fired}
    causes_of = {
        entry.id: tuple(sorted(name for name in ids if entry.id in catalogue()[name].explains)) for entry, _ in fired
    }
    placed = [
        Placed(entry, finding, causes_of[entry.id], tuple(offers(entry, finding, source, strict)))
        for entry, finding in fired
    ]
    placed.sort(key=lambda item: (item.role != "cause", RANK[item.severity], -item.finding.confidence))
    return placed


def _shown(placed: Placed, record: Record) -> Placed:
    """At the line that people know: of a cell where it is a notebook's."""
    site = placed.finding.site
    if site is None or record.cells is None:
        return placed
    return replace(placed, finding=replace(placed.finding, site=record.shown(site)))


def offers(entry: Condition, finding: Finding, source: Source, strict: bool) -> Iterable[Offer]:
    """What mends a finding, each with its patch."""
    if entry.remedies is None:
        return
    try:
        for remedy in entry.remedies(finding, source):
            yield Offer(remedy, source.diff(list(remedy.edits)) if remedy.edits else None)
    except Exception:
        if strict:
            raise


def _verdict(record: Record, findings: list[Placed], learning: Progress | None) -> Verdict:
    alarms = [placed for placed in findings if placed.severity != "info"]
    if record.exception is not None and not interrupted(record):
        return "crashed"
    if alarms:
        first = alarms[0].condition.id
        return "at-the-floor" if first == "uninformative-labels" else "faulty"
    backwards = max((objective.count for objective in record.objectives), default=0)
    if not record.steps and not backwards and not record.rows("loss", grad=True):
        return "nothing-observed"
    if max(record.steps, backwards) < MIN_STEPS:
        return "too-short"
    return "faulty" if unexplained(learning) else "healthy"


def unexplained(learning: Progress | None) -> bool:
    """Whether a run of some length is no better than a constant output, in loss and against permuted targets."""
    return (
        learning is not None
        and learning.count >= STUCK_STEPS
        and abs(learning.best_skill) < STUCK
        and abs(learning.gap) < STUCK
    )


def interrupted(record: Record) -> bool:
    """Whether the run was ended from outside: Ctrl-C is an exception, but not a fault of the script."""
    return record.exception is not None and record.exception.get("type") == "KeyboardInterrupt"


def _summary(record: Record, verdict: Verdict, findings: list[Placed], learning: Progress | None) -> str:
    alarms = [placed for placed in findings if placed.severity != "info"]
    figures = _figures(learning) + fallen(record)
    if verdict == "crashed":
        error = record.exception or {}
        text = str(error.get("text", "")).strip().splitlines()
        what = f"{error.get('type')}: {text[0][:160] if text else ''}{fallen(record)}"
        return f"{alarms[0].condition.title} ({what})" if alarms else f"The script raised {what}"
    if alarms:
        first = alarms[0]
        where = f" at {first.finding.site.file}:{first.finding.site.line}" if first.finding.site else ""
        return f"{first.condition.title}{where}"
    if verdict == "nothing-observed":
        return "No training was seen: no backward pass and no optimizer step in the script's own process"
    if verdict == "too-short":
        return f"{record.steps} optimizer steps are too few to tell; at least {MIN_STEPS} are needed{figures}"
    if verdict == "faulty":
        return f"It has learnt nothing, and none of {len(catalogue())} conditions says why{figures}"
    return f"Nothing is wrong that {len(catalogue())} conditions can see{figures}"


def fallen(record: Record) -> str:
    """Which of several ranks failed first, as the end of a sentence; empty where none did."""
    ended = record.rows("ended")
    rank = first_failed(ended)
    if rank is None:
        return ""
    how = next((str(row.get("how")) for row in ended if row.get("rank") == rank), "")
    after = sum(1 for row in ended if row.get("rank") != rank and row.get("how") not in ("completed", "stopped"))
    what = {"killed": "was killed", "raised": "raised"}.get(how, "left")
    return f", on rank {rank} of {record.world_size}, which {what} first" + (" (others followed)" if after else "")


def _figures(learning: Progress | None) -> str:
    if learning is None or learning.first != learning.first:
        return ""
    text = f": loss {learning.first:.4g} -> {learning.last:.4g}"
    if learning.baseline == learning.baseline:
        text += f", best constant output {learning.baseline:.4g}"
    return text
