"""Several ranks that train one model: whether their weights and gradients agree, and whether they are meant to."""

from __future__ import annotations

import ast
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..record import Record, Row, Rows
from ..record.record import numbers
from ..source import Source
from .condition import NotEvaluated

STAGES = ("send", "recv", "isend", "irecv", "batch_isend_irecv", "all_to_all", "all_to_all_single")
SHARES = ("chunk", "array_split", "tensor_split", "split")  # what cuts data into one part a rank
# Of the larger of two sums: ranks that are kept equal are so to the last bit, whatever averages them.
APART = 1e-5


class Sample(NamedTuple):
    """What ranks held at one moment: for each tensor the largest difference between ranks, relative to its size."""

    opt: int
    when: str
    n: int
    step: int
    params: list[int]
    weights: list[float]
    grads: list[float]


class Replicas:
    """The samples of a record at which at least two ranks were looked at."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.counts: dict[str, int] = {}
        for row in record.rows("moves"):
            if row.get("rank") == record.rank:
                self.counts = row.get("counts") or {}

    @cached_property
    def samples(self) -> list[Sample]:
        """All of them, in the order of the run."""
        moments: dict[tuple[int, str, int], dict[int, Row]] = {}
        for row in self.record.rows("replica"):
            if all(name in row for name in ("rank", "opt", "when", "n", "sums", "shapes")):
                moments.setdefault((row["opt"], row["when"], row["n"]), {})[row["rank"]] = row
        found = []
        for (opt, when, n), by_rank in moments.items():
            rows = list(by_rank.values())
            alike = all(row["shapes"] == rows[0]["shapes"] for row in rows)
            if len(rows) < 2 or not alike or not rows[0]["sums"]:
                continue
            mine = by_rank.get(self.record.rank or 0, rows[0])
            weights, grads = _spread(rows, "sums"), _spread(rows, "grads")
            found.append(Sample(opt, when, n, mine.get("step", n), mine.get("params", []), weights, grads))
        return sorted(found, key=lambda sample: (sample.step, sample.when == "step"))

    @property
    def steps(self) -> list[Sample]:
        """Those at equal counts of optimizer steps."""
        return [sample for sample in self.samples if sample.when == "step"]

    @property
    def apart(self) -> bool:
        """Whether weights differ at the last look of some optimizer, and no exchange ever made them agree again."""
        last = {sample.opt: sample for sample in self.steps}
        parted = [opt for opt, sample in last.items() if any(each > APART for each in sample.weights)]
        return bool(parted) and not all(self._averaged(opt) for opt in parted)

    def _averaged(self, opt: int) -> bool:
        """Local steps with an average every now and then: apart in between, and together again after it."""
        parted = False
        for sample in self.samples:
            if sample.opt == opt:
                together = all(each <= APART for each in sample.weights)
                if parted and together:
                    return True
                parted = parted or not together
        return False

    @property
    def synchronised(self) -> bool:
        """Whether the gradients that steps are made with agree between ranks."""
        with_grads = [sample for sample in self.steps if sample.grads]
        return bool(with_grads) and all(each <= APART for sample in with_grads for each in sample.grads)

    @property
    def exchanged(self) -> bool:
        """Whether tensors (not just single numbers) are exchanged, or a wrapper of torch does it."""
        moved = any(
            count for name, count in self.counts.items() if not name.endswith("scalar") and "gather" not in name
        )
        return moved or bool(self.record.rows("wrapper"))


def _spread(rows: list[Row], name: str) -> list[float]:
    table = [numbers(row.get(name)) for row in rows]
    if len({len(line) for line in table}) != 1 or not len(table[0]):
        return []
    stack = np.array(table)
    size = np.abs(stack).max(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (stack.max(axis=0) - stack.min(axis=0)) / size
    return [float(each) for each in found if np.isfinite(each)]


def unjudged(record: Record, *, min_steps: int) -> NotEvaluated | None:
    """Why the ranks of a run cannot be compared; None where they can."""
    if record.world_size < 2:
        return NotEvaluated("the run has one process")
    if record.rows("sharded"):
        return NotEvaluated("parameters are sharded over ranks: each holds a part, and to read one is a collective")
    if record.steps < min_steps:
        return NotEvaluated(f"fewer than {min_steps} optimizer steps")
    seen = {row.get("rank") for row in record.rows("replica")}
    if len(seen) < 2:
        return NotEvaluated(f"of {record.world_size} ranks {len(seen)} made optimizer steps that were seen")
    replicas = Replicas(record)
    if any(replicas.counts.get(name) for name in STAGES):
        return NotEvaluated("ranks hand tensors to each other: they are stages, not replicas")
    if not replicas.steps:
        return NotEvaluated("the ranks hold different models")
    return None


def bypassed(record: Record) -> Row | None:
    """A wrapper that trained parameters are held by, and that is never called with gradient."""
    wrappers: dict[int, Row] = {}
    for row in record.rows("wrapper"):
        if row.get("rank") == record.rank and "i" in row:
            wrappers[row["i"]] = {**wrappers.get(row["i"], {}), **row}
    trained = {number for optimizer in record.optimizers if optimizer.steps for number in optimizer.parameters}
    for row in wrappers.values():
        if not row.get("graded") and trained & set(row.get("params") or []):
            return row
    return None


def meant_as_one(record: Record, source: Source) -> str | None:
    """What says that the ranks are to train one model together, None where nothing does."""
    replicas = Replicas(record)
    if record.rows("wrapper"):
        return "a part of it is wrapped in DistributedDataParallel"
    if record.rows("pass") or record.rows("loader", sampler="DistributedSampler"):
        return "a DistributedSampler splits the data between them"
    if replicas.exchanged:
        return "they exchange tensors"
    if sum(count for name, count in replicas.counts.items() if name.endswith("scalar")) >= 0.5 * record.steps:
        return "they exchange numbers at every step"
    return "the data are split between them" if any(_split(module.tree) for module in source) else None


def _split(tree: ast.AST) -> bool:
    """`data[rank::world]`, `data.chunk(world)[rank]`, `index % world == rank`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Slice) and _varies(node.lower) and _varies(node.step):
            return True
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Call) and _varies(node.slice):
            name = node.value.func.attr if isinstance(node.value.func, ast.Attribute) else ""
            if name in SHARES:
                return True
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
            left = node.left
            modulo = isinstance(left, ast.BinOp) and isinstance(left.op, ast.Mod) and _varies(left.right)
            if modulo and _varies(node.comparators[0]):
                return True
    return False


def _varies(node: ast.expr | None) -> bool:
    return node is not None and any(isinstance(each, (ast.Name, ast.Attribute)) for each in ast.walk(node))


def last_rows(record: Record, kind: str) -> Rows:
    """Rows of a kind of the rank that is looked at."""
    return record.rows(kind, rank=record.rank)
