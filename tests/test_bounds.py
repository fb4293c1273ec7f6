"""What observation takes is bounded, however long a run is and however large its network: memory, disk, diagnosis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from processes import observing

from sgdoctor.record import load

pytestmark = pytest.mark.slow
MIB = 2**20
FOUND = 1  # the status of `sgdoctor report` where it finds something
MEMORY, DISK = 64 * MIB, 64 * MIB  # of the observer, of a record: the promise
DIAGNOSIS_SECONDS, DIAGNOSIS_MEMORY = 2.0, 300 * MIB
BARE = 40  # the seconds in units of `python -c pass` (50 ms where the promise was measured), for a slower machine

# So that a run of minutes lasts hours for the observer: its clock goes a thousand times as fast.
FAST_CLOCK = """
import time
real, real_monotonic, real_time = time.perf_counter, time.monotonic, time.time
begin = real(), real_monotonic(), real_time()
time.perf_counter = lambda: begin[0] + 1000 * (real() - begin[0])
time.monotonic = lambda: begin[1] + 1000 * (real_monotonic() - begin[1])
time.time = lambda: begin[2] + 1000 * (real_time() - begin[2])
"""
HEAD = """
import gc, sys
import torch
torch.manual_seed(0)
F = torch.nn.functional
"""
SCRIPTS = {
    "steps": """
w = torch.zeros(4, requires_grad=True)
optimizer = torch.optim.SGD([w], 1e-4)
x, y = torch.randn(8, 4), torch.randn(8)
for step in range(int(sys.argv[1])):
    optimizer.zero_grad()
    F.mse_loss(x @ w, y).backward()
    optimizer.step()
""",
    "tensors": """
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(8, 8) for _ in range(1000))
    def forward(self, x):
        for layer in self.layers:
            x = x + layer(x).tanh()
        return x
model = Net()
optimizer = torch.optim.Adam(model.parameters(), 1e-4)
for step in range(int(sys.argv[1])):
    optimizer.zero_grad()
    x = torch.randn(4, 8)
    F.mse_loss(model(x), x).backward()
    optimizer.step()
""",
    "epochs": """
from torch.utils.data import DataLoader, TensorDataset
loader = DataLoader(TensorDataset(torch.randn(256, 6), torch.randint(0, 4, (256,))), 16, shuffle=True)
held = DataLoader(TensorDataset(torch.randn(64, 6), torch.randint(0, 4, (64,))), 16)
model = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.BatchNorm1d(16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, int(sys.argv[1]))
for epoch in range(int(sys.argv[1])):
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    schedule.step()
    model.eval()
    with torch.no_grad():
        sum(F.cross_entropy(model(x), y).item() for x, y in held)
""",
}


class Spent(NamedTuple):
    """What a process took."""

    seconds: float
    memory: int
    output: str


def spend(*command: str, cwd: Path, **environment: str) -> Spent:
    """Run a process; processor time and the most memory it had."""
    settings = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    with subprocess.Popen(command, cwd=cwd, env=settings, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in (0, FOUND)
    return Spent(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, output)


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def diagnosed(record: Path, cwd: Path) -> dict[str, object]:
    """The diagnosis by the command, within its bounds."""
    bare = min(spend(sys.executable, "-c", "pass", cwd=cwd).seconds for _ in range(3))
    command = (sys.executable, "-m", "sgdoctor", "report", str(record), "--json", "-")
    found = min((spend(*command, cwd=cwd) for _ in range(3)), key=lambda spent: spent.seconds)
    print(f"diagnosis: {found.seconds:.2f} s, {found.memory / MIB:.0f} MiB; record {size(record) / MIB:.2f} MiB")
    assert found.seconds < max(DIAGNOSIS_SECONDS, BARE * bare)
    assert found.memory < DIAGNOSIS_MEMORY
    document: dict[str, object] = json.loads(found.output)
    return document


@pytest.mark.parametrize(("name", "count"), [("steps", 100_000), ("tensors", 60), ("epochs", 100)])
@pytest.mark.parametrize("clock", ["usual", "fast"])
def test_bounds(tmp_path: Path, name: str, count: int, clock: str) -> None:
    (tmp_path / "train.py").write_text(HEAD + SCRIPTS[name])
    settings = {}
    if clock == "fast":
        (tmp_path / "path").mkdir()
        (tmp_path / "path" / "sitecustomize.py").write_text(FAST_CLOCK)
        settings["PYTHONPATH"] = os.pathsep.join([str(tmp_path / "path"), os.environ.get("PYTHONPATH", "")])
    count = int(os.environ.get("SGDOCTOR_TEST_STEPS", count)) if name == "steps" else count
    command = ("train.py", str(count))
    plain = spend(sys.executable, *command, cwd=tmp_path, **settings)
    began = time.monotonic()
    seen = spend(sys.executable, *observing(tmp_path / "record", tmp_path), *command, cwd=tmp_path, **settings)
    print(f"{name} {count}, {clock} clock, {time.monotonic() - began:.0f} s")
    more = (seen.memory - plain.memory) / MIB
    print(f"observer: {more:.1f} MiB more; {seen.seconds / plain.seconds:.3f} of the time")
    assert seen.memory - plain.memory < MEMORY
    assert size(tmp_path / "record") < DISK
    record = load(tmp_path / "record")
    assert not record.rows("probe_failed") and record.end is not None
    if name == "steps":
        assert record.steps == count
        last = [int(row["step"]) for row in record.rows("loss", grad=True)][-1]
        assert last > count / 2  # thinned, to the end
    if clock == "fast":
        assert float(record.end["observed_seconds"]) > 1000
    assert diagnosed(tmp_path / "record", tmp_path)["verdict"]
