"""The hunt for the operation in which the first NaN or infinity is born, forward or backward, that does harm.

Every operation is looked at (this is a re-run, which may be slow). Infinities are followed, not reported: only what a
loss, a gradient or a weight that is not finite descends from is an origin.
"""

from __future__ import annotations

import sys
from typing import Any

from ..graph import Graph
from .intervention import Intervention
from .lineage import Lineage, Origin, describe, mask_like, state_of

MAX_INPUTS = 4  # arguments described in the row
MAX_NODES = 200_000  # forward operations of one step whose lines are remembered
# They hand on what memory happens to hold, or nothing of their arguments.
BLANK = ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "zeros_like", "ones_like", "resize_")


class Anomaly(Intervention):
    """From the import of torch to the first step, and again from step `start` on, every operation is looked at.

    The first stretch is there for data that is prepared (a division by a standard deviation of 0). One `origin` row is
    written, and the run ends.
    """

    def __init__(self, observer: Any, name: str, *, start: int = 0) -> None:
        super().__init__(observer, name)
        self._start = start
        self._steps = self._batches = 0
        self._mode: Any = None
        self._stack: list[Any] = []
        self._scaled = False
        self.hunt = Hunt(self)

    def install(self) -> None:
        self._never_compile()
        self._watch_modules()
        self._watch_backward()
        self._watch_scaler()
        self.watch_steps()
        self._enter()
        self._undo.append(self._leave)

    def _never_compile(self) -> None:
        """Inside a compiled graph operations have no lines."""
        import os

        os.environ["TORCHDYNAMO_DISABLE"] = "1"
        compile_, torch = self.torch.compile, self.torch

        def wrapper(model: Any = None, **kwargs: Any) -> Any:
            return (lambda inner: inner) if model is None else model

        torch.compile = wrapper
        self._undo.append(lambda: setattr(torch, "compile", compile_))

    def _enter(self) -> None:
        if self._mode is None:
            self._mode = _mode(self.torch, self.hunt)
            self._mode.__enter__()

    def _leave(self) -> None:
        mode, self._mode = self._mode, None
        if mode is not None:
            mode.__exit__(None, None, None)

    def _watch_modules(self) -> None:
        stack = self._stack
        original, torch = self.torch.nn.Module.__call__, self.torch

        def wrapper(module: Any, *args: Any, **kwargs: Any) -> Any:
            stack.append(module)
            try:
                return original(module, *args, **kwargs)
            finally:
                stack.pop()

        self.put(torch.nn.Module, "__call__", wrapper)

    def layer(self) -> str | None:
        """The path of the module whose forward runs, as the outermost one names it."""
        if len(self._stack) < 2:
            return None
        inner = self._stack[-1]
        return next((name for name, each in self._stack[0].named_modules() if each is inner), None)

    def _watch_backward(self) -> None:
        original, torch = self.torch.autograd.backward, self.torch

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            root = args[0] if args else kwargs.get("tensors")
            root = root[0] if isinstance(root, (list, tuple)) and len(root) == 1 else root
            single = isinstance(root, torch.Tensor) and root.grad_fn is not None
            leaves = Graph(root).leaves if single and self._mode is not None else []
            if single and not self._scaled:
                self._check(root, "loss")
            result = original(*args, **kwargs)
            for leaf in leaves if not self._scaled else ():
                if leaf.grad is not None:
                    self._check(leaf.grad, "gradient", leaf)
            self._batches += 1
            self.hunt.forget_nodes()
            return result

        self.put(torch.autograd, "backward", wrapper)

    def _watch_scaler(self) -> None:
        """A scaler lets its gradients overflow on purpose and skips the step: its losses and weights count."""
        scaler = self.torch.amp.GradScaler
        original = scaler.scale

        def wrapper(own: Any, outputs: Any) -> Any:
            if own.is_enabled():
                self._scaled = True
                if isinstance(outputs, self.torch.Tensor):
                    self._check(outputs, "loss")
            return original(own, outputs)

        self.put(scaler, "scale", wrapper)

    def after_step(self, optimizer: Any) -> None:
        if self._mode is not None:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    self._check(parameter, "parameter", parameter)
        self._steps += 1
        if self._steps >= self._start:
            self._enter()
        else:
            self._leave()

    def _check(self, tensor: Any, reached: str, parameter: Any = None) -> None:
        if self._mode is None or self.acted:
            return
        with self.hunt.pause():
            data = tensor.detach()
            if not state_of(self.torch, data):
                return
            origin = self.hunt.lineage.of(data)
        row: dict[str, Any] = {"k": "origin", "reached": reached, "step": self._steps, "batch": self._batches}
        row["parameter"] = self.observer.parameters.number(parameter) if parameter is not None else None
        if origin is None:
            row.update(phase="unknown", deliberate=False)
        else:
            row.update(origin.facts, deliberate=origin.deliberate)
        self.acted += 1
        self.observer.write(row)
        self.observer.stopping = True  # nothing after it would say more

    def now(self) -> tuple[int, int]:
        """(steps, backward passes) so far."""
        return self._steps, self._batches

    def closing(self) -> None:
        if not self.acted:
            self.reason = "every loss, gradient and weight that was looked at was finite"


