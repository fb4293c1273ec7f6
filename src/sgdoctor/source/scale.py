"""Numbers brought to unit scale by edits: the targets of a loss, and what goes into a first layer."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import NamedTuple

from .edits import Edit
from .flow import Point
from .loss import argument, loss_call
from .module import Module, Source
from .output import OutputTrail, output_of
from .spelling import free_name, parts, wrapped


class Moments(NamedTuple):
    """Mean and standard deviation as they stand in a text: four digits, as more would only look exact."""

    mean: float
    std: float

    @property
    def texts(self) -> tuple[str, str]:
        """Both as literals."""
        return literal(self.mean), literal(self.std)


def literal(value: float) -> str:
    """A number to four digits, as Python writes it, without an exponent where that is short."""
    rounded = float(f"{value:.4g}")
    text = repr(rounded)
    return text if "e" not in text else f"{rounded:.3e}"


def scaled_targets(source: Source, places: Iterable[tuple[str, int]], moments: Moments) -> tuple[Edit, ...]:
    """The losses at these lines taken in units of the targets' spread, while the model's outputs stay in theirs.

    What the model puts out is multiplied and shifted, so that predictions, metrics and plots keep their units; both
    arguments of the loss are standardised. Empty where the way from the loss to the model is not certain.
    """
    found = [each for file, line in places if (each := loss_call(source, file, line)) is not None]
    calls: dict[ast.Call, Module] = {call: module for module, call in found}
    if not calls:
        return ()
    names = {module: _names(module) for module in source}
    edits: list[Edit] = []
    used: set[Module] = set()
    bare: set[ast.AST] = set()
    model: Point | None = None
    for call, module in calls.items():
        output, target = argument(call, 0, "input"), argument(call, 1, "target")
        trail = output_of(source, module, output) if output is not None else None
        if output is None or target is None or trail is None or trail.model is None:
            return ()
        made = trail.made_by(trail.model.module, _function(trail.model))
        if made is None or (model is not None and made.node is not model.node):
            return ()
        model = model or made
        mean, std = names[module]
        if any(part is trail.model.node for part in ast.walk(output)) and _forward(source, made) is None:
            bare.add(trail.model.node)
        else:
            edits += _standardised(module, output, mean, std)
        edits += _standardised(module, target, mean, std)
        used.add(module)
    assert model is not None
    outputs = _forward_edits(source, model, names) or _call_edits(source, model, names, bare)
    if outputs is None:
        return ()
    edits += outputs[0]
    for module in sorted(used | outputs[1], key=lambda each: each.file):
        mean, std = names[module]
        text = f"{mean}, {std} = {', '.join(moments.texts)}  # of the training targets"
        edits.append(after_imports(module, text))
    return tuple(edits)


def _names(module: Module) -> tuple[str, str]:
    return free_name(module.tree, "TARGET_MEAN"), free_name(module.tree, "TARGET_STD")


def _function(point: Point) -> ast.expr:
    return point.node.func if isinstance(point.node, ast.Call) else point.node


def _standardised(module: Module, node: ast.expr, mean: str, std: str) -> tuple[Edit, ...]:
    return (
        wrapped(module, node, "(", f" - {mean}) / {std}")
        if _tight(node)
        else (*wrapped(module, node, "((", f") - {mean}) / {std}"),)
    )


def _tight(node: ast.expr) -> bool:
    """Whether a subtraction behind it takes all of it."""
    return not isinstance(node, (ast.Lambda, ast.IfExp, ast.BoolOp, ast.Compare, ast.NamedExpr, ast.Starred))


def _forward(source: Source, made: Point) -> tuple[Module, list[ast.expr]] | None:
    """What the forward of the class that `made` calls returns; None where it is none of the script's."""
    if not isinstance(made.node, ast.Call):
        return None
    name = made.module.dotted(made.node.func).rpartition(".")[2]
    for module in source:
        for owner in ast.walk(module.tree):
            if not isinstance(owner, ast.ClassDef) or owner.name != name:
                continue
            for method in owner.body:
                if isinstance(method, ast.FunctionDef) and method.name == "forward":
                    return module, _returns(method)
    return None


def _returns(function: ast.FunctionDef) -> list[ast.expr]:
    """What a function returns, without the functions inside it."""
    inner = {
        node
        for part in ast.walk(function)
        if isinstance(part, (ast.FunctionDef, ast.Lambda)) and part is not function
        for node in ast.walk(part)
    }
    return [
        node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Return) and node.value is not None and node not in inner
    ]


def _forward_edits(
    source: Source, made: Point, names: dict[Module, tuple[str, str]]
) -> tuple[list[Edit], set[Module]] | None:
    found = _forward(source, made)
    if found is None or not found[1] or any(isinstance(value, (ast.Tuple, ast.List, ast.Dict)) for value in found[1]):
        return None
    module, values = found
    mean, std = names[module]
    return [edit for value in values for edit in _scaled(module, value, mean, std)], {module}


def _call_edits(
    source: Source, made: Point, names: dict[Module, tuple[str, str]], bare: set[ast.AST]
) -> tuple[list[Edit], set[Module]] | None:
    """Every call of a model that is no class of the script (a Sequential), but those that stand in the loss."""
    if _forward(source, made) is not None:
        return None
    trail = OutputTrail(source)
    edits: list[Edit] = []
    used: set[Module] = set()
    for module in source:
        mean, std = names[module]
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call) or node in bare or not node.args:
                continue
            known = trail.made_by(module, node.func)
            if known is not None and known.node is made.node:
                edits += wrapped(module, node, "(", f" * {std} + {mean})")
                used.add(module)
    return edits, used


def _scaled(module: Module, node: ast.expr, mean: str, std: str) -> tuple[Edit, ...]:
    return parts(module, node, "", f" * {std} + {mean}")


def after_imports(module: Module, text: str) -> Edit:
    """A statement at the top of a file, behind its last import there."""
    imports = [node for node in module.tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    if imports:
        last = imports[-1]
        shared = any(node.lineno == last.end_lineno for node in module.tree.body if node is not last)
        return module.insert_after(last, text if shared else f"\n{text}")
    first = module.tree.body[0]
    return module.insert_before(first, text)
