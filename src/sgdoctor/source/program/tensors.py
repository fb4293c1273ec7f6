"""What tensors and numbers are made of: data, losses, shares of right answers."""

from __future__ import annotations

from .calls import is_layer, is_module
from .kinds import WEIGHTED, layer_name, loss_of, settled, within
from .values import (
    Attr,
    Call,
    Carried,
    Const,
    Either,
    Element,
    External,
    Function,
    Instance,
    Item,
    Loop,
    Op,
    Sequence,
    Value,
)


def from_loop(value: Value | None, loop: Loop) -> bool:
    """Whether a value comes from what a loop goes over."""
    over = settled(loop.over)
    items = [each for item in over.items for each in within(item)] if isinstance(over, Sequence) else []
    yielded = {id(each) for each in items if isinstance(each, (Element, Item, Call))}
    return any((isinstance(each, Element) and each.loop is loop) or id(each) in yielded for each in within(value))


def is_generator(value: Value | None) -> bool:
    """Whether it is `net.parameters()` itself: it gives its parameters once."""
    if not isinstance(value, Call) or not isinstance(value.fn, Attr) or value.fn.name != "parameters":
        return False
    owner = settled(value.fn.of)
    return owner is not None and is_module(owner)


def measured(value: Value | None) -> list[Value]:
    """What a number that is printed or fed is made of, without the model and the data behind it."""

    def stop(each: Value) -> bool:
        made = isinstance(each, Call) and (is_layer(settled(each.fn) or each) or isinstance(each.fn, Instance))
        return made or loss_of(each) is not None or isinstance(each, (Element, Instance))

    return list(within(value, stop))


def metric_kind(value: Value | None) -> str:
    """ "loss" or "accuracy" where a number is one of them as it is, "" where it is not to be seen or turned round."""
    parts = measured(value)
    if any(isinstance(each, Op) and each.operator in ("Sub", "USub") for each in parts):
        return ""
    losses = any(loss_of(each) is not None for each in parts)
    shares = any(isinstance(each, Op) and each.operator == "Eq" for each in parts)
    return "loss" if losses and not shares else "accuracy" if shares and not losses else ""


def is_plain(value: Value) -> bool:
    """Whether a value surely needs no gradient by itself: numbers, data, and what torch makes of such."""
    if isinstance(value, (Const, Op, Item, Sequence, Carried, Either, External)):
        return True
    if isinstance(value, Element):
        of = value.of.fn if isinstance(value.of, Call) else None
        return not isinstance(of, Attr) or of.name not in ("parameters", "named_parameters", "modules", "children")
    if isinstance(value, Attr):
        return value.name not in ("weight", "bias", "parameters") and not isinstance(value.of, Instance)
    if not isinstance(value, Call):
        return False
    name = layer_name(value.fn)
    if name in WEIGHTED or isinstance(value.fn, (Instance, Function)):
        return False
    if isinstance(value.fn, External):
        wants = value.kwargs.get("requires_grad")
        return value.fn.name.startswith(("torch.", "numpy.", "math.")) and wants is None
    return isinstance(value.fn, (Attr, Call))
