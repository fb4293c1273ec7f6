"""A script under the launcher is what it is under `python`: same surroundings, output, traceback, exit status."""

from __future__ import annotations

import os
from pathlib import Path
from textwrap import dedent

import pytest
from processes import Ended, observed, plain

from sgdoctor.record import Record, load

SURROUNDINGS = """
    import gc, os, signal, sys, threading, warnings
    print(__name__, __file__, __package__, __spec__, __doc__, type(__loader__).__name__, __builtins__)
    print(sorted(globals()), sys.modules["__main__"].__dict__ is globals())
    print(sys.argv, sys.orig_argv[1:], sys.path, os.getcwd(), sys.executable, sys.flags)
    print(open(__file__).fileno(), threading.active_count(), signal.getsignal(signal.SIGINT), sys.excepthook)
    print(warnings.filters, gc.get_threshold(), gc.get_count()[2] < 100, sys.gettrace(), sys.stdin.fileno())
    print([type(finder).__name__ for finder in sys.meta_path if type(finder).__module__[0] != "_"])
"""

ORDINARY = {
    "surroundings": SURROUNDINGS,
    "exit with a status": "import sys; print('x'); sys.exit(5)",
    "exit with a text": "import sys; sys.exit('no data: \\u00e9')",
    "exit with nothing": "raise SystemExit",
    "exit with a tuple": "import sys; sys.exit((1, 'two'))",
    "exit with a negative number": "import sys; sys.exit(-1)",
    "exit with a huge number": "import sys; sys.exit(2**40)",
    "exit at once": "import os; print('x', flush=True); os._exit(3)",
    "exit in a finally": "import sys\ntry:\n    1 / 0\nfinally:\n    sys.exit(4)",
    "killed by itself": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "uncaught": "def f(x):\n    return 1 / x\n\nf(0)",
    "uncaught chain": "try:\n    {}['a']\nexcept KeyError as error:\n    raise ValueError('b') from error",
    "uncaught of several": "raise ExceptionGroup('g', [ValueError(1), TypeError(2)])",
    "uncaught with a note": "e = ValueError('v')\ne.add_note('look at the labels')\nraise e",
    "uncaught in an import": "import re\nre.compile('(')",
    "missing module": "import nothing_of_that_name",
    "interrupted": "def f():\n    raise KeyboardInterrupt\nf()",
    "own excepthook": "import sys\nsys.excepthook = lambda *a: print('hook', a[:2], a[2].tb_next)\n1 / 0",
    "broken excepthook": "import sys\ndef hook(*a):\n    raise ValueError('in the hook')\nsys.excepthook = hook\n1 / 0",
    "excepthook that exits": "import sys\ndef hook(*a):\n    sys.exit(7)\nsys.excepthook = hook\n1 / 0",
    "no excepthook": "import sys\ndel sys.excepthook\n1 / 0",
    "last exception": """
        import atexit, sys
        atexit.register(lambda: print(sys.last_type, sys.last_value, sys.last_traceback.tb_next))
        1 / 0
    """,
    "atexit": "import atexit\natexit.register(print, 'bye')\nprint('hello')",
    "failing atexit": "import atexit\natexit.register(int, 'x')\nprint('hello')",
    "threads": """
        import threading, time
        def work():
            time.sleep(0.1)
            print("thread", threading.current_thread() is threading.main_thread())
        threading.Thread(target=work).start()
        threading.Thread(target=lambda: 1 / 0, name="bad").start()
        print("main ends first")
    """,
    "fork": """
        import os, sys
        child = os.fork()
        if child == 0:
            print("child", flush=True)
            sys.exit(6)
        print(os.waitpid(child, 0)[1] >> 8)
    """,
    "spawn": """
        import multiprocessing
        class Thing:
            pass
        def work(thing):
            print(type(thing), __name__, flush=True)
        if __name__ == "__main__":
            process = multiprocessing.get_context("spawn").Process(target=work, args=(Thing(),))
            process.start()
            process.join()
            print(process.exitcode)
    """,
    "pickle": """
        import pickle
        class Thing:
            pass
        print(type(pickle.loads(pickle.dumps(Thing()))) is Thing, Thing.__module__)
    """,
    "closes all descriptors": """
        import os
        os.closerange(3, 10_000)
        mine = open("mine.txt", "w+")
        print(mine.fileno())
        mine.write("only mine")
        mine.seek(0)
        print(mine.read())
    """,
    "reads stdin": "print(input(), input())",
    "warns": "import warnings\nwarnings.warn('w')\nwarnings.warn('deprecated', DeprecationWarning)\nprint('\\d')",
    "warnings are errors": "import warnings\nwarnings.simplefilter('error')\nwarnings.warn('w')",
    "syntax error": "print('never')\nif True print('x')",
    "indentation error": "if True:\nprint('x')",
    "another encoding": "# -*- coding: latin-1 -*-\nprint(ascii('\u00e9'))",
    "deep recursion": "def f(n):\n    return n and f(n - 1)\nprint(f(900))",
    "annotations": "x: int = 1\nprint(__annotations__)",
    "doc": "'what it is'\nprint(__doc__)",
}


