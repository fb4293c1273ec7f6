"""The rounds of a training loop: which optimizer steps in it, on which backward, and who else could meddle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .calls import is_layer
from .kinds import applied, inner, is_cut, is_optimizer, modules_of, settled, within
from .queries import Entry, Place, backward_of, called, clears, escapes, owner_of, stepped
from .values import (
    Attr,
    Branch,
    Call,
    Class,
    Const,
    Element,
    Event,
    External,
    Instance,
    Item,
    Loop,
    Mapping,
    Op,
    Sequence,
    Step,
    Value,
)


class Held(NamedTuple):
    """What the optimizers of a program hold."""

    modules: set[int]
    certain: bool


def rounds(entry: Entry) -> Iterator[tuple[Loop, Call, Place, list[Place]]]:
    """(loop, optimizer, its step, the backwards of the same round) for each step inside a loop that has some."""
    seen = set()
    for place in entry.calls("step"):
        optimizer, loop = stepped(place.event), place.loop
        if not isinstance(optimizer, Call) or loop is None or (id(optimizer), id(loop)) in seen:
            continue
        backwards = [p for p in entry.calls("backward") if loop in p.around and backward_of(p.event) is not None]
        if backwards:
            seen.add((id(optimizer), id(loop)))
            yield loop, optimizer, place, backwards


def is_conditional(place: Place, loop: Loop) -> bool:
    """Whether something decides in a round of the loop if it happens."""
    return any(isinstance(each, Branch) for each in place.around[place.around.index(loop) :])


def is_made_in(entry: Entry, value: Value, loop: Loop) -> bool:
    """Whether each round makes a new one."""
    return any(place.event.result is value and loop in place.around for place in entry.places)


def is_handed_on(entry: Entry, optimizer: Call, loop: Loop | None = None) -> bool:
    """Whether something unknown is given the optimizer, or a model of its, in the loop."""

    def test(place: Place) -> bool:
        return loop is None or loop in place.around

    models = [each for value in optimizer.parts() for each in modules_of(value)]
    return any(escapes(entry, each, test) for each in (optimizer, *models))


def is_of(event: Event, optimizer: Call) -> bool:
    """Whether a zero_grad() is this optimizer's, or that of a model of its."""
    owner = owner_of(event)
    if owner is optimizer:
        return True
    return owner is not None and any(owner is each for value in optimizer.parts() for each in modules_of(value))


def before(entry: Entry, place: Place) -> Iterator[Step]:
    """What surely happens before an event since the last round: its block backwards, then round its loop."""
    block = block_of(entry, place)
    index = next((i for i, step in enumerate(block) if step is place.event), None)
    if index is None:
        return
    yield from reversed(block[:index])
    if place.around and isinstance(place.around[-1], Loop):
        yield from reversed(block[index + 1 :])


def block_of(entry: Entry, place: Place) -> list[Step]:
    """The block that an event stands in."""
    if not place.around:
        return entry.steps
    last = place.around[-1]
    if isinstance(last, Loop):
        return last.body
    return next((arm for arm, _ in last.arms if any(step is place.event for step in arm)), [])


def events_in(step: Step) -> Iterator[Event]:
    """The events of a step."""
    if isinstance(step, Event):
        yield step
        return
    blocks = [step.body] if isinstance(step, Loop) else [arm for arm, _ in step.arms]
    for block in blocks:
        for each in block:
            yield from events_in(each)


def works_on_gradients(event: Event) -> bool:
    """Whether it computes, writes or clears gradients, or could."""
    return backward_of(event) is not None or called(event) in ("backward", "grad") or clears(event)


def freezes(entries: list[Entry]) -> bool:
    """Whether a program freezes anything, or takes weights from elsewhere: what does not train may then be meant."""
    names = (
        "requires_grad_",
        "load_state_dict",
        "load",
        "load_url",
        "from_pretrained",
        "deepcopy",
        "copy_",
        "create_model",
    )
    for entry in entries:
        for place in entry.places:
            if place.event.attribute == "requires_grad" or (
                called(place.event) in names and place.event.name == "call"
            ):
                return True
    return False


def layers_reached(losses: list[Value | None]) -> set[int] | None:
    """Identities of the layers that gradients of losses reach; None where a penalty on the weights reaches them all."""
    reached: set[int] = set()
    for loss in losses:
        reached |= {id(settled(each.fn)) for each in applied(loss, stop=is_cut)}
        if any(isinstance(each, Attr) and each.name.endswith("parameters") for each in within(loss, stop=is_cut)):
            return None
    return reached


def held(entries: list[Entry]) -> tuple[set[int], bool]:
    """(identities of modules that optimizers hold, whether it is certain that they hold nothing else)."""
    kept = entries[0].facts.get("held") if entries else None
    if isinstance(kept, Held):
        return kept.modules, kept.certain
    found: set[int] = set()
    certain = True
    for entry in entries:
        for place in entry.places:
            optimizer = place.event.result
            if place.event.name != "call" or not isinstance(optimizer, Call):
                continue
            if called(place.event) == "add_param_group" or isinstance(settled(place.event.fn), Class):
                certain = False
            if not is_optimizer(optimizer):
                continue
            given = optimizer.argument(0, "params")
            modules = list(modules_of(given))
            certain = certain and bool(modules)
            for each in within(given, stop=lambda v: isinstance(v, Instance) or is_layer(v)):
                known = (Attr, Call, Sequence, Mapping, Op, Const, Instance, Item, Element, External)
                certain = certain and isinstance(each, known)
            for module in modules:
                found |= inner(module)
    if entries:
        entries[0].facts["held"] = Held(found, certain)
    return found, certain
