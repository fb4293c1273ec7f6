"""Questions about what a program does in order: in which loop, before or behind what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..module import Source
from .calls import FRAMEWORKS
from .kinds import FRAMES_OUTSIDE, constructor, holds, is_optimizer, is_scaler, loss_of, settled
from .machine import Machine
from .values import (
    Attr,
    Branch,
    Call,
    Const,
    Element,
    Event,
    External,
    Function,
    Instance,
    Item,
    Loop,
    Mapping,
    Op,
    Sequence,
    Step,
    Value,
)

TELLING = frozenset(
    ("backward", "step", "zero_grad", "checkpoint", "load_state_dict", "add_param_group", "manual_backward")
)


class Place(NamedTuple):
    """An event and what stands around it, outermost first: loops, and branches with the arm."""

    event: Event
    around: tuple[Loop | Branch, ...]
    order: int

    @property
    def loops(self) -> list[Loop]:
        """The loops around it, innermost last."""
        return [each for each in self.around if isinstance(each, Loop)]

    @property
    def loop(self) -> Loop | None:
        """The innermost loop."""
        loops = self.loops
        return loops[-1] if loops else None


class Entry:
    """What one file does from top to bottom, or one function that nothing calls."""

    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps
        self.places: list[Place] = []
        self.facts: dict[str, object] = {}  # what readers have found out, by the name of the reader
        self._walk(steps, ())
        self._by_name: dict[str, list[Place]] = {}
        for place in self.places:
            if place.event.name == "call":
                self._by_name.setdefault(place.event.called, []).append(place)

    def _walk(self, steps: list[Step], around: tuple[Loop | Branch, ...]) -> None:
        for step in steps:
            if isinstance(step, Event):
                self.places.append(Place(step, around, len(self.places)))
            elif isinstance(step, Loop):
                self._walk(step.body, (*around, step))
            else:
                for arm, _ in step.arms:
                    self._walk(arm, (*around, step))

    def calls(self, *names: str) -> Iterator[Place]:
        """Calls of methods, or of functions outside the program, by their last names."""
        if len(names) == 1:
            yield from self._by_name.get(names[0], ())
            return
        found = [place for name in names for place in self._by_name.get(name, ())]
        yield from sorted(found, key=lambda place: place.order)


def machine_of(source: Source) -> Machine:
    """The program of a source, gone through once."""
    found = source.facts.get("machine")
    if not isinstance(found, Machine):
        found = source.facts["machine"] = Machine(source)
        found.run()
    return found


def entries(source: Source) -> list[Entry]:
    """The entries of a program that train, or could."""
    found = source.facts.get("entries")
    if not isinstance(found, list):
        every = [Entry(steps) for steps in machine_of(source).entries]
        found = source.facts["entries"] = [entry for entry in every if any(map(_matters, entry.places))]
    return found


def _matters(place: Place) -> bool:
    """Whether it has to do with training: most functions of a large program do nothing of the kind."""
    event = place.event
    if event.name == "set":
        return "requires_grad" in event.attribute or event.attribute == "grad"
    if event.name != "call":
        return False
    made = event.fn.name.startswith("torch.optim.") if isinstance(event.fn, External) else False
    return made or called(event) in TELLING or loss_of(event.result) is not None


def called(event: Event) -> str:
    """The last name of what is called: `step` of `optimizer.step()`, `softmax` of `F.softmax()`."""
    return event.called


def owner_of(event: Event) -> Value | None:
    """`optimizer` of `optimizer.step()`."""
    return settled(event.fn.of) if isinstance(event.fn, Attr) else None


def backward_of(event: Event) -> Value | None:
    """The loss of a `backward()`, whoever calls it; None for anything else."""
    if called(event) != "backward" or event.name != "call":
        return None
    if event.args and (isinstance(event.fn, External) or _is_framework(owner_of(event))):
        return settled(event.args[0])
    return owner_of(event) if isinstance(event.fn, Attr) else None


def _is_framework(value: Value | None) -> bool:
    return constructor(value).startswith(FRAMEWORKS) or constructor(value).endswith((".Accelerator", ".Fabric"))


def stepped(event: Event) -> Value | None:
    """The optimizer of a step, through a scaler too; None for anything else."""
    if called(event) != "step" or event.name != "call" or not isinstance(event.fn, Attr):
        return None
    owner = owner_of(event)
    if is_optimizer(owner):
        return owner
    if event.args and is_optimizer(event.args[0]):
        return settled(event.args[0])
    return None


def clears(event: Event) -> bool:
    """Whether it may clear gradients: anyone's, in any way."""
    if event.name == "set":
        return event.attribute == "grad"
    name = called(event)
    if name == "zero_grad":
        return True
    return name in ("zero_", "fill_", "copy_", "_foreach_zero_", "grad") and event.name == "call"


def is_opaque(event: Event) -> bool:
    """Whether nobody knows what is called: nothing of torch, of Python, or of a library that leaves training alone."""
    fn = event.fn
    while isinstance(fn, Attr):
        inner = settled(fn.of)
        if inner is None:
            return True
        fn = inner
    if isinstance(fn, External):
        return not _harmless(fn.name)
    if isinstance(fn, Call):
        return isinstance(fn.fn, External) and not _harmless(fn.fn.name)
    if isinstance(fn, Function):
        return True  # of the program, but not gone through
    return not isinstance(fn, (Const, Element, Instance, Item, Mapping, Op, Sequence))


def _harmless(name: str) -> bool:
    return name.partition(".")[0] in FRAMES_OUTSIDE or "." not in name


def escapes(entry: Entry, value: Value, test: Callable[[Place], bool] | None = None) -> bool:
    """Whether something that nobody knows is given a value, where `test` holds."""
    for place in entry.places:
        event = place.event
        if event.name != "call" or (test is not None and not test(place)):
            continue
        given = (*event.args, *event.kwargs.values())
        if any(holds(each, value) for each in given) and is_opaque(event):
            return True
        if isinstance(event.fn, Function) and event.fn.bound is not None and holds(event.fn.bound, value):
            return True
    return False


def scaled(loss: Value | None) -> Value | None:
    """The scaler of `scaler.scale(loss)`."""
    if isinstance(loss, Call) and isinstance(loss.fn, Attr) and loss.fn.name == "scale":
        owner = settled(loss.fn.of)
        return owner if is_scaler(owner) else None
    return None


def losses(source: Source) -> Iterator[tuple[Entry, Place, str, Call]]:
    """(entry, place, name, call) of each call of one of torch's losses with gradients on."""
    for entry in entries(source):
        for place in entry.places:
            found = loss_of(place.event.result) if place.event.name == "call" and place.event.grad else None
            if found is not None and found[1] is place.event.result:
                yield entry, place, *found
