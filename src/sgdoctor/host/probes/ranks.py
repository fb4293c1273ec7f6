"""One rank among several: its number, what its replica holds at equal steps, what it is fed with.

Everything here is about this process alone; ranks are compared when their records are read. What is compared must be
taken at the same moments in all of them, so that no clock and no budget has a say in it: the schedule goes by counts
of steps, which are equal in all ranks. No collective is ever called.
"""

from __future__ import annotations

import os
import time
import weakref
from typing import Any

from ..world import declared

TENSORS = 8  # of one optimizer whose sums are taken, evenly spread
MAX_ELEMENTS = 65_536  # of one tensor
MAX_ROWS = 400
DENSE = 3  # first steps that are all looked at
SPACING = 1.3  # then each look is at least this factor later: nine a decade
BATCHES = 6  # first backward passes of a line whose samples are marked: they are always looked at
MAX_MARKS = 64  # samples of one batch
SKETCH = 128  # smallest fingerprints of a first pass that stand for all of them
PASSES = 4  # of a loader of which its sampler is asked
MASK = 2**48 - 1  # a fingerprint as a whole number that every reader of JSON can hold
MOVES = ("all_reduce", "broadcast", "all_gather", "all_gather_into_tensor", "reduce_scatter_tensor", "reduce")
STAGES = ("send", "recv", "isend", "irecv", "batch_isend_irecv", "all_to_all", "all_to_all_single")


class Wrapper:
    """A module whose gradients are averaged over ranks by torch."""

    def __init__(self, number: int, module: Any) -> None:
        self.number = number
        self.reference = weakref.ref(module)
        self.graded = self.written = 0


