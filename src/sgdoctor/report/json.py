"""A diagnosis as JSON, schema version 1 of the outside contract."""

from __future__ import annotations

import json
import math
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ..diagnosis import Diagnosis, Placed, Proof
from ..diagnosis.diagnosis import interrupted
from ..record import Record
from ..record.record import number
from .untrusted import CONTROL

SCHEMA_VERSION = 1


def render(diagnosis: Diagnosis) -> str:
    """One JSON document, two-space indented, ending in a newline."""
    return dumps(document(diagnosis))


def dumps(found: dict[str, Any]) -> str:
    """Plain data as the text of a JSON document."""
    text = json.dumps(_plain(found), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # JSON lets them stand, a terminal that it is printed on would act on them.
    return CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def document(diagnosis: Diagnosis) -> dict[str, Any]:
    """The document as plain data; numbers may still be non-finite."""
    learning = diagnosis.learning
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "sgdoctor", "version": version("sgdoctor")},
        "run": _run(diagnosis.record),
        "verdict": diagnosis.verdict,
        "summary": diagnosis.summary,
        "learning": {
            "loss_first": learning.first if learning else None,
            "loss_last": learning.last if learning else None,
            "baseline": _known(learning.baseline) if learning else None,
            "floor": None,
            "skill": _known(learning.skill) if learning else None,
        },
        "findings": [finding_document(placed) for placed in diagnosis.findings],
        "experiments": [
            {"name": outcome.name, "question": outcome.question, "answer": outcome.answer, "figures": outcome.figures}
            for outcome in diagnosis.experiments
        ],
        "not_evaluated": [{"condition": name, "reason": reason} for name, reason in diagnosis.not_evaluated],
    }


def _run(record: Record) -> dict[str, Any]:
    start, end, torch = record.start, record.end or {}, (record.rows("torch") or [{}])[-1]
    devices = sorted({parameter.device for parameter in record.parameters.values()})
    spent, elapsed = number(end.get("spent_seconds")), number(end.get("observed_seconds"))
    if not end and record.rows("pulse"):
        last = record.rows("pulse")[-1]
        spent, elapsed = number(last.get("spent")), number(last.get("of"))
    status = record.exit.get("status", end.get("status"))
    return {
        "script": start.get("script"),
        "argv": start.get("argv", []),
        "python": start.get("python"),
        "torch": torch.get("version"),
        "device": devices[0] if len(devices) == 1 else ",".join(devices) or None,
        "world_size": record.world_size,
        "steps": record.steps,
        "exit": how_it_ended(record),
        "exit_status": status,
        "seconds": record.exit.get("seconds"),
        "overhead": round(spent / elapsed, 4) if elapsed and elapsed > 0 and math.isfinite(spent) else None,
        "record": None if record.path is None else relative(record.path),
    }


def relative(path: Path) -> str:
    """A path inside the working directory from there, any other as it is; with forward slashes."""
    inside = path.is_absolute() and path.is_relative_to(Path.cwd())
    return (path.relative_to(Path.cwd()) if inside else path).as_posix()


def how_it_ended(record: Record) -> str:
    """One of completed, raised, killed, stopped."""
    end = record.end
    if end is None or interrupted(record):
        return "killed"
    return {"raised": "raised", "stopped": "stopped"}.get(end.get("how", ""), "completed")


def finding_document(placed: Placed) -> dict[str, Any]:
    """One finding as plain data."""
    finding = placed.finding
    site = finding.site
    return {
        "condition": placed.condition.id,
        "title": placed.condition.title,
        "severity": placed.severity,
        "confidence": round(finding.confidence, 3),
        "role": placed.role,
        "explained_by": list(placed.explained_by),
        "location": None
        if site is None
        else {"file": site.file, "line": site.line, "end_line": site.line, "symbol": site.function}
        | ({} if site.cell is None else {"cell": site.cell}),
        "layer": finding.layer,
        "steps": None if finding.steps is None else list(finding.steps),
        "evidence": [
            {"text": entry.text, "signal": entry.signal, "value": entry.value, "reference": entry.reference}
            for entry in finding.evidence
        ],
        "remedies": [
            {
                "title": offer.remedy.title,
                "safety": offer.remedy.safety,
                "patch": offer.patch,
                "proof": None if offer.proof is None else _proof(offer.proof),
            }
            for offer in placed.offers
        ],
    }


def _proof(proof: Proof) -> dict[str, Any]:
    return {
        "verdict": proof.verdict,
        "metric": proof.metric,
        "baseline": list(proof.baseline),
        "treated": list(proof.treated),
        "effect": proof.effect,
        "interval": None if proof.interval is None else list(proof.interval),
        "p": proof.p,
        "steps": proof.steps,
        "seeds": proof.seeds,
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, str):  # a lone surrogate of a broken file name is no JSON text
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    return value
