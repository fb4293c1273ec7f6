"""The observer of one process: takes events from the patches, asks the sampler, hands them to the probes."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import get_ident
from time import monotonic, perf_counter, time
from types import FrameType
from typing import Any

from .graph import Graph
from .handover import Handover, read_apart
from .probes import BASE, ON_REQUEST, PROBES, Absent
from .probes.windows import BACKWARD, CLOSURE, STEP
from .sampler import Beat, Root, Sampler
from .sites import Sites
from .writer import Writer

SCHEMA = 1
# Probes that are given each sampled graph.
AT_GRAPH = ("network", "gradients", "updates", "arguments", "pairs", "modules", "structure", "batches", "ranks")
WHOLE = ("loss", "labels", "clip", "scheduler")  # what is looked at of a sharded model: no parameter of it

# What a backward pass is about to go through (None where it is not looked at closely), its line, its number there.
Begun = tuple["Graph | None", "int | None", int]


class Observer(Handover):
    """State shared by the probes of one process, and the guard that keeps our errors from the script.

    `cells`: of a notebook, see `Sites`.
    `signals`: names from the table of signals that someone needs; a probe that provides none of them is not attached.
    `budget`: share of the run's time that close looks may take. `max_steps`: optimizer steps after which to stop.
    """

    parameters: Any
    losses: Any
    arguments: Any
    pairs: Any
    network: Any
    gradients: Any
    updates: Any
    modes: Any
    loaders: Any
    loop: Any
    crash: Any
    score: Any
    windows: Any
    schedules: Any
    checkpoints: Any
    kept: Any
    evaluations: Any
    precision: Any
    modules: Any
    dropouts: Any
    validations: Any
    structure: Any
    batches: Any
    errors: Any
    doors: Any
    ranks: Any
    resumes: Any
    seeding: Any

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
        cells: dict[str, tuple[str, int]] | None = None,
    ) -> None:
        self.torch: Any = None
        self._tensor: Any = ()
        self.active = True
        self.stopping = False  # the run should end at the next step
        self.steps = 0
        self.backwards = 0  # that are over
        self.near = True  # the graph of the next backward pass may be looked at: what it is made of is to be noted
        self._lost_at = -1  # those that were over at the latest loss
        self._roots: dict[int | None, Root] = {}
        self.sharded = False  # parameters lie on several ranks: what touches their values is a collective
        self._stopped = False
        self._pid = os.getpid()
        self._strict = strict
        self._max_steps = max_steps
        self._stop_file = os.path.join(record, "stop")
        self._failed: set[str] = set()
        self._clock = clock
        self._writer = Writer(os.path.join(record, f"process-{self._pid}.jsonl"), strict)
        self.write = self._writer.write
        self.sites = Sites(self.write, cwd, cells)
        self.sampler = Sampler(budget, clock)
        self.signals = signals
        for name in PROBES:
            setattr(self, name, Absent())
        self._within: dict[int, int] = {}  # thread -> how many backward passes are going on inside each other
        self._waits = False  # losses are on a device that has to be waited for
        self._alarmed: set[int | None] = set()
        self._capturing: Callable[[], bool] = bool  # whether a CUDA graph is being captured: not a time to look
        self._flush_at = self._gap = self._pulse_due = 0.0
        self._flushes = 0
        self._ticked = monotonic()

    # -- life ------------------------------------------------------------------------------------------------

    def start(self, **facts: Any) -> None:
        """Write the opening row at once: a record exists from the first moment."""
        self.write({"k": "start", "schema": SCHEMA, "pid": self._pid, **facts})
        self._writer.flush()

    def attach(self, torch: Any) -> None:
        """torch has just been imported."""
        self.torch = torch
        self._tensor = torch.Tensor
        self.aside = torch._C.DisableTorchFunction
        wanted = None if self.signals is None else set(self.signals)
        for name, make in PROBES.items():
            by_default = name in BASE or (wanted is None and name not in ON_REQUEST)
            if by_default or (wanted or set()) & set(make.SIGNALS):  # type: ignore[attr-defined]
                with self.guard(name):
                    setattr(self, name, make(self))
        # Not cuda.is_available(): it would fix the visible devices before the script has chosen them.
        self.write({"k": "torch", "version": torch.__version__, "accelerator": torch.version.cuda is not None})
        self._writer.flush()

    def close(self, how: str, status: int | None) -> None:
        """Write the closing rows. Nothing is observed after."""
        if not self.active or os.getpid() != self._pid:
            return
        if self._stopped:
            how, status = "stopped", 0
        with self.guard("close"), self.aside():
            self.doors.on_close()
            self._flush(closing=True)
        row = {"k": "end", "how": how, "status": status, "steps": self.steps, "at": time()}
        with self.guard("close"):
            row.update(observed_seconds=self.sampler.elapsed(), spent_seconds=self.sampler.spent)
        self.write(row)
        self.active = self.stopping = False
        self._writer.close()

    def leave_to_parent(self) -> None:
        """After a fork: the child is not ours to watch, and must not write to its parent's record."""
        self.active = self.stopping = False
        self._writer.abandon()

    def stop(self) -> None:
        """End the script here.

        No Exception, so that ordinary handlers let it through; SystemExit itself, so that a thread ends without a word.
        """
        self._stopped = True
        raise SystemExit

    def look_due(self, key: tuple[Any, ...]) -> bool:
        """Whether to look closely at this event, which takes operations that a mode of the script's own would see."""
        if self.sharded and key[0] not in WHOLE:
            return False
        return self.sampler.due(key) and not self.torch._C._len_torch_dispatch_stack()

    def looks(self, beat: Beat) -> bool:
        """The same, with the beat of the event at hand: for what happens at every step."""
        count = beat.count
        beat.count = count + 1
        return count >= beat.next and self.sampler.take(beat, count) and not self.torch._C._len_torch_dispatch_stack()

    # -- events, called by the patches through `guarded`; `frame` called what is wrapped -----------------------

    def loss_called(self, name: str, original: Any, frame: FrameType, args: Any, kwargs: Any, result: Any) -> None:
        """A loss function of torch returned."""
        if not isinstance(result, self._tensor):
            return
        output = args[0] if args else kwargs.get("input")
        target = args[1] if len(args) > 1 else kwargs.get("target")
        place = (self.sites.of_frame(frame), result.requires_grad)
        self.losses.on_loss(name, original, place, output, target, args, kwargs, result)
        if place[1]:
            self.evaluations.on_loss(place[0])
        else:
            self.validations.on_loss(name, place[0], result)
        self.batches.on_loss(name, place, output, target)
        self.errors.on_loss(name, place, output, target)
        # A backward pass that follows ticks as well, and in most loops one does.
        if not place[1] or self.backwards == self._lost_at:
            self.tick()
        self._lost_at = self.backwards

    def loss_failed(self, name: str, args: Any, kwargs: Any) -> None:
        """A loss function of torch raised."""
        self.losses.on_failure(name, args, kwargs)

    def backward_begins(self, letter: str, frame: FrameType, tensors: Any) -> Begun | None:
        """A backward pass begins; what is returned comes back in `backward_ends`."""
        thread = get_ident()  # a threading.local takes thrice as long
        if thread in self._within:  # checkpointing runs a backward inside the backward
            self._within[thread] += 1
            return None
        self._within[thread] = 1
        root = tensors if isinstance(tensors, self._tensor) else _only(tensors)
        if root is None or root.numel() != 1 or (value := self._value(root)) is None:
            return None
        site = self.sites.of_frame(frame)
        known = self._roots.get(site) or self._root(site)
        self.loop.on_event(letter, site)
        deep = self.looks(known.beat) and not self.sharded
        if value.__class__ is float and value - value != 0 and site not in self._alarmed:
            # The first non-finite loss is looked at closely whatever the schedule says.
            self._alarmed.add(site)
            self.sampler.alarm()
            deep = not self.sharded and not self.torch._C._len_torch_dispatch_stack()
        if self.updates.waiting:
            self.updates.before_backward(letter == "B")
        for probe in (self.modes, self.evaluations, self.batches):
            if probe.waiting:
                probe.before_backward()
        self.windows.log.append((BACKWARD, site, None))
        known.add(value, self.steps)
        count = known.beat.count
        if count >= known.marked_next:
            known.marked_next = self.kept.on_backward(site, root, count) or count + 1
        begun: Begun = (None, site, 0)
        if deep and root.requires_grad:
            begun = (self._graph(root, site, count - 1), site, count - 1)
        self.near = known.beat.count >= known.beat.next or (
            len(self._roots) > 1 and any([root.beat.count >= root.beat.next for root in self._roots.values()])
        )
        for probe in (self.pairs, self.dropouts):
            if probe.waiting:
                probe.on_backward()
        return begun

    def _root(self, site: int | None) -> Root:
        series = self.loop.series(site)  # None where that probe has failed
        add = Absent().event if series is None else series.add
        known = self._roots[site] = Root(self.sampler.beat(("backward", site)), add)
        return known

    def backward_ends(self, begun: Begun | None) -> None:
        """The backward pass is over (also when it raised)."""
        thread = get_ident()
        if (depth := self._within.pop(thread, 1)) > 1:
            self._within[thread] = depth - 1
        if begun is None:
            return
        graph, site, count = begun
        self.backwards += 1
        if graph is not None:
            with self.timed():
                for probe in ("gradients", "updates"):
                    with self.guard(probe):
                        getattr(self, probe).after_backward(graph, site, count)
        self.tick()

    def _graph(self, root: Any, site: int | None, count: int) -> Graph | None:
        with self.timed(), self.guard("graph"):
            graph = Graph(root) if "graph" not in self._failed else None
            for probe in AT_GRAPH if graph is not None else ():
                with self.guard(probe):
                    getattr(self, probe).on_graph(graph, site, count)
            return graph
        return None

    def _value(self, root: Any) -> Any:
        """The number in it (None for a complex one); that of another device as a copy, to be read later."""
        if root.is_cpu:
            apart = self.torch._C._len_torch_dispatch_stack() or root.__class__ is not self._tensor
            value = read_apart(self.torch, root) if apart else root.item()
            return value if value.__class__ is float else None
        if root.is_cuda:
            self._capturing = self.torch.cuda.is_current_stream_capturing
        self._waits = True
        return root.detach().clone()

    def optimizer_built(self, frame: FrameType, optimizer: Any) -> None:
        """An optimizer was constructed."""
        self.updates.on_optimizer(optimizer, self.sites.of_frame(frame))
        self.modules.on_optimizer(optimizer)
        self.ranks.on_optimizer(optimizer)
        self.near = True
        self.sampler.alarm()  # another phase of training begins

    def zero_grad(self, frame: FrameType, optimizer: Any) -> None:
        """optimizer.zero_grad() was called."""
        site = self.sites.of_frame(frame)
        self.loop.on_event("z", site, self.updates.on_zero_grad(optimizer, site))

    def module_zero_grad(self, frame: FrameType, module: Any) -> None:
        """module.zero_grad() was called."""
        site = self.sites.of_frame(frame)
        self.loop.on_event("m", site)
        self.updates.on_module_zero_grad(module, site)

    def step_begins(self, optimizer: Any, closure: bool) -> None:
        """optimizer.step() begins."""
        if closure:
            self.windows.log.append((CLOSURE, None, None))
        self.ranks.before_step(optimizer)
        self.updates.before_step(optimizer, closure)
        self.modules.before_step(optimizer, closure)

    def step_ends(self, frame: FrameType, optimizer: Any) -> None:
        """optimizer.step() ended."""
        number = self.updates.after_step(optimizer)
        self.loop.on_event("S", self.sites.of_frame(frame), number)
        self.windows.log.append((STEP, None, number))
        self.loop.end_window()
        self.count_step()
        self.doors.expect("step")

    def count_step(self) -> None:
        """Parameters were changed, by an optimizer or by hand."""
        self.steps += 1
        if self._max_steps is not None and self.steps >= self._max_steps:
            self.stopping = True

    def clipped(self, frame: FrameType, kind: str, parameters: int, limit: Any, norm: Any) -> None:
        """Gradients were clipped."""
        site = self.sites.of_frame(frame)
        self.loop.on_event("c", site)
        if self.sampler.due(("clip", site)):
            row = {"k": "clip", "site": site, "step": self.steps, "by": kind, "parameters": parameters, "limit": limit}
            # That of sharded gradients is spread over ranks: to read it is a collective.
            self.write({**row, "norm": norm} if norm.__class__ in (float, self._tensor) else row)

    def unscaled(self, frame: FrameType, optimizer: Any) -> None:
        """GradScaler.unscale_() was called by the script."""
        self.loop.on_event("u", self.sites.of_frame(frame), self.updates.number(optimizer))

    def scheduled(self, frame: FrameType, scheduler: Any, fed: Any) -> None:
        """A learning-rate scheduler stepped."""
        site = self.sites.of_frame(frame)
        self.loop.on_event("h", site)
        self.schedules.on_step(scheduler, site, fed)
        if self.sampler.due(("scheduler", site)):
            value = float(fed) if isinstance(fed, (int, float)) else None
            row = {"k": "scheduler", "site": site, "step": self.steps, "class": type(scheduler).__name__}
            self.write({**row, "n": self.sampler.count(("scheduler", site)), "fed": value})

    def module_seen(self, module: Any) -> None:
        """A module's parameters were listed, or it was moved."""
        self.parameters.on_module(module)

    def switched(self, frame: FrameType, module: Any, training: bool) -> None:
        """module.train(mode) or module.eval() was called by the script."""
        site = self.sites.of_frame(frame)
        self.parameters.on_module(module)
        self.loop.on_event("T" if training else "E", site)
        self.evaluations.on_switch(training, site)
        self.ranks.after_moves()
        self.modes.on_switch(module, training, site, not any(True for _ in module.children()))
        self.doors.expect("train" if training else "eval")

    def mode_layer(self, frame: FrameType, kind: str, active: bool, owner: Any, trains: bool) -> None:
        """A dropout or batch-norm function ran."""
        if get_ident() not in self._within:
            self.modes.on_mode_layer(frame, kind, active, owner, trains)

    def dropout_ran(self, frame: FrameType, p: float, active: bool, given: Any, result: Any) -> None:
        """A dropout function ran."""
        if get_ident() not in self._within:
            self.dropouts.on_dropout(frame, p, active, given, result)

    def compiles(self) -> None:
        """Something of the script is to be compiled."""
        self.doors.leave()

    def loader_begins(self, frame: FrameType, loader: Any) -> None:
        """A pass over a DataLoader begins."""
        self.loaders.on_loader(loader, self.sites.of_frame(frame))
        self.doors.expect("loader")

    def pass_begins(self, loader: Any, iterator: Any) -> None:
        """The iterator of that pass is there."""
        self.batches.on_pass(loader, iterator)
        self.ranks.on_pass(loader)

    def batch_loaded(self, iterator: Any, batch: Any) -> None:
        """A loader handed a batch over."""
        self.batches.on_batch(iterator, batch)

    def raised(self, error: BaseException) -> None:
        """The script ended with an exception."""
        if self.torch is not None:
            self.crash.on_exception(error)
            self.modules.on_exception()
            return
        row = {"k": "exception", "type": type(error).__name__, "text": str(error)[:4000], "step": 0}
        frames = [self.sites.intern(f.f_code, line) for f, line in self.sites.user_frames(error.__traceback__)]
        self.write({**row, "frames": frames, "inner": [], "causes": []})


def _only(tensors: Any) -> Any:
    # A generator is not ours to use up.
    return tensors[0] if isinstance(tensors, (list, tuple)) and len(tensors) == 1 else None