class Ranks:
    """Rows `rank`, `replica`, `portion`, `share`, `pass`, `wrapper` and `moves`; `sharded` where nothing is whole."""

    SIGNALS = ("ranks", "replicas", "portions", "wrappers")

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._torch = observer.torch
        self.number: int | None = None
        self.world = 1
        self._grouped = False
        self._rows = 0
        self._due: dict[Any, list[int]] = {}  # what is counted -> [so far, the next to be looked at]
        self._wrappers: dict[int, Wrapper] = {}
        self._moves: dict[str, int] = {}
        self._moved = 0
        self._pending = False  # tensors were exchanged since the last look
        self._holders: dict[int, Any] = {}  # number of an optimizer -> weak reference
        self._shared: set[int] = set()
        said = declared(os.environ)
        if said is not None:
            self._become(said.rank, said.world, said.launcher, said.restart)

    def _become(self, number: int, world: int, by: str, restart: int = 0) -> None:
        self.number, self.world = number, world
        row = {"k": "rank", "rank": number, "world": world, "by": by, "restart": restart, "at": time.time()}
        self._observer.write(row)

    # -- the group -------------------------------------------------------------------------------------------

    def on_group(self) -> None:
        """A process group may be there now."""
        distributed = self._torch.distributed
        if self._grouped or not distributed.is_available() or not distributed.is_initialized():
            return
        self._grouped = True
        said = declared(os.environ)
        self._become(distributed.get_rank(), distributed.get_world_size(), "process_group", said.restart if said else 0)

    def on_wrapped(self, module: Any, site: int | None) -> None:
        """A module was wrapped in DistributedDataParallel."""
        self.on_group()
        if len(self._wrappers) >= TENSORS:
            return
        wrapper = self._wrappers[id(module)] = Wrapper(len(self._wrappers), module)
        number = self._observer.parameters.number
        held = [number(each) for each in list(module.parameters())[:2000] if each.requires_grad]
        row = {"k": "wrapper", "rank": self.number, "i": wrapper.number, "site": site, "params": held, "graded": 0}
        self._observer.write({**row, "class": type(module.module).__name__})

    def on_wrapper_called(self, module: Any) -> None:
        """The wrapper was called."""
        wrapper = self._wrappers.get(id(module))
        if wrapper is not None and self._torch.is_grad_enabled():
            wrapper.graded += 1

    def on_move(self, name: str, tensor: Any) -> None:
        """The script had ranks exchange a tensor."""
        if self.world < 2:
            self.on_group()
        size = tensor.numel() if isinstance(tensor, self._torch.Tensor) else 2
        key = name if size > 1 else f"{name} scalar"
        self._moves[key] = self._moves.get(key, 0) + 1
        if size > 1 and name in MOVES:
            self._pending = True

    # -- replicas --------------------------------------------------------------------------------------------

    def before_step(self, optimizer: Any) -> None:
        """optimizer.step() begins: every rank is here at the same count."""
        if self.world < 2:
            if self._beat("group"):
                self.on_group()
            return
        number = self._observer.updates.number(optimizer)
        if number not in self._holders:
            self._holders[number] = weakref.ref(optimizer)
        place = self._place(("step", number))
        if place is not None:
            self._look(number, optimizer, "step", place)
        self.after_moves()

    def after_moves(self) -> None:
        """Weights that were averaged by hand agree now, if ever."""
        if not self._pending:
            return
        self._pending = False
        place = self._place("moves")
        if place is not None:
            for number, reference in list(self._holders.items()):
                optimizer = reference()
                if optimizer is not None:
                    self._look(number, optimizer, "moves", place)

    def _beat(self, key: Any) -> bool:
        return self._place(key) is not None

    def _place(self, key: Any) -> int | None:
        """The count of an event that is to be looked at, None for the others."""
        beat = self._due.setdefault(key, [0, 0])
        count = beat[0]
        beat[0] += 1
        if count < beat[1]:
            return None
        beat[1] = count + 1 if count < DENSE else int(count * SPACING) + 1
        return count

    def _look(self, number: int, optimizer: Any, when: str, place: int) -> None:
        if self._rows >= MAX_ROWS or self._observer.sharded or self._torch._C._len_torch_dispatch_stack():
            return
        leaves = [leaf for group in optimizer.param_groups for leaf in group["params"]]
        if any(is_sharded(leaf) for leaf in leaves):
            self.on_sharded()
            return
        leaves = [leaf for leaf in leaves if leaf.is_floating_point() and leaf.numel() and not leaf.is_sparse]
        leaves = leaves[:: max(1, -(-len(leaves) // TENSORS))]
        self._rows += 1
        with self._observer.timed(), self._torch.no_grad():
            row = {"k": "replica", "rank": self.number, "opt": number, "when": when, "n": place}
            self._observer.write(
                {
                    **row,
                    "step": self._observer.steps,
                    "params": [self._observer.parameters.number(leaf) for leaf in leaves],
                    "shapes": [list(leaf.shape) for leaf in leaves],
                    "sums": [self._sum(leaf) for leaf in leaves],
                    "grads": [self._sum(leaf.grad) for leaf in leaves],
                }
            )

    def _sum(self, tensor: Any) -> Any:
        """One number that differs where the contents do."""
        if tensor is None or tensor.is_sparse or is_sharded(tensor):
            return None
        values = tensor.detach().reshape(-1)[:MAX_ELEMENTS].double()
        return values.square().sum() + values.sum()

    def on_optimizer(self, optimizer: Any) -> None:
        """An optimizer was built."""
        if any(is_sharded(leaf) for group in optimizer.param_groups for leaf in group["params"][:TENSORS]):
            self.on_sharded()

    def on_sharded(self) -> None:
        """Parameters are spread over ranks: to read one is a collective, and none is ours to call."""
        if not self._observer.sharded:
            self._observer.sharded = True
            self._observer.write({"k": "sharded", "rank": self.number})

    # -- what it is fed with ---------------------------------------------------------------------------------

    def on_pass(self, loader: Any) -> None:
        """A pass over a loader begins."""
        if self.world < 2:
            return
        self.after_moves()
        number = self._observer.loaders.number(loader)
        sampler = getattr(loader, "sampler", None)
        if number is None or sampler is None or not hasattr(sampler, "num_replicas"):
            return
        place = self._due.setdefault(("pass", number), [0, 0])
        place[0] += 1
        if place[0] <= PASSES:
            row = {"k": "pass", "rank": self.number, "loader": number, "pass": place[0]}
            facts = {"epoch": _whole(getattr(sampler, "epoch", None)), "replicas": _whole(sampler.num_replicas)}
            self._observer.write({**row, **facts, "shuffle": bool(getattr(sampler, "shuffle", False))})

    def on_graph(self, graph: Any, site: int | None, count: int) -> None:
        """A sampled loss is about to be backpropagated: which samples stand behind it."""
        if self.world < 2 or count >= BATCHES:
            return
        fingerprints = self._observer.batches.fingerprints
        inputs = self._observer.network.entered(graph)
        marks = [mark & MASK for value in inputs[:1] for mark in (fingerprints(value) or [])[:MAX_MARKS]]
        target = self._observer.batches.target()
        labels = (fingerprints(target) or [])[:MAX_MARKS] if target is not None and target.dim() else []
        row = {"k": "portion", "rank": self.number, "site": site, "n": count}
        self._observer.write({**row, "inputs": marks, "targets": [mark & MASK for mark in labels]})

    def on_flush(self, closing: bool) -> None:
        """Calls of wrappers, and exchanges, that have grown; the samples of first passes at the end."""
        if self.world < 2:
            return
        for wrapper in list(self._wrappers.values()):
            if wrapper.graded > wrapper.written and (closing or wrapper.graded >= wrapper.written * 1.5 + 1):
                wrapper.written = wrapper.graded
                row = {"k": "wrapper", "rank": self.number, "i": wrapper.number}
                self._observer.write({**row, "graded": wrapper.graded})
        total = sum(self._moves.values())
        if total > self._moved and (closing or total >= self._moved * 1.5 + 1):
            self._moved = total
            self._observer.write({"k": "moves", "rank": self.number, "counts": dict(self._moves)})
        for number, rows, seen, passes in self._observer.batches.first_passes() or ():
            if number not in self._shared and (closing or passes > 1) and rows:
                self._shared.add(number)
                sketch = sorted(mark & MASK for mark in rows)[:SKETCH]
                row = {"k": "share", "rank": self.number, "loader": number, "distinct": len(rows)}
                self._observer.write({**row, "rows": sketch, "seen": seen})
        if closing:
            self._pending = self._pending or "moves" in self._due
            self.after_moves()


def is_sharded(tensor: Any) -> bool:
    """Whether a tensor's values lie on several ranks (a DTensor)."""
    return hasattr(tensor, "to_local") and hasattr(tensor, "device_mesh")


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
