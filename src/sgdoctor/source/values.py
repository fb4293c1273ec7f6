"""The place where a number comes from: the literal behind a name, a default, an option of the command or an entry."""

from __future__ import annotations

import ast

from .flow import SCOPES
from .module import Module, Source

DEPTH = 8  # names on the way to a literal


def literal_of(source: Source, module: Module, node: ast.expr, depth: int = DEPTH) -> tuple[Module, ast.expr] | None:
    """(file, the literal) that an expression takes its value from; None where that is not certain."""
    if depth == 0:
        return None
    if isinstance(node, ast.Constant):
        return (module, node) if isinstance(node.value, (int, float)) and not isinstance(node.value, bool) else None
    if isinstance(node, ast.Call) and node.args and module.dotted(node.func) in ("int", "float", "min", "max"):
        return literal_of(source, module, node.args[0], depth - 1)
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return _entry(source, node.slice.value, depth)
    if isinstance(node, ast.Attribute):
        return _attribute(source, module, node, depth)
    if isinstance(node, ast.Name):
        return _name(source, module, node, depth)
    return None


def _name(source: Source, module: Module, node: ast.Name, depth: int) -> tuple[Module, ast.expr] | None:
    scope = module.enclosing(node, *SCOPES)
    while scope is not None:
        found = _assigned(module, scope, node.id)
        if len(found) == 1:
            return literal_of(source, module, found[0], depth - 1)
        if found:
            return None
        if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names = [each.arg for each in (*scope.args.args, *scope.args.kwonlyargs)]
            if node.id in names:
                return _parameter(source, module, scope, node.id, depth)
        scope = module.enclosing(scope, *SCOPES)
    imported = module.names.get(node.id, "")
    for other in source:  # `from config import BATCH`
        if other is not module and imported.endswith(f".{node.id}"):
            found = _assigned(other, other.tree, node.id)
            if len(found) == 1:
                return literal_of(source, other, found[0], depth - 1)
    return None


def _assigned(module: Module, scope: ast.AST, name: str) -> list[ast.expr]:
    found: list[ast.expr] = []
    for node in ast.walk(scope):
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
            continue
        if module.enclosing(node, *SCOPES) is not scope:
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Name) and target.id == name:
                found.append(node.value)
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = zip(target.elts, node.value.elts)
                found += [value for part, value in pairs if isinstance(part, ast.Name) and part.id == name]
    return found


def _parameter(
    source: Source, module: Module, function: ast.FunctionDef | ast.AsyncFunctionDef, name: str, depth: int
) -> tuple[Module, ast.expr] | None:
    """What the only call gives, else the default."""
    names = [each.arg for each in function.args.args]
    offset = 1 if names[:1] in (["self"], ["cls"]) else 0
    owner = module.enclosing(function, ast.ClassDef)
    called = owner.name if function.name == "__init__" and isinstance(owner, ast.ClassDef) else function.name
    given: list[tuple[Module, ast.expr]] = []
    for other in source:
        for call in ast.walk(other.tree):
            if not isinstance(call, ast.Call) or other.dotted(call.func).rpartition(".")[2] != called:
                continue
            position = names.index(name) - offset if name in names else len(call.args)
            value = next((word.value for word in call.keywords if word.arg == name), None)
            if value is None and position < len(call.args):
                value = call.args[position]
            if value is not None:
                given.append((other, value))
    if given:
        return literal_of(source, *given[0], depth - 1) if len(given) == 1 else None
    arguments = function.args
    defaults = dict(zip([each.arg for each in arguments.args][::-1], arguments.defaults[::-1]))
    defaults |= {
        each.arg: value for each, value in zip(arguments.kwonlyargs, arguments.kw_defaults) if value is not None
    }
    return literal_of(source, module, defaults[name], depth - 1) if name in defaults else None


def _attribute(source: Source, module: Module, node: ast.Attribute, depth: int) -> tuple[Module, ast.expr] | None:
    """`self.batch`, `args.batch_size`, `Config.batch`."""
    stored: list[tuple[Module, ast.expr]] = []
    for other in source:
        for part in ast.walk(other.tree):
            if isinstance(part, ast.Call) and _option(part) == node.attr:
                default = next((word.value for word in part.keywords if word.arg == "default"), None)
                if default is not None:
                    return literal_of(source, other, default, depth - 1)
            if isinstance(part, ast.ClassDef):
                for line in part.body:
                    stored += [(other, value) for value in _class_values(line, node.attr)]
            if isinstance(part, ast.Assign):
                stored += [(other, value) for value in _stored(part, node.attr)]
            if isinstance(part, ast.Call):  # `Config(batch=512)`, `SimpleNamespace(batch=512)`
                made = other.dotted(part.func).rpartition(".")[2]
                if made in ("SimpleNamespace", "Namespace") or (made[:1].isupper() and "Loader" not in made):
                    stored += [(other, word.value) for word in part.keywords if word.arg == node.attr]
    literals = [(where, value) for where, value in stored if isinstance(value, ast.Constant)]
    chosen = literals or stored
    return literal_of(source, *chosen[-1], depth - 1) if chosen else None


def _option(call: ast.Call) -> str | None:
    """`add_argument("--batch-size", ...)` -> "batch_size"."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "add_argument":
        return None
    for word in call.keywords:
        if word.arg == "dest" and isinstance(word.value, ast.Constant):
            return str(word.value.value)
    names = [str(each.value) for each in call.args if isinstance(each, ast.Constant)]
    long = next((name for name in names if name.startswith("--")), names[0] if names else "")
    return long.lstrip("-").replace("-", "_")


def _class_values(line: ast.stmt, name: str) -> list[ast.expr]:
    """`batch: int = 512` of a class body."""
    if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.target.id == name:
        return [line.value] if line.value is not None else []
    if isinstance(line, ast.Assign):
        return [line.value for each in line.targets if isinstance(each, ast.Name) and each.id == name]
    return []


def _stored(node: ast.Assign, name: str) -> list[ast.expr]:
    """`self.batch, self.rate = batch, rate`."""
    found: list[ast.expr] = []
    for target in node.targets:
        if isinstance(target, ast.Attribute) and target.attr == name:
            found.append(node.value)
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            pairs = zip(target.elts, node.value.elts)
            found += [value for part, value in pairs if isinstance(part, ast.Attribute) and part.attr == name]
    return found


def _entry(source: Source, key: object, depth: int) -> tuple[Module, ast.expr] | None:
    """`config["batch_size"]`: the value beside that key in a dictionary of the script, `dict(batch_size=512)` too."""
    found: list[tuple[Module, ast.expr]] = []
    for module in source:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Dict):
                found += [
                    (module, value)
                    for name, value in zip(node.keys, node.values)
                    if isinstance(name, ast.Constant) and name.value == key
                ]
            if isinstance(node, ast.Call) and module.dotted(node.func) == "dict":
                found += [(module, word.value) for word in node.keywords if word.arg == key]
    return literal_of(source, *found[0], depth - 1) if len(found) == 1 else None
