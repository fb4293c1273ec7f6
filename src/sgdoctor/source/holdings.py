"""What an optimizer is given: the models it names, and the same call holding what it lacks."""

from __future__ import annotations

import ast

from .edits import Edit
from .module import Module, Source
from .numbers import definitions
from .rates import optimizer_call
from .training import Method, body_of, function_of, method_calls, move_behind, reach, receiver, statement_of


def complete(source: Source, file: str, line: int, missing: list[str]) -> list[Edit]:
    """The optimizer built at a line made to hold the parameters with these names too.

    Built below the last change of the model, where one follows it; else given the whole model, or the other model.
    """
    registered = registered_lists(source)
    if registered:
        return registered
    found = optimizer_call(source, file, line)
    if found is None:
        return []
    module, call = found
    statement = statement_of(module, call)
    owners = list(dict.fromkeys(_owners(source, module, call)))
    if statement is None or (not call.args and not call.keywords):
        return []
    first = call.args[0] if call.args else next((each.value for each in call.keywords if each.arg == "params"), None)
    roots = list(dict.fromkeys(_root(module, call, owner) for owner in owners))
    last = _last_change(source, module, statement, roots, missing)
    if last is not None:
        return move_behind(module, _with_dependents(module, statement, last), last)
    return [] if first is None else _widened(source, module, first, owners, roots, missing)


def _owners(source: Source, module: Module, call: ast.Call) -> list[str]:
    """`model.head` of `Adam(model.head.parameters())`, also where the list is made before."""
    found = [receiver(module, each) for name in PARAMETERS for each in method_calls(module, call, name)]
    for name in (node for part in call.args[:1] for node in ast.walk(part) if isinstance(node, ast.Name)):
        for at, value in definitions(source, module, name):
            if at is module:
                found += [receiver(module, each) for kind in PARAMETERS for each in method_calls(module, value, kind)]
    return found


PARAMETERS = ("parameters", "named_parameters")


def _root(module: Module, node: ast.AST, owner: str) -> str:
    """The whole model of `model.head`; in a class that is no model, `self.model` of `self.model.head`."""
    parts = owner.split(".")
    keep = 2 if parts[0] == "self" and not _in_model(module, node) else 1
    return ".".join(parts[:keep]).partition("[")[0]


def _in_model(module: Module, node: ast.AST) -> bool:
    owner = module.enclosing(node, ast.ClassDef)
    return isinstance(owner, ast.ClassDef) and any("Module" in module.segment(base) for base in owner.bases)


def _last_change(
    source: Source, module: Module, statement: ast.stmt, roots: list[str], missing: list[str]
) -> ast.stmt | None:
    """The last statement behind the optimizer's, in its block, that puts a new layer into the model."""
    body = body_of(module, statement)
    parts = {part for name in missing for part in name.split(".")[:-1]}
    found = None
    for later in body[body.index(statement) + 1 :]:
        if method_calls(module, later, "backward"):
            break
        if any(_changes(source, module, later, root, parts) for root in roots):
            found = later
    return found


def _changes(source: Source, module: Module, statement: ast.stmt, root: str, parts: set[str]) -> bool:
    if isinstance(statement, (ast.If, ast.For, ast.With)):
        return any(_changes(source, module, each, root, parts) for each in statement.body)
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    for target in targets:
        text = module.segment(target)
        last = text.replace("]", "").replace("[", ".").split(".")[-1].strip("'\"-")
        inside = text.startswith((f"{root}.", f"{root}[")) and isinstance(statement, ast.Assign)
        if inside and (last in parts or isinstance(target, ast.Subscript)):
            return True
        if text == root and isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
            return True
    value = getattr(statement, "value", None)
    if not isinstance(statement, (ast.Expr, ast.Assign)) or not isinstance(value, ast.Call):
        return False
    mentioned = receiver(module, value) == root or any(module.segment(each) == root for each in value.args)
    return mentioned and _adds_layers(source, module.dotted(value.func).rpartition(".")[2], parts)


def _adds_layers(source: Source, name: str, parts: set[str]) -> bool:
    """Whether a function of the script assigns a layer that is missed."""
    if name in ("add_module", "register_module", "append"):
        return True
    for module in source:
        for node in ast.walk(module.tree):
            if isinstance(node, Method) and node.name == name:
                targets = [t for each in ast.walk(node) if isinstance(each, ast.Assign) for t in each.targets]
                return any(isinstance(target, ast.Attribute) and target.attr in parts for target in targets)
    return False


def _with_dependents(module: Module, statement: ast.stmt, last: ast.stmt) -> list[ast.stmt]:
    """The optimizer's statement, and those up to `last` that use it (a scheduler) or what they make."""
    body = body_of(module, statement)
    chosen = [statement]
    names = _bound(module, statement)
    for later in body[body.index(statement) + 1 : body.index(last)]:
        texts = {module.segment(node) for node in ast.walk(later) if isinstance(node, (ast.Name, ast.Attribute))}
        if texts & names:
            chosen.append(later)
            names |= _bound(module, later)
    return chosen


