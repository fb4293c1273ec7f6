"""Patches of torch.distributed: groups, wrappers, and what ranks exchange. No call of ours is ever added."""

from __future__ import annotations

from typing import Any

from .probes.ranks import MOVES, STAGES
from .upkeep import Tools


def install(patches: Tools, torch: Any) -> None:
    """Put them on; each part on its own, as another version of torch may lack a place."""
    if not torch.distributed.is_available():
        return
    for part in (_group, _moves, _wrapper):
        with patches.observer.guard(part.__name__):
            part(patches, torch)


def _group(patches: Tools, torch: Any) -> None:
    observer = patches.observer
    for owner in (torch.distributed.distributed_c10d, torch.distributed):
        patches.after(owner, "init_process_group", lambda frame, args, kwargs, result: observer.ranks.on_group())


def _moves(patches: Tools, torch: Any) -> None:
    observer, distributed = patches.observer, torch.distributed

    def moved(name: str) -> Any:
        def event(frame: Any, args: Any, kwargs: Any, result: Any) -> None:
            observer.ranks.on_move(name, args[0] if args else kwargs.get("tensor"))

        return event

    for name in MOVES + STAGES:
        if name in vars(distributed):
            patches.after(distributed, name, moved(name))


def _wrapper(patches: Tools, torch: Any) -> None:
    observer, owner = patches.observer, torch.nn.parallel.DistributedDataParallel

    def wrapped(frame: Any, args: Any, kwargs: Any, result: Any) -> None:
        observer.ranks.on_wrapped(args[0], observer.sites.of_frame(frame))

    patches.after(owner, "__init__", wrapped)
    patches.after(owner, "forward", lambda frame, args, kwargs, result: observer.ranks.on_wrapper_called(args[0]))