class Hunt:
    """Looks at one operation after the other, and keeps what is not finite with its origin."""

    def __init__(self, owner: Anomaly) -> None:
        self._owner = owner
        self._torch = owner.torch
        self.lineage = Lineage(owner.torch)
        self._order = 0
        self._paused = False
        self._nodes: dict[int, tuple[int | None, str | None]] = {}  # sequence number -> (site, layer)

    def pause(self) -> Any:
        """No operation in the block is looked at."""
        return _Paused(self)

    def forget_nodes(self) -> None:
        """The graph of the step is gone."""
        if len(self._nodes) > MAX_NODES:
            self._nodes.clear()

    def operation(self, function: Any, args: Any, kwargs: Any) -> Any:
        """Called for each operation instead of it; its result."""
        if self._paused:
            return function(*args, **kwargs)
        node = self._torch._C._current_autograd_node()
        with self.pause():
            inputs = self._owner.tensors(args, kwargs)
            before = [(tensor, state_of(self._torch, tensor)) for tensor in inputs]
            written = _written(function, args, kwargs)
            ranges = [describe(self._torch, tensor) for tensor in inputs[:MAX_INPUTS]] if written else None
            place = self._place(node)
            blank = _name(function) in BLANK
            for tensor, state in before if not blank else ():
                if state and self.lineage.of(tensor) is None:
                    self._entered(function, tensor, state, place, node)
            sources = [self.lineage.of(tensor) for tensor, state in before if state]
            result = function(*args, **kwargs)
            if not blank:
                self._after(
                    function,
                    args,
                    kwargs,
                    before,
                    sources,
                    ranges,
                    [*written, *self._owner.tensors(result)],
                    node,
                    place,
                )
        return result

    def _after(
        self,
        function: Any,
        args: Any,
        kwargs: Any,
        before: Any,
        sources: Any,
        ranges: Any,
        outputs: Any,
        node: Any,
        place: Any,
    ) -> None:
        for output in outputs:
            state = state_of(self._torch, output)
            if not state:
                # A view that is finite shares the memory of what is not.
                if not any(output is tensor or _shares(output, tensor) for tensor, bad in before if bad):
                    self.lineage.drop(output)
                continue
            origin = self._ancestor(state, before, sources)
            if origin is None:
                given = ranges or [describe(self._torch, tensor) for tensor, _ in before[:MAX_INPUTS]]
                chosen = _infinite_argument(args, kwargs)
                origin = self._birth(function, output, state, place, node, given, chosen)
            self.lineage.put(output, origin)

    def _ancestor(self, state: str, before: Any, sources: Any) -> Origin | None:
        """The origin that an output inherits: a NaN is born anew of an infinity that was meant."""
        states = [bad for _, bad in before if bad]
        known = [(origin, bad) for origin, bad in zip(sources, states) if origin is not None]
        harmful = [origin for origin, bad in known if not origin.deliberate]
        if harmful:
            return min(harmful, key=lambda origin: origin.order)
        if state == "inf" and known:
            return known[0][0]
        carried = [origin for origin, bad in known if bad == "nan"]
        return carried[0] if carried else None

    def _entered(self, function: Any, tensor: Any, state: str, place: Any, node: Any) -> None:
        """A tensor that is not finite came from outside: from a file, from NumPy, from before the hunt."""
        facts = self._facts(function, tensor, state, place, node, [describe(self._torch, tensor)])
        facts["phase"] = "data"
        facts["leaf"] = bool(tensor.requires_grad and tensor.is_leaf)
        bad = ~self._torch.isfinite(tensor)
        facts["where"] = bad.nonzero()[0].tolist() if tensor.dim() else []
        self._order += 1
        self.lineage.put(tensor, Origin(self._order, facts, state == "inf" and mask_like(self._torch, tensor)))

    def _birth(
        self, function: Any, output: Any, state: str, place: Any, node: Any, inputs: list[Any], deliberate: bool
    ) -> Origin:
        self._order += 1
        return Origin(self._order, self._facts(function, output, state, place, node, inputs), deliberate)

    def _facts(
        self, function: Any, output: Any, state: str, place: Any, node: Any, inputs: list[Any]
    ) -> dict[str, Any]:
        steps, batches = self._owner.now()
        return {
            "op": _name(function),
            "node": None if node is None else node.name(),
            "phase": "backward" if node is not None else "forward",
            "site": place[0],
            "layer": place[1],
            "state": state,
            "bad": int((~self._torch.isfinite(output)).sum()),
            "of": output.numel(),
            "shape": list(output.shape),
            "dtype": str(output.dtype).replace("torch.", ""),
            "inputs": inputs,
            "born_step": steps,
            "born_batch": batches,
        }

    def _place(self, node: Any) -> tuple[int | None, str | None]:
        """(line, layer) of an operation: in backward those of the forward operation it belongs to."""
        if node is not None:
            known = self._nodes.get(node._sequence_nr())
            if known is not None:
                return known
        place = (self._owner.observer.sites.of_frame(sys._getframe(2)), self._owner.layer())
        if node is None:
            # The node of an operation is made before the operation runs, and took the number before the next.
            number = self._torch._C._autograd._get_sequence_nr() - 1
            self._nodes[number] = place
        return place


