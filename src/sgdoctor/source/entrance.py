"""Where data enter a model: the first layer with weights, and a standardisation put in front of it."""

from __future__ import annotations

import ast
from typing import NamedTuple

from .edits import Edit
from .inputs import model_calls
from .loss import argument, loss_call
from .module import CONTAINERS, Module, Source
from .output import output_of
from .scale import Moments, after_imports
from .spelling import entries_of, free_name, new_entry, spelled, wrapped

RECURRENT = ("RNN", "GRU", "LSTM")
NORMS = {"Conv1d": "BatchNorm1d", "Conv2d": "BatchNorm2d", "Conv3d": "BatchNorm3d"}


class Entrance(NamedTuple):
    """What the record knows of the first layer. `width`: features or channels; `moments`: of all numbers together."""

    parameter: str
    width: int
    flat: bool  # two axes: samples and features
    alike: bool  # all columns have about one mean and one spread
    norm: bool  # whether batches are large enough for batch statistics
    moments: Moments
    columns: tuple[Moments, ...] = ()  # of each feature, where they are few


class Layer(NamedTuple):
    """A layer's constructor, and the expression that stores it in a class; None for an entry of a Sequential."""

    module: Module
    made: ast.Call
    stored: ast.Attribute | None


def standardised_entrance(source: Source, entrance: Entrance, file: str, line: int) -> tuple[Edit, ...]:
    """Edits that bring what the first layer is given to unit scale; empty where its place is not certain.

    `file`, `line`: of the loss, from where the calls of the model are found if nothing can stand in front of the layer.
    """
    found = find_layer(source, entrance.parameter)
    evaluated = any(True for module in source for _ in module.calls("?.eval"))
    if not evaluated and not entrance.alike:  # batch statistics would stay on in validation
        return _at_calls(source, entrance, file, line)
    if entrance.alike and (found is None or found.stored is None):  # two numbers are exact, and do for every call
        calls = _at_calls(source, entrance, file, line)
        if calls or not evaluated or found is None:
            return calls
    return (_in_front(found, entrance) if found is not None else ()) or _at_calls(source, entrance, file, line)


def _in_front(found: Layer, entrance: Entrance) -> tuple[Edit, ...]:
    if found.stored is None:
        return _as_entry(found, entrance)
    owner = found.module.enclosing(found.stored, ast.ClassDef)
    calls = [] if owner is None else _calls(found, owner)
    if len(calls) != 1 or not calls[0].args:
        return ()
    given = calls[0].args[0]
    if entrance.alike:
        mean, std = entrance.moments.texts
        return wrapped(found.module, given, "(", f" - {mean}) / {std}")
    return _as_attribute(found, calls[0], entrance)


def find_layer(source: Source, parameter: str) -> Layer | None:
    """Where the layer that holds a parameter is made, by its name: of layers of torch only."""
    path = parameter.split(".")[:-1]
    named = [part for part in path if not part.isdigit()]
    digits = path[len(path) - path[::-1].index(named[-1]) :] if named else path
    for module in source:
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
                continue
            target = node.targets[0]
            if named and not (isinstance(target, ast.Attribute) and target.attr == named[-1]):
                continue
            made = _inner(module, node.value, digits)
            if made is None and not named and digits:
                continue
            if made is not None and module.dotted(made.func).startswith("torch.nn."):
                stored = target if isinstance(target, ast.Attribute) and made is node.value else None
                return Layer(module, made, stored)
    if named:
        return None
    containers = (call for module in source for call in module.calls("torch.nn.Sequential"))
    for call in containers:  # built in a function and returned
        for module in source:
            if call in module.parents:
                made = _inner(module, call, digits)
                if made is not None:
                    return Layer(module, made, None)
    return None


def _inner(module: Module, call: ast.Call, digits: list[str]) -> ast.Call | None:
    """The entry of nested Sequentials at these indices; the call itself where there are none."""
    if not digits:
        return None if module.dotted(call.func).endswith(CONTAINERS) else call
    if module.dotted(call.func) != "torch.nn.Sequential":
        return None
    entries = entries_of(call)
    index = int(digits[0])
    if any(isinstance(entry, ast.Starred) for entry in entries) or index >= len(entries):
        return None
    entry = entries[index]
    return _inner(module, entry, digits[1:]) if isinstance(entry, ast.Call) else None


