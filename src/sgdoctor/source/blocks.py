"""Statements put under a `with`: indented line by line, so that comments and layout go along."""

from __future__ import annotations

import ast

from .edits import Edit, insert_before
from .module import Module
from .training import body_of


def under(module: Module, statements: list[ast.stmt], head: str) -> list[Edit]:
    """Consecutive statements of one block, indented below a line like `with torch.no_grad():`.

    Nothing where a line is shared with other statements, or holds part of a string of several lines.
    """
    if not statements:
        return []
    first, last = statements[0], statements[-1]
    begin, column, _, _ = module.span(first)
    begin = min([begin, *(each.lineno for each in getattr(first, "decorator_list", []))])
    _, _, end, end_column = module.span(last)
    tail = module.lines[end - 1][end_column:].strip()
    if module.lines[begin - 1][:column].strip() or (tail and not tail.startswith("#")):
        return []
    for node in ast.walk(module.tree):
        text = isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes))
        )
        spread = getattr(node, "end_lineno", 0) != getattr(node, "lineno", 0)
        if text and spread and begin <= getattr(node, "lineno", 0) <= end:
            return []
    unit = indentation(module)
    lines = [number for number in range(begin, end + 1) if module.lines[number - 1].strip()]
    edits = [Edit(module.file, number, 0, number, 0, unit) for number in lines]
    return [insert_before(module.file, begin, module.indent(begin) + head), *edits]


def indentation(module: Module) -> str:
    """One level, as the file has it: what the body of its first block stands deeper than that block."""
    for node in ast.walk(module.tree):
        body = getattr(node, "body", None)
        if not isinstance(node, (ast.Module, ast.Lambda, ast.IfExp)) and isinstance(body, list) and body:
            outer, inner = module.indent(getattr(node, "lineno", 0)), module.indent(body[0].lineno)
            if body[0].lineno > getattr(node, "lineno", 0) and inner.startswith(outer) and inner != outer:
                return inner[len(outer) :]
    return "    "


def between(module: Module, first: ast.stmt, last: ast.stmt) -> list[ast.stmt]:
    """The statements of a block from one to another of it, both included."""
    body = body_of(module, first)
    return body[body.index(first) : body.index(last) + 1] if last in body else []
