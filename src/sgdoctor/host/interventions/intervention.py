"""What an intervention is, and the places of torch where it may act: module calls, loss calls, steps, loaders."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..frames import unseen
from ..probes.loss import WITH_TARGET


class Depth(threading.local):
    """How deep one thread is inside calls of modules, and whether inside a module that is a loss."""

    modules = 0
    losses = 0


class Intervention:
    """One change of a run. It acts from the import of torch to the end, and leaves one `intervention` row.

    It draws nothing from the global generators, so that a run under it and the run as it is see the same numbers.
    `acted`: how often it changed something. `reason`: why it cannot act on this script, empty while it can.
    """

    def __init__(self, observer: Any, name: str) -> None:
        self.observer = observer
        self.torch = observer.torch
        self.name = name
        self.acted = 0
        self.reason = ""
        self._undo: list[Callable[[], None]] = []
        self._depth = Depth()

    # -- to be overridden --------------------------------------------------------------------------------------

    def install(self) -> None:
        """Put it on."""

    def on_entry(self, module: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Data enters a module with parameters, called by the script itself with gradients on."""
        return args, kwargs

    def on_entered(self, module: Any, args: Any, kwargs: Any, result: Any) -> None:
        """That call returned."""

    def on_target(self, name: str, output: Any, target: Any) -> Any:
        """The target of a loss of an output that needs gradient; what is returned takes its place."""
        return target

    def on_loss(self, name: str, compute: Callable[..., Any], output: Any, target: Any, result: Any) -> None:
        """That loss was computed; `compute(output)` does so again."""

    def before_step(self, optimizer: Any) -> None:
        """optimizer.step() begins."""

    def after_step(self, optimizer: Any) -> None:
        """optimizer.step() ended."""

    def closing(self) -> None:
        """The run ends: what is known only now is written, or `reason` set."""

    # -- life --------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Write what was done, and take everything off."""
        self.closing()
        while self._undo:
            self._undo.pop()()
        row = {"k": "intervention", "name": self.name, "acted": self.acted, "possible": not self.reason}
        self.observer.write({**row, "reason": self.reason or None})

    def put(self, owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
        """Have `wrapper` stand for `owner.name` until the end."""
        inherited = name not in vars(owner)
        original = None if inherited else vars(owner)[name]
        setattr(owner, name, wrapper)
        self._undo.append(lambda: delattr(owner, name) if inherited else setattr(owner, name, original))

    @contextmanager
    def aside(self) -> Iterator[None]:
        """For passes of our own: the observer looks away, and the generators are left as they were."""
        active, self.observer.active = self.observer.active, False
        depth, self._depth.modules = self._depth.modules, 1
        cpu = self.torch.get_rng_state()
        cuda = self.torch.cuda.get_rng_state_all() if self.torch.cuda.is_initialized() else None
        try:
            yield
        finally:
            self.torch.set_rng_state(cpu)
            if cuda is not None:
                self.torch.cuda.set_rng_state_all(cuda)
            self._depth.modules = depth
            self.observer.active = active

    def tensors(self, *trees: Any) -> list[Any]:
        """All tensors in arguments, in their order."""
        leaves = self.torch.utils._pytree.tree_leaves(trees)
        return [leaf for leaf in leaves if isinstance(leaf, self.torch.Tensor)]

    def map_tensors(self, change: Callable[[Any], Any], tree: Any) -> Any:
        """The same arguments with `change` made of each tensor."""
        tensor = self.torch.Tensor
        return self.torch.utils._pytree.tree_map(lambda leaf: change(leaf) if isinstance(leaf, tensor) else leaf, tree)

    def _guarded(self, otherwise: Any, event: Callable[..., Any], *args: Any) -> Any:
        """An error of ours is no error of the script: the intervention then says that it cannot be made here."""
        try:
            return event(*args)
        except Exception as error:
            self.reason = self.reason or f"it failed: {type(error).__name__}: {error}"[:300]
            return otherwise

    # -- where it may act ----------------------------------------------------------------------------------------

    def watch_calls(self) -> None:
        """Send `on_entry` and `on_entered`; and `on_target` for loss modules of the script's own."""
        original, depth, torch = self.torch.nn.Module.__call__, self._depth, self.torch

        def wrapper(module: Any, *args: Any, **kwargs: Any) -> Any:
            if depth.modules or not torch.is_grad_enabled() or torch.compiler.is_compiling():
                return _deeper(depth, original, module, args, kwargs)
            tensors = self.tensors(args, kwargs)
            derived = any(tensor.requires_grad for tensor in tensors)
            if not derived and tensors and next(module.parameters(), None) is not None:
                args, kwargs = self._guarded((args, kwargs), self.on_entry, module, args, kwargs)
                result = _deeper(depth, original, module, args, kwargs)
                self._guarded(None, self.on_entered, module, args, kwargs, result)
                return result
            own = not type(module).__module__.startswith("torch.")  # torch's call its loss functions, watched there
            if own and derived and len(tensors) == 2 and next(module.parameters(), None) is None:
                args, kwargs = self._retarget(module, args, kwargs)
                depth.losses += 1
                try:
                    return _deeper(depth, original, module, args, kwargs)
                finally:
                    depth.losses -= 1
            return _deeper(depth, original, module, args, kwargs)

        self.put(torch.nn.Module, "__call__", wrapper)

    def _retarget(self, module: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """A module without parameters that takes an output and a tensor without gradient: a loss."""
        output = next(tensor for tensor in self.tensors(args, kwargs) if tensor.requires_grad)

        def change(tensor: Any) -> Any:
            same = not tensor.requires_grad and tensor.shape[:1] == output.shape[:1]
            return self._guarded(tensor, self.on_target, type(module).__name__, output, tensor) if same else tensor

        return self.map_tensors(change, args), self.map_tensors(change, kwargs)

    def watch_losses(self) -> None:
        """Send `on_target` and `on_loss` for torch's loss functions."""
        for name in WITH_TARGET:
            if name in self.torch.nn.functional.__dict__:
                self._watch_loss(name)

    def _watch_loss(self, name: str) -> None:
        torch, depth = self.torch, self._depth
        original = torch.nn.functional.__dict__[name]
        inside = False

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            nonlocal inside
            output, target = _given(args, kwargs)
            usable = isinstance(output, torch.Tensor) and isinstance(target, torch.Tensor) and output.requires_grad
            if inside or not usable or torch.compiler.is_compiling():
                return original(*args, **kwargs)
            if not depth.losses:  # else the script's own loss module has been given another target already
                target = self._guarded(target, self.on_target, name, output, target)
            again, named = _with(args, kwargs, output, target)
            inside = True
            try:
                result = original(*again, **named)
            finally:
                inside = False

            def compute(other: Any) -> Any:
                again, named = _with(args, kwargs, other, target)
                return original(*again, **named)

            self._guarded(None, self.on_loss, name, compute, output, target, result)
            return result

        self.put(torch.nn.functional, name, wrapper)

    def watch_steps(self) -> None:
        """Send `before_step` and `after_step`."""
        from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

        def before(optimizer: Any, args: Any, kwargs: Any) -> None:
            self.before_step(optimizer)

        def after(optimizer: Any, args: Any, kwargs: Any) -> None:
            self.after_step(optimizer)

        self._undo.append(register_optimizer_step_pre_hook(unseen(before)).remove)
        self._undo.append(register_optimizer_step_post_hook(unseen(after)).remove)


def _deeper(depth: Depth, original: Any, module: Any, args: Any, kwargs: Any) -> Any:
    depth.modules += 1
    try:
        return original(module, *args, **kwargs)
    finally:
        depth.modules -= 1


def _given(args: Any, kwargs: Any) -> tuple[Any, Any]:
    output = args[0] if args else kwargs.get("input")
    return output, args[1] if len(args) > 1 else kwargs.get("target", kwargs.get("label"))


def _with(args: Any, kwargs: Any, output: Any, target: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments with another output and target in their places."""
    named = dict(kwargs)
    given = list(args)
    for position, value in enumerate((output, target)):
        if len(given) > position:
            given[position] = value
        else:
            named["input" if position == 0 else "label" if "label" in named else "target"] = value
    return tuple(given), named
