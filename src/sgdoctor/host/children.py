"""Processes that a run starts to train in: ranks of torchrun, of torch.multiprocessing.spawn, of mp.Process.

Each of them is observed by an observer of its own, with a file of its own in the same record. Workers of loaders and
pools train nothing and are left alone. No environment is changed: the command line that starts such a process is.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from .frames import peel, unseen

LAUNCHER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "launch.py")
MAX_FILES = 256  # of one record: a script that starts a process for every sample is not to fill a disk
NOT_RANKS = ("torch.utils.data", "multiprocessing.", "concurrent.", "joblib.", "loky.")
PLAIN_FLAGS = frozenset(("-u", "-B", "-O", "-OO", "-E", "-s", "-S", "-I", "-P"))  # of an interpreter, without a value
ELASTIC = "torch.distributed.elastic.multiprocessing.subprocess_handler.subprocess_handler"
LAUNCH_MODULES = ("torch.distributed.run", "torch.distributed.launch", "torch.distributed.elastic")
LAUNCH_SCRIPTS = ("torchrun", "accelerate")


def launches_ranks(target: str) -> bool:
    """Whether what is run is a launcher, which starts the script's processes by command lines."""
    return target.startswith(LAUNCH_MODULES) or os.path.basename(target) in LAUNCH_SCRIPTS


def watch_launcher(module: Any, config: dict[str, Any]) -> None:
    """Have torchrun's workers started under observation: called with the module that starts them."""
    handler = module.SubprocessHandler
    original = handler.__dict__["_popen"]

    def start(self: Any, args: Sequence[str], env: dict[str, str]) -> Any:
        with suppress(Exception):
            args = observed_command(args, config)
        return original(self, args, env)

    handler._popen = functools.wraps(original)(start)


def observed_command(command: Sequence[str], config: dict[str, Any]) -> tuple[str, ...]:
    """The command line with the launcher between interpreter and script; as it is where it runs no script."""
    pythons = [i for i, part in enumerate(command) if os.path.basename(part).startswith("python")]
    if not pythons:
        return tuple(command)
    flags = pythons[0] + 1
    while flags < len(command) and command[flags] in PLAIN_FLAGS:
        flags += 1
    rest = tuple(command[flags:])
    module = rest[:1] == ("-m",)
    if not rest or (rest[0].startswith("-") and not module) or rest[:2] == ("-m", "sgdoctor"):
        return tuple(command)
    return (*command[:flags], LAUNCHER, json.dumps(config), *rest)


class Children:
    """Children of `multiprocessing`: forked ones carry this object with them, spawned ones make one."""

    def __init__(self, config: dict[str, Any], observation: Any, make: Callable[..., Any]) -> None:
        self._config = config
        self._observation = observation
        self._make = make
        self._undo: list[Callable[[], None]] = []

    def watch(self) -> None:
        """Patch what starts processes. `multiprocessing` is part of what torch imports."""
        import multiprocessing.process
        import multiprocessing.spawn

        self._put(multiprocessing.process.BaseProcess, "_bootstrap", self._bootstrapping)
        self._put(multiprocessing.spawn, "get_command_line", self._commanding)

    def remove(self) -> None:
        """Take the patches off."""
        while self._undo:
            self._undo.pop()()

    def _put(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        original = owner.__dict__[name]
        placed = functools.wraps(original)(unseen(make(original)))
        setattr(owner, name, placed)

        def undo() -> None:
            if owner.__dict__.get(name) is placed:
                setattr(owner, name, original)

        self._undo.append(undo)

    def _commanding(self, original: Any) -> Any:
        config = self._config

        def get_command_line(**kwds: Any) -> Any:
            command = original(**kwds)
            if command[-1:] == ["--multiprocessing-fork"] and command[-3:-2] == ["-c"]:
                begin = f"import runpy; runpy.run_path({LAUNCHER!r})['watch_spawned']({config!r}); "
                command = [*command[:-2], begin + command[-2], command[-1]]
            return command

        return get_command_line

    def _bootstrapping(self, original: Any) -> Any:
        children = self

        def _bootstrap(process: Any, *args: Any, **kwargs: Any) -> Any:
            if children._trains(process):
                with suppress(Exception):
                    children._adopt(process)
            return original(process, *args, **kwargs)

        return _bootstrap

    def _trains(self, process: Any) -> bool:
        """Whether it may be a rank: no worker of a loader or a pool."""
        target = getattr(process, "_target", None)
        home = str(getattr(target, "__module__", None) or type(process).__module__)
        if home.startswith(NOT_RANKS) or type(process).__module__.startswith("torch.utils.data"):
            return False
        with suppress(OSError):
            return len(os.listdir(self._config["record"])) < MAX_FILES
        return False

    def _adopt(self, process: Any) -> None:
        """In the child, before its work begins: an observer of its own."""
        if self._observation is not None:  # forked: what the parent had put on is still there, and sees nothing
            self._observation.take_off()
        config = {name: value for name, value in self._config.items() if name not in ("script", "trial")}
        observation = self._observation = self._make(config)
        observation.watch_children(self._config)
        observation.start(script=self._config.get("script"), argv=list(sys.argv[1:]), python=sys.version.split()[0])
        process.run = unseen(_running(process.run, observation))


def _running(run: Callable[[], Any], observation: Any) -> Callable[[], Any]:
    def running() -> Any:
        end: list[Any] = ["completed", 0]
        try:
            return run()
        except SystemExit as left:
            status = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
            end[:] = "completed" if status == 0 else "exited", status
            inner = left.__context__  # torch's spawn hands the exception to the parent, and leaves so
            if status and isinstance(inner, Exception):
                end[0] = "raised"
                observation.raised(inner)
            peel(left)
            raise
        except BaseException as error:
            end[:] = "raised", 1
            peel(error)
            observation.raised(error)
            raise
        finally:
            observation.finish(*end)

    return running
