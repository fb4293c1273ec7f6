"""Steps of optimizers, and of hand-written loops: what they moved, and whether the slope turned round."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from threading import get_ident
from typing import Any

from .windows import CLEAR

MAX_ELEMENTS = 4_000_000  # parameters copied for one sampled step
MAX_PARAMETERS = 96
MAX_OPTIMIZERS = 200  # described in one record


class Move:
    """One sampled step of a set of parameters: copies before it, the change, the slope along the change after it."""

    def __init__(self, torch: Any, leaves: list[Any]) -> None:
        self._torch = torch
        self.leaves: list[Any] = []
        total = 0
        step = max(1, -(-len(leaves) // MAX_PARAMETERS))
        for leaf in leaves[::step]:
            if total + leaf.numel() <= MAX_ELEMENTS and leaf.is_floating_point():
                total += leaf.numel()
                self.leaves.append(leaf)
        self._before = [leaf.detach().clone() for leaf in self.leaves]
        self._grads = [None if g is None or g.is_sparse else g.detach().clone() for g in (x.grad for x in self.leaves)]
        self._change: list[Any] = []
        self._later: list[Any] = []

    def end(self) -> dict[str, Any]:
        """After the step: norms of weight, gradient and change by parameter."""
        torch = self._torch
        self._change = torch._foreach_sub([leaf.detach() for leaf in self.leaves], self._before) if self.leaves else []
        grads = [g for g in self._grads if g is not None]
        norms = iter(torch._foreach_norm(grads) if grads else [])
        self._later = [weakref.ref(leaf) for leaf in self.leaves]  # the next gradient may never come
        self.leaves = []
        return {
            "weight": list(torch._foreach_norm(self._before)) if self._before else [],
            "change": list(torch._foreach_norm(self._change)) if self._change else [],
            "grad": [None if g is None else next(norms) for g in self._grads],
        }

    def turn(self) -> dict[str, Any] | None:
        """At the next gradient: the slope along the change before and after it, and how alike the gradients are."""
        pairs = [
            (old, leaf.grad.detach(), change)
            for old, leaf, change in zip(self._grads, (ref() for ref in self._later), self._change)
            if old is not None and leaf is not None and leaf.grad is not None and not leaf.grad.is_sparse
        ]
        if not pairs:
            return None
        return {
            "slope": sum((old * change).sum() for old, _, change in pairs),
            "slope_after": sum((new * change).sum() for _, new, change in pairs),
            "dot": sum((old * new).sum() for old, new, _ in pairs),
            "old": sum(old.square().sum() for old, _, _ in pairs),
            "new": sum(new.square().sum() for _, new, _ in pairs),
            "change": sum(change.square().sum() for _, _, change in pairs),
        }


class State:
    """What the observer keeps of one optimizer. Times are counts of backward passes."""

    def __init__(self, number: int, optimizer: Any, now: int, beat: Any) -> None:
        self.number = number
        self.beat = beat
        self.reference = weakref.ref(optimizer)
        # A gradient may be read only where its backward runs: that of another thread may be writing it just now.
        self.thread = get_ident()
        self.steps = 0
        self.stepped_at = now
        self.cleared_at = now  # or stepped: the gradients from before are used up
        self.dirty = False  # stepped, and not cleared since
        self.residual: Any = None  # norm of what was still in .grad when a backward began
        self.empty_steps = 0  # steps without any gradient at all
        self.cleared_steps = 0  # steps whose gradients were cleared after backward
        self.clear_site: int | None = None
        self.written = 0
        self.move: Move | None = None
        self.rates: list[float] = []
        self.rates_due = 0  # the step at which they are looked at next, whatever the budget says: they cost nothing

    def leaves(self) -> list[Any]:
        """The trained tensors the optimizer holds now."""
        optimizer = self.reference()
        return [] if optimizer is None else [leaf for group in optimizer.param_groups for leaf in group["params"]]


class Updates:
    """Rows `optimizer`, `steps`, `update`, `turn`, `stale`, `rate`; `free` for parameters no optimizer holds."""

    SIGNALS = ("optimizers", "updates", "curvature", "stale_gradients", "learning_rates", "free_parameters")

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._torch = observer.torch
        self._states: dict[int, State] = {}
        self._count = 0
        self.waiting = False  # whether some gradient may be stepped with twice, or some leaf is stepped by hand
        self._free = FreeParameters(observer, self.held)

    def on_optimizer(self, optimizer: Any, site: int | None) -> None:
        """An optimizer was built."""
        self._state(optimizer, site)

    def _state(self, optimizer: Any, site: int | None = None) -> State:
        state = self._states.get(id(optimizer))
        if state is None or state.reference() is not optimizer:
            state = self._new_state(optimizer, site)
        return state

    def _new_state(self, optimizer: Any, site: int | None) -> State:
        # Scripts that build an optimizer for every task must not fill the memory, nor the disk.
        for key, known in list(self._states.items()):
            if known.reference() is None:
                self._write_steps(self._states.pop(key))
        number = self._count if self._count < MAX_OPTIMIZERS else -1
        beat = self._observer.sampler.beat(("step", number))
        state = self._states[id(optimizer)] = State(number, optimizer, self._observer.backwards, beat)
        if state.number >= 0:
            self._count += 1
            self._observer.write({"k": "optimizer", "i": state.number, "site": site, **self._describe(optimizer)})
        return state

    def number(self, optimizer: Any) -> int:
        """The number of an optimizer in the record, -1 beyond MAX_OPTIMIZERS."""
        return self._state(optimizer).number

    def _describe(self, optimizer: Any) -> dict[str, Any]:
        number = self._observer.parameters.number
        groups = []
        for group in optimizer.param_groups:
            plain: dict[str, Any] = {
                k: v for k, v in group.items() if k != "params" and isinstance(v, (int, float, bool, tuple))
            }
            plain["params"] = [number(leaf) for leaf in group["params"][:2000]]
            plain["elements"] = sum(leaf.numel() for leaf in group["params"])
            groups.append(plain)
        return {"class": type(optimizer).__name__, "groups": groups}

    def held(self) -> set[int]:
        """ids of all tensors that some living optimizer holds."""
        return {id(leaf) for state in list(self._states.values()) for leaf in state.leaves()}

    # -- events ----------------------------------------------------------------------------------------------

    def on_zero_grad(self, optimizer: Any, site: int | None) -> int:
        """optimizer.zero_grad(); the number of the optimizer."""
        state = self._states.get(id(optimizer))
        if state is None or state.reference() is not optimizer:
            state = self._new_state(optimizer, None)
        self._clear(state, site)
        return state.number

    def on_module_zero_grad(self, module: Any, site: int | None) -> None:
        """module.zero_grad(): clears every optimizer that holds nothing outside the module."""
        inside = {id(leaf) for leaf in module.parameters()}
        for state in list(self._states.values()):
            leaves = state.leaves()
            if leaves and all(id(leaf) in inside for leaf in leaves):
                self._clear(state, site)

    def _clear(self, state: State, site: int | None) -> None:
        state.dirty = False
        state.residual = None
        if len(self._states) == 1:  # of several, the next backward pass finds out
            self.waiting = self._free.watching
        self._observer.windows.log.append((CLEAR, site, state.number))
        if self._observer.backwards > state.cleared_at:
            state.cleared_at = self._observer.backwards
            state.clear_site = site

    def before_backward(self, adds: bool = True) -> None:
        """A backward begins: is the gradient that was already stepped with still there?

        `adds`: what it gives is added to what is there. autograd.grad only hands its gradients over, and a script that
        puts them in place of the old ones has nothing to clear.
        """
        thread = get_ident()
        for state in list(self._states.values()) if adds else ():
            if not state.dirty or state.thread != thread:
                continue
            leaves = state.leaves()
            if all(leaf.grad is None for leaf in leaves):
                state.dirty = False
            elif state.residual is None and self._observer.look_due(("stale", state.number)):
                with self._observer.timed(), self._torch.no_grad():
                    dense = [g.detach() for g in (leaf.grad for leaf in leaves) if g is not None and not g.is_sparse]
                    state.residual = sum(norm.float() for norm in self._torch._foreach_norm(dense)) if dense else None
        self._free.before_backward()
        self.waiting = self._free.watching or any(state.dirty for state in list(self._states.values()))

    def on_graph(self, graph: Any, site: int | None, count: int) -> None:
        """Parameters of a sampled graph that no optimizer holds."""
        held = self.held()
        self._free.watch([leaf for leaf in graph.leaves if id(leaf) not in held], site)
        self.waiting = self.waiting or self._free.watching

    def after_backward(self, graph: Any, site: int | None, count: int) -> None:
        """Gradients of a sampled graph are there."""
        self._free.after_backward()

    def before_step(self, optimizer: Any, closure: bool) -> None:
        """optimizer.step() begins."""
        state = self._states.get(id(optimizer))
        if state is None or state.reference() is not optimizer:
            state = self._new_state(optimizer, None)
        backwards = self._observer.backwards
        backed = backwards > state.stepped_at
        if backed and not closure and backwards == state.cleared_at:
            state.cleared_steps += 1
        if state.steps >= state.rates_due:
            state.rates_due = state.steps + 1 + state.steps // 32
            self._rates(state, optimizer)
        sample = self._observer.looks(state.beat) and not self._observer.sharded
        follow, state.move = state.move, None
        if not sample and follow is None and state.steps >= 3:
            return
        with self._observer.timed(), self._torch.no_grad():
            leaves = state.leaves()
            if not closure and backed and all(leaf.grad is None for leaf in leaves):
                state.empty_steps += 1
            turn = follow.turn() if follow is not None and not closure else None
            if turn is not None:
                self._observer.write(
                    {"k": "turn", "opt": state.number, "n": state.steps, "step": self._observer.steps, **turn}
                )
            if sample:
                state.move = Move(self._torch, leaves)
                self._rates(state, optimizer)

    def after_step(self, optimizer: Any) -> int:
        """optimizer.step() ended; the number of the optimizer."""
        state = self._states.get(id(optimizer))
        if state is None or state.reference() is not optimizer:
            state = self._new_state(optimizer, None)
        if state.move is not None:
            with self._observer.timed(), self._torch.no_grad():
                self._write_update(state, state.move)
        if state.residual is not None:
            self._observer.write({"k": "stale", "opt": state.number, "n": state.steps, "norm": state.residual})
            state.residual = None
        state.steps += 1
        state.thread = get_ident()
        state.dirty = self.waiting = True
        state.stepped_at = state.cleared_at = self._observer.backwards
        return state.number

    def _write_update(self, state: State, move: Move) -> None:
        row = {
            "k": "update",
            "opt": state.number,
            "n": state.steps,
            "step": self._observer.steps,
            "params": [self._observer.parameters.number(leaf) for leaf in move.leaves],
            **move.end(),
        }
        self._observer.write(row)

    def _rates(self, state: State, optimizer: Any) -> None:
        rates = [float(group.get("lr", 0.0)) for group in optimizer.param_groups]
        if rates != state.rates:
            state.rates = rates
            self._observer.write({"k": "rate", "opt": state.number, "n": state.steps, "lr": rates})

    def _write_steps(self, state: State) -> None:
        state.written = state.steps
        if state.number < 0:
            return
        counts = {"n": state.steps, "empty": state.empty_steps, "cleared": state.cleared_steps}
        self._observer.write({"k": "steps", "opt": state.number, **counts, "clear_site": state.clear_site})

    def on_flush(self, closing: bool) -> None:
        """Counters, when they have grown enough to be worth a row."""
        for state in list(self._states.values()):
            if closing or state.steps >= state.written * 1.2 + 1:
                self._write_steps(state)
        self._free.on_flush(closing)


class FreeParameters:
    """Leaves that receive gradient and that no optimizer holds: stepped by hand, or forgotten."""

    def __init__(self, observer: Any, held: Callable[[], set[int]]) -> None:
        self._observer = observer
        self._torch = observer.torch
        self._held = held
        self._leaves: list[Any] = []  # weak references: the tensors may be most of the script's memory
        self._numbers: list[int] = []
        self._versions: list[int] = []
        self._move: Move | None = None
        self._thread = 0
        self._steps = 0
        self._written = 0
        self._backwards = 0
        self._site: int | None = None

    @property
    def watching(self) -> bool:
        """Whether there are any."""
        return bool(self._leaves)

    def _alive(self) -> list[Any]:
        return [leaf for reference in self._leaves if (leaf := reference()) is not None]

    def watch(self, leaves: list[Any], site: int | None) -> None:
        """These are the free leaves of the latest sampled graph."""
        leaves = leaves[:MAX_PARAMETERS]
        if not leaves and not self._leaves:
            return
        if [id(leaf) for leaf in leaves] != [id(leaf) for leaf in self._alive()]:
            self._leaves = [weakref.ref(leaf) for leaf in leaves]
            self._numbers = [self._observer.parameters.number(leaf) for leaf in leaves]
            self._versions = [leaf._version for leaf in leaves]
            self._move = None
            self._thread = get_ident()
            self._site = site

    def before_backward(self) -> None:
        """Were they changed in place since the last backward?"""
        if not self._leaves or self._thread != get_ident():
            return
        self._backwards += 1
        leaves = self._alive()
        versions = [leaf._version for leaf in leaves]
        if versions == self._versions or len(leaves) < len(self._leaves):
            return
        self._versions = versions
        held = self._held()
        if any(id(leaf) in held for leaf in leaves):  # an optimizer has taken them up since
            self.watch([leaf for leaf in leaves if id(leaf) not in held], self._site)
            return
        self._observer.count_step()
        self._steps += 1
        move, self._move = self._move, None
        sample = self._observer.look_due(("stale", "free"))
        if move is None and not sample:
            return
        with self._observer.timed(), self._torch.no_grad():
            if move is not None:
                row = {"k": "update", "opt": None, "n": self._steps, "step": self._observer.steps}
                numbers = [self._observer.parameters.number(leaf) for leaf in move.leaves]
                self._observer.write({**row, "params": numbers, **move.end()})
            if sample:
                grads = [leaf.grad.detach() for leaf in leaves if leaf.grad is not None and not leaf.grad.is_sparse]
                norm = sum(n.float() for n in self._torch._foreach_norm(grads)) if grads else 0.0
                self._observer.write({"k": "stale", "opt": None, "n": self._steps, "norm": norm})

    def after_backward(self) -> None:
        """Their gradients are there: copy them to see the hand-written step."""
        if self._leaves and self._thread == get_ident():
            with self._torch.no_grad():
                self._move = Move(self._torch, self._alive())

    def on_flush(self, closing: bool) -> None:
        """How many hand-written steps were seen."""
        if self._backwards and (closing or self._steps >= self._written * 1.2 + 1):
            self._written = self._steps
            counts = {"steps": self._steps, "backwards": self._backwards, "site": self._site}
            self._observer.write({"k": "free", **counts, "params": self._numbers})
