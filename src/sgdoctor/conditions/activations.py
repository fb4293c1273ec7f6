"""Where a script applies an activation last: on the way to its loss, at the end of a forward, of a Sequential."""

from __future__ import annotations

import ast

from ..record import Site
from ..source import Edit, Module, Source
from ..source.flow import Trail
from ..source.loss import argument, loss_call
from .condition import Finding, Remedy
from .questions import site_at

Place = tuple[Module, ast.Call]
REPORTS = ("argmax", "max", "cpu", "numpy", "round", "detach", "item", "tolist")


def applied(source: Source, loss: Site | None, layer: str, *functions: str) -> list[Place]:
    """Calls of an activation (`Sigmoid`; `sigmoid`, `expit`), the one most likely to feed the loss at a line first."""
    trail = {id(node) for node in _on_the_way(source, loss)}
    ranked: list[tuple[int, int, Place]] = []
    for module in source:
        names = [
            f"{root}.{name}" for name in functions for root in ("torch", "torch.nn.functional", "torch.special", "?")
        ]
        attributes = _attributes(module, layer)
        for call in ast.walk(module.tree):
            if not isinstance(call, ast.Call):
                continue
            dotted = module.dotted(call.func)
            own = isinstance(call.func, ast.Attribute) and call.func.attr in attributes and _of_self(call.func)
            made = dotted == f"torch.nn.{layer}"
            if not (dotted in names or own or made) or without_gradient(module, call):
                continue
            rank = 5 if id(call) in trail else _rank(module, call, made)
            if rank:
                ranked.append((rank, call.lineno, (module, call)))
    ranked.sort(key=lambda entry: (-entry[0], -entry[1]))
    return [place for _, _, place in ranked]


def _on_the_way(source: Source, loss: Site | None) -> list[ast.expr]:
    found = loss_call(source, loss.file, loss.line) if loss is not None else None
    output = argument(found[1], 0, "input") if found is not None else None
    return [point.node for point in Trail(source).of(found[0], output)] if found and output is not None else []


def _attributes(module: Module, layer: str) -> set[str]:
    """Attributes that hold such a layer: `self.act = nn.Sigmoid()`."""
    return {
        target.attr
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and module.dotted(node.value.func) == f"torch.nn.{layer}"
        for target in node.targets
        if isinstance(target, ast.Attribute)
    }


def _of_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id == "self"


def _rank(module: Module, call: ast.Call, made: bool) -> int:
    """How likely its value is what the model returns: 0 is not at all."""
    outer = module.parents.get(call)
    if isinstance(outer, ast.BinOp) or (isinstance(outer, ast.Attribute) and outer.attr in REPORTS):
        return 0
    if made:
        # In a Sequential the last entry; a layer kept as an attribute is met where it is called.
        if isinstance(outer, ast.Call) and outer.args and outer.args[-1] is call:
            return 3
        return 2 if isinstance(outer, (ast.List, ast.Tuple)) and outer.elts[-1] is call else 1
    if _returned(module, call):
        return 4
    function = module.enclosing(call, ast.FunctionDef, ast.AsyncFunctionDef)
    return 2 if isinstance(function, ast.FunctionDef) and function.name == "forward" else 1


def _returned(module: Module, call: ast.Call) -> bool:
    """Whether it stands in a return, or its name is returned."""
    if isinstance(module.enclosing(call, ast.stmt), ast.Return):
        return True
    statement = module.enclosing(call, ast.stmt)
    function = module.enclosing(call, ast.FunctionDef, ast.AsyncFunctionDef)
    if not isinstance(statement, ast.Assign) or function is None:
        return False
    stored = {target.id for target in statement.targets if isinstance(target, ast.Name)}
    later = [n for n in ast.walk(function) if isinstance(n, ast.Return) and n.value and n.lineno > statement.lineno]
    again = [
        n
        for n in ast.walk(function)
        if isinstance(n, ast.Assign)
        and n.lineno > statement.lineno
        and stored & {t.id for t in n.targets if isinstance(t, ast.Name)}
    ]
    named = {part.id for node in later for part in ast.walk(node) if isinstance(part, ast.Name)}
    return bool(stored & named) and not again


def without_gradient(module: Module, node: ast.AST) -> bool:
    """Whether a node stands in a no_grad or inference_mode block or function."""
    outer = module.enclosing(node, ast.With)
    while isinstance(outer, ast.With):
        entered = [module.segment(item.context_expr) for item in outer.items]
        if any("no_grad" in text or "inference_mode" in text for text in entered):
            return True
        outer = module.enclosing(outer, ast.With)
    function = module.enclosing(node, ast.FunctionDef, ast.AsyncFunctionDef)
    decorators = getattr(function, "decorator_list", [])
    return any("no_grad" in module.segment(d) or "inference_mode" in module.segment(d) for d in decorators)


def place_site(places: list[Place]) -> Site | None:
    """The first of some places as a site."""
    return site_at(*places[0]) if places else None


def dropped(place: Place) -> tuple[Edit, ...]:
    """Take an activation away and keep what it was applied to."""
    module, call = place
    dotted = module.dotted(call.func)
    if dotted.startswith("torch.nn.") and dotted.count(".") == 2:
        return (module.replace(call, "nn.Identity()" if "nn" in module.names else "torch.nn.Identity()"),)
    if dotted.startswith("?") and isinstance(call.func, ast.Attribute) and not _of_self(call.func):
        return (module.replace(call, module.segment(call.func.value)),)
    given = argument(call, 0, "input")
    return () if given is None else (module.replace(call, module.segment(given)),)


def drop(finding: Finding, source: Source, title: str, layer: str, *functions: str) -> list[Remedy]:
    """The remedy that drops an activation at the finding's line."""
    for place in applied(source, None, layer, *functions):
        if finding.site is not None and site_at(*place)[:2] == finding.site[:2]:
            return [Remedy(title, "safe", dropped(place))]
    return [Remedy(title, "safe")]


def loss_maker(source: Source, loss: Site | None) -> Place | None:
    """The `nn.XLoss(...)` behind the loss that is called at a line; the call itself where it is a function."""
    found = loss_call(source, loss.file, loss.line) if loss is not None else None
    if found is None:
        return None
    module, call = found
    for point in Trail(source).of(module, call.func):
        if isinstance(point.node, ast.Call) and point.module.dotted(point.node.func).endswith("Loss"):
            return point.module, point.node
    for inner in [call, *(node for node in ast.walk(call) if isinstance(node, ast.Call))]:
        if isinstance(inner.func, ast.Call) and module.dotted(inner.func.func).endswith("Loss"):
            return module, inner.func
        if module.dotted(inner.func).startswith("torch.nn.functional."):
            return module, inner
    return None
