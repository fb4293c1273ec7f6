"""A server that has imported torch once and forks a child for each trial: no trial waits for an import.

Started by path as `python zygote.py`. Requests come on standard input, one JSON object a line, with `id`, `config` (of
launch.py), `target`, `arguments`, `module`, `output` (a file for what the script prints) and `cwd`; `{"id", "pid"}` is
answered when the child is there, `{"id", "status"}` when it has ended.
"""

from __future__ import annotations

import sys

sys.path.insert(1, sys.path[0])  # ours: the first is taken by the script's folder

import ctypes
import gc
import json
import os
import select
import signal
import threading
from contextlib import suppress
from importlib import import_module
from typing import Any

PARENT_DIES = 1  # PR_SET_PDEATHSIG
POLL_SECONDS = 0.01
launch: Any = import_module("launch")  # found by its path: this file is started, not imported


def serve() -> None:
    """Fork a child for each request, and say how each ended, until standard input ends."""
    import torch
    import torch._dynamo  # the first optimizer would: half of a fresh process's start

    launch._load_host()
    launch.LOADED_BY_PYTHON = frozenset(sys.modules)
    del sys.path[1]
    gc.collect()
    gc.freeze()  # what is here stays shared with the children
    children: dict[int, int] = {}
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    pending = b""
    print(json.dumps({"ready": torch.__version__}), file=answers)
    while True:
        readable, _, _ = select.select([0], [], [], POLL_SECONDS if children else None)
        if readable:
            chunk = os.read(0, 1 << 20)
            if not chunk:
                break
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                request = json.loads(line)
                pid = _fork(request)
                children[pid] = request["id"]
                print(json.dumps({"id": request["id"], "pid": pid}), file=answers)
        for pid in list(children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                print(json.dumps({"id": children.pop(pid), "status": code if code >= 0 else 128 - code}), file=answers)
    for pid in children:
        os.killpg(pid, signal.SIGKILL)


def _fork(request: dict[str, Any]) -> int:
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        with suppress(OSError):  # the child has done it, or has ended
            os.setpgid(pid, pid)
        return pid
    status = 70
    try:
        status = _child(request)
    finally:
        os._exit(status)  # a normal end would wait for threads of libraries that did not survive the fork


def _child(request: dict[str, Any]) -> int:
    """Become the script; its exit status."""
    parent = os.getppid()
    os.setpgid(0, 0)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DIES, signal.SIGKILL)
    if os.getppid() != parent:
        return 70
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for given, wanted in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(given, wanted)
    os.closerange(3, 64)
    os.chdir(request["cwd"])
    sys.argv = [request["target"], *request["arguments"]]
    sys.orig_argv = [sys.executable, *(["-m"] if request["module"] else []), *sys.argv]
    closing: list[Any] = []
    status = 0
    try:
        launch.become(request["config"], request["module"], closing.append)
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]  # what its own threads still train is part of the run
    for close in closing:
        close()
    sys.stdout.flush()
    sys.stderr.flush()
    return status


if __name__ == "__main__":
    serve()
