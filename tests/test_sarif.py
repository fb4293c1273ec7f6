"""What is written as SARIF keeps the structure of 2.1.0: names, types, required properties, what refers to what.

The official schema is in no Python package. `LOG` says in its terms what the specification (sections 3.13 to 3.52)
demands of the objects that are written here; names and required ones are held against `sarif_om`, which is generated
from that schema.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import sarif_om
from jsonschema import Draft202012Validator, ValidationError
from test_html import MARKUP
from test_report import HOSTILE, diagnosis

import clinic
from sgdoctor.checking import examine
from sgdoctor.conditions import condition
from sgdoctor.diagnosis import Diagnosis, Proof, diagnose
from sgdoctor.diagnosis.diagnosis import Offer, Placed
from sgdoctor.report import render, sarif

Schema = dict[str, Any]
OBJECTS: dict[str, Schema] = {}


def thing(kind: str, required: str = "", **properties: Schema) -> Schema:
    """An object of the specification, by the name that `sarif_om` has for it; what is not named may not be there."""
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    found["required"] = required.split()
    OBJECTS[kind] = found
    return found


def several(kind: Schema, **more: Any) -> Schema:
    """A list of them."""
    return {"type": "array", "items": kind, **more}


TEXT: Schema = {"type": "string", "minLength": 1}
INDEX: Schema = {"type": "integer", "minimum": -1}
LINE: Schema = {"type": "integer", "minimum": 1}
LEVEL: Schema = {"enum": ["none", "note", "warning", "error"]}
URI: Schema = {"type": "string", "pattern": r"^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?#]|%[0-9A-F]{2})+$"}
BAG: Schema = {"type": "object", "properties": {"tags": several(TEXT, uniqueItems=True)}}  # 3.8: anything may follow
MESSAGE = thing("Message", "text", text=TEXT)
WORDS = thing("MultiformatMessageString", "text", text=TEXT, markdown=TEXT)
REGION = thing("Region", startLine=LINE)
ARTIFACT = thing("ArtifactLocation", uri=URI)
PHYSICAL = thing("PhysicalLocation", "artifactLocation", artifactLocation=ARTIFACT, region=REGION)
LOGICAL = thing("LogicalLocation", name=TEXT)
LOCATION = thing("Location", physicalLocation=PHYSICAL, logicalLocations=several(LOGICAL, uniqueItems=True))
RULE = thing(
    "ReportingDescriptor",
    "id",
    id=TEXT,
    name=TEXT,
    shortDescription=WORDS,
    fullDescription=WORDS,
    help=WORDS,
    defaultConfiguration=thing("ReportingConfiguration", level=LEVEL),
    properties=BAG,
)
RESULT = thing(
    "Result",
    "message",
    ruleId=TEXT,
    ruleIndex=INDEX,
    level=LEVEL,
    message=MESSAGE,
    locations=several(LOCATION),
    partialFingerprints={"type": "object", "additionalProperties": TEXT},
    properties=BAG,
)
DRIVER = thing(
    "ToolComponent",
    "name",
    name=TEXT,
    version=TEXT,
    semanticVersion={"type": "string", "pattern": r"^\d+\.\d+\.\d+"},
    rules=several(RULE, uniqueItems=True),
)
RUN = thing(
    "Run",
    "tool",
    tool=thing("Tool", "driver", driver=DRIVER),
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    results=several(RESULT),
)
LOG = thing("SarifLog", "version runs", **{"$schema": URI}, version={"const": "2.1.0"}, runs=several(RUN))


def read(text: str) -> Schema:
    """A log that holds to the structure, and whose results refer to the rules that they name."""
    log: Schema = json.loads(text)
    Draft202012Validator(LOG).validate(log)
    for run in log["runs"]:
        rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
        assert len(set(rules)) == len(rules)
        assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in run["results"])
        prints = [json.dumps(r["partialFingerprints"]) for r in run["results"] if "partialFingerprints" in r]
        assert len(set(prints)) == len(prints)
    return log


@pytest.mark.parametrize("kind", OBJECTS)
def test_names_are_those_of_the_specification(kind: str) -> None:
    fields = getattr(sarif_om, kind).__attrs_attrs__
    names = {field.metadata["schema_property_name"]: field for field in fields}
    assert set(OBJECTS[kind]["properties"]) <= set(names)
    required = {name for name, field in names.items() if field.init and repr(field.default) == "NOTHING"}
    assert required <= set(OBJECTS[kind]["required"])


FAULTY = [case for case in clinic.cases() if case.expected and case.name.endswith("faulty.py")]


def test_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clinic.ROOT)
    checked = examine([str(case.script) for case in FAULTY[::3]])
    results = read(sarif.render(checked.findings, checked.text_of))["runs"][0]["results"]
    assert len(results) == len(checked.findings) > 10
    assert all(result["locations"] for result in results)


@pytest.mark.parametrize("case", FAULTY[::15], ids=lambda case: case.name)
def test_run(case: clinic.Case) -> None:
    found = diagnose(clinic.restore(case), strict=True)
    results = read(render(found, "sarif"))["runs"][0]["results"]
    assert len(results) == len(found.findings)
    assert results or condition(case.name.partition("/")[0]).by_experiment


def proved(text: str) -> Diagnosis:
    """A diagnosis whose first remedy has been tried."""
    found = diagnosis(text)
    first, *rest = found.findings
    proof = Proof("proven", text, "R2", (0.1, 0.2), (0.8, 0.9), 0.7, (0.6, 0.8), 0.05, 100, 2)
    offer = Offer(first.offers[0].remedy, first.offers[0].patch, proof)
    tried = Placed(first.condition, first.finding, (), (offer, *first.offers[1:]))
    return diagnosis(text, findings=(tried, *rest))


@pytest.mark.parametrize("text", [*HOSTILE, *MARKUP, "a b%.py", "In[5]"], ids=ascii)
def test_prove_and_texts_of_any_kind(text: str) -> None:
    result = read(render(proved(text), "sarif"))["runs"][0]["results"][0]
    assert "Proof: proven" in result["message"]["text"]
    assert result["properties"]["proof"] == "proven"


def broken(change: Callable[[Schema], object]) -> str:
    """A log with a change made to it."""
    log = json.loads(render(proved("train.py"), "sarif"))
    change(log["runs"][0])
    return json.dumps(log)


@pytest.mark.parametrize(
    "change",
    [
        lambda run: run.pop("tool"),
        lambda run: run.update(rules=[]),
        lambda run: run["results"][0].pop("message"),
        lambda run: run["results"][0].update(level="info"),
        lambda run: run["results"][0]["locations"][0]["physicalLocation"]["region"].update(startLine=0),
        lambda run: run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"].update(uri="a b"),
        lambda run: run["tool"]["driver"]["rules"][0].pop("id"),
    ],
)
def test_a_log_of_another_structure_is_refused(change: Callable[[Schema], object]) -> None:
    with pytest.raises(ValidationError):
        read(broken(change))
