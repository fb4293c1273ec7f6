"""Where a value comes from: a trail of expressions from its use back to where it is made, followed by name."""

from __future__ import annotations

import ast
from typing import NamedTuple

from .module import Module, Source

MAX_TRAIL = 24  # expressions on one trail; a longer one has lost its way
# Methods that give their own value in another form; of other methods (`self.net(x)`) the argument matters.
VALUE_METHODS = frozenset(
    (
        "to", "view", "reshape", "expand", "squeeze", "unsqueeze", "transpose", "permute", "flatten", "astype",
        "type", "type_as", "repeat", "clamp", "clip", "add", "sub", "mul", "div", "sum", "mean", "select",
        "index_select", "gather", "masked_fill", "fillna", "split", "chunk", "movedim", "swapaxes",
    )
)  # fmt: skip
Path = tuple[int, ...]
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
        self._keys: list[str] = []  # entries of dicts that are still to be taken, the next one last

    @property
    def points(self) -> list[Point]:
        """The expressions of the last trail."""
        return self._points

    def of(self, module: Module, node: ast.expr) -> list[Point]:
        """The expressions that a value passes through, its use first, its origin last."""
        self._points, self._seen, self._keys = [], set(), []
        self._follow(module, node, ())
        return self._points

    def _follow(self, module: Module, node: ast.expr, path: Path) -> None:
        """`path`: which part of the value is meant, where it is a tuple (of tuples)."""
        if id(node) in self._seen or len(self._points) >= MAX_TRAIL:
            return
        self._seen.add(id(node))
        self._points.append(Point(module, node))
        if isinstance(node, (ast.Tuple, ast.List)):
            if node.elts:
                self._follow(module, node.elts[path[0] if path and path[0] < len(node.elts) else 0], path[1:])
        elif isinstance(node, ast.Name):
            self._follow_name(module, node, path)
        elif isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                self._follow_attribute(module, node.attr, path, module.enclosing(node, ast.ClassDef))
            else:
                self._follow(module, node.value, path)
        elif isinstance(node, ast.Call):
            self._follow_call(module, node, path)
        elif isinstance(node, ast.BinOp):
            sides = [side for side in (node.left, node.right) if not isinstance(side, ast.Constant)]
            if sides:
                self._follow(module, sides[0], path)
        elif isinstance(node, (ast.Subscript, ast.Starred)):
            key = getattr(getattr(node, "slice", None), "value", None)
            self._keys += [key] if isinstance(key, str) else []
            self._follow(module, node.value, ())
        elif isinstance(node, ast.Dict):
            self._follow_entry(module, node)
        elif isinstance(node, ast.IfExp):
            self._follow(module, node.body, path)
        elif isinstance(node, ast.UnaryOp):
            self._follow(module, node.operand, path)
        elif isinstance(node, (ast.ListComp, ast.GeneratorExp)):
            self._follow(module, node.elt, ())

    def _follow_entry(self, module: Module, node: ast.Dict) -> None:
        """The entry of a dict that was asked for last: the others have no part in the value."""
        wanted = self._keys.pop() if self._keys else None
        for key, value in zip(node.keys, node.values):
            if isinstance(key, ast.Constant) and key.value == wanted and wanted is not None:
                self._points.pop()
                self._follow(module, value, ())
                return

    def _follow_call(self, module: Module, node: ast.Call, path: Path) -> None:
        name = module.dotted(node.func)
        last = name.rpartition(".")[2]
        own = self._function(last)
        if last == "enumerate" and node.args:
            self._follow(module, node.args[0], path[1:])
        elif last == "zip" and node.args:
            position = path[0] if path and path[0] < len(node.args) else 0
            self._follow(module, node.args[position], path[1:])
        elif last == "DataLoader" and self._collate(module, node) is not None:
            collate = self._collate(module, node)
            assert collate is not None
            self._follow_return(*collate, path)
        elif last == "train_test_split" and node.args:
            position = path[0] // 2 if path and path[0] // 2 < len(node.args) else 0  # two parts of each array
            self._follow(module, node.args[position], path[1:])
        elif last == "random_split" and node.args:
            self._follow(module, node.args[0], path[1:])
        elif last == "TensorDataset" and node.args and isinstance(node.args[0], ast.Starred):
            self._follow(module, node.args[0].value, path)
        elif last == "TensorDataset" and node.args:
            position = path[0] if path and path[0] < len(node.args) else 0
            self._follow(module, node.args[position], ())
        elif own is not None:
            self._follow_return(*own, path)
        elif self._class(last) is not None:
            found = self._class(last)
            assert found is not None
            getitem = self._method(found[1], "__getitem__") or self._method(found[1], "__iter__")
            if getitem is not None:
                self._follow_return(found[0], getitem, path)
            elif node.args:
                self._follow(module, node.args[0], path)
        elif isinstance(node.func, ast.Attribute) and name.startswith("?") and (last in VALUE_METHODS or not node.args):
            self._follow(module, node.func.value, path)
        elif node.args:
            self._follow(module, node.args[0], path)
        elif node.keywords:
            self._follow(module, node.keywords[0].value, path)

    def _follow_return(self, module: Module, function: ast.FunctionDef, path: Path) -> None:
        values = [
            node.value
            for node in ast.walk(function)
            if isinstance(node, (ast.Return, ast.Yield)) and node.value is not None
        ]
        if values:
            value = values[-1]
            self._follow(module, value, path)

    def _follow_name(self, module: Module, node: ast.Name, path: Path) -> None:
        scope = module.enclosing(node, *SCOPES)
        while scope is not None:
            found = self._definition(module, scope, node)
            if found is not None:
                self._follow(module, found[0], found[1] + path)
                self._follow_appended(module, scope, node, *found, path)
                return
            if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef)):
                parameters = [argument.arg for argument in scope.args.args]
                if node.id in parameters:
                    self._follow_argument(scope, parameters, node.id, path)
                    return
            scope = module.enclosing(scope, *SCOPES)

    def _follow_appended(
        self, module: Module, scope: ast.AST, use: ast.Name, start: ast.expr, part: Path, path: Path
    ) -> None:
        """What a list that starts empty is filled with: `rows.append(value)`."""
        while part and isinstance(start, ast.Tuple) and part[0] < len(start.elts):  # `xs, ys = [], []`
            start, part = start.elts[part[0]], part[1:]
        if not isinstance(start, ast.List) or start.elts:
            return
        for node in ast.walk(scope):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and len(node.args) == 1:
                held = node.func.value
                if node.func.attr == "append" and isinstance(held, ast.Name) and held.id == use.id:
                    self._follow(module, node.args[0], path)
                    return

    def _definition(self, module: Module, scope: ast.AST, use: ast.Name) -> tuple[ast.expr, Path] | None:
        """(value, path) of the last assignment to a name before its use, or of any where none is before."""
        best: tuple[tuple[int, int, int], ast.expr, Path] | None = None
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
                place = _place(target, use.id)
                inside = module.enclosing(value, *SCOPES) is scope
                if place is None or not inside or any(child is use for child in ast.walk(value)):
                    continue
                place_of_value, place_of_use = (value.lineno, value.col_offset), (use.lineno, use.col_offset)
                before = place_of_value <= place_of_use
                rank = (1, *place_of_value) if before else (0, -place_of_value[0], -place_of_value[1])
                if best is None or rank > best[0]:
                    best = (rank, value, place)
        return None if best is None else (best[1], best[2])

    def _follow_argument(
        self, function: ast.FunctionDef | ast.AsyncFunctionDef, parameters: list[str], name: str, path: Path
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
                # Who calls a module is not to be seen by its name, but by what made it.
                if function.name == "forward" and not self._is_made_by(module, call.func, function):
                    continue
                for keyword in call.keywords:
                    if keyword.arg == name:
                        self._follow(module, keyword.value, path)
                        return
                if 0 <= position - offset < len(call.args):
                    self._follow(module, call.args[position - offset], path)
                    return

    def _is_made_by(self, module: Module, called: ast.expr, forward: ast.AST) -> bool:
        """Whether `model` of `model(x, y)` is an instance of the class that a forward belongs to."""
        owner = next(
            (
                n
                for other in self._source
                for n in ast.walk(other.tree)
                if isinstance(n, ast.ClassDef) and forward in n.body
            ),
            None,
        )
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", None)
        made = [
            node.value
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Assign)
            and any(getattr(target, "attr", getattr(target, "id", None)) == name for target in node.targets)
        ]
        while made and isinstance(made[-1], ast.Call) and isinstance(made[-1].func, ast.Attribute):
            made.append(made[-1].func.value)  # Model().to(device)
        maker = module.dotted(made[-1].func) if made and isinstance(made[-1], ast.Call) else ""
        return owner is not None and name is not None and maker.rpartition(".")[2] == owner.name

    def _follow_attribute(self, module: Module, attribute: str, path: Path, owner: ast.AST | None = None) -> None:
        """`owner`: the class around the use, whose own attributes come before others of the same name."""
        own = list(ast.walk(owner)) if owner is not None else []
        for node in [*own, *ast.walk(module.tree)]:
            if not isinstance(node, ast.Assign):
                continue
            for target in node.targets:
                parts = list(target.elts) if isinstance(target, (ast.Tuple, ast.List)) else [target]
                for index, part in enumerate(parts):
                    if isinstance(part, ast.Attribute) and part.attr == attribute:
                        self._follow(module, node.value, ((index,) if len(parts) > 1 else ()) + path)
                        return

    def _collate(self, module: Module, loader: ast.Call) -> tuple[Module, ast.FunctionDef] | None:
        """The script's own function that puts a loader's batches together."""
        for keyword in loader.keywords:
            if keyword.arg == "collate_fn":
                return self._function(module.dotted(keyword.value).rpartition(".")[2])
        return None

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


