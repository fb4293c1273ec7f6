"""The observer of one process: takes events from the patches, asks the sampler, hands them to the probes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from .graph import Graph
from .probes.crash import Crash
from .probes.gradients import Gradients
from .probes.loaders import Loaders
from .probes.loop import Loop
from .probes.loss import Losses
from .probes.modes import Modes
from .probes.network import Network
from .probes.parameters import Parameters
from .probes.updates import Updates
from .sampler import Sampler
from .sites import Sites
from .writer import Writer

SCHEMA = 1
PROBES: dict[str, Callable[[Any], Any]] = {
    "parameters": Parameters,
    "losses": Losses,
    "network": Network,
    "gradients": Gradients,
    "updates": Updates,
    "modes": Modes,
    "loaders": Loaders,
    "loop": Loop,
    "crash": Crash,
}
BASE = ("parameters", "losses", "loop", "updates", "crash")  # the light layer: what every verdict needs


class Stop(BaseException):
    """Ends a script after the steps it was given; not an Exception, so that ordinary handlers let it through."""


class Observer:
    """State shared by the probes of one process, and the guard that keeps our errors from the script.

    `signals`: names from the table of signals that someone needs; a probe none of whose signals is named is not attached.
    `budget`: share of the run's time that close looks may take. `max_steps`: optimizer steps after which to stop.
    """

    def __init__(
        self,
        record: str,
        *,
        cwd: str,
        signals: list[str] | None = None,
        budget: float = 0.02,
        max_steps: int | None = None,
        strict: bool = False,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self.torch: Any = None
        self.active = True
        self.steps = 0
        self._pid = os.getpid()
        self._strict = strict
        self._max_steps = max_steps
        self._stop_file = os.path.join(record, "stop")
        self._failed: set[str] = set()
        self._clock = clock
        self._writer = Writer(os.path.join(record, f"process-{self._pid}.jsonl"))
        self.write = self._writer.write
        self.sites = Sites(self.write, cwd)
        self.sampler = Sampler(budget, clock)
        self._signals = signals
        self._probes: dict[str, Any] = {}
        self._nested = 0
        self._pulse_due = 0.0

    # -- life ------------------------------------------------------------------------------------------------

    def start(self, **facts: Any) -> None:
        """Write the opening row at once: a record exists from the first moment."""
        self.write({"k": "start", "schema": SCHEMA, "pid": self._pid, **facts})
        self._writer.flush()

    def attach(self, torch: Any) -> None:
        """torch has just been imported."""
        self.torch = torch
        wanted = None if self._signals is None else set(self._signals)
        for name, make in PROBES.items():
            needed = wanted is None or name in BASE or wanted & set(make.SIGNALS)  # type: ignore[attr-defined]
            self._probes[name] = make(self) if needed else None
        self.write({"k": "torch", "version": torch.__version__, "accelerator": bool(torch.cuda.is_available())})
        self._writer.flush()

    def close(self, how: str, status: int | None) -> None:
        """Write the closing rows. Nothing is observed after."""
        if not self.active or os.getpid() != self._pid:
            return
        with self.guard("close"):
            self._flush(closing=True)
            elapsed = self.sampler.elapsed()
            row = {"k": "end", "how": how, "status": status, "steps": self.steps}
            self.write({**row, "observed_seconds": elapsed, "spent_seconds": self.sampler.spent})
        self.active = False
        self._writer.close()

    def leave_to_parent(self) -> None:
        """After a fork: the child is not ours to watch, and must not write to its parent's record."""
        self.active = False
        self._writer.abandon()

    # -- the guard -------------------------------------------------------------------------------------------

    @contextmanager
    def guard(self, name: str) -> Iterator[None]:
        """No exception of ours reaches the script; what failed is switched off and said once."""
        try:
            yield
        except Exception as error:
            if self._strict:
                raise
            self.fail(name, error)

    def fail(self, name: str, error: Exception) -> None:
        """A handler raised: do without it from now on."""
        if name not in self._failed:
            self._failed.add(name)
            self.write({"k": "probe_failed", "probe": name, "error": f"{type(error).__name__}: {error}"[:500]})

    def handle(self, name: str, *args: Any) -> Any:
        """Call a handler of this class under the guard; the patches use nothing else."""
        if not self.active or name in self._failed:
            return None
        try:
            return getattr(self, name)(*args)
        except Exception as error:
            if self._strict:
                raise
            self.fail(name, error)
            return None

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Charge a close look to the budget."""
        started = self._clock()
        try:
            yield
        finally:
            self.sampler.spend(self._clock() - started)

    # -- the probes ------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        if name in PROBES:
            return self.__dict__.get("_probes", {}).get(name)
        raise AttributeError(name)

    def _tell(self, probe: str, event: str, *args: Any) -> None:
        target = self._probes.get(probe)
        if target is None or probe in self._failed:
            return
        try:
            getattr(target, event)(*args)
        except Exception as error:
            if self._strict:
                raise
            self.fail(probe, error)

    # -- events, called by the patches through `handle` ------------------------------------------------------

    def loss_enter(self, name: str, args: Any, kwargs: Any) -> None:
        """A loss function of torch is called."""
        self.losses.on_loss_enter(name, args, kwargs)

    def loss_called(self, name: str, original: Any, args: Any, kwargs: Any, result: Any) -> None:
        """A loss function of torch returned."""
        self.losses.on_loss(name, original, args, kwargs, result)
        self.tick()

    def backward_begins(self, tensors: Any, kind: str) -> tuple[Graph | None, int | None, int] | None:
        """A backward pass begins; what is returned comes back in `backward_ends`."""
        if self._nested:  # checkpointing runs a backward inside the backward
            self._nested += 1
            return None
        roots = [tensors] if isinstance(tensors, self.torch.Tensor) else list(tensors)
        self._nested = 1
        if len(roots) != 1 or roots[0].numel() != 1:
            return None
        root = roots[0]
        site = self.sites.of_frame(sys._getframe(1))
        self.loop.on_event("B" if kind == "backward" else "g", site)
        key = ("backward", site)
        deep = self.sampler.due(key)
        count = self.sampler.count(key) - 1
        value = root.detach()
        if value.device.type == "cpu":
            value = float(value)
            if value != value or value in (float("inf"), float("-inf")):
                deep = self._alarm(site) or deep
        self._tell("updates", "before_backward", deep)
        self._tell("modes", "before_backward", deep)
        self.loop.on_objective(site, value)
        graph = None
        if deep and not (root.grad_fn is None and not root.requires_grad):
            with self.timed():
                graph = Graph(root)
                for probe in ("network", "gradients", "updates"):
                    self._tell(probe, "on_graph", graph, site, count)
        self.losses.recent.clear()
        return graph, site, count

    def backward_ends(self, begun: tuple[Graph | None, int | None, int] | None) -> None:
        """The backward pass is over (also when it raised)."""
        self._nested = max(0, self._nested - 1)
        if begun is None:
            return
        graph, site, count = begun
        self._tell("updates", "after_backward_light")
        if graph is not None:
            with self.timed():
                for probe in ("gradients", "updates"):
                    self._tell(probe, "after_backward", graph, site, count)
        self.tick()

    def _alarm(self, site: int | None) -> bool:
        """The first non-finite loss is looked at closely whatever the schedule says."""
        if ("alarm", site) in self.sampler._counts:
            return False
        self.sampler.due(("alarm", site))
        self.sampler.alarm()
        return True

    def optimizer_built(self, optimizer: Any) -> None:
        """An optimizer was constructed."""
        self.updates.on_optimizer(optimizer)

    def zero_grad(self, optimizer: Any) -> None:
        """optimizer.zero_grad() was called."""
        site = self.sites.of_frame(sys._getframe(1))
        self.loop.on_event("z", site, self.updates.number(optimizer))
        self.updates.on_zero_grad(optimizer, site)

    def module_zero_grad(self, module: Any) -> None:
        """module.zero_grad() was called."""
        site = self.sites.of_frame(sys._getframe(1))
        self.loop.on_event("m", site)
        self.updates.on_module_zero_grad(module, site)

    def step_begins(self, optimizer: Any, closure: bool) -> None:
        """optimizer.step() begins."""
        self.updates.before_step(optimizer, closure)

    def step_ends(self, optimizer: Any) -> None:
        """optimizer.step() ended."""
        site = self.sites.of_frame(sys._getframe(1))
        self.loop.on_event("S", site, self.updates.number(optimizer))
        self.loop.end_window()
        self.updates.after_step(optimizer, site)
        self.steps += 1
        self.tick()

    def on_manual_step(self) -> None:
        """Parameters that no optimizer holds were changed in place since the last backward."""
        self.steps += 1

    def clipped(self, kind: str, parameters: int, limit: Any, norm: Any) -> None:
        """Gradients were clipped."""
        site = self.sites.of_frame(sys._getframe(1))
        self.loop.on_event("c", site)
        if self.sampler.due(("clip", site)):
            row = {"k": "clip", "site": site, "step": self.steps, "by": kind, "parameters": parameters}
            self.write({**row, "limit": limit, "norm": norm})

    def unscaled(self, optimizer: Any) -> None:
        """GradScaler.unscale_() was called by the script."""
        self.loop.on_event("u", self.sites.of_frame(sys._getframe(1)), self.updates.number(optimizer))

    def scheduled(self, scheduler: Any, fed: Any) -> None:
        """A learning-rate scheduler stepped."""
        site = self.sites.of_frame(sys._getframe(1))
        self.loop.on_event("h", site)
        if self.sampler.due(("scheduler", site)):
            value = float(fed) if isinstance(fed, (int, float)) else None
            row = {"k": "scheduler", "site": site, "step": self.steps, "class": type(scheduler).__name__}
            self.write({**row, "n": self.sampler.count(("scheduler", site)), "fed": value})

    def module_seen(self, module: Any) -> None:
        """A module's parameters were listed, or it was moved."""
        self.parameters.on_module(module)

    def switched(self, module: Any, training: bool) -> None:
        """module.train(mode) or module.eval() was called by the script."""
        site = self.sites.of_frame(sys._getframe(1))
        self.parameters.on_module(module)
        self.loop.on_event("T" if training else "E", site)
        if self.modes is not None:
            self.modes.on_switch(module, training, site, not any(True for _ in module.children()))

    def mode_layer(self, kind: str, active: bool, graded: bool, trains: bool, used: bool) -> None:
        """A dropout or batch-norm function ran."""
        if self.modes is not None and not self._nested:
            self.modes.on_mode_layer(kind, active, graded, trains, used)

    def loader_begins(self, loader: Any) -> None:
        """A pass over a DataLoader begins."""
        if self.loaders is not None:
            self.loaders.on_loader(loader, self.sites.of_frame(sys._getframe(1)))

    def raised(self, error: BaseException) -> None:
        """The script ended with an exception."""
        if self._probes.get("crash") is not None:
            self._tell("crash", "on_exception", error)
        else:  # torch was never imported
            row = {"k": "exception", "type": type(error).__name__, "text": str(error)[:4000], "step": 0}
            frames = [self.sites.intern(f.f_code, line) for f, line in self.sites.user_frames(error.__traceback__)]
            self.write({**row, "frames": frames, "inner": [], "causes": []})

    # -- time ------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Hand rows over when they have waited long enough."""
        if self._writer.due():
            self._flush()

    def _flush(self, closing: bool = False) -> None:
        for probe in ("loop", "updates", "modes", "loaders"):
            target = self._probes.get(probe)
            if target is not None and probe not in self._failed:
                self._tell(probe, "on_flush", closing)
        elapsed = self.sampler.elapsed()
        if elapsed >= self._pulse_due:
            self._pulse_due = 1.1 * elapsed
            self.write({"k": "pulse", "steps": self.steps, "spent": self.sampler.spent, "of": elapsed})
        self._writer.flush(closing)

    def stop_due(self) -> bool:
        """Whether the run should end here: its steps are done, or the parent asks for it."""
        if self._max_steps is not None and self.steps >= self._max_steps:
            return True
        return self._writer.due() and os.path.exists(self._stop_file)
