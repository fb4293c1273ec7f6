"""The commands that run no script start at once and never import torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = (
    "--help",
    "--version",
    "run --help",
    "report --help",
    "check --help",
    "explain --help",
    "explain",
    "explain dead-relu",
)
LIMIT = 0.3  # seconds
BARE_STARTS = 20  # the limit in units of `python -c pass` (15 ms on a quiet machine), for one that is slow or loaded
RUNS = 7

MODULES = """
import sys
from sgdoctor.cli import main
sys.argv = ["sgdoctor", *sys.argv[1:]]
try:
    main()
except SystemExit as left:
    assert not left.code, left.code
loaded = {name.partition(".")[0] for name, module in sys.modules.items() if "__file__" in vars(module)}
sys.stderr.write(" ".join(loaded))
"""


def cpu_seconds(*command: str) -> float:
    """What a process costs: the time it takes where nothing else runs."""
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_import_nothing_heavy(command: str) -> None:
    done = subprocess.run([sys.executable, "-c", MODULES, *command.split()], capture_output=True, text=True, check=True)
    assert done.stdout
    assert not {"torch", "numpy", "rich", "msgspec", "scipy"} & set(done.stderr.split())


@pytest.mark.parametrize("command", ["--help", "explain", "explain dead-relu"])
def test_commands_start_at_once(command: str) -> None:
    ours, bare = float("inf"), float("inf")
    for _ in range(RUNS):  # interleaved, so that both meet the same load
        bare = min(bare, cpu_seconds("-c", "pass"))
        ours = min(ours, cpu_seconds("-m", "sgdoctor", *command.split()))
    assert ours < max(LIMIT, BARE_STARTS * bare)


def test_check_starts_at_once_and_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.py").write_text("import torch\n")
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path / "cache"))  # as installed: compiled once
    command = ("-m", "sgdoctor", "check", "--quiet", str(tmp_path / "train.py"))
    cpu_seconds(*command)
    ours, bare = float("inf"), float("inf")
    for _ in range(RUNS):
        bare = min(bare, cpu_seconds("-c", "pass"))
        ours = min(ours, cpu_seconds(*command))
    assert ours < max(LIMIT, BARE_STARTS * bare)
    done = subprocess.run([sys.executable, "-c", MODULES, *command[2:]], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "scipy"} & set(done.stderr.split())


def test_importing_the_package_costs_nothing() -> None:
    code = "import sgdoctor, sys; print({'numpy', 'torch', 'click', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
