"""What stands inside rows of a record: numbers, shapes, and the entries of lists."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

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


class Normed(TypedDict, total=False):
    name: str
    momentum: Number
    seen: Count
    shift: Number
    ratio: Number


class Misspelt(TypedDict, total=False):
    name: str
    attribute: str
    module: bool
    trains: Count


# A sampled event: its line, its number there, the step it was at.
AT = {"site": Index | None, "n": Count, "step": Count}
