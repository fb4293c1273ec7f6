"""A server that has imported torch once, and forks a child for each script: alone, or observed, in a fraction of a
second. What a fresh process does besides (the import hook, the interpreter's own end) is the business of `processes`.

Started by path; one request a line, see `_become`. `broken`: what shall raise instead of doing its work.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent
HOST = TESTS.parent / "src" / "sgdoctor" / "host"


class Forks:
    """The server, seen from a test: `with Forks() as forks: status, stdout, stderr = forks.run(...)`."""

    def __enter__(self) -> Forks:
        settings = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        settings["PYTHONPATH"] = os.pathsep.join([str(TESTS / "scripts"), str(TESTS.parent / "src")])
        command = [sys.executable, str(TESTS / "forks.py")]
        self._server = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=settings, text=True, bufsize=1
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(timeout=60)
        assert self._server.stdout is not None
        self._server.stdout.close()

    def run(
        self,
        *command: str,
        cwd: Path,
        home: Path,
        record: Path | None = None,
        stdin: bytes = b"",
        broken: tuple[str, ...] = (),
        **config: Any,
    ) -> tuple[int, str, str]:
        """Run a script in a fork; `home`: a folder for what it prints. Observed where there is a `record`."""
        home.mkdir(exist_ok=True)
        (home / "stdin").write_bytes(stdin)
        if record is not None:
            record.mkdir(parents=True)
            config = {"record": str(record), "cwd": str(cwd), "strict": not broken, **config}
            config.update(config.pop("override", {}))
        request = {"command": command, "cwd": str(cwd), "home": str(home), "config": record and config}
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(json.dumps({**request, "broken": broken}) + "\n")
        status = int(self._server.stdout.readline())
        out, err = ((home / name).read_bytes().decode("utf-8", "surrogateescape") for name in ("stdout", "stderr"))
        return status, out, err


def _serve() -> None:
    import gc

    import torch
    import torch._dynamo  # noqa: F401  # the first optimizer would

    sys.path.insert(1, str(HOST))
    import launch

    del sys.path[1]
    launch._load_host()
    launch.LOADED_BY_PYTHON = frozenset(sys.modules)
    gc.freeze()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                _become(json.loads(line), launch)
            finally:
                os._exit(70)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(code, file=answers)


def _become(request: dict[str, Any], launch: Any) -> None:
    """In the child: take its streams, run it as `__main__`, leave as the interpreter would."""
    import atexit
    import signal
    import threading

    home, command = Path(request["home"]), list(request["command"])
    for number, name, flags in ((0, "stdin", os.O_RDONLY), (1, "stdout", os.O_WRONLY), (2, "stderr", os.O_WRONLY)):
        file = os.open(home / name, flags | os.O_CREAT | (os.O_TRUNC if number else 0) | (os.O_APPEND if number else 0))
        os.dup2(file, number)
    os.closerange(3, 64)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    os.chdir(request["cwd"])
    sys.orig_argv = [sys.executable, *command]
    module = command[0] == "-m"
    sys.argv = command[1:] if module else command
    status: int | None = 0
    for place in request["broken"]:
        _break(place)
    try:
        if request["config"]:
            launch.become(request["config"], module, atexit.register)
        else:
            target = sys.argv[0]
            launch._run_module(target) if module else launch._run_script(target)
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
        if isinstance(left.code, str):
            print(left.code, file=sys.stderr)
    except BaseException as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename in (__file__, launch.__file__):
            trace = trace.tb_next
        error.__traceback__ = trace
        sys.last_value = error
        sys.excepthook(type(error), error, trace)
        status = None if isinstance(error, KeyboardInterrupt) else 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()
    if status is None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(status or 0)


def _break(place: str) -> None:
    """Have `module:Class.method` (of the host), or `module:Class.method@n` from its nth call on, raise."""
    from importlib import import_module

    path, _, rest = place.partition(":")
    name, _, after = rest.partition("@")
    owner: Any = import_module("_sgdoctor_host." + path)
    *outer, last = name.split(".")
    for part in outer:
        owner = getattr(owner, part)
    original, calls = owner.__dict__[last], [0]
    static = isinstance(original, staticmethod)

    def raising(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] > int(after or 0):
            raise ZeroDivisionError(f"broken on purpose: {name}")
        return (original.__func__ if static else original)(*args, **kwargs)

    setattr(owner, last, staticmethod(raising) if static else raising)


if __name__ == "__main__":
    _serve()
