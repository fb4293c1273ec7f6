"""Reports: the JSON document to the letter of the contract, and nothing of the script that acts on a terminal."""

from __future__ import annotations

import io
import json as plain_json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgdoctor.conditions import Condition, Evidence, Finding, NotEvaluated, Remedy
from sgdoctor.diagnosis import Diagnosis, Offer, Placed
from sgdoctor.record import Progress, Record, Site, load, progress
from sgdoctor.report import json, terminal, untrusted
from sgdoctor.source import Source

# What no report may hold: control codes (newline and tab aside), escape sequences, marks that turn writing round.
FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "\x1b]2;title\x07",
    "\x1b]52;c;Y2xpcGJvYXJk\x1b\\",
    "\x9b2J",
    "\x1bc",
    "bell\x07",
    "over\rwritten",
    "back\x08space",
    "\u202egnp.exe",
    "two\u2028lines",
    "lone \ud800 surrogate",
    "nul\x00",
    "del\x7f",
    "next\x85line",
]
SPOOF = "x\nhealthy: nothing is wrong"


def rule(record: Record, source: Source) -> Iterator[Finding | NotEvaluated]:
    """A rule that finds nothing."""
    yield from ()


def diagnosis(text: str = "text", **changes: Any) -> Diagnosis:
    """A diagnosis with one of everything; `text` stands wherever something of the script does."""
    condition = Condition("dead-relu", "error", ("activations",), rule, page="Units are dead.\n")
    consequence = Condition("lr-too-low", "warning", (), rule, page="The rate is low.\n")
    remark = Condition("unset-seed", "info", (), rule, page="Nothing is seeded.\n")
    finding = Finding(
        Site(text, 3, text), (Evidence(text, "activations", 0.5, float("inf")), Evidence("b")), 0.9, text, (1, 7)
    )
    patch = f"--- a/{text}\n+++ b/{text}\n@@ -1 +1 @@\n-old\n+new\n"
    record = Record.make(
        {"k": "torch", "version": text},
        {"k": "param", "i": 0, "device": text},
        {"k": "objective", "site": 0, "values": [2.0, 1.0]},
        {"k": "exception", "type": text, "text": text},
        {"k": "end", "how": "raised", "status": 1, "steps": 5, "spent_seconds": 0.01, "observed_seconds": 1.0},
        {"k": "exit", "status": 1, "seconds": 2.5},
    )
    values = {
        "record": record,
        "verdict": "crashed",
        "summary": f"Units are dead ({text})",
        "findings": (
            Placed(condition, finding, (), (Offer(Remedy(text, "safe"), patch), Offer(Remedy("b", "advice")))),
            Placed(consequence, Finding(None, (Evidence("c"),), 0.5), ("dead-relu",)),
            Placed(remark, Finding(None, (), 0.5)),
        ),
        "not_evaluated": (("lr-too-high", text),),
        "learning": progress(record)[0],
        **changes,
    }
    return Diagnosis(**values)


def document(of: Diagnosis) -> Any:
    """The JSON document, read as strictly as the strictest reader."""

    def refuse(word: str) -> float:
        raise AssertionError(f"{word} is no JSON")

    return plain_json.loads(json.render(of), parse_constant=refuse)


def keys(value: Any) -> Any:
    """The skeleton of a document: keys of objects, that of the first entry of lists."""
    if isinstance(value, dict):
        return {key: keys(entry) for key, entry in value.items()}
    return [keys(value[0])] if isinstance(value, list) and value and isinstance(value[0], dict) else None


def test_the_document_has_exactly_the_keys_of_the_contract() -> None:
    assert keys(document(diagnosis())) == {
        "schema_version": None,
        "tool": dict.fromkeys(["name", "version"]),
        "run": {
            **dict.fromkeys(["script", "argv", "python", "torch", "device", "world_size", "steps"]),
            **dict.fromkeys(["exit", "exit_status", "seconds", "overhead", "record"]),
        },
        "verdict": None,
        "summary": None,
        "learning": dict.fromkeys(["loss_first", "loss_last", "baseline", "floor", "skill"]),
        "findings": [
            {
                **dict.fromkeys(["condition", "title", "severity", "confidence", "role", "explained_by"]),
                "location": dict.fromkeys(["file", "line", "end_line", "symbol"]),
                **dict.fromkeys(["layer", "steps"]),
                "evidence": [dict.fromkeys(["text", "signal", "value", "reference"])],
                "remedies": [dict.fromkeys(["title", "safety", "patch", "proof"])],
            }
        ],
        "experiments": None,
        "not_evaluated": [dict.fromkeys(["condition", "reason"])],
    }


def test_the_document_says_what_the_diagnosis_holds() -> None:
    found = document(diagnosis("train.py"))
    assert found["schema_version"] == 1 and found["tool"]["name"] == "sgdoctor"
    first, second, third = found["findings"]
    assert first["location"] == {"file": "train.py", "line": 3, "end_line": 3, "symbol": "train.py"}
    assert first["evidence"][0]["reference"] == "Infinity" and first["steps"] == [1, 7]
    assert (first["role"], second["role"], second["explained_by"]) == ("cause", "consequence", ["dead-relu"])
    assert second["location"] is None and second["layer"] is None and third["evidence"] == []
    assert first["remedies"][1] == {"title": "b", "safety": "advice", "patch": None, "proof": None}
    assert found["run"]["overhead"] == 0.01 and found["run"]["steps"] == 5 and found["run"]["exit_status"] == 1
    assert found["learning"] == {"loss_first": 2.0, "loss_last": 1.0, "baseline": None, "floor": None, "skill": None}


