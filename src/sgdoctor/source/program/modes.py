"""Which mode a model is in at each of its forwards: train() and eval() followed through branches and loops."""

from __future__ import annotations

from typing import NamedTuple

from .calls import is_module
from .kinds import MODAL, constructor, inner, layers, loss_of, modules_of, settled, within
from .queries import Entry, Place, backward_of, called, is_opaque, owner_of, stepped
from .values import Branch, Call, Const, Event, Instance, Loop, Op, Step, Value

State = dict[int, tuple[str, Event | None]]
MAX_NESTED = 4  # loops in loops that are gone through twice; deeper ones once


class Forward(NamedTuple):
    """A model called: the modes it may be in there ("" where that is not to be seen), and what switched it last."""

    place: Place
    model: Value
    modes: frozenset[str]
    last: str
    switch: Event | None


class Modes:
    """The modes of one entry."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._seen: dict[int, list[tuple[str, Event | None]]] = {}
        self._inner: dict[int, set[int]] = {}
        self._nested = 0
        if next(entry.calls("backward"), None) is not None or next(entry.calls("eval"), None) is not None:
            self._go(entry.steps, {})

    def forwards(self, modal: bool = True) -> list[Forward]:
        """Every call of a model; `modal`: of one that has layers which act differently in the two modes."""
        found = []
        for place in self._entry.places:
            states = self._seen.get(id(place.event))
            model = settled(place.event.fn)
            if states and model is not None and (not modal or has_modes(model)):
                modes = frozenset(mode for mode, _ in states)
                found.append(Forward(place, model, modes, states[-1][0], states[-1][1]))
        return found

    def _inside(self, model: Value) -> set[int]:
        if id(model) not in self._inner:
            self._inner[id(model)] = inner(model)
        return self._inner[id(model)]

    def _go(self, steps: list[Step], state: State) -> State:
        for step in steps:
            if isinstance(step, Event):
                self._event(step, state)
            elif isinstance(step, Loop):
                self._nested += 1
                for _ in range(2 if self._nested <= MAX_NESTED else 1):
                    state = self._go(step.body, state)
                self._nested -= 1
            else:
                state = self._branch(step, state)
        return state

    def _branch(self, branch: Branch, state: State) -> State:
        ends = []
        for arm, way in branch.arms:
            after = self._go(arm, dict(state))
            if not way:
                ends.append(after)
        if not ends:
            return state
        merged = ends[0]
        for other in ends[1:]:
            for key in set(merged) | set(other):
                one, two = merged.get(key, ("train", None)), other.get(key, ("train", None))
                merged[key] = one if one[0] == two[0] else ("", None)
        return merged

    def _event(self, event: Event, state: State) -> None:
        if event.name != "call":
            if event.attribute == "training":
                for key in list(state):
                    state[key] = ("", None)
            return
        name, owner = called(event), owner_of(event)
        fn = settled(event.fn)
        if name in ("train", "eval") and owner is not None and is_module(owner):
            given = event.args[0] if event.args else event.kwargs.get("mode")
            mode = "eval" if name == "eval" else "train"
            if given is not None and name == "train":
                mode = {True: "train", False: "eval"}.get(given.value, "") if isinstance(given, Const) else ""
            for key in self._inside(owner):
                state[key] = (mode, event)
        elif isinstance(fn, (Instance, Call)) and is_module(fn):
            self._seen.setdefault(id(event), []).append(state.get(id(fn), ("train", None)))
        elif is_opaque(event):
            for each in (*event.args, *event.kwargs.values()):
                value = settled(each)
                if value is not None and is_module(value):
                    for key in self._inside(value):
                        state[key] = ("", None)


def modes_of(entry: Entry) -> Modes:
    """The modes of an entry, followed once."""
    found = entry.facts.get("modes")
    if not isinstance(found, Modes):
        found = entry.facts["modes"] = Modes(entry)
    return found


def has_modes(model: Value) -> bool:
    """Whether it holds dropout or batch norm that is switched on."""
    for layer in layers(model):
        kind = constructor(layer).rpartition(".")[2]
        if kind.startswith("InstanceNorm"):
            continue
        rate = layer.argument(0, "p")
        off = kind.endswith("Dropout") and isinstance(rate, Const) and not rate.value
        kept = layer.argument(4, "track_running_stats")
        if kind in MODAL and not off and not (isinstance(kept, Const) and kept.value is False):
            return True
    return False


def trained(entries: list[Entry], model: Value) -> list[Place]:
    """The steps of optimizers that hold parameters of a model."""
    mine = inner(model)
    found = []
    for entry in entries:
        for place in entry.calls("step"):
            optimizer = stepped(place.event)
            parts = optimizer.parts() if optimizer is not None else ()
            if place.loop is not None and any(mine & inner(each) for part in parts for each in modules_of(part)):
                found.append(place)
    return found


def sent_back(entries: list[Entry]) -> set[int]:
    """Identities of all values that a loss with a backward() is made of."""
    found: set[int] = set()
    for entry in entries:
        for place in entry.calls("backward"):
            found.update(id(each) for each in within(backward_of(place.event)))
    return found


def compared(entry: Entry, result: Value | None) -> bool:
    """Whether an output is held against targets: by a loss, or by `==`."""
    for place in entry.places:
        event = place.event
        loss = loss_of(event.result) if event.name == "call" else None
        if loss is not None and any(each is result for each in within(loss[1])):
            return True
        for each in within(event.fn, limit=60):
            if isinstance(each, Op) and each.operator == "Eq" and any(part is result for part in within(each)):
                return True
    return False