def _at_calls(source: Source, entrance: Entrance, file: str, line: int) -> tuple[Edit, ...]:
    """Every call of the model given standardised inputs, by constants at the top of the file."""
    found = loss_call(source, file, line)
    output = argument(found[1], 0, "input") if found is not None else None
    if found is None or output is None or not (entrance.alike or entrance.columns):
        return ()
    calls = model_calls(source, output_of(source, found[0], output))
    edits: list[Edit] = []
    for module in {call.module for call in calls}:
        mean, std = free_name(module.tree, "INPUT_MEAN"), free_name(module.tree, "INPUT_STD")
        tensor = spelled(module, "torch.tensor")
        if tensor is None or (
            "cuda" in module.text and not entrance.alike
        ):  # the constants would have to follow the inputs there
            return ()
        texts = entrance.moments.texts
        if not entrance.alike:
            lists = zip(*(moments.texts for moments in entrance.columns))
            texts = tuple(f"{tensor}([{', '.join(values)}])" for values in lists)  # type: ignore[assignment]
        edits.append(after_imports(module, f"{mean} = {texts[0]}  # of the training inputs\n{std} = {texts[1]}"))
        for call in calls:
            if call.module is module and isinstance(call.node, ast.Call) and call.node.args:
                edits += wrapped(module, call.node.args[0], "(", f" - {mean}) / {std}")
    return tuple(edits)


def _calls(layer: Layer, owner: ast.AST) -> list[ast.Call]:
    assert layer.stored is not None
    text = layer.module.segment(layer.stored)
    return [node for node in ast.walk(owner) if isinstance(node, ast.Call) and layer.module.segment(node.func) == text]


def _norm(layer: Layer, entrance: Entrance) -> str | None:
    """`nn.BatchNorm1d(7, affine=False)` as the file writes it; None where batch statistics will not do."""
    name = layer.module.dotted(layer.made.func).rpartition(".")[2]
    kind = NORMS.get(name, "BatchNorm1d")
    text = spelled(layer.module, f"torch.nn.{kind}")
    if text is None or not entrance.norm:
        return None
    sizes = layer.made.args[:1] or [
        word.value for word in layer.made.keywords if word.arg in ("in_features", "in_channels", "input_size")
    ]
    width = layer.module.segment(sizes[0]) if sizes else str(entrance.width)
    return f"{text}({width}, affine=False)"


def _as_entry(layer: Layer, entrance: Entrance) -> tuple[Edit, ...]:
    name = layer.module.dotted(layer.made.func).rpartition(".")[2]
    norm = _norm(layer, entrance)
    if norm is None or not (entrance.flat or name in NORMS) or _indexed(layer.module):
        return ()
    return (new_entry(layer.module, layer.made, norm),)


def _as_attribute(layer: Layer, call: ast.Call, entrance: Entrance) -> tuple[Edit, ...]:
    module, given, norm = layer.module, call.args[0], _norm(layer, entrance)
    statement = module.enclosing(layer.made, ast.stmt)
    if norm is None or layer.stored is None or not isinstance(statement, ast.Assign):
        return ()
    kind = module.dotted(layer.made.func).rpartition(".")[2]
    own = f"{module.segment(layer.stored.value)}.{free_name(module.tree, 'standardise')}"
    built = module.insert_before(statement, f"{own} = {norm}")
    if kind in RECURRENT or (kind not in NORMS and not entrance.flat):
        if not isinstance(given, (ast.Name, ast.Attribute)):
            return ()
        text = module.segment(given)
        return built, module.replace(given, f"{own}({text}.flatten(0, -2)).view_as({text})")
    return (built, *wrapped(module, given, f"{own}(", ")"))


def _indexed(module: Module) -> bool:
    """Whether layers are reached by number (`model[0].weight`): a new entry would shift them."""
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Subscript)
        and isinstance(node.value.slice, (ast.Constant, ast.UnaryOp))
        and node.attr in ("weight", "bias", "in_features", "out_features", "register_forward_hook")
        for node in ast.walk(module.tree)
    )
