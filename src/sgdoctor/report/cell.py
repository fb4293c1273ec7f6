"""A diagnosis below a notebook's cell: small, without scripts, in the notebook's own colours."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ..diagnosis import Diagnosis, Placed
from ..diagnosis.diagnosis import source_of
from ..source import Source
from .html import changes, excerpt, learnt
from .terminal import sparkline, verdict_in_words
from .untrusted import line

AROUND = 2  # lines shown above and below a finding's


def render(diagnosis: Diagnosis) -> str:
    """A fragment of HTML. Everything that comes from the script is escaped."""
    source = source_of(diagnosis.record)
    environment = Environment(
        loader=PackageLoader("sgdoctor", "report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("cell.html.jinja").render(
        verdict=diagnosis.verdict,
        summary=line(diagnosis.summary),
        learning=learnt(diagnosis),
        curve=_curve(diagnosis),
        findings=[_finding(placed, source) for placed in diagnosis.findings],
        open=sorted(name for name, _ in diagnosis.not_evaluated),
    )
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


def _curve(diagnosis: Diagnosis) -> str:
    objectives = diagnosis.record.objectives
    values = tuple(float(value) for value in objectives[0].values if value == value) if objectives else ()
    finite = [value for value in values if abs(value) != float("inf")]
    return sparkline(values, min(finite), max(finite)) if len(finite) > 1 else ""


def _finding(placed: Placed, source: Source) -> dict[str, Any]:
    site = placed.finding.site
    return {
        "condition": placed.condition.id,
        "title": placed.condition.title,
        "severity": placed.severity,
        "explained_by": placed.explained_by,
        "evidence": [line(entry.text) for entry in placed.finding.evidence],
        "where": line(f"{site.file}:{site.line}") if site else "",
        "excerpt": [{**row, "kind": ""} for row in excerpt(source, site, AROUND)] if site else [],
        "remedies": [
            {
                "title": line(offer.remedy.title),
                "diff": [{**row, "at": False} for row in changes(offer.patch)],
                "proof": f"{offer.proof.verdict}: {line(verdict_in_words(offer.proof))}" if offer.proof else "",
            }
            for offer in placed.offers
        ],
    }