def _place(target: ast.expr, name: str) -> Path | None:
    """Where in a target of an assignment a name stands: () it is the target, (1, 0) the first of the second; None."""
    if isinstance(target, ast.Name):
        return () if target.id == name else None
    if isinstance(target, (ast.Tuple, ast.List)):
        for index, part in enumerate(target.elts):
            inner = _place(part, name)
            if inner is not None:
                return (index, *inner)
    return None


def _owner(module: Module, function: ast.AST) -> str:
    found = module.enclosing(function, ast.ClassDef)
    return found.name if isinstance(found, ast.ClassDef) else ""


def called_names(node: ast.AST) -> list[str]:
    """The names in what a call calls: `self`, `enc` of `self.enc(x)`; none where a node is no call."""
    if not isinstance(node, ast.Call):
        return []
    return [part.attr for part in ast.walk(node.func) if isinstance(part, ast.Attribute)] + [
        part.id for part in ast.walk(node.func) if isinstance(part, ast.Name)
    ]


def called_in(module: Module, block: ast.AST) -> set[str]:
    """The names in what a block calls, by itself and in the functions of its file that it calls."""
    functions = {node.name: node for node in ast.walk(module.tree) if isinstance(node, ast.FunctionDef)}
    called: set[str] = set()
    waiting = [block]
    while waiting:
        new = {name for node in ast.walk(waiting.pop()) for name in called_names(node)} - called
        called |= new
        waiting += [functions[name] for name in new if name in functions]
    return called
