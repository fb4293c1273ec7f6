"""Attaches an observer when torch is imported, and detaches it in forked children."""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import sys
import weakref
from collections.abc import Callable
from typing import Any

from .children import ELASTIC, Children, launches_ranks, watch_launcher
from .frames import peel, unseen
from .observer import Observer
from .trial import Rerun

__all__ = ["Observation", "Rerun", "watch_spawned", "watch_workers"]

_living: weakref.WeakSet[Observer] = weakref.WeakSet()


def _leave_to_parent() -> None:
    for observer in list(_living):
        observer.leave_to_parent()


os.register_at_fork(after_in_child=_leave_to_parent)  # once: what is registered there stays for ever


class Observation:
    """One observed process, from before torch is imported to its end.

    `config` holds `record` (a folder that exists), `cwd`, and what else `Observer` takes; `intervention`: what an
    experiment changes, see `interventions`. `again`: it is a trial.
    """

    def __init__(self, config: dict[str, Any], again: Rerun | None = None) -> None:
        config = dict(config)
        self._spec = config.pop("intervention", None)
        self._intervention: Any = None
        self.observer = Observer(**config)
        self._again = again
        self._patches: Any = None
        self._children: Children | None = None
        self._finder: _Finder | None = None
        _living.add(self.observer)

    def start(self, **facts: Any) -> None:
        """Open the record, and attach now or as soon as the script imports torch."""
        self.observer.start(**facts)
        torch = sys.modules.get("torch")
        if torch is not None and hasattr(torch, "optim"):
            self._attach(torch)
        else:
            self._finder = when_imported("torch", self._attach)

    def _attach(self, torch: Any) -> None:
        if self._again is not None:
            self._again.attach(torch)
        with self.observer.guard("attach"):
            from .patches import Patches

            self.observer.attach(torch)
            self._patches = Patches(self.observer)
            self._patches.install(torch)
            if self._children is not None:
                self._children.watch()
        if self._spec:
            self._intervene()

    def watch_children(self, config: dict[str, Any]) -> None:
        """Have processes that the script starts to train in observed as well, by such a configuration."""
        self._children = Children(config, self, Observation)

    def take_off(self) -> None:
        """Take every patch off."""
        for worn in (self._children, self._patches):
            if worn is not None:
                with self.observer.guard("remove"):
                    worn.remove()

    def _intervene(self) -> None:
        """Put on what an experiment asks for: outside the observer's own wrappers, which so see what it does."""
        from .interventions import make

        try:
            self._intervention = make(self.observer, self._spec)
            self._intervention.install()
        except Exception as error:
            name = str(self._spec.get("name")) if isinstance(self._spec, dict) else str(self._spec)
            reason = f"it cannot be made here: {type(error).__name__}: {error}"[:300]
            row = {"k": "intervention", "name": name, "acted": 0, "possible": False}
            self.observer.write({**row, "reason": reason})

    def raised(self, error: BaseException) -> None:
        """The script ended with an exception."""
        self.observer.guarded("raised", self.observer.raised)(error)

    def finish(self, how: str, status: int | None = 0) -> None:
        """Take everything off and close the record."""
        if self._finder is not None and self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        if self._intervention is not None and self.observer.active:
            with self.observer.guard("intervention"):
                self._intervention.finish()
        with self.observer.guard("close"):
            self.observer.close(how, status)
        self.take_off()


def watch_workers(target: str, config: dict[str, Any]) -> None:
    """What is run may be a launcher: its workers are then started under observation."""
    if launches_ranks(target):
        when_imported(ELASTIC, lambda module: watch_launcher(module, config))


def watch_spawned(config: dict[str, Any]) -> None:
    """In a process that `multiprocessing` has just spawned: observe it, once it is known what it is for."""
    if config.get("trial"):  # the script is imported before that is known
        again = Rerun(config["trial"], config["record"])
        again.prepare()
        again.replace_main()
        when_imported("torch", again.attach)
    Children(config, None, Observation).watch()


def when_imported(name: str, loaded: Callable[[Any], None]) -> _Finder:
    """Have `loaded(module)` called once the module of that name has been imported."""
    finder = _Finder(name, loaded)
    sys.meta_path.insert(0, finder)
    return finder


class _Finder(importlib.abc.MetaPathFinder):
    """Finds nothing itself: lets the others find a module, and has something run once it is loaded.

    Importing torch before the script would defeat a script that sets OMP_NUM_THREADS or CUDA_VISIBLE_DEVICES first.
    """

    def __init__(self, name: str, loaded: Any) -> None:
        self._name = name
        self._loaded = loaded

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != self._name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Announcing(spec.loader, self._loaded)
        return spec


class _Announcing(importlib.abc.Loader):
    """A loader that says when its module has been executed, and then is gone without a trace."""

    def __init__(self, loader: Any, loaded: Any) -> None:
        self._loader = loader
        self._loaded = loaded

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    @unseen
    def exec_module(self, module: Any) -> None:
        module.__spec__.loader = module.__loader__ = self._loader
        try:
            self._loader.exec_module(module)
        except BaseException as error:
            peel(error)
            raise
        self._loaded(module)