def test_numbers_that_are_not_finite_are_words() -> None:
    values = [
        float("nan"),
        float("inf"),
        -float("inf"),
        np.float64("nan"),
        np.float32(2.5),
        np.int64(3),
        np.bool_(True),
    ]
    evidence = tuple(Evidence("e", None, value) for value in values)
    condition = Condition("dead-relu", "error", (), rule, page="Units are dead.\n")
    found = document(diagnosis(findings=(Placed(condition, Finding(None, evidence, float("nan"))),)))
    words = [entry["value"] for entry in found["findings"][0]["evidence"]]
    assert words == ["NaN", "Infinity", "-Infinity", "NaN", 2.5, 3, True]
    assert found["findings"][0]["confidence"] == "NaN"


def test_a_diagnosis_without_learning_has_empty_figures() -> None:
    empty = diagnosis(record=Record([]), learning=None, findings=(), not_evaluated=())
    found = document(empty)
    assert set(found["learning"].values()) == {None} and found["run"]["overhead"] is None
    assert found["run"]["exit"] == "killed" and found["run"]["script"] is None
    assert keys(found)["run"] == keys(document(diagnosis()))["run"]
    assert "dead-relu" not in str(empty)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], "killed"),
        ([{"k": "end", "how": "completed"}], "completed"),
        ([{"k": "end", "how": "exited", "status": 3}], "completed"),
        ([{"k": "end", "how": "stopped"}], "stopped"),
        ([{"k": "exception", "type": "ValueError"}, {"k": "end", "how": "raised"}], "raised"),
        ([{"k": "exception", "type": "KeyboardInterrupt"}, {"k": "end", "how": "raised"}], "killed"),
        ([{"k": "end", "how": "something else"}], "completed"),
    ],
)
def test_a_run_ends_in_one_of_four_ways(rows: list[dict[str, Any]], expected: str) -> None:
    assert json.how_it_ended(Record.make(*rows)) == expected


def test_paths_are_relative_to_the_working_directory(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    inside = Record([], path=tmp_path / ".sgdoctor" / "1")
    assert document(diagnosis(record=inside))["run"]["record"] == ".sgdoctor/1"
    assert "record .sgdoctor/1" in terminal.render(diagnosis(record=inside))
    assert document(diagnosis(record=Record([], path=tmp_path.parent)))["run"]["record"] == tmp_path.parent.as_posix()


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_nothing_of_the_script_acts_on_a_terminal(text: str) -> None:
    found = diagnosis(text)
    for report in (terminal.render(found), terminal.concise(found), json.render(found), str(found)):
        assert not FORBIDDEN.search(report)
    shown = io.StringIO()
    terminal.show(found, shown)
    assert not FORBIDDEN.search(shown.getvalue())
    assert document(found)["verdict"] == "crashed"


def test_colours_are_ours_alone() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    terminal.show(diagnosis("\x1b[5mblink\x1b]2;title\x07"), stream)
    text = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
    assert "blink" in text and "title" not in text and not FORBIDDEN.search(text)
    assert "\x1b[5m" not in stream.getvalue()


def test_nothing_of_the_script_passes_for_a_line_of_ours() -> None:
    found = diagnosis(SPOOF)
    assert len(terminal.concise(found).splitlines()) == len(found.findings) + 1
    assert not re.search(r"^\s*healthy", terminal.concise(found), re.MULTILINE)


def test_markup_of_the_script_is_text() -> None:
    assert "[bold red]x[/]" in terminal.render(diagnosis("[bold red]x[/]"))


@given(st.text() | st.text(st.sampled_from("\x1b[]0;31m\x07\\\x9b\x9dPX^_ a\n\r\t")))
def test_cleaned_text_is_clean(text: str) -> None:
    assert not FORBIDDEN.search(untrusted.clean(text))
    assert not re.search(r"[\n\t]", untrusted.line(text))
    assert untrusted.clean(untrusted.clean(text)) == untrusted.clean(text)


def test_long_text_is_cut() -> None:
    assert len(untrusted.clean("x" * 10**6)) < 3000
    assert len(terminal.render(diagnosis("x" * 10**6))) < 50_000


def test_the_last_lines_hold_the_verdict_and_what_to_do() -> None:
    lines = terminal.render(diagnosis("train.py")).splitlines()
    last = "\n".join(lines[-6:])
    assert "crashed" in last and "train.py:3" in last and "sgdoctor explain dead-relu" in last
    assert max(map(len, lines)) <= terminal.WIDTH


def test_concise_is_one_line_a_finding() -> None:
    assert terminal.concise(diagnosis("train.py")).splitlines() == [
        "train.py:3: error [dead-relu] train.py",
        "-: warning [lr-too-low] c",
        "-: info [unset-seed] Nothing is seeded",
        "crashed: Units are dead (train.py)",
    ]


def test_a_stream_that_knows_only_ascii_gets_a_report() -> None:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding="ascii")
    terminal.show(diagnosis("größe.py"), stream)
    stream.flush()
    assert b"sgdoctor explain dead-relu" in buffer.getvalue()


def test_a_real_record_is_reported() -> None:
    from hostile import SMALL

    record = load(SMALL)
    (learning,) = progress(record)
    assert isinstance(learning, Progress)
    found = document(diagnosis(record=record, learning=learning))
    assert found["run"]["exit"] == "raised" and found["run"]["script"] == "train.py" and found["run"]["device"] == "cpu"
    assert found["learning"]["baseline"] > 0
