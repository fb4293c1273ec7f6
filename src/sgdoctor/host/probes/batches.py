"""What the loop is fed with: batches of each loader, labels and predictions at the loss, samples behind a norm."""

from __future__ import annotations

import os
import weakref
from typing import Any

from ..graph import CHANNEL_OPS, Graph, node_shape, saved, stride

MAX_LOADERS = 24  # loaders whose batches are described
MAX_TENSORS = 4  # of one batch
MAX_ROWS = 3000  # samples of one loader that are remembered by their fingerprint
MAX_ELEMENTS = 128  # of one sample that go into its fingerprint, evenly spread
TELLING = 16  # whole numbers in a row that make it one of a kind
MAX_VALUES = 200_000  # labels looked at in one sample
MAX_MOMENTS = 20_000  # values of one tensor that go into its moments
MAX_CLASSES = 200
MAX_BAD = 40  # places with a value that is not finite, in one record
PASSES = 6  # passes of a loader whose first batches are described
FIRST = 3  # batches described of such a pass
DENSE = 4  # labels of the first calls at a line are always looked at
SPACING = 1.16  # then each look is at least this factor later than the last
BINARY = ("binary_cross_entropy", "binary_cross_entropy_with_logits")
CLASS_INDEX = ("cross_entropy", "nll_loss")
PAGE = 4096


class Feed:
    """One loader: how many of its batches were trained on, and which samples its first pass held."""

    def __init__(self, number: int, earlier: int) -> None:
        self.number = number
        self.earlier = earlier  # passes of such loaders before it, of scripts that build one for each epoch
        self.passes = self.place = self.batches = self.backed = self.written = 0
        self.rows: set[int] = set()
        self.seen = 0  # samples behind `rows`, repeats included


