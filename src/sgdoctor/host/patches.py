"""Every monkeypatch of torch. Each calls the original, keeps no state, and can be taken off again.

The wrappers leave no frame in a traceback (`frames.peel`), and none in a warning: their code carries the file name
`frames.OWN_FRAME`, see there.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from . import groups, upkeep
from .frames import peel, uncompiled, unseen
from .observer import Observer
from .probes.loss import WITH_TARGET, WITHOUT_TARGET

MODE_FUNCTIONS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
LISTINGS = ("parameters", "named_parameters", "_apply", "state_dict", "apply")  # a module that is trained is seen there
Wrapped = Callable[..., Any]


class Patches:
    """All patches of one observer."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._undo: list[Callable[[], None]] = []
        self._compiling: Callable[[], bool] = bool
        self._torch: Any = None

    def install(self, torch: Any) -> None:
        """Put every patch on."""
        self._compiling = torch.compiler.is_compiling
        self._torch = torch
        with self._observer.guard("uncompiled"):
            uncompiled(torch, self._observer.guarded("", bool).__code__, below=True)  # that of all events
        for patch in (
            self._losses,
            self._backward,
            self._grad,
            self._optimizers,
            self._steps,
            self._clipping,
            self._modules,
            self._dropout,
            self._batch_norm,
            self._schedulers,
            self._loaders,
            self._scalers,
            self._batches,
            self._compile,
        ):
            with self._observer.guard(patch.__name__):  # another version of torch may lack one of the places
                patch(torch)
        tools = upkeep.Tools(self._observer, self._after, self._put)
        upkeep.install(tools, torch)
        groups.install(tools, torch)

    def remove(self) -> None:
        """Take every patch off, last first."""
        while self._undo:
            self._undo.pop()()

    def _put(self, owner: Any, name: str, wrapper: Wrapped) -> None:
        original = owner.__dict__[name]
        placed = functools.wraps(original)(self._own(wrapper))
        placed.__prepare_scriptable__ = lambda: original  # type: ignore[attr-defined]  # what torch.jit.script is to read
        setattr(owner, name, placed)

        def undo() -> None:
            # Whoever wrapped it after us keeps their wrapper.
            if owner.__dict__.get(name) is placed:
                setattr(owner, name, original)

        self._undo.append(undo)

    def _own(self, wrapper: Wrapped) -> Wrapped:
        unseen(wrapper)
        with self._observer.guard("uncompiled"):
            uncompiled(self._torch, wrapper.__code__)
        return wrapper

    def _after(self, owner: Any, name: str, event: Wrapped, failure: Wrapped | None = None) -> None:
        """Have `event(frame, args, kwargs, result)` called when a function of torch has returned.

        `frame` is the one that called it. `failure(args, kwargs)`: when it has raised.
        """
        original, compiling = owner.__dict__[name], self._compiling
        returned = self._observer.guarded(name, event)
        raised = None if failure is None else self._observer.guarded(name, failure)
        inside = False  # some call themselves: train() for every child, loss functions under a mode

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            nonlocal inside
            if compiling():
                return original(*args, **kwargs)
            outermost, inside = not inside, True
            try:
                result = original(*args, **kwargs)
                if outermost:
                    returned(sys._getframe(1), args, kwargs, result)
                return result
            except BaseException as error:
                peel(error)
                if outermost and raised is not None and isinstance(error, Exception):
                    raised(args, kwargs)
                raise
            finally:
                if outermost:
                    inside = False

        self._put(owner, name, wrapper)

    # -- one function a place ----------------------------------------------------------------------------------

    def _losses(self, torch: Any) -> None:
        observer, functional = self._observer, torch.nn.functional
        for name in WITH_TARGET + WITHOUT_TARGET:
            original = functional.__dict__.get(name)
            if original is not None:
                called = functools.partial(observer.loss_called, name, original)
                self._after(functional, name, called, functools.partial(observer.loss_failed, name))

    def _backward(self, torch: Any) -> None:
        observer, original, compiling = self._observer, torch.autograd.backward, self._compiling
        begins = observer.guarded("backward", observer.backward_begins)
        ends = observer.guarded("backward", observer.backward_ends)

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if compiling():
                return original(*args, **kwargs)
            try:
                begun = begins("B", sys._getframe(1), args[0] if args else kwargs.get("tensors"))
                try:
                    if observer.stopping:
                        observer.stop()
                    return original(*args, **kwargs)
                finally:
                    ends(begun)
            except BaseException as error:
                peel(error)
                raise

        self._put(torch.autograd, "backward", wrapper)

    def _grad(self, torch: Any) -> None:
        observer, original, compiling = self._observer, torch.autograd.grad, self._compiling
        begins = observer.guarded("grad", observer.backward_begins)
        ends = observer.guarded("grad", observer.backward_ends)

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if compiling():
                return original(*args, **kwargs)
            try:
                if not _trains(args, kwargs):
                    return original(*args, **kwargs)
                begun = begins("g", sys._getframe(1), args[0] if args else kwargs.get("outputs"))
                try:
                    return original(*args, **kwargs)
                finally:
                    ends(begun)
            except BaseException as error:
                peel(error)
                raise

        self._put(torch.autograd, "grad", wrapper)

    def _optimizers(self, torch: Any) -> None:
        observer, base = self._observer, torch.optim.Optimizer
        self._after(base, "__init__", lambda frame, args, kwargs, result: observer.optimizer_built(frame, args[0]))
        self._after(base, "zero_grad", lambda frame, args, kwargs, result: observer.zero_grad(frame, args[0]))

    def _steps(self, torch: Any) -> None:
        observer, compiling = self._observer, self._compiling
        begins = observer.guarded("step", observer.step_begins)
        ends = observer.guarded("step", observer.step_ends)

        def before(optimizer: Any, args: Any, kwargs: Any) -> None:
            if not compiling():
                begins(optimizer, callable(_given(args, kwargs, 1, "closure")))

        def after(optimizer: Any, args: Any, kwargs: Any) -> None:
            if not compiling():
                ends(sys._getframe(1), optimizer)
                if observer.stopping:
                    observer.stop()

        from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

        self._undo.append(register_optimizer_step_pre_hook(self._own(before)).remove)
        self._undo.append(register_optimizer_step_post_hook(self._own(after)).remove)

    def _clipping(self, torch: Any) -> None:
        observer = self._observer

        def event(kind: str, frame: Any, args: Any, kwargs: Any, result: Any) -> None:
            parameters = _given(args, kwargs, 0, "parameters")
            # A generator can be read once only, and torch has read it.
            count = len(parameters) if isinstance(parameters, (list, tuple)) else -1
            limit = _given(args, kwargs, 1, "max_norm" if kind == "norm" else "clip_value")
            observer.clipped(frame, kind, count, limit, result)

        for owner in (torch.nn.utils.clip_grad, torch.nn.utils):
            self._after(owner, "clip_grad_norm_", functools.partial(event, "norm"))
            self._after(owner, "clip_grad_value_", functools.partial(event, "value"))

    def _modules(self, torch: Any) -> None:
        observer, module = self._observer, torch.nn.Module

        def switched(frame: Any, args: Any, kwargs: Any, result: Any) -> None:
            observer.switched(frame, args[0], bool(_given(args, kwargs, 1, "mode", True)))

        self._after(module, "train", switched)
        self._after(module, "zero_grad", lambda frame, args, kwargs, result: observer.module_zero_grad(frame, args[0]))
        for name in LISTINGS:
            self._after(module, name, lambda frame, args, kwargs, result: observer.module_seen(args[0]))

    def _compile(self, torch: Any) -> None:
        observer = self._observer
        # A compiler would take a hook of ours into the graph, or stop at it.
        for owner in (torch, torch.nn.Module):
            self._after(owner, "compile", lambda frame, args, kwargs, result: observer.compiles())

    def _dropout(self, torch: Any) -> None:
        observer = self._observer

        def event(frame: Any, args: Any, kwargs: Any, result: Any) -> None:
            if _given(args, kwargs, 1, "p", 0.5) > 0:
                given = _given(args, kwargs, 0, "input")
                trains = given.requires_grad
                active = bool(_given(args, kwargs, 2, "training", True))
                observer.mode_layer(frame, "dropout", active, None, trains)
                observer.dropout_ran(frame, _given(args, kwargs, 1, "p", 0.5), active, given, result)

        for name in MODE_FUNCTIONS:
            if hasattr(torch.nn.functional, name):
                self._after(torch.nn.functional, name, event)

    def _batch_norm(self, torch: Any) -> None:
        observer = self._observer

        def event(frame: Any, args: Any, kwargs: Any, result: Any) -> None:
            running = _given(args, kwargs, 1, "running_mean")
            weight = _given(args, kwargs, 3, "weight")
            training = bool(_given(args, kwargs, 5, "training", False))
            if running is not None or not training:
                trained = weight if weight is not None else _given(args, kwargs, 0, "input")
                owner = running if weight is None else weight
                observer.mode_layer(frame, "batch_norm", training, owner, trained.requires_grad)

        self._after(torch.nn.functional, "batch_norm", event)

    def _schedulers(self, torch: Any) -> None:
        observer = self._observer

        def event(frame: Any, args: Any, kwargs: Any, result: Any) -> None:
            if getattr(args[0], "last_epoch", 1) > 0:  # the step that the constructor takes is not the script's
                observer.scheduled(frame, args[0], _given(args, kwargs, 1, "metrics"))

        module = torch.optim.lr_scheduler
        for kind in list(vars(module).values()):
            if isinstance(kind, type) and kind.__module__ == module.__name__ and "step" in vars(kind):
                self._after(kind, "step", event)

    def _loaders(self, torch: Any) -> None:
        observer, loader = self._observer, torch.utils.data.DataLoader
        self._after(loader, "__iter__", lambda frame, args, kwargs, result: observer.loader_begins(frame, args[0]))

    def _scalers(self, torch: Any) -> None:
        observer = self._observer

        def event(frame: Any, args: Any, kwargs: Any, result: Any) -> None:
            observer.unscaled(frame, _given(args, kwargs, 1, "optimizer"))

        self._after(torch.amp.GradScaler, "unscale_", event)

    def _batches(self, torch: Any) -> None:
        observer, loading = self._observer, torch.utils.data.dataloader
        opened, loaded = observer.pass_begins, observer.batch_loaded
        self._after(loading.DataLoader, "__iter__", lambda frame, args, kwargs, result: opened(args[0], result))
        base = loading._BaseDataLoaderIter
        self._after(base, "__next__", lambda frame, args, kwargs, result: loaded(args[0], result))


def _given(args: tuple[Any, ...], kwargs: dict[str, Any], position: int, name: str, default: Any = None) -> Any:
    return args[position] if len(args) > position else kwargs.get(name, default)


def _trains(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call of autograd.grad asks for the gradients of parameters, and for them alone."""
    inputs = _given(args, kwargs, 1, "inputs", ())
    tensors = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    parameters = all(getattr(t, "is_leaf", False) and type(t).__name__ == "Parameter" for t in tensors)
    return bool(tensors) and parameters and not _given(args, kwargs, 4, "create_graph", False)
