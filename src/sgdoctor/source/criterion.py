"""The loss of a script exchanged for another: its name or constructor, its arguments, and what the outputs pass."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from .edits import Edit
from .flow import Point, Trail
from .loss import LOSS, argument, loss_call
from .module import Module, Source
from .output import OutputTrail, Stage, last_layer, output_of
from .spelling import bracketed, entries_of, in_place_of, spelled, without_entry

SQUASHING = frozenset(
    (
        "softmax",
        "Softmax",
        "log_softmax",
        "LogSoftmax",
        "sigmoid",
        "Sigmoid",
        "logsigmoid",
        "LogSigmoid",
        "relu",
        "ReLU",
    )
)
RESHAPING = ("squeeze", "flatten", "view", "reshape", "ravel")
ROUNDING = ("round", "rint", "round_", "floor", "ceil", "trunc")
CASTING = ("float", "double", "half", "long", "int", "to", "type", "clamp", "clip", "clamp_")


def losses_at(source: Source, places: Iterable[tuple[str, int]]) -> list[tuple[Module, ast.Call]]:
    """The calls of losses at these lines, and those of the same criterion elsewhere."""
    found = {
        call: module for file, line in places if (each := loss_call(source, file, line)) for module, call in [each]
    }
    makers = {id(made[1]) for call, module in found.items() if (made := constructor(source, module, call)) is not None}
    for module in source:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and node not in found and len(node.args) + len(node.keywords) >= 2:
                made = constructor(source, module, node)
                if made is not None and id(made[1]) in makers and made[1] is not node:
                    found[node] = module
    return [(module, call) for call, module in found.items()]


def constructor(source: Source, module: Module, call: ast.Call) -> tuple[Module, ast.expr] | None:
    """What names a loss: `nn.MSELoss()` behind `criterion`, or the function itself; None where it is neither."""
    if LOSS.search(module.dotted(call.func)):
        return module, call.func
    for point in Trail(source).of(module, call.func):
        node = point.node
        if isinstance(node, ast.Call) and LOSS.search(point.module.dotted(node.func)):
            return point.module, node
        if isinstance(node, ast.Attribute) and LOSS.search(point.module.dotted(node)):
            return point.module, node
    return None


def exchanged(source: Source, losses: list[tuple[Module, ast.Call]], function: str, kind: str) -> list[Edit] | None:
    """Other names for the losses: `function` of torch.nn.functional, or the class `kind`; None where one is unknown."""
    edits: dict[int, Edit] = {}
    for module, call in losses:
        found = constructor(source, module, call)
        if found is None:
            return None
        where, node = found
        made = isinstance(node, ast.Call)
        name = spelled(where, f"torch.nn.{kind}" if made else f"torch.nn.functional.{function}")
        if name is None:
            return None
        kept = [word for word in node.keywords if word.arg == "reduction"] if isinstance(node, ast.Call) else []
        text = f"{name}({', '.join(f'reduction={where.segment(word.value)}' for word in kept)})" if made else name
        edits[id(node)] = where.replace(node, text)
    return list(edits.values())


def unsquashed(trail: OutputTrail, names: Iterable[str] = SQUASHING) -> list[Edit]:
    """Softmax, sigmoid and the like taken off the way from the last layer to the loss."""
    return [edit for stage in trail.stages if stage.name in names for edit in taken_off(stage)]


def taken_off(stage: Stage) -> tuple[Edit, ...]:
    """One operation off the way: its expression, or its entry in a Sequential."""
    module, node = stage.module, stage.node
    if not isinstance(node, ast.Call):
        return ()
    if stage.made is not None and stage.made.node is not node:  # `self.softmax(x)`
        return (in_place_of(module, node, node.args[0]),) if node.args else ()
    if stage.made is None:
        if isinstance(node.func, ast.Attribute) and module.dotted(node.func).startswith("?"):
            return (in_place_of(module, node, node.func.value),)
        given = argument(node, 0, "input")
        return () if given is None else (in_place_of(module, node, given),)
    entry: ast.expr = node
    container = module.parents.get(node)
    if isinstance(container, ast.Tuple):  # ("name", nn.Softmax(dim=1)) of an OrderedDict
        entry, container = container, module.parents.get(container)
    entries = list(container.elts) if isinstance(container, (ast.List, ast.Tuple)) else []
    if isinstance(container, ast.Call):
        entries = entries_of(container)
    return (without_entry(module, entry, entries),) if entry in entries else ()


def widened(trail: OutputTrail, outputs: int) -> list[Edit] | None:
    """The last layer given another number of outputs; None where that number is not to be seen."""
    size = outputs_of(trail)
    return None if size is None else [size.module.replace(size.node, str(outputs))]


def outputs_of(trail: OutputTrail) -> Point | None:
    """The number of outputs as the last layer is given it."""
    stage = last_layer(trail)
    if stage is None or stage.made is None or not isinstance(stage.made.node, ast.Call):
        return None
    made = stage.made.node
    size = argument(made, 0 if stage.name.startswith("Lazy") else 1, "out_features", "out_channels")
    return None if size is None else Point(stage.made.module, size)


def stripped(module: Module, node: ast.expr, methods: Iterable[str]) -> ast.expr:
    """What stands in front of a chain of such method calls: `net(x)` of `net(x).squeeze(1).round()`."""
    wanted = tuple(methods)
    while True:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in wanted:
            function = module.dotted(node.func)
            inner = node.func.value if function.startswith("?") else (node.args[0] if node.args else None)
            if inner is None:
                return node
            node = inner
        elif isinstance(node, ast.Subscript) and RESHAPING[0] in wanted and _first_column(node.slice):
            node = node.value
        else:
            return node


def _first_column(index: ast.expr) -> bool:
    """`[:, 0]`."""
    if not isinstance(index, ast.Tuple) or len(index.elts) != 2:
        return False
    rows, column = index.elts
    return isinstance(rows, ast.Slice) and isinstance(column, ast.Constant) and column.value == 0


def classified(source: Source, places: Iterable[tuple[str, int]], outputs: int, target_axes: int) -> tuple[Edit, ...]:
    """Regression on class ids made into classification: loss, width of the last layer, targets, rounded predictions."""
    losses = losses_at(source, places)
    edits = exchanged(source, losses, "cross_entropy", "CrossEntropyLoss")
    if not losses or edits is None:
        return ()
    trails: list[OutputTrail] = []
    replaced: set[ast.AST] = set()
    for module, call in losses:
        output, target = argument(call, 0, "input"), argument(call, 1, "target")
        if output is None or target is None:
            return ()
        trail = output_of(source, module, output)
        trails.append(trail)
        inner = stripped(module, output, RESHAPING)
        if inner is not output:
            edits.append(module.replace(output, module.segment(inner)))
            replaced |= set(ast.walk(output))
        ids = stripped(module, target, (*CASTING, *RESHAPING))
        axis = ".squeeze(1)" if target_axes == 2 and ids is target else ".flatten()" if target_axes == 2 else ""
        edits.append(module.replace(target, f"{bracketed(module, ids)}{axis}.long()"))
    width = widened(trails[0], outputs)
    if width is None:
        return ()
    edits += width
    seen: set[ast.AST] = set(replaced)
    for trail in trails:
        for stage in trail.stages:
            off = stage.name in SQUASHING or stage.name in (*RESHAPING, "Flatten")
            if off and stage.node not in seen and _behind_last(trail, stage):
                seen |= {stage.node}
                edits += taken_off(stage)
    edits += _rounded(source, trails[0])
    return tuple(dict.fromkeys(edits))


def _behind_last(trail: OutputTrail, stage: Stage) -> bool:
    """Whether it acts on what the last layer made: the last stage of a trail is that layer."""
    return trail.stages.index(stage) < len(trail.stages) - 1


def _rounded(source: Source, trail: OutputTrail) -> list[Edit]:
    """`model(x).squeeze(1).round()` is the class of the largest output now."""
    edits: list[Edit] = []
    for module in source:
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call) or module.dotted(node.func).rpartition(".")[2] not in ROUNDING:
                continue
            outer: ast.expr = node
            while isinstance(above := module.parents.get(outer), ast.Attribute) and above.attr in (
                *CASTING,
                *RESHAPING,
            ):
                called = module.parents.get(above)
                if not isinstance(called, ast.Call):
                    break
                outer = called
            inner = stripped(module, node, (*ROUNDING, *RESHAPING, *CASTING))
            other = output_of(source, module, inner)
            made, known = _made(trail), _made(other)
            if made is not None and known is not None and made is known:
                edits.append(module.replace(outer, f"{bracketed(module, inner)}.argmax(dim=1)"))
    return edits


def _made(trail: OutputTrail) -> ast.AST | None:
    stage = last_layer(trail)
    return None if stage is None or stage.made is None else stage.made.node
