"""What keeps an error of ours from the script: each event is called through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .frames import raised_by_signal
from .probes import PROBES, Absent


def stop_asked(file: str) -> int | None:
    """The step at which the parent wants the run to end, None where it has not asked: it writes a file to ask."""
    try:
        with open(file, encoding="ascii") as opened:
            return int(opened.read() or 0)
    except (OSError, ValueError):
        return None


class Guard:
    """The part of the observer that lets no exception out: a probe that fails gives way to nothing, and is named."""

    write: Callable[[dict[str, Any]], None]
    active: bool
    _strict: bool
    _waits: bool
    _capturing: Callable[[], bool]
    _failed: set[str]
    _roots: dict[Any, Any]

    def guarded(self, name: str, event: Callable[..., Any]) -> Callable[..., Any]:
        """An event that lets no error of ours out: the patches call nothing else."""

        def call(*args: Any) -> Any:
            nonlocal event
            if not self.active or (self._waits and self._capturing()):
                return None
            try:
                return event(*args)
            except Exception as error:
                self.fail(name, error)
                if name in self._failed:
                    event = Absent().event
                return None

        return call

    @contextmanager
    def guard(self, name: str) -> Iterator[None]:
        """No exception of ours gets past here."""
        try:
            yield
        except Exception as error:
            self.fail(name, error)

    def fail(self, name: str, error: Exception) -> None:
        """Do without the probe that raised, or without the handler where it was none, and say so once."""
        if self._strict or raised_by_signal(error):
            raise error
        traceback = error.__traceback__
        while traceback is not None:
            owner = traceback.tb_frame.f_locals.get("self")
            name = next((probe for probe in PROBES if getattr(self, probe) is owner), name)
            traceback = traceback.tb_next
        if name in PROBES:
            setattr(self, name, Absent())
            self._roots.clear()  # they hold on to what was the probe's
        if name not in self._failed:
            self._failed.add(name)
            row = {"k": "probe_failed", "probe": name, "error": f"{type(error).__name__}: {error}"[:500]}
            signals = getattr(PROBES.get(name), "SIGNALS", ())
            self.write({**row, "signals": list(signals)})
