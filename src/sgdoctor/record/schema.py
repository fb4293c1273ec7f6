"""What stands in each kind of row: a field of another type is left out at the door, and nothing behind has to ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypedDict

import msgspec
from msgspec import Meta

LARGEST = 2**53  # whole numbers beyond are no counts, and no float holds them

Count = Annotated[int, Meta(ge=0, le=LARGEST)]
Index = Annotated[int, Meta(ge=-1, le=LARGEST)]  # -1: beyond what one record numbers
Line = Annotated[int, Meta(ge=1, le=LARGEST)]
Whole = Annotated[int, Meta(ge=-LARGEST, le=LARGEST)]
Number = float | Literal["NaN", "Infinity", "-Infinity"] | None
Shape = list[Count]
Numbers = list[Number]
Event = tuple[str, Index | None, Index | None]  # letter (see host/probes/loop.py), site, optimizer


class Tensor(TypedDict, total=False):
    shape: Shape
    dtype: str
    device: str
    grad: bool
    min: Number
    max: Number


class Group(TypedDict, total=False):
    lr: Number
    params: list[Index]
    elements: Count
    momentum: Number
    weight_decay: Number


class Frame(TypedDict, total=False):
    function: str
    tensors: dict[str, Tensor]
    module: str
    param: Index
    weight: Tensor


class Crashed(TypedDict, total=False):
    fn: str
    output: Tensor | None
    target: Tensor | None


class Cause(TypedDict, total=False):
    type: str
    text: str


class Activation(TypedDict, total=False):
    kind: str
    param: Index | None
    after: Count
    shape: Shape
    std: Number
    spread: Number
    zero: Number
    dead: Number
    flat: Number
    dim: Count | None  # the axis a softmax sums over


class Loaded(TypedDict, total=False):
    dtype: str
    shape: Shape
    mean: Number
    std: Number
    min: Number
    max: Number
    mark: str


class Units(TypedDict, total=False):
    param: Index
    after: Count
    norm: Number
    apart: Number
    grad: Number


class Influence(TypedDict, total=False):
    training: bool
    axis: Count
    index: Count
    own: Number
    earlier: Number
    later: Number
    touched: Count


class Slopes(TypedDict, total=False):
    input: Count
    smooth: Count
    flat: Count
    bad: Count
    passed: Count
    error: Number
    ratio: Number


class Argument(TypedDict, total=False):
    shape: Shape
    dtype: str
    min: Number
    max: Number
    zeros: Count
    nonfinite: Count


class Term(TypedDict, total=False):
    op: str
    weight: Number
    form: str
    sign: Whole
    path: list[str]
    calls: list[Index]
    discount: Number
    weighted: bool


class Tail(TypedDict, total=False):
    call: Index
    ops: list[tuple[str, Shape]]
    param: Index | None
    layer: str | None


class Link(TypedDict, total=False):
    param: Index
    op: str
    before: Index | None
    kind: str | None
    path: list[str]
    shape: Shape


class Single(TypedDict, total=False):
    op: str
    shape: Shape
    after: Count
    param: Index | None
    kind: str | None


class Loose(TypedDict, total=False):
    owner: str
    path: str
    attribute: str
    container: str
    params: list[Index]
    elements: Count
    made: bool


class Frozen(TypedDict, total=False):
    name: str
    module: str
    shape: Shape
    norm: Number
    held: bool
    trained: bool
    training: bool
    moving: bool


class Misspelt(TypedDict, total=False):
    name: str
    attribute: str
    module: bool
    trains: Count


# A sampled event: its line, its number there, the step it was at.
AT = {"site": Index | None, "n": Count, "step": Count}

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
    "probe_failed": {"probe": str, "error": str},
    "end": {"how": str, "status": Whole | None, "steps": Count, "observed_seconds": Number, "spent_seconds": Number},
    "exit": {"status": Whole, "seconds": Number, "target": str, "module": bool},
    "source": {"file": str, "text": str},
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
    # The loss: what its arguments are made by, what it is the sum of, inputs beside targets
    "argument": {
        "call": Index,
        "step": Count,
        "made": list[str],
        "target_made": list[str],
        "discount": Number,
        "log_target": bool,
        "kl": dict[str, Number] | None,
    },
    "terms": {**AT, "of": list[Term]},
    "sequence": {
        **AT,
        "call": Index,
        "param": Index | None,
        "shape": Shape,
        "axis": Count,
        "start": Whole | None,
        "valid": Number,
        "shifts": Numbers,
        "tail": dict[str, Number],
        "narrow": bool,
        "ahead": Numbers,
        "ahead_by": str | None,
    },
    "copy": {**AT, "call": Index, "param": Index, "shape": Shape, "columns": list[Count], "alike": Numbers},
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
    # Experiments: rows of a run that was changed, or gone through again, on purpose
    "intervention": {"name": str, "acted": Count, "possible": bool, "reason": str | None},
    "mode_pair": {
        "site": Index | None,
        "step": Count,
        "train": Number,
        "eval": Number,
        "again": Number,
        "norms": Count,
        "drops": Count,
        "shift": Number,
        "ratio": Number,
        "momentum": Number,
    },
    "independence": {
        "site": Index | None,
        "step": Count,
        "input": Shape,
        "output": Shape,
        "target": Shape | None,
        "whole": bool,
        "inputs": Count,
        "alike": bool,
        "varies": bool,
        "of": list[Influence],
    },
    "gradcheck": {"function": str, "step": Count, "site": Index | None, "identity": bool, "of": list[Slopes]},
    "origin": {
        "reached": str,
        "step": Count,
        "batch": Count,
        "parameter": Index | None,
        "op": str,
        "node": str | None,
        "phase": str,
        "site": Index | None,
        "layer": str | None,
        "state": str,
        "bad": Count,
        "of": Count,
        "shape": Shape,
        "dtype": str,
        "inputs": list[Argument],
        "born_step": Count,
        "born_batch": Count,
        "deliberate": bool,
        "leaf": bool,
        "where": Shape,
    },
    # What surrounds a step
    "accumulation": {
        "opt": Index,
        "site": Index | None,
        "clear_site": Index | None,
        "dropped": bool,
        "sizes": list[tuple[Count, Count]],
    },
    "schedule": {
        "i": Index,
        "site": Index | None,
        "class": str,
        "opt": Index | None,
        "settings": dict[str, Number],
        "mode": str | None,
        "milestones": Numbers,
        "part": bool,
        "built": Count,
        "steps": Count,
        "step_site": Index | None,
        "first": Count | None,
        "stride": Annotated[int, Meta(ge=1, le=2**32)],
        "fed": Numbers,
        "rates": Numbers,
    },
    "loading": {
        "site": Index | None,
        "step": Count,
        "class": str,
        "strict": bool,
        "wanted": Count,
        "missing": Count,
        "given": Count,
        "unexpected": Count,
        "examples": list[str],
        "aliased": Number,
        "taken_site": Index | None,
        "taken_step": Count,
        "own": bool,
        "live": Number,
    },
    "saving": {"site": Index | None, "step": Count, "taken_site": Index | None, "taken_step": Count, "aliased": Number},
    "kept": {"site": Index | None, "n": Count, "marked": Count, "kept": Count, "age": Count},
    "evaluation": {
        "site": Index | None,
        "count": Count,
        "graded": Count,
        "backed": Count,
        "first": Count,
        "last": Count,
    },
    "loss_run": {"site": Index | None, "count": Count},
    "autocast": {
        "site": Index | None,
        "dtype": str,
        "enabled": bool,
        "device": str,
        "graded": bool,
        "count": Count,
    },
    "scaler": {"event": str, "site": Index | None, "count": Count},
    # How the network is built
    "structure": {**AT, "ops": dict[str, Count], "tails": list[Tail], "links": list[Link], "single": list[Single]},
    "size": {**AT, "nodes": Count, "truncated": bool},
    "dropout": {
        "i": Index,
        "site": Index | None,
        "p": Number,
        "active": bool,
        "graded": bool,
        "width": Count,
        "count": Count,
    },
    "validation": {"site": Index | None, "fn": str, "steps": list[Count], "values": Numbers},
    "unregistered": {**AT, "of": list[Loose]},
    "frozen": {**AT, "of": list[Frozen]},
    "thaw": {**AT, "of": list[Misspelt]},
    "needing": {"opt": Index, "held": Count, "needing": Count},
    "idle": {"opt": Index, "step": Count, "params": list[Index], "elements": Count, "total": Count},
    # What the loop is fed with
    "batch": {"loader": Index, "pass": Count, "n": Count, "step": Count, "of": list[Loaded]},
    "feed": {
        "loader": Index,
        "passes": Count,
        "batches": Count,
        "backed": Count,
        "seen": Count,
        "distinct": Count,
    },
    "overlap": {"trained": Index, "held": Index, "shared": Count, "rows": Count, "of": Count},
    "labels": {
        **AT,
        "grad": bool,
        "counts": list[Count],
        "predicted": list[Count],
        "hits": list[Count],
        "mean": Number,
        "std": Number,
        "size": Count,
    },
    "bad": {
        **AT,
        "where": str,
        "param": Index | None,
        "shape": Shape,
        "place": list[Count],
        "bad": Count,
        "nan": Count,
        "of": Count,
        "rows": Count,
        "columns": Count,
        "whole": Count,
        "sound": bool,
    },
    "norm": {**AT, "samples": Count, "values": Count},
    "memory": {"step": Count, "resident": Count},
    "door": {
        "site": Index | None,
        "step": Count,
        "place": Count,
        "model": str,
        "training": bool,
        "grad": bool,
        "dtype": str,
        "device": str,
        "shape": Shape,
        "mean": Number,
        "std": Number,
        "min": Number,
        "max": Number,
        "fraction": Number,
        "apart": Number,
        "nonfinite": Count,
        "means": Numbers,
        "stds": Numbers,
    },
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
