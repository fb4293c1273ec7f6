"""What stands in each kind of row: a field of another type is left out at the door, and nothing behind has to ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypedDict

import msgspec
from msgspec import Meta

from .entries import (
    AT,
    Activation,
    Cause,
    Count,
    Crashed,
    Event,
    Frame,
    Group,
    Index,
    Line,
    Number,
    Numbers,
    Shape,
    Tensor,
    Units,
    Whole,
)
from .surroundings import SURROUNDINGS

FIELDS: dict[str, dict[str, Any]] = {
    # The process
    "start": {"schema": Whole, "pid": Count, "script": str | None, "argv": list[str], "python": str},
    "torch": {"version": str, "accelerator": bool},
    "exception": {
        "type": str,
        "text": str,
        "step": Count,
        "causes": list[Cause],
        "frames": list[Index],
        "inner": list[Frame],
        "loss": Crashed,
    },
    "pulse": {"steps": Count, "spent": Number, "of": Number},
    "probe_failed": {"probe": str, "error": str, "signals": list[str]},
    "end": {
        "how": str,
        "status": Whole | None,
        "steps": Count,
        "observed_seconds": Number,
        "spent_seconds": Number,
        "at": Number,
    },
    "exit": {"status": Whole, "seconds": Number, "target": str, "module": bool, "argv": list[str]},
    "source": {"file": str, "text": str, "heads": list[Whole], "cells": list[Whole]},  # the last two: of a notebook
    # What there is
    "site": {"i": Index, "file": str, "line": Line, "function": str},
    "param": {
        "i": Index,
        "name": str | None,
        "module": str | None,
        "shape": Shape,
        "dtype": str,
        "device": str,
        "parameter": bool,
    },
    "optimizer": {"i": Index, "site": Index | None, "class": str, "groups": list[Group]},
    "loader": {
        "i": Index,
        "site": Index | None,
        "passes": Count,
        "batch_size": Count | None,
        "drop_last": bool,
        "workers": Count,
        "sampler": str,
        "dataset": str,
        "samples": Count | None,
        "batches": Count | None,
        "last_step": Count,
    },
    # The loop
    "window": {"i": Index, "events": list[Event], "count": Count, "first": Count, "last": Count},
    "unfinished": {"events": list[Event]},
    "objective": {
        "site": Index | None,
        "first": Count,
        "stride": Annotated[int, Meta(ge=1, le=2**32)],
        "steps": list[Count],
        "values": Numbers,
        "high": Numbers,
    },
    "steps": {"opt": Index, "n": Count, "empty": Count, "cleared": Count, "clear_site": Index | None},
    "free": {"steps": Count, "backwards": Count, "site": Index | None, "params": list[Index]},
    "rate": {"opt": Index, "n": Count, "lr": Numbers},
    "scheduler": {**AT, "class": str, "fed": Number},
    "clip": {"site": Index | None, "step": Count, "by": str, "parameters": Whole, "limit": Number, "norm": Number},
    "mode": {
        "i": Index,
        "site": Index | None,
        "layer": str,
        "active": bool,
        "graded": bool,
        "trains": bool,
        "used": bool,
        "count": Count,
        "backed": Count,
        "run": Count,
        "first": Count,
        "last": Count,
    },
    "switch": {
        "i": Index,
        "site": Index | None,
        "training": bool,
        "class": str,
        "partial": bool,
        "count": Count,
        "first": Count,
        "last": Count,
    },
    # The loss
    "call": {
        "i": Index,
        "site": Index | None,
        "fn": str,
        "output": Tensor,
        "target": Tensor | None,
        "target_grad": bool,
        "grad": bool,
        "reduction": str,
        "ignore_index": Whole | None,
        "weighted": bool,
        "smoothing": Number,
        "enabled": bool,
        "step": Count,
    },
    "loss": {
        "call": Index,
        "n": Count,
        "step": Count,
        "grad": bool,
        "value": Number,
        "output": dict[str, Number],
        "rows": dict[str, Number],
        "target": dict[str, Number],
        "counts": list[Count],
        "accuracy": Number,
        "constant": Number,
        "permuted": Number,
    },
    "score": {
        "call": Index,
        "n": Count,
        "step": Count,
        "grad": bool,
        "right": Number,
        "of": Number,
        "error": Number,
        "spread": Number,
    },
    # The network
    "graph": {
        **AT,
        "root": str | None,
        "leaf_root": bool,
        "leaves": list[Index],
        "layers": list[tuple[str, Index, Shape | None]],
        "head": list[tuple[str, Shape | None, list[Shape | None]]],
        "calls": list[Index],
        "nodes": Count,
        "truncated": bool,
        "custom": list[str],
        "opaque": bool,
    },
    "features": {
        **AT,
        "param": Index,
        "op": str,
        "shape": Shape,
        "dtype": str,
        "indices": bool,
        "width": Count,
        "nonfinite": Count,
        "columns": list[Count],
        "mean": Numbers,
        "std": Numbers,
        "min": Numbers,
        "max": Numbers,
    },
    "activations": {**AT, "of": list[Activation]},
    "hazard": {**AT, "op": str, "after": Count, "shape": Shape | None, "bad": Count, "of": Count, "nonfinite": Count},
    # Gradients and steps
    "gradients": {**AT, "params": list[Index], "grad": Numbers, "weight": Numbers},
    "signal": {**AT, "ops": list[str], "params": list[Index | None], "after": list[Count], "norm": Numbers},
    "units": {**AT, "of": list[Units]},
    "update": {
        "opt": Index | None,
        "n": Count,
        "step": Count,
        "params": list[Index],
        "weight": Numbers,
        "change": Numbers,
        "grad": Numbers,
    },
    "turn": {
        "opt": Index,
        "n": Count,
        "step": Count,
        "slope": Number,
        "slope_after": Number,
        "dot": Number,
        "old": Number,
        "new": Number,
        "change": Number,
    },
    "stale": {"opt": Index | None, "n": Count, "norm": Number},
    **SURROUNDINGS,
}

# One type a kind, so that a row that fits is checked in one go.
_KINDS: dict[str, Any] = {kind: TypedDict(kind, fields, total=False) for kind, fields in FIELDS.items()}  # type: ignore


def misfits(row: Mapping[str, Any]) -> list[str]:
    """The fields of a row whose values are none that its kind can have."""
    kind = str(row.get("k"))
    if kind not in FIELDS or _fits(row, _KINDS[kind]):
        return []
    return [name for name, wanted in FIELDS[kind].items() if name in row and not _fits(row[name], wanted)]


def _fits(value: Any, wanted: Any) -> bool:
    try:
        msgspec.convert(value, wanted)
    except (msgspec.ValidationError, RecursionError, OverflowError, UnicodeError):
        return False
    return True
