"""Runs a script or module as `__main__` under observation, the way the interpreter itself would.

Started by path as `python launch.py CONFIG (SCRIPT | -m MODULE) [ARGS...]`, CONFIG being JSON: see `main`.
"""

from __future__ import annotations

import atexit
import importlib.machinery
import importlib.util
import json
import os
import signal
import sys
import types
from typing import Any

PACKAGE = "_sgdoctor_host"


def main() -> None:
    """Read the configuration, become the script, and leave as it would have left."""
    config = json.loads(sys.argv[1])
    module_wanted = sys.argv[2] == "-m"
    sys.argv = sys.argv[3:] if module_wanted else sys.argv[2:]
    target = sys.argv[0]
    host = _load_host()
    observation = host.Observation(config)
    observation.start(script=target, argv=list(sys.argv[1:]), python=sys.version.split()[0])
    status: int | None = 0
    how = "completed"
    try:
        _run_module(target) if module_wanted else _run_script(target)
    except host.Stop:
        how = "stopped"
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
        observation.finish("completed" if status == 0 else "exited", status)
        left.__traceback__ = None
        raise
    except BaseException as error:
        how, status = "raised", 1
        observation.raised(error)
        _report(error)
        if isinstance(error, KeyboardInterrupt):
            status = 128 + signal.SIGINT
            atexit.register(_die_of_interrupt)
    observation.finish(how, status)
    if status:
        sys.exit(status)


def _load_host() -> Any:
    """This package under a private name: the interpreter need not have sgdoctor installed."""
    folder = os.path.dirname(os.path.abspath(__file__))
    path = os.path.join(folder, "__init__.py")
    spec = importlib.util.spec_from_file_location(PACKAGE, path, submodule_search_locations=[folder])
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
    return importlib.import_module(PACKAGE + ".attach")


def _run_script(path: str) -> None:
    """`python path`: sys.path[0] is the script's folder, `__main__` a real module that pickling can find."""
    folder = os.path.dirname(os.path.realpath(path))
    _replace_first_path(folder)
    if os.path.isdir(path) or path.endswith((".zip", ".pyz")):
        import runpy

        _replace_first_path(path)
        runpy.run_path(path, run_name="__main__")
        return
    with open(path, "rb") as file:
        source = file.read()
    path = os.path.abspath(path)  # as the interpreter has it since 3.9, whatever sys.argv[0] says
    module = _fresh_main()
    module.__file__ = path
    module.__loader__ = importlib.machinery.SourceFileLoader("__main__", path)
    module.__dict__["__builtins__"] = sys.modules["builtins"]
    code = compile(source, path, "exec", dont_inherit=True)
    exec(code, module.__dict__)


def _run_module(name: str) -> None:
    """`python -m name`."""
    import runpy

    _replace_first_path(os.getcwd())
    # alter_sys keeps `__main__` in sys.modules only while it runs, which is what pickling and spawning need.
    runpy._run_module_as_main(name, alter_argv=True)  # type: ignore[attr-defined]


def _fresh_main() -> Any:
    module = types.ModuleType("__main__")
    module.__dict__.update(__spec__=None, __package__=None, __cached__=None, __annotations__={})
    sys.modules["__main__"] = module
    return module


def _replace_first_path(folder: str) -> None:
    # The interpreter put this file's folder there (unless told not to by -P or PYTHONSAFEPATH).
    here = os.path.dirname(os.path.abspath(__file__))
    if sys.path and os.path.abspath(sys.path[0]) == here:
        sys.path[0] = folder
    elif not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, folder)


def _report(error: BaseException) -> None:
    """Hand the exception to the script's own excepthook, without our frames in its traceback."""
    traceback = _without_own_frames(error.__traceback__)
    error.__traceback__ = traceback
    try:
        sys.excepthook(type(error), error, traceback)
    except BaseException as failure:  # a broken hook: the interpreter prints both, and so do we
        print("Error in sys.excepthook:", file=sys.stderr)
        sys.__excepthook__(type(failure), failure, _without_own_frames(failure.__traceback__))
        print("\nOriginal exception was:", file=sys.stderr)
        sys.__excepthook__(type(error), error, traceback)


def _without_own_frames(traceback: Any) -> Any:
    kept = []
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        ours = name == os.path.abspath(__file__) or name == __file__ or "<sgdoctor" in name or "runpy" in name
        if not ours:
            kept.append(traceback)
        traceback = traceback.tb_next
    for entry, following in zip(kept, [*kept[1:], None]):
        entry.tb_next = following
    return kept[0] if kept else None


def _die_of_interrupt() -> None:
    """What the interpreter does after an unhandled KeyboardInterrupt: end by the signal itself."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    main()
