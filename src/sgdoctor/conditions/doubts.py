"""Findings of a run that an experiment then upholds or refutes: how both halves of such a condition are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ..record import Record
from ..source import Source
from .condition import Answer, Evidence, Finding, NotEvaluated, Outcome
from .questions import judged

Rule = Callable[[Record, Source], Answer]
Suspects = Callable[[Record, Source], tuple[str, ...]]
Weigh = Callable[[Finding, Outcome], Finding | NotEvaluated]
SURE = 0.95  # confidence in what two runs of the same script agree about


def left_open(suspects: Suspects) -> Rule:
    """`in_run` of a condition that a run cannot show: it says that an experiment can."""

    def in_run(record: Record, source: Source) -> Answer:
        if not judged(record):
            yield NotEvaluated("learning cannot be judged")
        elif suspects(record, source):
            yield NotEvaluated("only an experiment can tell: `sgdoctor prove`")

    in_run.__module__ = suspects.__module__  # where the condition's page stands
    return in_run


def asks(in_run: Rule, *experiments: str) -> Suspects:
    """`suspects` of a condition: these experiments, where the run shows it."""

    def suspects(record: Record, source: Source) -> tuple[str, ...]:
        return experiments if any(isinstance(answer, Finding) for answer in in_run(record, source)) else ()

    return suspects


def weighed(in_run: Rule, **weighs: Weigh) -> Callable[[Record, Source, Mapping[str, Outcome]], Answer]:
    """`in_experiment` of a condition: what the run shows, weighed by each experiment that could be made."""

    def in_experiment(record: Record, source: Source, outcomes: Mapping[str, Outcome]) -> Answer:
        for answer in in_run(record, source):
            for name, weigh in weighs.items():
                outcome = outcomes.get(name)
                if isinstance(answer, Finding) and outcome is not None and outcome.figures:
                    answer = weigh(answer, outcome)
            yield answer

    return in_experiment


def shown(finding: Finding, outcome: Outcome, value: float, reference: float, sure: bool = True) -> Finding:
    """A finding with what an experiment answered as evidence; `sure`: and with more confidence."""
    evidence = Evidence(f"{outcome.question} {outcome.answer}", None, value, reference)
    confidence = max(finding.confidence, SURE) if sure else finding.confidence
    return replace(finding, evidence=(*finding.evidence, evidence), confidence=confidence)


def upheld_when_better(finding: Finding, outcome: Outcome) -> Finding | NotEvaluated:
    """Upheld where the run goes further without what the finding blames, refuted where it does not."""
    if not outcome.figure("better"):
        return NotEvaluated(f"{outcome.question} {outcome.answer}")
    return shown(finding, outcome, outcome.figure("share"), outcome.figure("plain"))


def surer_when_better(finding: Finding, outcome: Outcome) -> Finding:
    """The answer as evidence. It does not refute: a start, or rounding, may be one fault of two."""
    return shown(finding, outcome, outcome.figure("share"), outcome.figure("plain"), bool(outcome.figure("better")))
