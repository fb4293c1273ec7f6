"""Every entry point of the observer raises in turn, and no script notices; runs end in every way, and are diagnosed."""

from __future__ import annotations

import inspect
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from forks import Forks

from sgdoctor.diagnosis import diagnose
from sgdoctor.host import attach, children, graph, groups, observer, patches, sampler, sites, upkeep, writer
from sgdoctor.host.probes import PROBES
from sgdoctor.record import load
from sgdoctor.report import terminal

SCRIPT = Path(__file__).parent / "differential" / "everything.py"
WHOLES = (
    *(attach.Observation, children.Children, graph.Graph, observer.Observer, patches.Patches, sampler.Sampler),
    *(sites.Sites, writer.Writer),
)
# Raises on purpose: that is how a run is ended early.
MEANT = "observer:Observer.stop"
# Not passed through by the script: other processes, what is asked for by name, what only a compiler or a fork calls,
# and what one probe asks of another in other runs than this.
ELSEWHERE = {
    *("probes.ranks:Ranks." + name for name in ("on_wrapped", "on_wrapper_called", "on_move", "on_sharded")),
    *("probes.score:Score.__init__", "probes.score:Score.on_loss", "observer:Observer.leave_to_parent"),
    *("observer:Observer.compiles", "probes.doors:Doors.leave", "writer:Writer.abandon"),
    *("probes.batches:Batches.first_passes", "probes.batches:Batches.target", "probes.loop:Loop.on_objective"),
    *("probes.kept:Evaluations.before_backward", "probes.network:Network.entered"),
}
# Without these there is no record in which anything could be said, or it is closed already.
MUTE = {
    *("attach:Observation." + name for name in ("__init__", "start", "watch_children", "raised", "finish", "take_off")),
    *("observer:Observer." + name for name in ("__init__", "start", "close")),
    *("writer:Writer." + name for name in ("__init__", "write", "flush", "close")),
    *("children:Children.__init__", "children:Children.remove", "patches:Patches.remove"),
    *("sampler:Sampler.__init__", "sites:Sites.__init__"),
}


def entry_points() -> list[str]:
    """`module:Class.method` of all that can be called from outside its class, and what puts the patches on."""
    found = []
    for owner in (*PROBES.values(), *WHOLES):
        path = str(owner.__module__).partition(".host.")[2]
        for name, value in vars(owner).items():
            if inspect.isfunction(value) and (name == "__init__" or not name.startswith("_")):
                found.append(f"{path}:{owner.__qualname__}.{name}")
    for place in patches.Patches, upkeep, groups:
        path = place.__module__ if isinstance(place, type) else place.__name__
        prefix = f"{path.partition('.host.')[2]}:" + ("Patches." if isinstance(place, type) else "")
        for name, value in vars(place).items():
            if inspect.isfunction(value) and name.startswith("_") and _takes_torch(value):
                found.append(prefix + name)
    return sorted(set(found) - {MEANT})


def _takes_torch(function: Any) -> bool:
    return list(inspect.signature(function).parameters)[-1:] == ["torch"]


def few(places: list[str]) -> Iterator[Any]:
    """One of each kind in CI, all of them in `make test-all`."""
    seen: set[str] = set()
    for place in places:
        kind = "probe" if place.startswith("probes.") else place.partition(":")[0]
        marks = (pytest.mark.slow,) if kind in seen else ()
        seen.add(kind)
        yield pytest.param(place, marks=marks)


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks() as server:
        yield server


def run(forks: Forks, tmp_path: Path, record: Path | None = None, broken: str = "") -> tuple[Any, dict[str, bytes]]:
    """How the script ended and what it has written, in a folder of always the same name."""
    folder = tmp_path / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(SCRIPT, folder)
    places = (broken,) if broken else ()
    ended = forks.run(SCRIPT.name, cwd=folder, home=tmp_path / "home", record=record, broken=places)
    return ended, {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def expected(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, dict[str, bytes]]:
    return run(forks, tmp_path_factory.mktemp("alone"))


def check(forks: Forks, tmp_path: Path, expected: tuple[Any, dict[str, bytes]], broken: str) -> list[str]:
    """Names of the probes that are said to have failed."""
    (status, out, err), written = run(forks, tmp_path, tmp_path / "record", broken)
    (alone, alone_out, alone_err), alone_written = expected
    assert (status, out, written) == (alone, alone_out, alone_written)
    assert _without_place(err) == _without_place(alone_err)
    if not list((tmp_path / "record").glob("process-*.jsonl")):
        return []
    record = load(tmp_path / "record")
    assert diagnose(record, strict=True).verdict
    failed = Counter(str(row["probe"]) for row in record.rows("probe_failed"))
    assert not failed or max(failed.values()) == 1
    return list(failed)


def _without_place(text: str) -> str:
    """A traceback without the folder that pytest gave to the test."""
    return "\n".join(line.rpartition("/")[2] for line in text.splitlines())


@pytest.mark.parametrize("broken", list(few(entry_points())))
def test_no_script_notices_what_fails(
    forks: Forks, tmp_path: Path, expected: tuple[Any, dict[str, bytes]], broken: str
) -> None:
    failed = check(forks, tmp_path, expected, broken)
    assert failed or broken in ELSEWHERE | MUTE


@pytest.mark.parametrize("calls", [1, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("broken", ["observer:Observer.step_ends", "probes.loss:Losses.on_loss", "writer:Writer.flush"])
def test_nor_what_fails_later(
    forks: Forks, tmp_path: Path, expected: tuple[Any, dict[str, bytes]], broken: str, calls: int
) -> None:
    check(forks, tmp_path, expected, f"{broken}@{calls}")


def test_what_failed_is_said_once(forks: Forks, tmp_path: Path) -> None:
    run(forks, tmp_path, tmp_path / "record", "probes.gradients:Gradients.on_graph")
    found = diagnose(load(tmp_path / "record"), strict=True)
    reasons = dict(found.not_evaluated)
    assert "gradients failed" in reasons["vanishing-gradients"]
    assert terminal.render(found).count("switched off: the observer's gradients") == 1


def test_what_is_said_to_be_elsewhere_exists() -> None:
    assert set(entry_points()) >= ELSEWHERE | MUTE
