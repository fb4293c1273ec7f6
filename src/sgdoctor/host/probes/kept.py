"""Graphs that outlive their backward pass, and evaluations that build graphs nobody goes through."""

from __future__ import annotations

import weakref
from typing import Any

MAX_MARKS = 64  # graphs followed at one line
AGE = 3  # backward passes after which an old graph has no business to live: the last loss is often still at hand
DENSE = 32  # first backward passes of a line that are all marked; then every SPARSE-th
SPARSE = 16
CHAIN = 3  # nodes below the root that are followed too: `(loss / n).backward()`, with `loss` kept
KEY = "sgdoctor"  # in the metadata of a node, which is the graph's own and is copied nowhere
THROUGH = ("DivBackward0", "MulBackward0", "AddBackward0")
LEAF = "torch::autograd::AccumulateGrad"
BELOW = 5  # nodes behind those, down to the layer that gave the output: an output is kept while its loss is not


class Mark:
    """Lives as long as the node that carries it."""

    __slots__ = ("__weakref__",)


class Marks:
    """Marked graphs of one line."""

    def __init__(self) -> None:
        self.count = 0
        self.references: list[tuple[int, Any]] = []  # on the loss
        self.below: list[tuple[int, Any]] = []  # on what the loss was computed from
        self.marked = 0
        self.kept = 0
        self.outputs = 0
        self.oldest = 0
        self.written = 0


class KeptGraphs:
    """Rows `kept`: of the graphs marked at a line, how many were alive at once when they should be gone."""

    SIGNALS = ("kept_graphs",)

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._sites: dict[int | None, Marks] = {}

    def on_backward(self, site: int | None, root: Any, count: int) -> int:
        """The `count`th backward pass from a line begins; the number of the next one that is to be told."""
        marks = self._sites.get(site)
        if marks is None:
            marks = self._sites[site] = Marks()
        marks.count = count
        if root.grad_fn is not None:
            self._mark(marks, root.grad_fn)
        # A mark takes two microseconds: too cheap for the budget, which would leave too few where others have spent it.
        return count + (1 if count < DENSE else SPARSE - count % SPARSE)

    def _mark(self, marks: Marks, node: Any) -> None:
        alive = [(born, mark) for born, mark in marks.references if mark() is not None]
        marks.references = alive[-MAX_MARKS:]
        old = {born for born, _ in alive if marks.count - born > AGE}
        if len(old) > marks.kept:
            marks.kept = len(old)
            marks.oldest = max(marks.oldest, marks.count - min(old))
        marks.marked += 1
        for _ in range(CHAIN):
            metadata = getattr(node, "metadata", None)
            if metadata is None:
                return
            mark = metadata.get(KEY)
            if mark is None:
                mark = metadata[KEY] = Mark()
            marks.references.append((marks.count, weakref.ref(mark)))
            children = [child for child, _ in node.next_functions if child is not None]
            if len(children) != 1 or node.name() not in THROUGH:
                break
            node = children[0]
        self._mark_below(marks, node)

    def _mark_below(self, marks: Marks, node: Any) -> None:
        """From the loss down to the layer that gave the output, along what comes first into each operation."""
        alive = [(born, mark) for born, mark in marks.below if mark() is not None]
        marks.below = alive[-MAX_MARKS:]
        old = {born for born, _ in alive if marks.count - born > AGE}
        if len(old) > marks.outputs:
            marks.outputs = len(old)
            marks.oldest = max(marks.oldest, marks.count - min(old))
        for _ in range(BELOW):
            children = [child for child, _ in node.next_functions if child is not None]
            if not children or any(child.name() == LEAF for child in children):
                return  # a layer with its weights: below it lies what may rightly live on, as the state of an RNN
            node = children[0]
            metadata = getattr(node, "metadata", None)
            if metadata is None or KEY in metadata:  # marked before: a graph of more than one backward pass
                return
            mark = metadata[KEY] = Mark()
            marks.below.append((marks.count, weakref.ref(mark)))

    def on_flush(self, closing: bool) -> None:
        """What has changed."""
        for site, marks in list(self._sites.items()):
            if marks.marked > marks.written and (closing or marks.marked >= marks.written * 1.25 + 1):
                marks.written = marks.marked
                row = {"k": "kept", "site": site, "n": marks.count, "marked": marks.marked}
                self._observer.write({**row, "kept": marks.kept, "age": marks.oldest, "outputs": marks.outputs})


class Evaluations:
    """Rows `evaluation` (calls of eval(), with autograd on or off, used by a backward or not), and `loss_run`.

    A run: losses with gradient at one line, one after another, with no backward pass between.
    """

    SIGNALS = ("evaluations",)

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._torch = observer.torch
        self._sites: dict[int | None, dict[str, Any]] = {}
        self._written: dict[int | None, int] = {}
        self.waiting: dict[str, Any] | None = None  # the latest evaluation, until train() or a backward pass
        self._last: tuple[int | None, int] | None = None  # line of the latest loss, backward passes before it
        self._twice = False
        self._runs: dict[int | None, int] = {}  # by line of a loss: how often it came several times in a row
        self._written_runs: dict[int | None, int] = {}

    def on_loss(self, site: int | None) -> None:
        """A loss function returned a value with gradient."""
        last = (site, self._observer.backwards)
        if last != self._last:
            self._last, self._twice = last, False
        elif not self._twice and len(self._runs) < 100:
            self._twice = True
            self._runs[site] = self._runs.get(site, 0) + 1

    def on_switch(self, training: bool, site: int | None) -> None:
        """train() or eval() was called by the script."""
        self.waiting = None
        if training or (site not in self._sites and len(self._sites) >= 50):
            return
        row = self._sites.get(site)
        if row is None:
            row = {"k": "evaluation", "site": site, "count": 0, "graded": 0, "backed": 0, "first": self._observer.steps}
            self._sites[site] = row
        row["count"] += 1
        row["graded"] += self._torch.is_grad_enabled()
        row["last"] = self._observer.steps
        self.waiting = row

    def before_backward(self) -> None:
        """A backward pass begins."""
        if self.waiting is not None:
            self.waiting["backed"] += 1
            self.waiting = None

    def on_flush(self, closing: bool) -> None:
        """Counts that have grown."""
        for site, count in list(self._runs.items()):
            written = self._written_runs.get(site, 0)
            if count > written and (closing or count >= written * 1.25 + 1):
                self._written_runs[site] = count
                self._observer.write({"k": "loss_run", "site": site, "count": count})
        for site, row in list(self._sites.items()):
            written = self._written.get(site, 0)
            if closing or row["count"] >= written * 1.25 + 1:
                self._written[site] = row["count"]
                self._observer.write(dict(row))
