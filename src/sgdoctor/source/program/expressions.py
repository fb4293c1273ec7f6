"""What an expression stands for."""

from __future__ import annotations

import ast
import builtins
import operator
from collections.abc import Callable
from typing import Any

from ..module import Module
from .values import (
    Attr,
    Call,
    Carried,
    Class,
    Const,
    Either,
    Element,
    Event,
    External,
    Function,
    Instance,
    Item,
    Loop,
    Mapping,
    Namespace,
    Op,
    Parent,
    Scope,
    Sequence,
    Step,
    Value,
    either,
)

BUILTINS = frozenset(dir(builtins))
ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
LARGE = 1e15  # no arithmetic of literals beyond: a power can take for ever
# What gives the elements of its first argument, as a loop sees them
ITERATORS = frozenset(
    (
        "tqdm.tqdm",
        "tqdm.auto.tqdm",
        "tqdm.notebook.tqdm",
        "tqdm.rich.tqdm",
        "tqdm.asyncio.tqdm",
        "tqdm.trange",
        "iter",
        "reversed",
        "sorted",
        "list",
        "tuple",
        "itertools.islice",
        "itertools.cycle",
        "set",
        "tqdm.autonotebook.tqdm",
    )
)


class Expressions:
    """The part of the machine that finds values."""

    module: Module
    steps: list[Step]
    calls: tuple[ast.AST, ...]
    grad: bool | None
    depth: int

    def prepare(self) -> None:
        """Before the first expression."""
        self.outer_names: dict[int, set[str]] = {}
        self.times: dict[ast.AST, int] = {}
        self._find: dict[type[ast.expr], Callable[[Any, Scope], Value]] = {
            kind: getattr(self, name) for kind, name in EXPRESSIONS.items()
        }

    def value(self, node: ast.expr, scope: Scope) -> Value:
        """What an expression stands for; what it calls is written down."""
        found = self._find.get(node.__class__)
        return Value(node, self.module) if found is None else found(node, scope)

    def event(self, name: str, fn: Value, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Event:
        """Write down that something happens."""
        event = Event(name, fn, args, kwargs, node, self.module)
        event.grad, event.frames = self.grad, self.calls
        self.steps.append(event)
        return event

    def holder(self, scope: Scope | None, name: str) -> Scope | None:
        """The scope that has a name."""
        while scope is not None:
            if name in scope.names:
                return scope
            scope = scope.outer
        return None

    def _name(self, node: ast.Name, scope: Scope) -> Value:
        found: Scope | None = scope
        while found is not None:
            value = found.names.get(node.id)
            if value is not None:
                return value
            found = found.outer
        return External(node.id, node, self.module) if node.id in BUILTINS else Value(node, self.module)

    def _constant(self, node: ast.Constant, scope: Scope) -> Value:
        return Const(node.value, node, self.module)

    def _attribute(self, node: ast.Attribute, scope: Scope) -> Value:
        return self.attribute(self.value(node.value, scope), node.attr, node)

    def attribute(self, owner: Value, name: str, node: ast.AST) -> Value:
        """`owner.name`."""
        if isinstance(owner, External):
            return External(f"{owner.name}.{name}", node, self.module)
        if isinstance(owner, Instance):
            return self._own(owner, name, node)
        if isinstance(owner, Namespace):
            return owner.scope.names.get(name) or Value(node, self.module)
        if isinstance(owner, Class):
            found = owner.find(name)
            return Value(node, self.module) if found is None else found[0]
        if isinstance(owner, Parent):
            found = owner.find(name)
            if found is None:
                return Attr(owner.instance, name, node, self.module)
            method = found[0]
            if not isinstance(method, Function):
                return method
            return method.bound_to(found[1], owner.instance)
        if isinstance(owner, Carried) and isinstance(self.settled(owner), (Instance, Namespace)):
            return self.attribute(self.settled(owner), name, node)
        if isinstance(owner, Either) and any(isinstance(each, Instance) for each in owner.options):
            parts = [self.attribute(each, name, node) for each in owner.options]
            merged = parts[0]
            for each in parts[1:]:
                merged = either(merged, each)
            return merged
        made = owner.fn.name if isinstance(owner, Call) and isinstance(owner.fn, External) else ""
        if isinstance(owner, Call) and name in owner.kwargs and made in ("types.SimpleNamespace", "argparse.Namespace"):
            return owner.kwargs[name]
        return Attr(owner, name, node, self.module)

    def _own(self, owner: Instance, name: str, node: ast.AST) -> Value:
        if name in owner.attributes:
            return owner.attributes[name]
        found = owner.cls.find(name)
        if found is None:
            return Attr(owner, name, node, self.module)
        value, home = found
        if not isinstance(value, Function) or value.owner is None:
            return value
        definition = value.node
        assert isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef)) and value.module is not None
        marks = {_last(each) for each in definition.decorator_list}
        if "staticmethod" in marks:
            return Function(definition, value.module, value.scope)
        bound = Function(definition, value.module, value.scope, home, home if "classmethod" in marks else owner)
        if marks & {"property", "cached_property", "functional_property"}:
            return self.call(bound, [], {}, node)
        return bound

    def settled(self, value: Value) -> Value:
        """A value without what only a loop makes uncertain: what a name had before, or gets in it if that is none."""
        for _ in range(20):
            if not isinstance(value, Carried):
                return value
            same = value.left is value or (isinstance(value.left, Carried) and value.left.loop is value.loop)
            value = value.left if isinstance(value.before, Const) and not same else value.before
        return Value()

    def call(self, fn: Value, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
        """Defined where calls are."""
        raise NotImplementedError

    def _subscript(self, node: ast.Subscript, scope: Scope) -> Value:
        owner, index = self.value(node.value, scope), self.value(node.slice, scope)
        return self.item(owner, index, node)

    def item(self, owner: Value, index: Value, node: ast.AST) -> Value:
        """`owner[index]`."""
        key = index.value if isinstance(index, Const) else None
        if isinstance(key, int) and isinstance(owner, Sequence) and owner.whole:
            if -len(owner.items) <= key < len(owner.items):
                return owner.items[key]
        elif isinstance(key, (str, int)) and isinstance(owner, Mapping) and key in owner.items:
            return owner.items[key]
        if isinstance(owner, Sequence) and len(owner.items) == 1 and not owner.whole:
            return owner.items[0]
        return Item(owner, index, node, self.module)

    def _slice(self, node: ast.Slice, scope: Scope) -> Value:
        parts = [self.value(each, scope) for each in (node.lower, node.upper, node.step) if each is not None]
        return Op("slice", parts, node, self.module)

    def _sequence(self, node: ast.Tuple | ast.List | ast.Set, scope: Scope) -> Value:
        items, whole = [], True
        for each in node.elts:
            if isinstance(each, ast.Starred):
                inner = self.value(each.value, scope)
                if isinstance(inner, Sequence) and inner.whole:
                    items += inner.items
                else:
                    whole = False
                    items.append(inner)
            else:
                items.append(self.value(each, scope))
        return Sequence(items, type(node).__name__, node, self.module, self.depth, whole)

    def _dict(self, node: ast.Dict, scope: Scope) -> Value:
        items, whole = {}, True
        for key, value in zip(node.keys, node.values):
            found = self.value(value, scope)
            name = self.value(key, scope) if key is not None else None
            if isinstance(name, Const) and isinstance(name.value, (str, int)):
                items[name.value] = found
            elif name is None and isinstance(found, Mapping):
                items.update(found.items)
                whole = whole and found.whole
            else:
                whole = False
                items[f"?{len(items)}"] = found
        return Mapping(items, node, self.module, whole)

    def _operation(self, node: ast.BinOp, scope: Scope) -> Value:
        return self.folded(node.op, self.value(node.left, scope), self.value(node.right, scope), node)

    def folded(self, kind: ast.operator, left: Value, right: Value, node: ast.AST) -> Value:
        """An operation, done where both sides are literals."""
        if isinstance(left, Const) and isinstance(right, Const):
            made = self._arithmetic(kind, left.value, right.value)
            if made is not None:
                return Const(made, node, self.module)
        if isinstance(kind, ast.Add) and isinstance(left, Sequence) and isinstance(right, Sequence):
            items, whole = [*left.items, *right.items], left.whole and right.whole
            return Sequence(items, left.kind, node, self.module, self.depth, whole)
        made_op = Op(type(kind).__name__, [left, right], node, self.module)
        made_op.grad = self.grad
        return made_op

    @staticmethod
    def _arithmetic(kind: ast.operator, left: Any, right: Any) -> float | int | None:
        numbers = all(isinstance(each, (int, float)) and abs(each) < LARGE for each in (left, right))
        if not numbers or type(kind) not in ARITHMETIC or (isinstance(kind, ast.Pow) and abs(right) > 64):
            return None
        try:
            made = ARITHMETIC[type(kind)](left, right)
        except (ArithmeticError, ValueError):
            return None
        return made if isinstance(made, (int, float)) else None

    def _unary(self, node: ast.UnaryOp, scope: Scope) -> Value:
        inner = self.value(node.operand, scope)
        if isinstance(inner, Const) and isinstance(inner.value, (int, float)):
            if isinstance(node.op, ast.USub):
                return Const(-inner.value, node, self.module)
            if isinstance(node.op, ast.Not):
                return Const(not inner.value, node, self.module)
        made = Op(type(node.op).__name__, [inner], node, self.module)
        made.grad = self.grad
        return made

    def _boolean(self, node: ast.BoolOp, scope: Scope) -> Value:
        return Op(type(node.op).__name__, [self.value(each, scope) for each in node.values], node, self.module)

    def _compare(self, node: ast.Compare, scope: Scope) -> Value:
        left = self.value(node.left, scope)
        sides = [self.value(each, scope) for each in node.comparators]
        if isinstance(left, Const) and left.value == "__main__" and _is_name(node):
            return Const(isinstance(node.ops[0], ast.Eq), node, self.module)
        return Op(type(node.ops[0]).__name__, [left, *sides], node, self.module)

    def _conditional(self, node: ast.IfExp, scope: Scope) -> Value:
        self.value(node.test, scope)
        return either(self.value(node.body, scope), self.value(node.orelse, scope))

    def _walrus(self, node: ast.NamedExpr, scope: Scope) -> Value:
        value = self.value(node.value, scope)
        scope.names[node.target.id] = value
        return value

    def _lambda(self, node: ast.Lambda, scope: Scope) -> Value:
        return Function(node, self.module, scope)

    def _text(self, node: ast.JoinedStr, scope: Scope) -> Value:
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self.value(part.value, scope)
        return Value(node, self.module)

    def _starred(self, node: ast.Starred, scope: Scope) -> Value:
        return self.value(node.value, scope)

    def _awaited(self, node: ast.Await, scope: Scope) -> Value:
        return self.value(node.value, scope)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, scope: Scope) -> Value:
        inner, outer = Scope(scope), self.steps
        self.depth += len(node.generators)
        for generator in node.generators:
            over = self.value(generator.iter, inner)
            loop = Loop(node, self.module, over)
            self.steps.append(loop)
            self.steps = loop.body
            self.bind(generator.target, self.element(over, loop, generator.iter), inner)
            for test in generator.ifs:
                self.value(test, inner)
        if isinstance(node, ast.DictComp):
            self.value(node.key, inner)
            made: Value = Mapping({"?": self.value(node.value, inner)}, node, self.module, False)
        else:
            item = self.value(node.elt, inner)
            made = Sequence([item], type(node).__name__, node, self.module, self.depth, False)
        self.steps = outer
        self.depth -= len(node.generators)
        return made

    def bind(self, target: ast.expr, value: Value, scope: Scope, quiet: bool = False) -> None:
        """Defined where targets are."""
        raise NotImplementedError

    def element(self, over: Value, loop: object, node: ast.AST) -> Value:
        """What a loop over a value gives."""
        over = self.settled(over)
        if isinstance(over, Call) and isinstance(over.fn, External):
            name = over.fn.name
            if name in ITERATORS and over.args:
                return self.element(over.args[0], loop, node)
            if name == "enumerate" and over.args:
                items = [Value(node, self.module), self.element(over.args[0], loop, node)]
                return Sequence(items, "Tuple", node, self.module, self.depth, True)
            if name == "zip" and over.args:
                items = [self.element(each, loop, node) for each in over.args]
                return Sequence(items, "Tuple", node, self.module, self.depth, True)
        if isinstance(over, Sequence) and over.items:
            found = over.items[0]
            for each in over.items[1:]:
                found = either(found, each)
            return found if over.whole or len(over.items) == 1 else Element(over, loop, node, self.module)
        if isinstance(over, Call) and isinstance(over.fn, Attr) and isinstance(over.fn.of, Mapping):
            values = list(over.fn.of.items.values())
            if values and over.fn.name in ("values", "items"):
                found = values[0]
                for each in values[1:]:
                    found = either(found, each)
                if over.fn.name == "values":
                    return found
                return Sequence([Value(node, self.module), found], "Tuple", node, self.module, self.depth, True)
        return Element(over, loop, node, self.module)


def _last(decorator: ast.expr) -> str:
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_name(node: ast.Compare) -> bool:
    return isinstance(node.left, ast.Name) and node.left.id == "__name__"


EXPRESSIONS: dict[type[ast.expr], str] = {
    ast.Name: "_name",
    ast.Constant: "_constant",
    ast.Attribute: "_attribute",
    ast.Call: "_call",
    ast.Subscript: "_subscript",
    ast.Slice: "_slice",
    ast.Tuple: "_sequence",
    ast.List: "_sequence",
    ast.Set: "_sequence",
    ast.Dict: "_dict",
    ast.BinOp: "_operation",
    ast.UnaryOp: "_unary",
    ast.BoolOp: "_boolean",
    ast.Compare: "_compare",
    ast.IfExp: "_conditional",
    ast.NamedExpr: "_walrus",
    ast.Lambda: "_lambda",
    ast.JoinedStr: "_text",
    ast.Starred: "_starred",
    ast.Await: "_awaited",
    ast.Yield: "_yield",
    ast.YieldFrom: "_yield",
    ast.ListComp: "_comprehension",
    ast.SetComp: "_comprehension",
    ast.GeneratorExp: "_comprehension",
    ast.DictComp: "_comprehension",
}