def _bound(module: Module, statement: ast.stmt) -> set[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    parts = [p for t in targets for p in (t.elts if isinstance(t, ast.Tuple) else [t])]
    return {module.segment(part) for part in parts}


def _widened(
    source: Source, module: Module, first: ast.expr, owners: list[str], roots: list[str], missing: list[str]
) -> list[Edit]:
    """The first argument of the call, with what is missing."""
    grouped = isinstance(first, (ast.List, ast.Tuple)) and any(isinstance(each, ast.Dict) for each in first.elts)
    if grouped and isinstance(first, (ast.List, ast.Tuple)):
        tops = dict.fromkeys(name.split(".")[0] for name in missing if "." in name)
        held = {owner.rpartition(".")[2] for owner in owners}
        new = [f'{{"params": {roots[0]}.{top}.parameters()}}' for top in tops if top not in held] if roots else []
        _, _, line, column = module.span(first.elts[-1])
        return [Edit(module.file, line, column, line, column, "".join(f", {each}" for each in new))] if new else []
    others = _models(source, module, first, missing)
    if len(roots) == 1 and (roots[0] in others or not others) and owners != roots:
        return [module.replace(first, f"{roots[0]}.parameters()")]
    fresh = [name for name in others if name not in roots]
    if not fresh:
        return []
    text = module.segment(first)
    own = text[1:-1].strip().rstrip(",") if isinstance(first, ast.List) else f"*{text}"
    return [module.replace(first, f"[{', '.join([own, f'*{fresh[0]}.parameters()'])}]")]


def _models(source: Source, module: Module, place: ast.expr, missing: list[str]) -> list[str]:
    """The variables in sight whose class declares all the missing layers."""
    tops = {name.split(".")[0] for name in missing}
    scopes = [function_of(module, place), module.tree]
    found = []
    for scope in (each for each in scopes if each is not None):
        for node in ast.walk(scope):
            if not isinstance(node, ast.Assign) or node.lineno > place.lineno or not tops:
                continue
            if function_of(module, node) not in (scope, None) and not _is_attribute(node):
                continue
            for target, value in _pairs(node):
                call = _innermost(value)
                if call is not None and tops <= _declared(source, module, call):
                    found.append(module.segment(target))
    return list(dict.fromkeys(found))


def _is_attribute(node: ast.Assign) -> bool:
    return all(isinstance(target, ast.Attribute) for target in node.targets)


def _pairs(node: ast.Assign) -> list[tuple[ast.expr, ast.expr]]:
    found = []
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            found += list(zip(target.elts, node.value.elts))
        else:
            found.append((target, node.value))
    return found


def _innermost(value: ast.expr) -> ast.Call | None:
    """`Net()` of `Net().to(device)`."""
    while (
        isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and isinstance(value.func.value, ast.Call)
    ):
        value = value.func.value
    return value if isinstance(value, ast.Call) else None


def _declared(source: Source, module: Module, call: ast.Call) -> set[str]:
    """The names of the layers that a class declares; those of a Sequential, of a single layer."""
    name = module.dotted(call.func)
    if name.endswith("nn.Sequential"):
        return {str(index) for index in range(len(call.args))}
    if name.startswith("torch.nn."):
        return {"weight", "bias", "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"}
    for other in source:
        for node in ast.walk(other.tree):
            if isinstance(node, ast.ClassDef) and node.name == name.rpartition(".")[2]:
                assigned = [each for each in ast.walk(node) if isinstance(each, ast.Assign)]
                targets = [target for each in assigned for target, _ in _pairs(each)]
                return {target.attr for target in targets if isinstance(target, ast.Attribute)}
    return set()


def registered_lists(source: Source) -> list[Edit]:
    """Layers that a model keeps in a plain list: `self.layers = [...]` in an nn.ModuleList."""
    edits = []
    for module in source:
        for node in ast.walk(module.tree):
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            if not isinstance(node, ast.Assign) or not isinstance(target, ast.Attribute) or not _in_model(module, node):
                continue
            value = node.value
            if isinstance(value, (ast.List, ast.ListComp)) and _holds_layers(module, node, value):
                text = f"({module.segment(value)})" if not isinstance(value, ast.List) or value.elts else "()"
                edits.append(module.replace(value, reach(module, "ModuleList") + text))
            elif isinstance(value, ast.Dict) and value.values and _holds_layers(module, node, value):
                edits.append(module.replace(value, f"{reach(module, 'ModuleDict')}({module.segment(value)})"))
    return edits


def _holds_layers(module: Module, node: ast.Assign, value: ast.expr) -> bool:
    """Whether a list is of layers, or layers are appended to it later."""
    name = module.segment(node.targets[0])
    if f"(*{name})" in module.text or f"({name})" in module.text:
        return False  # handed on to a container that registers them
    parts: list[ast.AST] = [value]
    for call in method_calls(module, module.tree, "append"):
        if receiver(module, call) == name:
            parts += call.args
    made = [each for part in parts for each in ast.walk(part) if isinstance(each, ast.Call)]
    return any(_is_layer(module, call) for call in made)


def _is_layer(module: Module, call: ast.Call) -> bool:
    name = module.dotted(call.func)
    if name.startswith("torch.nn."):
        leaf = name.rpartition(".")[2]
        return leaf[:1].isupper() and leaf != "Parameter" and "functional" not in name
    classes = (node for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef) and node.name == name)
    return any("Module" in module.segment(base) for node in classes for base in node.bases)
