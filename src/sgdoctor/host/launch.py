"""Runs a script or module as `__main__` under observation, the way the interpreter itself would.

Started by path as `python launch.py CONFIG (SCRIPT | -m MODULE) [ARGS...]`, CONFIG being JSON: see `main`.
"""
# ruff: noqa: E402

from __future__ import annotations

import sys

LOADED_BY_PYTHON = frozenset(sys.modules)

import atexit
import importlib.machinery
import importlib.util
import json
import os
import signal
import types
from collections.abc import Callable
from typing import Any

PACKAGE = "_sgdoctor_host"


def main() -> None:
    """Read the configuration, become the script, and leave as it would have left."""
    config = json.loads(sys.argv[1])
    del sys.orig_argv[-len(sys.argv) : 2 - len(sys.argv)]
    module_wanted = sys.argv[2] == "-m"
    del sys.argv[: 3 if module_wanted else 2]
    become(config, module_wanted, atexit.register)


def become(config: dict[str, Any], module_wanted: bool, at_end: Callable[[Callable[[], None]], object]) -> None:
    """Run what `sys.argv` names, as `__main__`; `at_end` is given what closes the record."""
    target = sys.argv[0]
    spared = _strict if config.get("strict") or config.get("trial") else _spared  # a trial has files to protect
    handed = {**config, "script": target}  # what processes that it starts are observed by
    host = spared(_load_host)
    again = host.Rerun(config.pop("trial"), config["record"]) if config.get("trial") else None
    config.pop("script", None)
    observation = spared(lambda: host.Observation(config, again))
    spared(lambda: host.watch_workers(target, handed))
    spared(lambda: observation.watch_children(handed))
    spared(lambda: observation.start(script=target, argv=sys.argv[1:], python=sys.version.split()[0]))
    end: list[Any] = ["completed", 0]
    # Registered first, so run last: what threads and the script's own exit functions train is still seen.
    at_end(lambda: spared(lambda: observation.finish(*end)))
    try:
        if again is not None:
            again.prepare()
        _run_module(target) if module_wanted else _run_script(target, again)
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
        end[:] = "completed" if status == 0 else "exited", status
        raise
    except BaseException as error:
        end[:] = "raised", 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
        _peel(error)
        spared(lambda said: observation.raised(said), error)
        raise


def _strict(action: Callable[..., Any], *args: Any) -> Any:
    return action(*args)


def _spared(action: Callable[..., Any], *args: Any) -> Any:
    """What it returns; None where it fails: a script that cannot be observed is run all the same."""
    try:
        return action(*args)
    except Exception:
        return None


def watch_spawned(config: dict[str, Any]) -> None:
    """Called first in a process that `multiprocessing` spawns, see `children`."""
    _load_host().watch_spawned(config)


def _load_host() -> Any:
    """This package under a private name: the interpreter need not have sgdoctor installed."""
    if PACKAGE in sys.modules:  # a fork of a server that has it already
        return sys.modules[PACKAGE + ".attach"]
    folder = os.path.dirname(os.path.abspath(__file__))
    path = os.path.join(folder, "__init__.py")
    spec = importlib.util.spec_from_file_location(PACKAGE, path, submodule_search_locations=[folder])
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
    return importlib.import_module(PACKAGE + ".attach")


def _run_script(path: str, again: Any = None) -> None:
    """`python path`: sys.path[0] is the script's folder, `__main__` a real module that pickling can find."""
    if os.path.isdir(path) or path.endswith((".zip", ".pyz")):
        _replace_first_path(os.path.abspath(path))
        _run_module("__main__", alter_argv=False)
        return
    _replace_first_path(os.path.dirname(os.path.realpath(path)))
    source = again.text(path) if again is not None else None
    if source is None:
        with open(path, "rb") as file:
            source = file.read()
    path = os.path.join(os.getcwd(), path)  # as the interpreter has it, whatever sys.argv[0] says
    names = _fresh_main().__dict__
    names.update(__file__=path, __loader__=importlib.machinery.SourceFileLoader("__main__", path))
    exec(compile(source, path, "exec", dont_inherit=True), names)


def _run_module(name: str, alter_argv: bool = True) -> None:
    """`python -m name`."""
    if alter_argv:
        _replace_first_path(os.getcwd())
        sys.argv[0] = "-m"  # until the module is found
    _fresh_main()
    import runpy

    runpy._run_module_as_main(name, alter_argv=alter_argv)  # type: ignore[attr-defined]


def _fresh_main() -> Any:
    module = types.ModuleType("__main__")
    names: dict[str, Any] = {"__builtins__": sys.modules["builtins"], "__cached__": None}
    if sys.version_info < (3, 14):
        names["__annotations__"] = {}
    module.__dict__.update(names)
    sys.modules["__main__"] = module
    return module


def _replace_first_path(folder: str) -> None:
    # The interpreter put this file's folder there (unless told not to by -P or PYTHONSAFEPATH).
    if getattr(sys.flags, "safe_path", False):
        return
    sys.path[0] = folder
    _unload_shadowed(folder)


def _unload_shadowed(folder: str) -> None:
    """Forget modules that only we have imported, where the script has one of its own by that name: `signal.py`."""
    for name in set(sys.modules) - LOADED_BY_PYTHON:
        path = os.path.join(folder, name.partition(".")[0])
        if os.path.exists(path + ".py") or os.path.exists(os.path.join(path, "__init__.py")):
            del sys.modules[name]


def _peel(error: BaseException) -> None:
    """Take our entries off a traceback; Python 3.11 and later re-raise what is left."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_globals is globals():
        traceback = traceback.tb_next
    error.__traceback__ = traceback


def _peel_when_reported() -> None:
    """Python 3.10 puts our entries back: have them taken off once more, before the script's own excepthook."""
    hook = sys.excepthook

    def report(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
        _peel(error)
        sys.last_traceback = error.__traceback__
        hook(kind, error, error.__traceback__)

    sys.excepthook = report


if __name__ == "__main__":
    try:
        main()
    except BaseException as error:
        if sys.version_info < (3, 11) and hasattr(sys, "excepthook"):
            _peel_when_reported()
        # The last frame there is: with its entry gone, the interpreter reports what `python script.py` reports.
        _peel(error)
        raise
