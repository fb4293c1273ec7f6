"""Sizes and axes that do not go together, brought together by edits: of layers, of a loss's arguments, of a reshape."""

from __future__ import annotations

import ast
import math
from typing import NamedTuple

from .criterion import CASTING, exchanged, losses_at, stripped, unsquashed, widened
from .edits import Edit
from .entrance import RECURRENT, Layer, find_layer
from .loss import argument
from .module import Module, Source
from .output import OutputTrail, output_of
from .spelling import bracketed, new_entry, parts, spelled

Shape = tuple[int, ...]
SIZES = ("in_features", "in_channels", "input_size", "num_features", "normalized_shape", "embed_dim", "d_model")


class Given(NamedTuple):
    """A layer, by the name of its weight, and the input that it did not take."""

    parameter: str
    module: str
    weight: Shape
    input: Shape


class Meeting(NamedTuple):
    """A loss that raised: its function, (file, line), and what it was given."""

    function: str
    place: tuple[str, int]
    output: Shape
    target: Shape
    ids: bool  # the targets are whole numbers, by their type or from 0 to the number of outputs - 1


def fitted_layer(source: Source, given: Given) -> tuple[str, tuple[Edit, ...]]:
    """(what is done, edits) so that the layer takes its input; ("", ()) where the place is not certain."""
    layer = find_layer(source, given.parameter)
    if layer is None:
        return "", ()
    module, made = layer.module, layer.made
    size = argument(made, 0, *SIZES)
    if size is None or len(given.input) < 2:
        return "", ()
    if "Conv" in given.module:
        return _fitted_convolution(layer, given, size)
    if "Norm" in given.module and "Layer" not in given.module:
        return f"give it {given.input[1]} channels", (module.replace(size, str(given.input[1])),)
    wanted = given.weight[-1]
    if given.module == "Linear" and len(given.input) > 2 and math.prod(given.input[1:]) == wanted:
        edits = _on_input(layer, ".flatten(1)", "torch.nn.Flatten")
        return "flatten its input", edits
    text = f"make it take {given.input[-1]} features instead of {wanted}"
    return text, (module.replace(size, str(given.input[-1])),)


def _fitted_convolution(layer: Layer, given: Given, size: ast.expr) -> tuple[str, tuple[Edit, ...]]:
    axes = len(given.weight)
    if axes < 3:
        return "", ()
    channels = given.weight[1]
    if len(given.input) == axes and given.input[-1] == channels and given.input[1] != channels:
        order = ", ".join(map(str, (0, axes - 1, *range(1, axes - 1))))
        return "put the channels second", _on_input(layer, f".permute({order})", None)
    if len(given.input) == axes - 1 and channels == 1:
        return "give its input an axis of one channel", _on_input(layer, ".unsqueeze(1)", None)
    if len(given.input) == axes:
        text = f"make it take {given.input[1]} channels instead of {channels}"
        return text, (layer.module.replace(size, str(given.input[1])),)
    return "", ()


def _on_input(layer: Layer, change: str, kind: str | None) -> tuple[Edit, ...]:
    """A method behind the argument of the layer's call, or an entry in front of it in a Sequential."""
    if layer.stored is None:
        name = spelled(layer.module, kind) if kind else None
        return (new_entry(layer.module, layer.made, f"{name}()"),) if name else ()
    owner = layer.module.enclosing(layer.stored, ast.ClassDef)
    text = layer.module.segment(layer.stored)
    calls = [
        node
        for node in ast.walk(owner or layer.module.tree)
        if isinstance(node, ast.Call) and layer.module.segment(node.func) == text and node.args
    ]
    return parts(layer.module, calls[0].args[0], "", change) if len(calls) == 1 else ()


def fitted_loss(source: Source, met: Meeting) -> tuple[str, tuple[Edit, ...]]:
    """(what is done, edits) so that a loss takes its outputs and targets, wherever it is called."""
    losses = losses_at(source, [met.place])
    output, target = met.output, met.target
    if not losses or not output:
        return "", ()
    if met.function in ("cross_entropy", "nll_loss"):
        return _fitted_classes(losses, source, output, target)
    if math.prod(output) == math.prod(target):
        return "give the targets the outputs' shape", _shaped(losses, output, target)
    if len(output) == 2 and len(target) == 1 and output[0] == target[0] and output[1] > 1 and met.ids:
        edits = exchanged(source, losses, "cross_entropy", "CrossEntropyLoss") or []
        for module, call in losses if edits else ():
            given, wanted = argument(call, 0, "input"), argument(call, 1, "target")
            edits += (
                unsquashed(output_of(source, module, given), ("softmax", "Softmax", "sigmoid", "Sigmoid"))
                if given
                else []
            )
            ids = stripped(module, wanted, CASTING) if wanted is not None else None
            if wanted is not None and ids is not None:
                edits.append(module.replace(wanted, f"{bracketed(module, ids)}.long()"))
        return f"use CrossEntropyLoss: {output[1]} outputs, and one class id a sample", tuple(dict.fromkeys(edits))
    if len(output) == len(target) and output[:-1] == target[:-1] and len(output) > 1:
        module, call = losses[0]
        given = argument(call, 0, "input")
        edits = (widened(output_of(source, module, given), target[-1]) or []) if given else []
        return f"make the last layer put out {target[-1]} values instead of {output[-1]}", tuple(edits)
    return "", ()


