"""The contract that every condition keeps, tested for all of them at once over the catalogue itself."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import warnings
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
import pytest
from hostile import broken_records, hostile_records
from hypothesis import given, settings
from hypothesis import strategies as st

import clinic
from sgdoctor import UsageError
from sgdoctor.conditions import Condition, Evidence, Finding, NotEvaluated, Outcome, Remedy, catalogue, condition
from sgdoctor.conditions import __file__ as package
from sgdoctor.diagnosis import diagnose
from sgdoctor.pages import pages
from sgdoctor.record import Record, Row
from sgdoctor.record.signals import SIGNALS
from sgdoctor.report import json, terminal
from sgdoctor.source import Source
from sgdoctor.trials.experiments import experiments

ROOT = Path(package).parent
PROBES = ROOT.parent / "host" / "probes"
FILES = sorted(file for file in ROOT.glob("*/*.py") if file.name != "__init__.py")
HEADINGS = ["What happens", "How it is told apart", "Remedy", "Sources"]

# An id is public: it stands in reports, suppressions and other people's CI. One that is not here needs a decision.
KNOWN = frozenset(
    re.findall(
        r"\S+",
        """
    unscaled-features constant-target lossy-cast unscaled-target nonfinite-data constant-feature
    uninformative-labels class-imbalance unshuffled-data labels-out-of-range repeated-batch
    batch-larger-than-data out-of-memory noisy-labels batch-of-one-norm batch-mixing data-leakage
    inconsistent-preprocessing augmented-validation duplicate-worker-seeds device-mismatch dtype-mismatch
    shape-mismatch wrong-loss-for-task double-softmax logits-to-probability-loss double-sigmoid
    single-logit-cross-entropy loss-broadcast detached-loss loss-not-backpropagated maximised-loss
    nonfinite-loss padding-in-loss label-shift constant-loss kldiv-arguments undetached-target target-leak
    sum-reduction vanishing-gradients exploding-gradients dead-relu saturated-activations symmetric-init
    bad-init-scale unregistered-parameters frozen-parameters ineffective-freeze unused-parameters
    missing-nonlinearity constant-output restrictive-output underfitting overfitting misplaced-batch-norm
    batch-norm-eval-gap excessive-dropout wrong-custom-gradient broken-weight-tying reentrant-checkpoint
    inplace-error undetached-hidden-state lr-too-high lr-too-low missing-zero-grad misplaced-zero-grad
    broken-accumulation missing-step parameters-not-in-optimizer ineffective-clipping excessive-weight-decay
    no-regularisation excessive-momentum scheduler-order missing-warmup wrong-plateau-mode scheduler-kills-lr
    plateau-on-training-loss constant-lr-plateau optimizer-mismatch single-lr-for-all train-mode-in-eval
    eval-mode-in-training grad-enabled-in-eval leaking-graph mixed-precision-misuse half-precision-optimizer
    aliased-state checkpoint-not-loaded wrong-metric unset-seed ranks-diverged ranks-share-data ddp-bypassed
    resumed-without-optimizer
        """,
    )
)

every_condition = pytest.mark.parametrize("entry", catalogue().values(), ids=list(catalogue()))


def file_of(entry: Condition) -> Path:
    """The file that declares a condition."""
    return Path(str(sys.modules[entry.in_run.__module__].__file__))


def test_every_file_declares_one_condition_and_every_condition_has_its_file() -> None:
    assert FILES
    assert sorted(file_of(entry) for entry in catalogue().values()) == FILES


def test_pages_are_read_without_importing_what_they_are_of() -> None:
    assert [tuple(page) for page in pages()] == [
        (entry.id, entry.severity, entry.page) for entry in catalogue().values()
    ]


def test_ids_are_known() -> None:
    assert set(catalogue()) <= KNOWN


@every_condition
def test_the_file_has_the_name_of_its_condition(entry: Condition) -> None:
    assert file_of(entry).stem.replace("_", "-") == entry.id
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", entry.id)


@every_condition
def test_the_page_is_complete(entry: Condition) -> None:
    assert re.findall(r"^## (.+)$", entry.page, re.MULTILINE) == HEADINGS
    sections = re.split(r"^## .+$", entry.page, flags=re.MULTILINE)
    assert all(len(section.split()) >= 10 for section in sections[1:])
    assert 3 <= len(entry.title.split()) <= 20
    assert re.search(r"https?://\S+", sections[-1])


@every_condition
def test_the_rule_is_told_apart_from_conditions_that_exist(entry: Condition) -> None:
    named = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", entry.page))
    assert named <= KNOWN | {"at-the-floor", "too-short", "nothing-observed"}
    assert named - {entry.id}


@every_condition
def test_what_it_refers_to_exists(entry: Condition) -> None:
    assert set(entry.needs) <= set(SIGNALS)
    assert set(entry.explains) <= KNOWN - {entry.id}
    assert len(set(entry.explains)) == len(entry.explains) and len(set(entry.needs)) == len(entry.needs)
    assert entry.severity in ("error", "warning", "info")


def test_causes_and_consequences_form_no_circle() -> None:
    order = TopologicalSorter({entry.id: entry.explains for entry in catalogue().values()}).static_order()
    assert set(order) >= set(catalogue())


@every_condition
def test_thresholds_are_keywords_that_say_where_they_come_from(entry: Condition) -> None:
    first, second, *rest = inspect.signature(entry.in_run).parameters.values()
    assert (first.name, second.name) == ("record", "source")
    assert all(each.kind is each.KEYWORD_ONLY and each.default is not each.empty for each in rest)
    text = file_of(entry).read_text(encoding="utf-8")
    lines = text.splitlines()
    rules = [n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef) and n.name == entry.in_run.__name__]
    assert len(rules) == (0 if entry.in_run.__closure__ else 1)  # what an experiment alone shows has none of its own
    for argument in (argument for rule in rules for argument in rule.args.kwonlyargs):
        _, _, comment = lines[argument.lineno - 1].partition("  # ")
        assert len(comment.split()) >= 3, f"{entry.id}: where does {argument.arg} come from?"


def test_the_table_of_signals_is_what_the_probes_provide() -> None:
    provided: list[str] = []
    for file in PROBES.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["SIGNALS"]:
                provided += ast.literal_eval(node.value)
    assert sorted(provided) == sorted(SIGNALS)
    assert all(name == signal.name and signal.meaning and signal.unit for name, signal in SIGNALS.items())


def answers(entry: Condition, record: Record) -> list[Finding | NotEvaluated]:
    """All answers of a rule and of its remedies, each of the type and in the range it should be."""
    source = Source({row["file"]: row["text"] for row in record.rows("source") if "file" in row and "text" in row})
    with np.errstate(all="ignore"), warnings.catch_warnings():  # as `diagnose` has it
        warnings.simplefilter("ignore", RuntimeWarning)
        found = list(entry.in_run(record, source))
        for answer in found:
            if isinstance(answer, NotEvaluated):
                assert answer.reason
                continue
            assert isinstance(answer, Finding) and 0 <= answer.confidence <= 1 and answer.evidence
            assert all(isinstance(each, Evidence) and each.text for each in answer.evidence)
            for remedy in entry.remedies(answer, source) if entry.remedies else ():
                assert isinstance(remedy, Remedy) and remedy.title
                source.diff(list(remedy.edits))
    return found


@every_condition
def test_a_rule_without_input_never_says_clear(entry: Condition) -> None:
    for record in (Record([]), Record.make()):
        found = answers(entry, record)
        assert all(isinstance(answer, NotEvaluated) for answer in found)
        assert found or entry.needs == ("exception",)  # whose absence is an answer


@cache
def records_of(condition: str) -> tuple[list[Row], st.SearchStrategy[Record]]:
    """The smallest stored record in which a condition is found, and broken ones like it."""
    entry = catalogue()[condition]
    records = [clinic.restore(case) for case in clinic.cases() if condition in {name for name, _ in case.expected}]
    fired = [each for each in records if any(isinstance(answer, Finding) for answer in answers(entry, each))]
    assert fired or entry.by_experiment, f"no stored record of the clinic shows {condition}"
    rows = min(([row for kind in each.kinds() for row in each.rows(kind)] for each in fired or records), key=len)
    return rows, broken_records(rows)


@every_condition
def test_what_experiments_are_asked_for_exist(entry: Condition) -> None:
    assert (entry.suspects is None) == (entry.in_experiment is None)
    assert entry.in_experiment is not None or not entry.by_experiment
    for record in (Record.make(), records_of(entry.id)[0] and Record(records_of(entry.id)[0])):
        source = Source({row["file"]: row["text"] for row in record.rows("source") if "file" in row})
        asked = entry.suspects(record, source) if entry.suspects else ()
        assert set(asked) <= set(experiments())
        for outcomes in ({}, {name: Outcome(name, "?", "could not be made") for name in asked}):
            for answer in entry.in_experiment(record, source, outcomes) if entry.in_experiment else ():
                assert isinstance(answer, Finding | NotEvaluated)


@every_condition
def test_a_rule_survives_the_loss_of_any_kind_of_row(entry: Condition) -> None:
    rows, _ = records_of(entry.id)
    for kind in sorted({row["k"] for row in rows}):
        answers(entry, Record([row for row in rows if row["k"] != kind]))


@every_condition
@settings(max_examples=50)
@given(data=st.data())
def test_broken_records_never_raise(entry: Condition, data: st.DataObject) -> None:
    answers(entry, data.draw(records_of(entry.id)[1]))


@every_condition
@settings(max_examples=30)
@given(data=st.data())
def test_hostile_records_never_raise(entry: Condition, data: st.DataObject) -> None:
    answers(entry, data.draw(hostile_records(records_of(entry.id)[0])))


@given(record=st.sampled_from(list(catalogue())).flatmap(lambda name: records_of(name)[1]) | hostile_records())
def test_every_record_gets_a_diagnosis_and_a_report(record: Record) -> None:
    diagnosis = diagnose(record, strict=True)
    assert terminal.render(diagnosis) and terminal.concise(diagnosis) and json.render(diagnosis)


def test_a_name_that_is_almost_right_is_answered_with_the_right_one() -> None:
    assert condition("dead-relu") is catalogue()["dead-relu"]
    with pytest.raises(UsageError, match="did you mean dead-relu"):
        condition("ded-relu")
    with pytest.raises(UsageError, match="sgdoctor explain"):
        condition("zzz")