class _Paused:
    def __init__(self, hunt: Hunt) -> None:
        self._hunt = hunt
        self._was = False

    def __enter__(self) -> None:
        self._was, self._hunt._paused = self._hunt._paused, True

    def __exit__(self, *_: Any) -> None:
        self._hunt._paused = self._was


def _mode(torch: Any, hunt: Hunt) -> Any:
    from torch.utils._python_dispatch import TorchDispatchMode

    class Look(TorchDispatchMode):  # type: ignore[misc]
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return hunt.operation(function, args, kwargs or {})

    return Look()


def _name(function: Any) -> str:
    """`log` of aten.log.default."""
    return str(function.overloadpacket.__name__)


def _written(function: Any, args: Any, kwargs: Any) -> list[Any]:
    """The arguments that an operation changes in place."""
    found: list[Any] = []
    for position, argument in enumerate(function._schema.arguments):
        if argument.alias_info is None or not argument.alias_info.is_write:
            continue
        value = args[position] if position < len(args) else kwargs.get(argument.name)
        found += [each for each in (value if isinstance(value, (list, tuple)) else [value]) if hasattr(each, "dim")]
    return found


def _infinite_argument(args: Any, kwargs: Any) -> bool:
    """Whether the script itself gives an infinity or NaN as a number."""
    values = [*args, *kwargs.values()]
    return any(isinstance(value, float) and value - value != 0 for value in values)


def _shares(one: Any, other: Any) -> bool:
    try:
        return bool(one.untyped_storage()._cdata == other.untyped_storage()._cdata)
    except (RuntimeError, NotImplementedError):
        return False


INTERVENTION = Anomaly
