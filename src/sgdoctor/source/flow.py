"""Where a value comes from: a trail of expressions from its use back to where it is made, followed by name."""

from __future__ import annotations

import ast
from typing import NamedTuple

from .module import Module, Source

MAX_TRAIL = 24  # expressions on one trail; a longer one has lost its way
# Methods that give their own value in another form; of other methods (`self.net(x)`) the argument matters.
VALUE_METHODS = frozenset(
    "to view reshape expand squeeze unsqueeze transpose permute flatten astype type type_as repeat clamp clip add sub "
    "mul div sum mean select index_select gather masked_fill fillna split chunk movedim swapaxes".split()
)
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.Module)


class Point(NamedTuple):
    """One expression on a trail, in its file."""

    module: Module
    node: ast.expr

    @property
    def line(self) -> int:
        """Where it begins."""
        return self.node.lineno


class Trail:
    """Follows names through assignments, loops over loaders, calls of the script's own functions and datasets."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._points: list[Point] = []
        self._seen: set[int] = set()

    def of(self, module: Module, node: ast.expr) -> list[Point]:
        """The expressions that a value passes through, its use first, its origin last."""
        self._points, self._seen = [], set()
        self._follow(module, node, None)
        return self._points

    def _follow(self, module: Module, node: ast.expr, element: int | None) -> None:
        """`element`: which part of the value is meant, where it is a tuple."""
        if id(node) in self._seen or len(self._points) >= MAX_TRAIL:
            return
        self._seen.add(id(node))
        self._points.append(Point(module, node))
        if isinstance(node, (ast.Tuple, ast.List)) and element is not None:
            if element < len(node.elts):
                self._follow(module, node.elts[element], None)
        elif isinstance(node, ast.Name):
            self._follow_name(module, node, element)
        elif isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                self._follow_attribute(module, node.attr, element)
            else:
                self._follow(module, node.value, element)
        elif isinstance(node, ast.Call):
            self._follow_call(module, node, element)
        elif isinstance(node, ast.BinOp):
            sides = [side for side in (node.left, node.right) if not isinstance(side, ast.Constant)]
            if sides:
                self._follow(module, sides[0], element)
        elif isinstance(node, (ast.Subscript, ast.Starred)):
            self._follow(module, node.value, None)
        elif isinstance(node, ast.IfExp):
            self._follow(module, node.body, element)
        elif isinstance(node, ast.UnaryOp):
            self._follow(module, node.operand, element)
        elif isinstance(node, (ast.ListComp, ast.GeneratorExp)):
            self._follow(module, node.elt, None)

    def _follow_call(self, module: Module, node: ast.Call, element: int | None) -> None:
        name = module.dotted(node.func)
        last = name.rpartition(".")[2]
        own = self._function(last)
        if last in ("enumerate", "tqdm", "iter", "next", "zip", "cycle") and node.args:
            if last == "enumerate":
                element = None if element is None else element - 1
            if last == "zip":
                argument = node.args[element] if element is not None and element < len(node.args) else node.args[0]
                self._follow(module, argument, None)
            else:
                self._follow(module, node.args[0], element)
        elif last == "TensorDataset" and node.args:
            self._follow(module, node.args[min(element or 0, len(node.args) - 1)], None)
        elif own is not None:
            self._follow_return(*own, element)
        elif self._class(last) is not None:
            found = self._class(last)
            assert found is not None
            getitem = self._method(found[1], "__getitem__") or self._method(found[1], "__iter__")
            if getitem is not None:
                self._follow_return(found[0], getitem, element)
            elif node.args:
                self._follow(module, node.args[0], element)
        elif isinstance(node.func, ast.Attribute) and name.startswith("?") and (last in VALUE_METHODS or not node.args):
            self._follow(module, node.func.value, element)
        elif node.args:
            self._follow(module, node.args[0], element)
        elif node.keywords:
            self._follow(module, node.keywords[0].value, element)

    def _follow_return(self, module: Module, function: ast.FunctionDef, element: int | None) -> None:
        values = [
            node.value
            for node in ast.walk(function)
            if isinstance(node, (ast.Return, ast.Yield)) and node.value is not None
        ]
        if values:
            value = values[-1]
            if isinstance(value, (ast.Tuple, ast.List)) and element is not None:
                self._points.append(Point(module, value))
                if element < len(value.elts):
                    value = value.elts[element]
                    element = None
            self._follow(module, value, element)

    def _follow_name(self, module: Module, node: ast.Name, element: int | None) -> None:
        scope = module.enclosing(node, *SCOPES)
        while scope is not None:
            found = self._definition(module, scope, node)
            if found is not None:
                self._follow(module, found[0], found[1] if found[1] is not None else element)
                return
            if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef)):
                parameters = [argument.arg for argument in scope.args.args]
                if node.id in parameters:
                    self._follow_argument(scope, parameters, node.id, element)
                    return
            scope = module.enclosing(scope, *SCOPES)

    def _definition(self, module: Module, scope: ast.AST, use: ast.Name) -> tuple[ast.expr, int | None] | None:
        """(value, element) of the last assignment to a name before its use, or of any where none is before."""
        best: tuple[int, ast.expr, int | None] | None = None
        for node in ast.walk(scope):
            pairs: list[tuple[ast.expr, ast.expr]] = []
            if isinstance(node, ast.Assign):
                pairs = [(target, node.value) for target in node.targets]
            elif isinstance(node, (ast.For, ast.comprehension)):
                pairs = [(node.target, node.iter)]
            elif isinstance(node, ast.AnnAssign) and node.value is not None:
                pairs = [(node.target, node.value)]
            elif isinstance(node, ast.withitem) and node.optional_vars is not None:
                pairs = [(node.optional_vars, node.context_expr)]
            for target, value in pairs:
                element = _element(target, use.id)
                inside = module.enclosing(value, *SCOPES) is scope
                if element == -2 or not inside or any(child is use for child in ast.walk(value)):
                    continue
                before = value.lineno <= use.lineno
                rank = value.lineno if before else -value.lineno
                if best is None or rank > best[0]:
                    best = (rank, value, None if element == -1 else element)
        return None if best is None else (best[1], best[2])

    def _follow_argument(
        self, function: ast.FunctionDef | ast.AsyncFunctionDef, parameters: list[str], name: str, element: int | None
    ) -> None:
        position = parameters.index(name)
        for module in self._source:
            for call in ast.walk(module.tree):
                if not isinstance(call, ast.Call):
                    continue
                called = module.dotted(call.func).rpartition(".")[2]
                offset = 1 if parameters[0] in ("self", "cls") else 0
                if called != function.name and not (offset and function.name in ("forward", "__init__")):
                    continue
                if function.name == "__init__" and called != _owner(module, function):
                    continue
                if function.name == "forward":
                    continue  # who calls a module is not to be seen by name
                for keyword in call.keywords:
                    if keyword.arg == name:
                        self._follow(module, keyword.value, element)
                        return
                if 0 <= position - offset < len(call.args):
                    self._follow(module, call.args[position - offset], element)
                    return

    def _follow_attribute(self, module: Module, attribute: str, element: int | None) -> None:
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Assign):
                continue
            for target in node.targets:
                parts = list(target.elts) if isinstance(target, (ast.Tuple, ast.List)) else [target]
                for index, part in enumerate(parts):
                    if isinstance(part, ast.Attribute) and part.attr == attribute:
                        self._follow(module, node.value, index if len(parts) > 1 else element)
                        return

    def _function(self, name: str) -> tuple[Module, ast.FunctionDef] | None:
        for module in self._source:
            for node in ast.walk(module.tree):
                if isinstance(node, ast.FunctionDef) and node.name == name:
                    return module, node
        return None

    def _class(self, name: str) -> tuple[Module, ast.ClassDef] | None:
        for module in self._source:
            for node in ast.walk(module.tree):
                if isinstance(node, ast.ClassDef) and node.name == name:
                    return module, node
        return None

    @staticmethod
    def _method(owner: ast.ClassDef, name: str) -> ast.FunctionDef | None:
        for node in owner.body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                return node
        return None


def _element(target: ast.expr, name: str) -> int:
    """-1: the target is the name; n: its n-th part is; -2: it is not there. Of nested tuples the inner index counts."""
    if isinstance(target, ast.Name):
        return -1 if target.id == name else -2
    if isinstance(target, (ast.Tuple, ast.List)):
        for index, part in enumerate(target.elts):
            if isinstance(part, ast.Name) and part.id == name:
                return index
            if isinstance(part, (ast.Tuple, ast.List)):
                inner = _element(part, name)
                if inner >= 0:
                    return index + inner if index == 1 else inner
    return -2


def _owner(module: Module, function: ast.AST) -> str:
    found = module.enclosing(function, ast.ClassDef)
    return found.name if isinstance(found, ast.ClassDef) else ""
