"""How things are written in a file: torch's names by what is imported there, expressions in brackets, free names."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .edits import Edit
from .module import Module

# Expressions that stay whole whatever operator or attribute comes behind them
CLOSED = (ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.Constant, ast.Tuple, ast.List, ast.Dict)


def spelled(module: Module, dotted: str) -> str | None:
    """`torch.nn.Linear` as the file writes it: `nn.Linear`, `Linear`; None where no import leads there."""
    best: str | None = None
    for bound, path in module.names.items():
        if dotted == path or dotted.startswith(path + "."):
            text = bound + dotted[len(path) :]
            if best is None or len(text) < len(best):
                best = text
    return best


def bracketed(module: Module, node: ast.expr) -> str:
    """The text of an expression so that an operator or a method may follow it."""
    text = module.segment(node)
    return text if isinstance(node, CLOSED) else f"({text})"


def in_place_of(module: Module, node: ast.expr, inner: ast.expr) -> Edit:
    """An expression replaced by a part of itself; `x = softmax(x)` goes altogether where only `x = x` would be left."""
    statement = module.parents.get(node)
    if isinstance(statement, ast.Assign) and isinstance(inner, ast.Name) and len(statement.targets) == 1:
        target = statement.targets[0]
        if isinstance(target, ast.Name) and target.id == inner.id:
            return module.delete(statement)
    alone = (
        isinstance(statement, (ast.Return, ast.Assign, ast.AnnAssign, ast.keyword, ast.Call))
        and inner.lineno == inner.end_lineno
    )
    return module.replace(node, module.segment(inner) if alone else bracketed(module, inner))


def free_name(scope: ast.AST, *wanted: str) -> str:
    """The first of these names that nothing in a scope is called; with an underscore where all are taken."""
    taken = {node.id for node in ast.walk(scope) if isinstance(node, ast.Name)}
    taken |= {node.attr for node in ast.walk(scope) if isinstance(node, ast.Attribute)}
    taken |= {node.arg for node in ast.walk(scope) if isinstance(node, ast.arg)}
    for name in wanted:
        if name not in taken:
            return name
    name = wanted[0]
    while name in taken:
        name += "_"
    return name


def before(module: Module, node: ast.expr, text: str) -> Edit:
    """Text in front of an expression."""
    line, column, _, _ = module.span(node)
    return Edit(module.file, line, column, line, column, text)


def after(module: Module, node: ast.expr, text: str) -> Edit:
    """Text behind an expression."""
    _, _, line, column = module.span(node)
    return Edit(module.file, line, column, line, column, text)


def wrapped(module: Module, node: ast.expr, head: str, tail: str) -> tuple[Edit, Edit]:
    """Text on both sides of an expression, which itself stays as it is, however many lines it has."""
    return before(module, node, head), after(module, node, tail)


def parts(module: Module, node: ast.expr, head: str, tail: str) -> tuple[Edit, Edit]:
    """As `wrapped`, with brackets around the expression where an operator follows and it needs them."""
    closed = isinstance(node, CLOSED)
    outer = module.parents.get(node)
    if not closed and isinstance(outer, ast.Attribute):  # `(a - b).log()`: its brackets are there
        _, _, line, column = module.span(node)
        if module.lines[line - 1][column : column + 1] == ")":
            return before(module, node, head), Edit(module.file, line, column + 1, line, column + 1, tail)
    return wrapped(module, node, head if closed else head + "(", tail if closed else ")" + tail)


def without_entry(module: Module, entry: ast.expr, entries: list[ast.expr]) -> Edit:
    """An argument or element dropped, with its comma and, where it had lines of its own, those lines."""
    line, column, end_line, end_column = module.span(entry)
    index = entries.index(entry)
    rest = module.lines[end_line - 1][end_column:]
    comma = rest.lstrip().startswith(",")
    trailing = rest.lstrip()[1:].strip() if comma else rest.strip()
    alone = not module.lines[line - 1][:column].strip() and (not trailing or trailing.startswith("#"))
    if alone and (comma or index == 0):
        return Edit(module.file, line, 0, end_line + 1, 0, "")
    if index:
        _, _, from_line, from_column = module.span(entries[index - 1])
        return Edit(module.file, from_line, from_column, end_line, end_column, "")
    if len(entries) > 1:
        to_line, to_column, _, _ = module.span(entries[1])
        return Edit(module.file, line, column, to_line, to_column, "")
    return Edit(module.file, line, column, end_line, end_column, "")


def new_entry(module: Module, entry: ast.expr, text: str) -> Edit:
    """An argument or element in front of another: on a line of its own where that one begins its line."""
    line, column, _, _ = module.span(entry)
    own_line = not module.lines[line - 1][:column].strip()
    return Edit(module.file, line, column, line, column, f"{text},\n{module.indent(line)}" if own_line else f"{text}, ")


def calls_of(module: Module, scope: ast.AST, text: str) -> Iterator[ast.Call]:
    """Calls in a scope whose function reads `text` ("self.fc1")."""
    for node in ast.walk(scope):
        if isinstance(node, ast.Call) and module.segment(node.func) == text:
            yield node


def entries_of(call: ast.Call) -> list[ast.expr]:
    """The layers of `Sequential(a, b)`, `Sequential(*[a, b])`, `ModuleList([a, b])`."""
    entries: list[ast.expr] = list(call.args)
    if len(entries) == 1 and isinstance(entries[0], ast.Starred):
        entries = [entries[0].value]
    if len(entries) == 1 and isinstance(entries[0], (ast.List, ast.Tuple)):
        entries = list(entries[0].elts)
    return entries
