"""Every monkeypatch of torch. Each calls the original, keeps no state, and can be taken off again.

The wrappers' code carries the file name `sites.OWN_FRAME`: see there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .observer import Observer, Stop
from .probes.loss import WITH_TARGET, WITHOUT_TARGET
from .sites import OWN_FRAME

MODE_FUNCTIONS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")


class Patches:
    """All patches of one observer."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._undo: list[Callable[[], None]] = []

    def install(self, torch: Any) -> None:
        """Put every patch on."""
        self._losses(torch)
        self._backward(torch)
        self._optimizers(torch)
        self._clipping(torch)
        self._modules(torch)
        self._mode_layers(torch)
        self._schedulers(torch)
        self._loaders(torch)
        self._scalers(torch)

    def remove(self) -> None:
        """Take every patch off, last first."""
        while self._undo:
            self._undo.pop()()

    def _wrap(self, owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        original = owner.__dict__[name] if isinstance(owner, type) else getattr(owner, name)
        wrapper = functools.wraps(original)(_unseen(make(original)))
        setattr(owner, name, wrapper)

        def undo() -> None:
            # Whoever wrapped it after us keeps their wrapper.
            if getattr(owner, "__dict__", {}).get(name) is wrapper:
                setattr(owner, name, original)

        self._undo.append(undo)

    # -- one function a place ----------------------------------------------------------------------------------

    def _losses(self, torch: Any) -> None:
        observer, compiling = self._observer, _compiling(torch)

        def make(name: str) -> Callable[[Any], Any]:
            def around(original: Any) -> Any:
                def wrapper(*args: Any, **kwargs: Any) -> Any:
                    if compiling() or not observer.active:
                        return original(*args, **kwargs)
                    observer.handle("loss_enter", name, args, kwargs)
                    result = original(*args, **kwargs)
                    observer.handle("loss_called", name, original, args, kwargs, result)
                    return result

                wrapper.__prepare_scriptable__ = lambda: original  # type: ignore[attr-defined]
                return wrapper

            return around

        for name in WITH_TARGET + WITHOUT_TARGET:
            if hasattr(torch.nn.functional, name):
                self._wrap(torch.nn.functional, name, make(name))

    def _backward(self, torch: Any) -> None:
        observer = self._observer

        def around(original: Any) -> Any:
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                if not observer.active:
                    return original(*args, **kwargs)
                if observer.stop_due():
                    raise Stop
                begun = observer.handle("backward_begins", args[0] if args else kwargs.get("tensors"), "backward")
                try:
                    return original(*args, **kwargs)
                finally:
                    observer.handle("backward_ends", begun)

            return wrapper

        def around_grad(original: Any) -> Any:
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                inputs = args[1] if len(args) > 1 else kwargs.get("inputs", ())
                if not observer.active or kwargs.get("create_graph") or not _all_leaves(inputs):
                    return original(*args, **kwargs)
                begun = observer.handle("backward_begins", args[0] if args else kwargs.get("outputs"), "grad")
                try:
                    return original(*args, **kwargs)
                finally:
                    observer.handle("backward_ends", begun)

            return wrapper

        self._wrap(torch.autograd, "backward", around)
        self._wrap(torch.autograd, "grad", around_grad)

    def _optimizers(self, torch: Any) -> None:
        observer = self._observer
        base = torch.optim.Optimizer

        def around_init(original: Any) -> Any:
            def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
                original(self, *args, **kwargs)
                observer.handle("optimizer_built", self)

            return wrapper

        def around_zero(original: Any) -> Any:
            def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
                observer.handle("zero_grad", self)
                return original(self, *args, **kwargs)

            return wrapper

        self._wrap(base, "__init__", around_init)
        self._wrap(base, "zero_grad", around_zero)

        def before(optimizer: Any, args: Any, kwargs: Any) -> None:
            closure = args[0] if args else kwargs.get("closure")
            observer.handle("step_begins", optimizer, callable(closure))

        def after(optimizer: Any, args: Any, kwargs: Any) -> None:
            observer.handle("step_ends", optimizer)
            if observer.active and observer.stop_due():
                raise Stop

        from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

        self._undo.append(register_optimizer_step_pre_hook(_unseen(before)).remove)
        self._undo.append(register_optimizer_step_post_hook(_unseen(after)).remove)

    def _clipping(self, torch: Any) -> None:
        observer = self._observer

        def around(original: Any) -> Any:
            kind = "norm" if "norm" in original.__name__ else "value"

            def wrapper(parameters: Any, *args: Any, **kwargs: Any) -> Any:
                # A generator can be read once only, and it is torch that must read it.
                count = len(parameters) if isinstance(parameters, (list, tuple)) else -1
                result = original(parameters, *args, **kwargs)
                limit = args[0] if args else kwargs.get("max_norm", kwargs.get("clip_value"))
                observer.handle("clipped", kind, count, limit, result)
                return result

            return wrapper

        for name in ("clip_grad_norm_", "clip_grad_value_"):
            self._wrap(torch.nn.utils.clip_grad, name, around)
            self._wrap(torch.nn.utils, name, around)

    def _modules(self, torch: Any) -> None:
        observer = self._observer
        module = torch.nn.Module
        switching = [False]  # train() calls itself for every child

        def around_train(original: Any) -> Any:
            def wrapper(self: Any, mode: bool = True) -> Any:
                if switching[0]:
                    return original(self, mode)
                observer.handle("switched", self, bool(mode))
                switching[0] = True
                try:
                    return original(self, mode)
                finally:
                    switching[0] = False

            return wrapper

        def around_zero(original: Any) -> Any:
            def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
                observer.handle("module_zero_grad", self)
                return original(self, *args, **kwargs)

            return wrapper

        def around_listing(original: Any) -> Any:
            def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
                observer.handle("module_seen", self)
                return original(self, *args, **kwargs)

            return wrapper

        self._wrap(module, "train", around_train)
        self._wrap(module, "zero_grad", around_zero)
        for name in ("parameters", "named_parameters", "_apply", "state_dict", "apply"):
            self._wrap(module, name, around_listing)

    def _mode_layers(self, torch: Any) -> None:
        observer, compiling = self._observer, _compiling(torch)
        functional = torch.nn.functional

        def around_dropout(original: Any) -> Any:
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                if not compiling() and observer.active:
                    data = args[0] if args else kwargs.get("input")
                    p = args[1] if len(args) > 1 else kwargs.get("p", 0.5)
                    training = args[2] if len(args) > 2 else kwargs.get("training", True)
                    if p > 0:
                        grad = torch.is_grad_enabled()
                        observer.handle("mode_layer", "dropout", bool(training), grad, data.requires_grad, True)
                return original(*args, **kwargs)

            wrapper.__prepare_scriptable__ = lambda: original  # type: ignore[attr-defined]
            return wrapper

        def around_norm(original: Any) -> Any:
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                if not compiling() and observer.active:
                    values = dict(zip(("input", "running_mean", "running_var", "weight", "bias", "training"), args))
                    values.update(kwargs)
                    running = values.get("running_mean")
                    weight = values.get("weight")
                    training = bool(values.get("training", False))
                    if running is not None or not training:
                        trains = weight.requires_grad if weight is not None else values["input"].requires_grad
                        observer.handle("mode_layer", "batch_norm", training, torch.is_grad_enabled(), trains, True)
                return original(*args, **kwargs)

            wrapper.__prepare_scriptable__ = lambda: original  # type: ignore[attr-defined]
            return wrapper

        for name in MODE_FUNCTIONS:
            if hasattr(functional, name):
                self._wrap(functional, name, around_dropout)
        self._wrap(functional, "batch_norm", around_norm)

    def _schedulers(self, torch: Any) -> None:
        observer = self._observer

        def around(original: Any) -> Any:
            def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
                result = original(self, *args, **kwargs)
                if getattr(self, "last_epoch", 1) > 0:  # the step that the constructor takes is not the script's
                    observer.handle("scheduled", self, args[0] if args else kwargs.get("metrics"))
                return result

            return wrapper

        scheduler = torch.optim.lr_scheduler
        for kind in list(vars(scheduler).values()):
            if isinstance(kind, type) and kind.__module__ == scheduler.__name__ and "step" in vars(kind):
                self._wrap(kind, "step", around)

    def _loaders(self, torch: Any) -> None:
        observer = self._observer

        def around(original: Any) -> Any:
            def wrapper(self: Any) -> Any:
                observer.handle("loader_begins", self)
                return original(self)

            return wrapper

        self._wrap(torch.utils.data.DataLoader, "__iter__", around)

    def _scalers(self, torch: Any) -> None:
        observer = self._observer

        def around(original: Any) -> Any:
            def wrapper(self: Any, optimizer: Any) -> Any:
                observer.handle("unscaled", optimizer)
                return original(self, optimizer)

            return wrapper

        self._wrap(torch.amp.GradScaler, "unscale_", around)


def _unseen(function: Callable[..., Any]) -> Callable[..., Any]:
    function.__code__ = function.__code__.replace(co_filename=OWN_FRAME)  # type: ignore[attr-defined]
    return function


def _compiling(torch: Any) -> Callable[[], bool]:
    compiler = getattr(torch, "compiler", None)
    return getattr(compiler, "is_compiling", lambda: False)


def _all_leaves(inputs: Any) -> bool:
    tensors = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    return bool(tensors) and all(getattr(t, "is_leaf", False) and type(t).__name__ == "Parameter" for t in tensors)
