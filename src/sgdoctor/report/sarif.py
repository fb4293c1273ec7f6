"""Findings as SARIF 2.1.0, for code scanning and editors."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from ..diagnosis import Diagnosis, Placed
from ..diagnosis.diagnosis import source_of
from .json import dumps
from .terminal import verdict_in_words
from .untrusted import clean

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {"error": "error", "warning": "warning", "info": "note"}
PRECISION = ((0.95, "very-high"), (0.8, "high"), (0.5, "medium"), (0.0, "low"))


def render(findings: Iterable[Placed], text_of: Callable[[str], str | None] | None = None) -> str:
    """One SARIF log with one run. `text_of`: the text of a file, whose line goes into the fingerprint."""
    placed = list(findings)
    rules = {each.condition.id: each for each in placed}
    order = {name: index for index, name in enumerate(rules)}
    seen: Counter[str] = Counter()
    results = [_result(each, order, text_of, seen) for each in placed]
    driver = {
        "name": "sgdoctor",
        "version": version("sgdoctor"),
        "semanticVersion": version("sgdoctor"),
        "rules": [_rule(each) for each in rules.values()],
    }
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }
    return dumps(log)


def of_run(diagnosis: Diagnosis) -> str:
    """The findings of a run, or of a proof."""
    source = source_of(diagnosis.record)

    def text_of(file: str) -> str | None:
        module = source.module(file)
        return None if module is None else module.text

    return render(diagnosis.findings, text_of)


def _rule(placed: Placed) -> dict[str, Any]:
    entry = placed.condition
    precision = next(name for least, name in PRECISION if placed.finding.confidence >= least)
    return {
        "id": entry.id,
        "name": "".join(part.capitalize() for part in entry.id.split("-")),
        "shortDescription": {"text": entry.title},
        "fullDescription": {"text": entry.title + "."},
        "help": {"text": entry.page.strip(), "markdown": "# " + entry.page.strip()},
        "defaultConfiguration": {"level": LEVELS[entry.severity]},
        "properties": {
            "precision": precision,
            "tags": ["pytorch", "training"],
            "problem.severity": _problem(entry.severity),
        },
    }


def _problem(severity: str) -> str:
    return {"info": "recommendation"}.get(severity, severity)


def _result(
    placed: Placed, order: dict[str, int], text_of: Callable[[str], str | None] | None, seen: Counter[str]
) -> dict[str, Any]:
    finding, entry = placed.finding, placed.condition
    words = [each.text for each in finding.evidence] or [entry.title]
    if placed.offers:
        words.append(f"Remedy: {placed.offers[0].remedy.title}.")
    tried = next((offer.proof for offer in placed.offers if offer.proof is not None), None)
    if tried is not None:
        words.append(f"Proof: {tried.verdict}, {verdict_in_words(tried)}.")
    result: dict[str, Any] = {
        "ruleId": entry.id,
        "ruleIndex": order[entry.id],
        "level": LEVELS[placed.severity],
        "message": {"text": clean("\n".join(words))},
        "properties": {"confidence": round(finding.confidence, 3), "role": placed.role}
        | ({"proof": tried.verdict} if tried is not None else {}),
    }
    site = finding.site
    if site is None:
        return result
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(site.file, errors="backslashreplace")},
            "region": {"startLine": max(1, site.line)},
        }
    }
    names = [site.function] if site.function and site.function != "<module>" else []
    names += [f"cell {site.cell}"] if site.cell is not None else []
    names = [name for name in map(clean, names) if name]
    if names:
        location["logicalLocations"] = [{"name": name} for name in names]
    result["locations"] = [location]
    key = _key(placed, text_of)
    seen[key] += 1
    digest = hashlib.sha256(f"{key}:{seen[key]}".encode("utf-8", "backslashreplace")).hexdigest()
    result["partialFingerprints"] = {"sgdoctor/v1": digest[:32]}
    return result


def _key(placed: Placed, text_of: Callable[[str], str | None] | None) -> str:
    """What stays the same when lines move: the condition, the file, the function, the line's own text."""
    site = placed.finding.site
    assert site is not None
    text = text_of(site.file) if text_of is not None and site.cell is None else None
    lines = text.splitlines() if text else []
    words = " ".join(lines[site.line - 1].split()) if 0 < site.line <= len(lines) else ""
    return "\0".join((placed.condition.id, site.file, site.function, words))
