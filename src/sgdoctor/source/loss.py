"""The call of a loss at a line, and the trails of its two arguments."""

from __future__ import annotations

import ast
import re

from .flow import Point, Trail
from .module import Module, Source

CONVERSIONS = ("tensor", "as_tensor", "from_numpy", "FloatTensor", "Tensor", "LongTensor", "TensorDataset")
LOSS = re.compile(r"^torch\.nn\..*(Loss|_loss|cross_entropy\w*|kl_div)$")
CREATIONS = ("stack", "cat", "concatenate", "column_stack", "rand", "randn", "randint", "array", "arange", "linspace")


def loss_call(source: Source, file: str, line: int) -> tuple[Module, ast.Call] | None:
    """The call with two arguments or more at a line: `criterion(out, y)`, `F.mse_loss(out, y)`."""
    module = source.module(file)
    if module is None:
        return None
    calls = [
        node
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and node.lineno <= line <= (node.end_lineno or node.lineno)
        and len(node.args) + len(node.keywords) >= 2
    ]
    # the innermost call that spans the line and is none of backward(), print(), ...
    calls.sort(key=lambda call: ((call.end_lineno or call.lineno) - call.lineno, call.col_offset))
    known = [call for call in calls if _is_loss(source, module, call)] if len(calls) > 1 else []
    return (module, (known or calls)[0]) if calls else None


def _is_loss(source: Source, module: Module, call: ast.Call) -> bool:
    """Whether a call is one of torch's losses by its name or by what made the function: `nn.MSELoss()`."""
    if LOSS.search(module.dotted(call.func)):
        return True
    made = Trail(source).of(module, call.func)
    return any(isinstance(point.node, ast.Call) and LOSS.search(point.module.dotted(point.node.func)) for point in made)


def argument(call: ast.Call, position: int, *names: str) -> ast.expr | None:
    """The argument at a position or with one of these keywords."""
    for keyword in call.keywords:
        if keyword.arg in names:
            return keyword.value
    return call.args[position] if position < len(call.args) else None


def trails(source: Source, file: str, line: int) -> tuple[list[Point], list[Point]]:
    """(trail of the outputs, trail of the targets) of the loss at a line; empty where they cannot be followed."""
    found = loss_call(source, file, line)
    if found is None:
        return [], []
    module, call = found
    output, target = argument(call, 0, "input"), argument(call, 1, "target")
    return (
        Trail(source).of(module, output) if output is not None else [],
        Trail(source).of(module, target) if target is not None else [],
    )


def maker(trail: list[Point]) -> Point | None:
    """The expression on a trail where data become what the loop is fed with; None where none is seen.

    A conversion to a tensor first, then what a dataset returns, then where the numbers are put together.
    """
    for names in (CONVERSIONS, None, CREATIONS):
        for point in trail:
            if names is None:
                if isinstance(point.module.parents.get(point.node), ast.Return) and isinstance(point.node, ast.Tuple):
                    return point
            elif isinstance(point.node, ast.Call) and point.module.dotted(point.node.func).rpartition(".")[2] in names:
                if any(isinstance(given, ast.Starred) for given in point.node.args):
                    continue  # `TensorDataset(*load(...))`: what is made is made in there
                return point
    return None
