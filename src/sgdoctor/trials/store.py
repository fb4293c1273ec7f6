"""Proofs kept beside the record they belong to, so that `report` can show them again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec

from ..conditions import Outcome
from ..diagnosis import Diagnosis, Proof, diagnose
from ..record import Record

FILE = "proof.json"


@dataclass(frozen=True)
class Kept:
    """What is stored: proofs by condition and remedy, the experiments, the patched files."""

    proofs: list[tuple[str, str, dict[str, Any]]]
    experiments: list[dict[str, Any]]
    patched: dict[str, str]


def keep(diagnosis: Diagnosis) -> None:
    """Write what trials have shown into the record's folder; where that cannot be written it is only shown now."""
    if diagnosis.record.path is None or not diagnosis.record.path.is_dir():
        return
    proofs = [
        (placed.condition.id, offer.remedy.title, asdict(offer.proof))
        for placed in diagnosis.findings
        for offer in placed.offers
        if offer.proof is not None
    ]
    kept = Kept(proofs, [asdict(outcome) for outcome in diagnosis.experiments], dict(diagnosis.patched))
    with suppress(OSError):
        # Curves hold NaN and infinities, which strict JSON has no words for.
        (diagnosis.record.path / FILE).write_text(json.dumps(asdict(kept)), encoding="utf-8")


def recalled(record: Record, select: Iterable[str] = (), ignore: Iterable[str] = ()) -> Diagnosis:
    """The diagnosis of a record, with the experiments and the proofs that lie beside it."""
    strict = os.environ.get("SGDOCTOR_STRICT") == "1"
    path = None if record.path is None else record.path / FILE
    try:
        kept = msgspec.convert(json.loads(path.read_text(encoding="utf-8")), Kept) if path is not None else None
        proofs = {(n, title): msgspec.convert(fields, Proof) for n, title, fields in (kept.proofs if kept else [])}
        outcomes = [msgspec.convert(fields, Outcome) for fields in (kept.experiments if kept else [])]
    except (OSError, ValueError, msgspec.ValidationError):
        kept, proofs, outcomes = None, {}, []
    diagnosis = diagnose(record, select=select, ignore=ignore, strict=strict, outcomes={o.name: o for o in outcomes})
    if kept is None:
        return diagnosis
    findings = []
    for placed in diagnosis.findings:
        offers = [replace(o, proof=proofs.get((placed.condition.id, o.remedy.title))) for o in placed.offers]
        findings.append(replace(placed, offers=tuple(sorted(offers, key=lambda offer: offer.proof is None))))
    return replace(diagnosis, findings=tuple(findings), patched=kept.patched)