def both(tmp_path: Path, *command: str, stdin: str = "one\ntwo\n", cwd: Path | None = None) -> tuple[Ended, Record]:
    """Run plain and observed, compare, and return how it ended with the record."""
    cwd = cwd or tmp_path
    expected = plain(*command, cwd=cwd, stdin=stdin)
    seen = observed(*command, cwd=cwd, stdin=stdin, record=tmp_path / "record")
    assert seen == expected
    return expected, load(tmp_path / "record")


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_script(name: str, tmp_path: Path) -> None:
    # No coding line means UTF-8; the one script that has one is stored as it says.
    encoding = "latin-1" if "latin-1" in ORDINARY[name] else "utf-8"
    (tmp_path / "script.py").write_text(dedent(ORDINARY[name]), encoding=encoding)
    _, record = both(tmp_path, "script.py", "--lr", "0.1", "-m")
    assert record.start["argv"] == ["--lr", "0.1", "-m"]


def test_script_in_another_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "neighbour.py").write_text("print('neighbour', __file__)")
    (folder / "script.py").write_text("import neighbour" + dedent(SURROUNDINGS))
    (tmp_path / "link.py").symlink_to(folder / "script.py")
    for name in ("a folder/script.py", "./a folder/../a folder/script.py", str(folder / "script.py"), "link.py"):
        ended, _ = both(tmp_path, name)
        assert "neighbour" in ended.stdout
        os.rename(tmp_path / "record", tmp_path / f"record of {name.replace('/', '_')}")


def test_module_of_its_own_named_like_one_of_the_standard_library(tmp_path: Path) -> None:
    (tmp_path / "signal.py").write_text("print('my own signal')\nrate = 44100\n")
    (tmp_path / "script.py").write_text("import signal\nprint(signal.rate)\n")
    ended, _ = both(tmp_path, "script.py")
    assert ended.stdout == "my own signal\n44100\n"


MODULE = """
    import sys
    print(__name__, __file__, __package__, __spec__.name, sys.argv, sys.orig_argv[1:], sys.path)
    print(sorted(globals()), sys.modules["__main__"].__dict__ is globals())
    from . import neighbour
    if sys.argv[1:] == ["fail"]:
        neighbour.fail()
"""


@pytest.mark.parametrize("name", ["package.module", "package", "package.missing", "nothing", "package.sub"])
def test_module(name: str, tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("import sys\nprint('package', sys.argv)")
    (package / "neighbour.py").write_text("def fail():\n    raise ValueError('v')\n")
    (package / "sub").mkdir()
    (package / "sub" / "__init__.py").write_text("")
    for module in ("module.py", "__main__.py"):
        (package / module).write_text(dedent(MODULE))
    both(tmp_path, "-m", name, "a", "-m")
    os.rename(tmp_path / "record", tmp_path / "other")
    both(tmp_path, "-m", name, "fail")


def test_folder_with_a_main(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__main__.py").write_text("import sys\nprint(sys.argv, sys.path, __file__)\n1 / 0\n")
    ended, _ = both(tmp_path, "app", "x")
    assert "ZeroDivisionError" in ended.stderr


def test_exception_is_recorded_with_the_lines_it_came_through(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("def f(x):\n    return 1 / x\n\nf(0)\n")
    _, record = both(tmp_path, "script.py")
    assert record.exception is not None and record.end is not None
    assert record.exception["type"] == "ZeroDivisionError"
    frames = [record.site(number) for number in record.exception["frames"]]
    assert [(site.file, site.line) for site in frames if site] == [("script.py", 4), ("script.py", 2)]
    assert (record.end["how"], record.end["status"]) == ("raised", 1)


@pytest.mark.parametrize(
    ("source", "how", "status"),
    [
        ("print()", "completed", 0),
        ("import sys; sys.exit(0)", "completed", 0),
        ("import sys; sys.exit(5)", "exited", 5),
        ("import sys; sys.exit('text')", "exited", 1),
        ("import atexit; atexit.register(print, 'x'); 1 / 0", "raised", 1),
        ("raise KeyboardInterrupt", "raised", 130),
    ],
)
def test_end_is_recorded(source: str, how: str, status: int, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(source)
    _, record = both(tmp_path, "script.py")
    assert record.end is not None
    assert (record.end["how"], record.end["status"]) == (how, status)


OTHERS = ("surroundings", "uncaught chain", "interrupted", "exit with a text", "excepthook that exits", "syntax error")


@pytest.mark.parametrize("version", ["3.10", "3.12", "3.13"])
@pytest.mark.parametrize("name", OTHERS)
def test_another_interpreter(version: str, name: str, tmp_path: Path) -> None:
    """The launcher runs in the user's interpreter, which need be neither ours nor have sgdoctor installed."""
    found = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    if not found:
        pytest.skip(f"no Python {version} here")
    (tmp_path / "script.py").write_text(dedent(ORDINARY[name]))
    expected = plain("script.py", cwd=tmp_path, python=str(found[-1]))
    assert observed("script.py", cwd=tmp_path, python=str(found[-1]), record=tmp_path / "record") == expected
