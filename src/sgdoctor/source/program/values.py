"""What expressions of a program stand for, as far as its source says: symbols, not numbers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from ..module import Module


class Value:
    """Something of which nothing is known, and the base of what more is known of."""

    __slots__ = ("module", "node")

    def __init__(self, node: ast.AST | None = None, module: Module | None = None) -> None:
        self.node, self.module = node, module

    def parts(self) -> tuple[Value, ...]:
        """The values it is made of."""
        return ()

    @property
    def line(self) -> int:
        """Where it stands."""
        return getattr(self.node, "lineno", 1)


class Const(Value):
    """A literal, or arithmetic of literals."""

    __slots__ = ("value",)

    def __init__(self, value: Any, node: ast.AST | None = None, module: Module | None = None) -> None:
        super().__init__(node, module)
        self.value = value


class External(Value):
    """A name outside the program, by its dotted path: `torch.optim.Adam`, `print`."""

    __slots__ = ("name",)

    def __init__(self, name: str, node: ast.AST | None = None, module: Module | None = None) -> None:
        super().__init__(node, module)
        self.name = name


class Call(Value):
    """What a call of something outside the program gives: an optimizer, a layer, a tensor. One call, one value."""

    __slots__ = ("args", "fn", "grad", "kwargs")

    def __init__(self, fn: Value, args: list[Value], kwargs: dict[str, Value], node: ast.AST, module: Module) -> None:
        super().__init__(node, module)
        self.fn, self.args, self.kwargs = fn, args, kwargs
        self.grad: bool | None = True  # whether gradients were on, None where that is not to be seen

    def argument(self, position: int, *names: str) -> Value | None:
        """The argument at a position or with one of these keywords."""
        for name in names:
            if name in self.kwargs:
                return self.kwargs[name]
        return self.args[position] if position < len(self.args) else None

    def parts(self) -> tuple[Value, ...]:
        return (self.fn, *self.args, *self.kwargs.values())


class Attr(Value):
    """An attribute of something outside the program: `optimizer.step`, `out.logits`."""

    __slots__ = ("name", "of")

    def __init__(self, of: Value, name: str, node: ast.AST | None = None, module: Module | None = None) -> None:
        super().__init__(node, module)
        self.of, self.name = of, name

    def parts(self) -> tuple[Value, ...]:
        return (self.of,)


class Item(Value):
    """A part of something: `batch[0]`, one of two names that it is unpacked to."""

    __slots__ = ("index", "of")

    def __init__(self, of: Value, index: Value, node: ast.AST | None = None, module: Module | None = None) -> None:
        super().__init__(node, module)
        self.of, self.index = of, index

    def parts(self) -> tuple[Value, ...]:
        return (self.of, self.index)


class Element(Value):
    """What a loop over something gives."""

    __slots__ = ("loop", "of")

    def __init__(self, of: Value, loop: object, node: ast.AST | None = None, module: Module | None = None) -> None:
        super().__init__(node, module)
        self.of, self.loop = of, loop

    def parts(self) -> tuple[Value, ...]:
        return (self.of,)


class Op(Value):
    """An operator and its operands."""

    __slots__ = ("grad", "operands", "operator")

    def __init__(self, operator: str, operands: list[Value], node: ast.AST, module: Module) -> None:
        super().__init__(node, module)
        self.operator, self.operands = operator, operands
        self.grad: bool | None = True

    def parts(self) -> tuple[Value, ...]:
        return tuple(self.operands)


class Sequence(Value):
    """A tuple, list or set. `whole`: nothing but `items` is in it."""

    __slots__ = ("depth", "items", "kind", "whole")

    def __init__(self, items: list[Value], kind: str, node: ast.AST, module: Module, depth: int, whole: bool) -> None:
        super().__init__(node, module)
        self.items, self.kind, self.depth, self.whole = items, kind, depth, whole

    def parts(self) -> tuple[Value, ...]:
        return tuple(self.items)


class Mapping(Value):
    """A dictionary with literal keys. `whole`: nothing else is in it."""

    __slots__ = ("items", "whole")

    def __init__(self, items: dict[Any, Value], node: ast.AST, module: Module, whole: bool) -> None:
        super().__init__(node, module)
        self.items, self.whole = items, whole

    def parts(self) -> tuple[Value, ...]:
        return tuple(self.items.values())


class Either(Value):
    """One of several, by what branches decide."""

    __slots__ = ("options",)

    def __init__(self, options: list[Value]) -> None:
        super().__init__(options[0].node, options[0].module)
        self.options = options

    def parts(self) -> tuple[Value, ...]:
        return tuple(self.options)


class Carried(Value):
    """What a name holds when a round of a loop begins: what it had before the loop, or what the last round left."""

    __slots__ = ("before", "left", "loop", "name")

    def __init__(self, before: Value, name: str, loop: object) -> None:
        super().__init__(before.node, before.module)
        self.before, self.name, self.loop = before, name, loop
        self.left: Value = self

    def parts(self) -> tuple[Value, ...]:
        return (self.before, self.left)


class Scope:
    """Names and what they hold; `outer` is looked in next."""

    __slots__ = ("names", "outer")

    def __init__(self, outer: Scope | None) -> None:
        self.names: dict[str, Value] = {}
        self.outer = outer


class Function(Value):
    """A function of the program, with what it is bound to."""

    __slots__ = ("bound", "owner", "scope")

    def __init__(
        self,
        node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda,
        module: Module,
        scope: Scope,
        owner: Class | None = None,
        bound: Value | None = None,
    ) -> None:
        super().__init__(node, module)
        self.scope, self.owner, self.bound = scope, owner, bound

    def parts(self) -> tuple[Value, ...]:
        return () if self.bound is None else (self.bound,)

    def bound_to(self, owner: Class, instance: Value) -> Function:
        """The method of an object."""
        assert isinstance(self.node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) and self.module is not None
        return Function(self.node, self.module, self.scope, owner, instance)


class Partial(Value):
    """`functools.partial` of something."""

    __slots__ = ("args", "fn", "kwargs")

    def __init__(self, fn: Value, args: list[Value], kwargs: dict[str, Value], node: ast.AST, module: Module) -> None:
        super().__init__(node, module)
        self.fn, self.args, self.kwargs = fn, args, kwargs

    def parts(self) -> tuple[Value, ...]:
        return (self.fn, *self.args, *self.kwargs.values())


class Class(Value):
    """A class of the program."""

    __slots__ = ("bases", "scope")

    def __init__(self, node: ast.ClassDef, module: Module, scope: Scope, bases: list[Value]) -> None:
        super().__init__(node, module)
        self.scope, self.bases = scope, bases  # the scope holds its own attributes and methods

    @property
    def name(self) -> str:
        """Its name."""
        assert isinstance(self.node, ast.ClassDef)
        return self.node.name

    def order(self) -> Iterator[Class | str]:
        """It and its bases, depth first; those outside the program by name, "" where one is unknown."""
        yield self
        for base in self.bases:
            if isinstance(base, Class):
                yield from base.order()
            else:
                yield base.name if isinstance(base, External) else ""

    def find(self, name: str) -> tuple[Value, Class] | None:
        """(attribute, the class that has it)."""
        for each in self.order():
            if isinstance(each, Class) and name in each.scope.names:
                return each.scope.names[name], each
        return None

    def descends(self, *names: str) -> bool:
        """Whether one of its bases outside the program has one of these names."""
        return any(each in names for each in self.order() if isinstance(each, str))

    @property
    def known(self) -> bool:
        """Whether nothing that is inherited could surprise: all bases are the program's own, torch's or plain ones."""
        plain = ("object", "torch.nn.Module", "torch.utils.data.Dataset", "torch.utils.data.IterableDataset")
        more = ("typing.NamedTuple", "typing.Generic", "abc.ABC", "torch.optim.Optimizer", "typing.Protocol")
        every = (each for each in self.order() if isinstance(each, str))
        return all(each in plain or each in more or each.startswith(("torch.nn.", "enum.")) for each in every)


class Instance(Value):
    """An object of a class of the program."""

    __slots__ = ("attributes", "cls", "depth", "made")

    def __init__(self, cls: Class, node: ast.AST | None, module: Module | None, depth: int, made: bool) -> None:
        super().__init__(node, module)
        self.cls, self.depth, self.made = cls, depth, made  # `made`: by the program, with its own arguments
        self.attributes: dict[str, Value] = {}

    @property
    def is_module(self) -> bool:
        """Whether it is an nn.Module."""
        return self.cls.descends("torch.nn.Module") or any(
            isinstance(each, str) and each.startswith("torch.nn.") for each in self.cls.order()
        )


class Parent(Value):
    """`super()`: an object as the classes above one see it."""

    __slots__ = ("cls", "instance")

    def __init__(self, cls: Class, instance: Value) -> None:
        super().__init__(instance.node, instance.module)
        self.cls, self.instance = cls, instance

    def find(self, name: str) -> tuple[Value, Class] | None:
        """(attribute, the class that has it)."""
        for base in self.cls.bases:
            found = base.find(name) if isinstance(base, Class) else None
            if found is not None:
                return found
        return None


class Namespace(Value):
    """A file of the program, as `import` gives it."""

    __slots__ = ("scope",)

    def __init__(self, module: Module, scope: Scope) -> None:
        super().__init__(module.tree, module)
        self.scope = scope


def either(first: Value, second: Value) -> Value:
    """One of two."""
    if first is second or (isinstance(first, Const) and isinstance(second, Const) and _same(first.value, second.value)):
        return first
    options: list[Value] = []
    for value in (first, second):
        for each in value.options if isinstance(value, Either) else [value]:
            if not any(each is other for other in options):
                options.append(each)
    return Either(options[:8]) if len(options) <= 8 else Value()


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


class Event:
    """A call, or a change of an attribute, in the order of the program."""

    __slots__ = ("args", "attribute", "called", "fn", "frames", "grad", "kwargs", "module", "name", "node", "result")

    def __init__(
        self, name: str, fn: Value, args: list[Value], kwargs: dict[str, Value], node: ast.AST, module: Module
    ) -> None:
        self.name = name  # "call", "enter" (a function of the program), "set", "add" (`x += ...`)
        self.fn, self.args, self.kwargs, self.node, self.module = fn, args, kwargs, node, module
        # The last name of what is called: `step` of `optimizer.step()`, `softmax` of `F.softmax()`
        self.called = fn.name if isinstance(fn, Attr) else ""
        if isinstance(fn, External):
            self.called = fn.name.rpartition(".")[2]
        self.attribute = ""  # of a "set": its name, "[]" for an entry
        self.result: Value | None = None
        self.grad: bool | None = True
        self.frames: tuple[ast.AST, ...] = ()  # the calls that led here, innermost last

    @property
    def line(self) -> int:
        """Where it stands."""
        return getattr(self.node, "lineno", 1)


class Loop:
    """A loop and what happens in one round of it."""

    __slots__ = ("body", "carried", "module", "node", "over")

    def __init__(self, node: ast.AST, module: Module, over: Value | None) -> None:
        self.node, self.module, self.over = node, module, over
        self.body: list[Step] = []
        self.carried: dict[str, Carried] = {}

    @property
    def line(self) -> int:
        """Where it begins."""
        return getattr(self.node, "lineno", 1)


class Branch:
    """What may happen: each arm with whether it leaves the block (return, break, continue, raise)."""

    __slots__ = ("arms", "module", "node", "test")

    def __init__(self, node: ast.AST, module: Module, test: Value | None) -> None:
        self.node, self.module, self.test = node, module, test
        self.arms: list[tuple[list[Step], str]] = []


Step = Event | Loop | Branch