def _shaped(losses: list[tuple[Module, ast.Call]], output: Shape, target: Shape) -> tuple[Edit, ...]:
    edits: list[Edit] = []
    for module, call in losses:
        given, wanted = argument(call, 0, "input"), argument(call, 1, "target")
        if given is None or wanted is None:
            continue
        if isinstance(given, (ast.Name, ast.Attribute)):
            change = f".view_as({module.segment(given)})"
        elif (*target, 1) == output:
            change = ".unsqueeze(-1)"
        elif (*output, 1) == target:
            change = ".squeeze(-1)"
        else:
            change = f".reshape({', '.join(['-1', *map(str, output[1:])])})"
        edits += parts(module, wanted, "", change)
    return tuple(edits)


def _fitted_classes(
    losses: list[tuple[Module, ast.Call]], source: Source, output: Shape, target: Shape
) -> tuple[str, tuple[Edit, ...]]:
    """Cross-entropy wants (N, K, ...) and (N, ...)."""
    axes = len(output)
    if axes > 2 and output[:-1] == target:
        change = ".transpose(1, 2)" if axes == 3 else ".movedim(-1, 1)"
        return "put the classes second", _each(losses, 0, change)
    if len(target) == 2 and target[1] == 1 and axes == 2 and target[0] == output[0]:
        return "give the targets one axis", _each(losses, 1, ".squeeze(1)")
    if len(target) > 1 and axes == 2 and math.prod(target) == output[0]:
        return "give the targets one axis", _each(losses, 1, ".flatten()")
    if axes == 2 and len(target) == 1 and output[0] != target[0] > 0:
        for module, call in losses[:1]:
            given = argument(call, 0, "input")
            trail = output_of(source, module, given) if given is not None else None
            edits = _unmixed(source, trail, output[0], target[0]) if trail is not None else ()
            if edits:
                return "keep the samples apart: flatten all axes but the first", edits
    return "", ()


def _each(losses: list[tuple[Module, ast.Call]], position: int, change: str) -> tuple[Edit, ...]:
    edits: list[Edit] = []
    for module, call in losses:
        node = argument(call, position, ("input", "target")[position])
        edits += parts(module, node, "", change) if node is not None else ()
    return tuple(edits)


def _unmixed(source: Source, trail: OutputTrail, rows: int, samples: int) -> tuple[Edit, ...]:
    """`x.view(-1, 400)` that made `rows` of `samples`: flattened by sample, and the layer behind it refitted."""
    for module in source:
        for node in ast.walk(module.tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("view", "reshape")
                and len(node.args) == 2
                and _number(node.args[0]) == -1
                and (size := _number(node.args[1])) is not None
                and size * rows % samples == 0
            ):
                layer = _layer_of_size(module, size)
                if layer is not None:
                    flat = module.replace(node, f"{bracketed(module, node.func.value)}.flatten(1)")
                    return flat, module.replace(layer, str(size * rows // samples))
    return ()


def fitted_view(source: Source, file: str, line: int, shape: Shape) -> tuple[Edit, ...]:
    """`x.view(-1, 400)` of an x of another shape: flattened by sample, and the layer behind it refitted."""
    module = source.module(file)
    if module is None or len(shape) < 2:
        return ()
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call) or not node.lineno <= line <= (node.end_lineno or line):
            continue
        if not isinstance(node.func, ast.Attribute) or node.func.attr not in ("view", "reshape") or len(node.args) != 2:
            continue
        size = _number(node.args[1])
        layer = _layer_of_size(module, size) if size is not None else None
        if layer is not None:
            flat = module.replace(node, f"{bracketed(module, node.func.value)}.flatten(1)")
            return flat, module.replace(layer, str(math.prod(shape[1:])))
    return ()


def fitted_recurrent(source: Source, file: str, line: int, size: int) -> tuple[Edit, ...]:
    """The GRU, LSTM or RNN that is called at a line made to take `size` features."""
    module = source.module(file)
    trail = OutputTrail(source)
    for node in ast.walk(module.tree) if module is not None else ():
        if module is None or not isinstance(node, ast.Call) or node.lineno != line:
            continue
        made = trail.made_by(module, node.func)
        if (
            made is not None
            and isinstance(made.node, ast.Call)
            and made.module.dotted(made.node.func).endswith(RECURRENT)
        ):
            given = argument(made.node, 0, "input_size")
            return (made.module.replace(given, str(size)),) if given is not None else ()
    return ()


def _layer_of_size(module: Module, size: int) -> ast.expr | None:
    """The number of inputs of the first linear layer that takes `size`."""
    for call in module.calls("torch.nn.Linear"):
        node = argument(call, 0, "in_features")
        if node is not None and _number(node) == size:
            return node
    return None


def _number(node: ast.expr) -> int | None:
    """The value of `16 * 5 * 5`, -1; None where names are in it."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, int) else None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _number(node.operand)
        return None if inner is None else -inner
    if isinstance(node, ast.BinOp):
        left, right = _number(node.left), _number(node.right)
        if left is None or right is None:
            return None
        if isinstance(node.op, ast.Mult):
            return left * right
        if isinstance(node.op, ast.Add):
            return left + right
        if isinstance(node.op, ast.FloorDiv) and right:
            return left // right
    return None
