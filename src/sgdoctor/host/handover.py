"""When rows are handed over to the writer: soon after the events they tell of, and at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import monotonic
from typing import Any

from .guard import Guard, stop_asked
from .sampler import Sampler
from .writer import Writer

FLUSH_SECONDS = 0.15  # rows wait at most this long for the next event (the promise is 200 ms)
EARLY_SECONDS = 0.02  # and less at first: a script killed after a blink still leaves something to read
EARLY_FLUSHES = 12
# Probes that hold counts back until then.
AT_FLUSH = (
    *("loop", "updates", "modes", "loaders", "windows", "schedules", "kept", "evaluations", "precision"),
    *("dropouts", "validations", "batches", "ranks", "seeding"),
)


class Handover(Guard):
    """The part of the observer that looks at the clock."""

    steps: int
    stopping: bool
    sampler: Sampler
    _writer: Writer
    _clock: Callable[[], float]
    _stop_file: str
    _max_steps: int | None
    _ticked: float
    _gap: float
    _flush_at: float
    _flushes: int
    _pulse_due: float
    aside: Callable[[], AbstractContextManager[Any]] = (
        nullcontext  # where the script's own modes and tensors see nothing
    )

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Charge a close look to the budget; modes and tensor subclasses of the script's own see none of it."""
        started = self._clock()
        try:
            with self.aside():
                yield
        finally:
            self.sampler.spend(self._clock() - started)

    def tick(self) -> None:
        """Hand rows over when they have waited long enough, or will have by the next event."""
        now = monotonic()
        gap = now - self._ticked
        self._gap = gap if gap > self._gap else 0.9 * self._gap
        self._ticked = now
        if now + self._gap >= self._flush_at:
            started = self._clock()
            with self.aside():
                self._flush()
            if not self._waits:  # what is read from a device waits for the script's own work there
                self.sampler.spend(self._clock() - started)
            self._flushes += 1
            self._ticked = monotonic()
            wait = FLUSH_SECONDS if self._flushes > EARLY_FLUSHES else EARLY_SECONDS * 1.2**self._flushes
            self._flush_at = self._ticked + wait

    def _flush(self, closing: bool = False) -> None:
        # Counts grow slowly; what must not wait are the losses.
        for probe in AT_FLUSH if closing or self._flushes <= EARLY_FLUSHES or self._flushes % 4 == 0 else ("loop",):
            try:
                getattr(self, probe).on_flush(closing)
            except Exception as error:
                self.fail(probe, error)
        elapsed = self.sampler.elapsed()
        if elapsed >= self._pulse_due:
            self._pulse_due = 1.1 * elapsed
            self.write({"k": "pulse", "steps": self.steps, "spent": self.sampler.spent, "of": elapsed})
        self._writer.flush(closing)
        if not closing and (asked := stop_asked(self._stop_file)) is not None:
            self._max_steps = asked  # ranks end at the same step, or the others would wait for ever
            self.stopping = self.steps >= asked


def read_apart(torch: Any, root: Any) -> Any:
    """The number in a tensor, unseen by modes and classes of the script's own."""
    with torch._C.DisableTorchFunction():
        if type(root).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__:
            return root.item()  # only such a class knows where its numbers are
        with torch._C._DisableTorchDispatch():
            return root.item()
