"""Statements moved behind others, together with what only they need."""

from __future__ import annotations

import ast

from .edits import Edit
from .module import Module
from .training import body_of, method_calls, move_behind, receiver, shared_block


def forward_behind(module: Module, step: ast.stmt, backward: ast.stmt) -> list[Edit]:
    """The statements that make the loss of a backward, moved from above a step to behind it.

    Nothing where the loss is not made in the same block, or is read before the step.
    """
    shared = shared_block(module, step, backward)
    calls = method_calls(module, backward, "backward")
    if shared is None or not calls or shared[0] is shared[1]:
        return []
    loss, target = receiver(module, calls[0]), shared[0]
    body = body_of(module, target)
    above = body[: body.index(target)]
    moved: list[ast.stmt] = []
    wanted = {loss}
    for statement in reversed(above):
        made = _made(module, statement)
        if not made & wanted or made - wanted:
            continue
        rest = [other for other in body[body.index(statement) + 1 : body.index(target) + 1] if other not in moved]
        if any(made & read(module, other) for other in rest) or any(made & _made(module, other) for other in rest):
            continue
        moved.insert(0, statement)
        wanted |= read(module, statement)
    if not any(loss in _made(module, statement) for statement in moved):
        return []
    return move_behind(module, moved, target)


def read(module: Module, node: ast.AST) -> set[str]:
    """Names and attributes of self that a piece of source reads."""
    parts = [part for part in ast.walk(node) if isinstance(part, (ast.Name, ast.Attribute))]
    added = [part for part in parts if isinstance(module.parents.get(part), ast.AugAssign)]  # it is read as well
    return {module.segment(part) for part in parts if isinstance(part.ctx, ast.Load) or part in added}


def _made(module: Module, statement: ast.stmt) -> set[str]:
    """What a statement assigns; AugAssign adds to what is there and is left where it is."""
    if not isinstance(statement, ast.Assign):
        return set()
    parts = [
        part for target in statement.targets for part in (target.elts if isinstance(target, ast.Tuple) else [target])
    ]
    return {module.segment(part) for part in parts}