class Batches:
    """Rows `batch` and `feed` by loader, `overlap` of two, `labels` by loss, `bad`, `norm` and `memory`."""

    SIGNALS = (
        "loader_batches",
        "loader_feeds",
        "loader_overlap",
        "label_recall",
        "bad_values",
        "norm_samples",
        "memory",
    )

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._torch = observer.torch
        self._feeds: dict[int, tuple[Any, Feed]] = {}  # id(loader) -> (weakref, its feed)
        self._sources: dict[Any, tuple[Any, int]] = {}  # see `_earlier`
        self._open: dict[int, Feed] = {}  # id(iterator) -> feed
        self.waiting: Feed | None = None  # whose batch is the latest
        self._target: Any = None  # weakref to what the last loss function compared with
        self._overlaps: dict[tuple[int, int], int] = {}
        self._bad = 0
        self._weights: dict[int, Any] = {}
        self._schedules: dict[Any, list[int]] = {}  # (line, with gradient) -> calls, calls to go beyond
        self._memory = [0, 0]
        self._norms: dict[Any, tuple[int, ...]] = {}

    # -- loaders ---------------------------------------------------------------------------------------------

    def on_pass(self, loader: Any, iterator: Any) -> None:
        """A pass over a loader begins."""
        number = self._observer.loaders.number(loader)
        if number is None:
            return
        known = self._feeds.get(id(loader))
        if known is None or known[0]() is not loader:
            if len(self._feeds) >= MAX_LOADERS:
                return
            known = self._feeds[id(loader)] = (weakref.ref(loader), Feed(number, self._earlier(loader)))
        feed = known[1]
        feed.passes += 1
        feed.place = 0
        if len(self._open) > 4 * MAX_LOADERS:
            self._open.clear()
        self._open[id(iterator)] = feed

    def _earlier(self, loader: Any) -> int:
        """How many loaders of the same kind there were that are gone: this one was built in their place."""
        key = self._observer.loaders.kind(loader)
        last, count = self._sources.get(key, (None, 0))
        if last is not None and last() is not None:
            count = 0
        self._sources[key] = (weakref.ref(loader), count + 1)
        return count

    def on_batch(self, iterator: Any, batch: Any) -> None:
        """A loader handed a batch over."""
        feed = self.waiting = self._open.get(id(iterator))
        if feed is None:
            return
        feed.batches += 1
        feed.place += 1
        passes = feed.earlier + feed.passes
        described = passes <= PASSES and feed.place <= FIRST
        counted = passes == 1 and feed.seen < MAX_ROWS
        if (described or counted) and not self._torch._C._len_torch_dispatch_stack():
            with self._observer.timed(), self._torch.no_grad():
                self._describe(feed, batch, described, counted)

    def _describe(self, feed: Feed, batch: Any, described: bool, counted: bool) -> None:
        tensors = _tensors(batch, self._torch.Tensor)[:MAX_TENSORS]
        if described:
            row = {"k": "batch", "loader": feed.number, "pass": feed.passes, "n": feed.place - 1}
            of = [self._facts(tensor) for tensor in tensors]
            self._observer.write({**row, "step": self._observer.steps, "of": of})
        rows = next((tensor for tensor in tensors if self._tells_apart(tensor)), None)
        if counted and rows is not None:
            marks = self.fingerprints(rows)
            feed.seen += len(marks)
            feed.rows.update(marks)

    @staticmethod
    def _tells_apart(tensor: Any) -> bool:
        """Whether rows that are equal must be one sample: a few categories are equal by chance."""
        if tensor.dim() < 2 or tensor.numel() == 0 or tensor.is_complex() or tensor.is_sparse:
            return False
        wide = tensor[0].numel() >= TELLING
        return wide or (tensor.is_floating_point() and bool((tensor != tensor.round()).any()))

    def _facts(self, tensor: Any) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "dtype": str(tensor.dtype).replace("torch.", ""),
            "shape": list(tensor.shape),
        }
        if tensor.numel() == 0 or tensor.is_complex() or tensor.is_sparse:
            return facts
        flat = tensor.detach().reshape(-1)
        if flat.numel() > MAX_MOMENTS:
            flat = flat[:: stride(flat.numel(), MAX_MOMENTS, tensor.shape)]
        values = flat.double()
        facts.update(mean=values.mean(), std=values.std(unbiased=False), min=values.min(), max=values.max())
        facts["mark"] = str(hash(tuple(self.fingerprints(tensor))))
        return facts

    def fingerprints(self, tensor: Any) -> list[int]:
        """One whole number a sample: the same for the same bits, whatever batch it stands in."""
        torch = self._torch
        if tensor.dim() == 0 or tensor.numel() == 0 or not tensor.is_cpu or tensor.is_complex() or tensor.is_sparse:
            return []
        flat = tensor.detach().reshape(tensor.shape[0], -1)
        if flat.shape[1] > MAX_ELEMENTS:
            flat = flat[:, :: flat.shape[1] // MAX_ELEMENTS + 1]
        if flat.is_floating_point():
            flat = flat.float().contiguous().view(torch.int32)
        width = flat.shape[1]
        weights = self._weights.get(width)
        if weights is None:
            weights = self._weights[width] = _scrambled(torch.arange(1, width + 1, dtype=torch.int64, device="cpu"))
        return (flat.long() * weights).sum(1).tolist()

    def first_passes(self) -> list[tuple[int, set[int], int, int]]:
        """(loader, fingerprints of the samples of its first pass, how many they were, passes begun)."""
        return [(feed.number, feed.rows, feed.seen, feed.passes) for _, feed in list(self._feeds.values())]

    def target(self) -> Any:
        """What the last loss function compared with, None where it is gone."""
        return self._target() if self._target is not None else None

    # -- the loss --------------------------------------------------------------------------------------------

    def on_loss(self, name: str, place: tuple[int | None, bool], output: Any, target: Any) -> None:
        """A loss function returned."""
        tensor = self._torch.Tensor
        if not (isinstance(target, tensor) and isinstance(output, tensor)):
            return
        self._target = weakref.ref(target)
        schedule = self._schedules.get(place)
        if schedule is None:
            schedule = self._schedules[place] = [0, 0]
        schedule[0] += 1
        if schedule[0] <= schedule[1] or self._torch._C._len_torch_dispatch_stack() or self._transformed():
            return
        # Late labels are what decides, so the budget has no say; there are few samples: 15 of each tenfold of steps.
        schedule[1] = int(schedule[0] * SPACING) if schedule[0] > DENSE else schedule[0]
        with self._observer.timed(), self._torch.no_grad():
            at = {"site": place[0], "n": schedule[0] - 1, "step": self._observer.steps, "grad": place[1]}
            row = {"k": "labels", **at}
            classes = name in CLASS_INDEX
            described = None
            if classes or name in BINARY:
                described = self._recall(classes, name, output.detach(), target.detach())
            if described is None and target.is_floating_point() and target.numel():
                values = target.detach().reshape(-1)[:MAX_VALUES].double()
                described = {"mean": values.mean(), "std": values.std(unbiased=False), "size": values.numel()}
            if described is not None:
                self._observer.write({**row, **described})

    def _transformed(self) -> bool:
        """Inside torch.func transforms values belong to an inner level."""
        functorch = getattr(self._torch._C, "_functorch", None)
        return functorch is not None and functorch.peek_interpreter_stack() is not None

    def _recall(self, classes: bool, name: str, output: Any, target: Any) -> dict[str, Any] | None:
        torch = self._torch
        if classes:
            if target.is_floating_point() or output.dim() < 2 or not 2 <= output.shape[1] <= MAX_CLASSES:
                return None
            width = output.shape[1]
            guess, truth = output.argmax(1).reshape(-1), target.reshape(-1)
        else:
            if output.shape != target.shape or target.numel() != target.shape[0]:
                return None
            if not bool(((target == 0) | (target == 1)).all()):
                return None
            width = 2
            guess = (output > (0.5 if name == "binary_cross_entropy" else 0)).long().reshape(-1)
            truth = target.long().reshape(-1)
        if guess.numel() > MAX_VALUES:
            guess, truth = guess[:MAX_VALUES], truth[:MAX_VALUES]
        if guess.shape != truth.shape:
            return None
        valid = (truth >= 0) & (truth < width)
        guess, truth = guess[valid], truth[valid]
        return {
            "counts": torch.bincount(truth, minlength=width),
            "predicted": torch.bincount(guess, minlength=width),
            "hits": torch.bincount(truth[guess == truth], minlength=width),
        }

    def before_backward(self) -> None:
        """A backward pass begins: what was loaded last is trained on."""
        if self.waiting is not None:
            self.waiting.backed += 1
            self.waiting = None

    def on_graph(self, graph: Graph, site: int | None, count: int) -> None:
        """A sampled loss is about to be backpropagated."""
        with self._torch.no_grad():
            for layer in [each for each in graph.layers if each.door not in (None, "indices")][:4]:
                value = saved(layer.node, layer.door or "")
                if value is not None and value.is_floating_point():
                    axis = 1 if layer.op in CHANNEL_OPS and value.dim() > 2 else -1
                    number = self._observer.parameters.number(layer.weight)
                    self._look_for_bad(graph, value, "input", axis, number, site, count)
            target = self._target() if self._target is not None else None
            if target is not None and target.is_floating_point():
                self._look_for_bad(graph, target.detach(), "target", -1, None, site, count)
            self._measure_norms(graph, site, count)

    def _look_for_bad(self, graph: Graph, value: Any, where: str, axis: int, param: Any, site: Any, count: int) -> None:
        if self._bad >= MAX_BAD or value.numel() == 0 or value.dim() == 0:
            return
        bad = ~value.isfinite()
        if not bool(bad.any()):
            return
        self._bad += 1
        first = bad.reshape(-1).nonzero()[0].item()
        place = []
        for size in reversed(value.shape):
            place.append(int(first % size))
            first //= size
        columns = bad.movedim(axis, -1).reshape(-1, bad.shape[axis])
        row = {"k": "bad", "site": site, "n": count, "step": self._observer.steps, "where": where, "param": param}
        self._observer.write(
            {
                **row,
                "shape": list(value.shape),
                "place": place[::-1],
                "bad": bad.sum(),
                "nan": value.isnan().sum(),
                "of": value.numel(),
                "rows": bad.reshape(bad.shape[0], -1).any(1).sum(),
                "columns": columns.any(0).sum(),
                "sound": all(bool(leaf.isfinite().all()) for leaf in graph.leaves[:200]),
                "whole": columns.all(0).sum(),  # columns with no good value at all
            }
        )

    def _measure_norms(self, graph: Graph, site: int | None, count: int) -> None:
        """The fewest samples that a batch norm in train mode took its moments from."""
        fewest: tuple[int, ...] | None = None
        for node in graph.nodes:
            if "BatchNorm" in node.name() and getattr(node, "_saved_training", False):
                shape = node_shape(node)
                if len(shape) >= 2 and shape[1]:
                    values = 1
                    for size in shape:
                        values *= size
                    found = (shape[0], values // shape[1])
                    fewest = found if fewest is None or found < fewest else fewest
        if fewest is not None and (self._norms.get(site) != fewest or count < 6):
            self._norms[site] = fewest
            row = {"k": "norm", "site": site, "n": count, "step": self._observer.steps}
            self._observer.write({**row, "samples": fewest[0], "values": fewest[1]})

    def _measure_memory(self) -> None:
        self._memory[0] += 1
        if self._memory[0] <= self._memory[1]:
            return
        self._memory[1] = int(self._memory[0] * SPACING)
        try:
            with open("/proc/self/statm", "rb") as file:
                pages = int(file.read().split()[1])
        except (OSError, ValueError, IndexError):
            return
        page = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else PAGE
        self._observer.write({"k": "memory", "step": self._observer.steps, "resident": pages * page})

    # -- time ------------------------------------------------------------------------------------------------

    def on_flush(self, closing: bool) -> None:
        """Counts that have grown."""
        self._measure_memory()
        feeds = [feed for _, feed in list(self._feeds.values())]
        for feed in feeds:
            if feed.batches > feed.written and (closing or feed.batches >= feed.written * 1.25 + 1):
                feed.written = feed.batches
                row = {"k": "feed", "loader": feed.number, "passes": feed.passes, "batches": feed.batches}
                seen = {"backed": feed.backed, "seen": feed.seen, "distinct": len(feed.rows)}
                self._observer.write({**row, **seen})
        if closing:
            self._compare(feeds)

    def _compare(self, feeds: list[Feed]) -> None:
        for one in feeds:
            for other in feeds:
                if one.backed and not other.backed and one.rows and other.rows:
                    shared = len(one.rows & other.rows)
                    row = {"k": "overlap", "trained": one.number, "held": other.number, "shared": shared}
                    self._observer.write({**row, "rows": len(one.rows), "of": len(other.rows)})


def _scrambled(counting: Any) -> Any:
    """splitmix64 of each number. Weights with a rule in them let rows of small whole numbers meet in one sum."""
    mixed = counting * -7046029254386353131
    mixed = (mixed ^ (mixed >> 30)) * -4658895280553007687
    mixed = (mixed ^ (mixed >> 27)) * -7723592293110705685
    return mixed ^ (mixed >> 31)


def _tensors(batch: Any, kind: Any) -> list[Any]:
    """The tensors of a batch, whatever it is packed in."""
    if isinstance(batch, kind):
        return [batch]
    parts = list(batch.values()) if isinstance(batch, dict) else batch if isinstance(batch, (list, tuple)) else []
    found: list[Any] = []
    for part in parts[: 2 * MAX_TENSORS]:
        found += _tensors(part, kind)
    return found
