"""Proofs kept beside the record they belong to, so that `report` can show them again."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec

from ..conditions import Outcome
from ..diagnosis import Diagnosis, Proof

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


def with_proofs(diagnosis: Diagnosis) -> Diagnosis:
    """The diagnosis with the proofs that lie beside its record."""
    path = None if diagnosis.record.path is None else diagnosis.record.path / FILE
    if path is None or not path.is_file():
        return diagnosis
    try:
        kept = msgspec.convert(json.loads(path.read_text(encoding="utf-8")), Kept)
        proofs = {(name, title): msgspec.convert(fields, Proof) for name, title, fields in kept.proofs}
        outcomes = tuple(msgspec.convert(fields, Outcome) for fields in kept.experiments)
    except (OSError, ValueError, msgspec.ValidationError):
        return diagnosis
    findings = []
    for placed in diagnosis.findings:
        offers = [replace(o, proof=proofs.get((placed.condition.id, o.remedy.title))) for o in placed.offers]
        findings.append(replace(placed, offers=tuple(sorted(offers, key=lambda offer: offer.proof is None))))
    return replace(diagnosis, findings=tuple(findings), experiments=outcomes, patched=kept.patched)
