"""Patches of what surrounds a training step: schedulers, checkpoints, mixed precision."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from .frames import peel


class Tools(NamedTuple):
    """What the patches of torch are put on with, see `patches`."""

    observer: Any
    after: Callable[..., None]
    put: Callable[..., None]


def install(patches: Tools, torch: Any) -> None:
    """Put them on; each part on its own, as another version of torch may lack a place."""
    for part in (_schedulers, _checkpoints, _autocast, _scalers, _resumes):
        with patches.observer.guard(part.__name__):
            part(patches, torch)


def _schedulers(patches: Tools, torch: Any) -> None:
    observer = patches.observer

    def built(frame: Any, args: Any, kwargs: Any, result: Any) -> None:
        observer.schedules.on_built(args[0], observer.sites.of_frame(frame))

    module = torch.optim.lr_scheduler
    for kind in ("LRScheduler", "SequentialLR", "ChainedScheduler", "ReduceLROnPlateau"):
        owner = getattr(module, kind, None)
        if owner is not None and "__init__" in vars(owner):
            patches.after(owner, "__init__", built)


def _checkpoints(patches: Tools, torch: Any) -> None:
    observer, module = patches.observer, torch.nn.Module

    def taken(frame: Any, args: Any, kwargs: Any, result: Any) -> None:
        if len(args) == 1 and kwargs.get("destination") is None:
            observer.checkpoints.on_taken(args[0], result, observer.sites.of_frame(frame))

    def loaded(frame: Any, args: Any, kwargs: Any, result: Any) -> None:
        state = args[1] if len(args) > 1 else kwargs.get("state_dict")
        strict = bool(args[2] if len(args) > 2 else kwargs.get("strict", True))
        assign = bool(args[3] if len(args) > 3 else kwargs.get("assign", False))
        observer.checkpoints.on_loaded(args[0], state, strict, assign, result, observer.sites.of_frame(frame))
        observer.resumes.on_loaded(state, result, observer.sites.of_frame(frame))

    def saved(frame: Any, args: Any, kwargs: Any, result: Any) -> None:
        observer.checkpoints.on_saved(args[0] if args else kwargs.get("obj"), observer.sites.of_frame(frame))
        observer.resumes.on_written(args[0] if args else kwargs.get("obj"), observer.sites.of_frame(frame))

    patches.after(module, "state_dict", taken)
    patches.after(module, "load_state_dict", loaded)
    patches.after(torch, "save", saved)


def _autocast(patches: Tools, torch: Any) -> None:
    observer = patches.observer

    def entered(frame: Any, args: Any, kwargs: Any, result: Any) -> None:
        observer.precision.on_autocast(args[0], observer.sites.of_frame(frame))

    patches.after(torch.amp.autocast_mode.autocast, "__enter__", entered)


def _scalers(patches: Tools, torch: Any) -> None:
    # Told before the call: the optimizer's step is inside the scaler's.
    for name, letter in (("scale", "s"), ("step", "p"), ("update", "d")):
        _before(patches, torch.amp.GradScaler, name, letter)


def _before(patches: Tools, owner: Any, name: str, letter: str) -> None:
    observer, original = patches.observer, owner.__dict__[name]

    def event(frame: Any, scaler: Any) -> None:
        observer.precision.on_scaler(letter, scaler, observer.sites.of_frame(frame))

    begins = observer.guarded(name, event)

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            begins(sys._getframe(1), args[0])
            return original(*args, **kwargs)
        except BaseException as error:
            peel(error)
            raise

    patches.put(owner, name, wrapper)


def _resumes(patches: Tools, torch: Any) -> None:
    observer = patches.observer

    def read(frame: Any, args: Any, kwargs: Any, result: Any) -> None:
        observer.resumes.on_read(result, observer.sites.of_frame(frame))
        observer.checkpoints.on_read(result)

    def restored(what: str) -> Any:
        return lambda frame, args, kwargs, result: observer.resumes.on_restored(
            what, args[0], observer.sites.of_frame(frame)
        )

    patches.after(torch, "load", read)
    patches.after(torch.optim.Optimizer, "load_state_dict", restored("optimizer"))
    for name in ("LRScheduler", "ReduceLROnPlateau"):
        owner = getattr(torch.optim.lr_scheduler, name, None)
        if owner is not None and "load_state_dict" in vars(owner):
            patches.after(owner, "load_state_dict", restored("scheduler"))
