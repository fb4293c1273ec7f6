"""What assignments do to names, attributes and entries."""

from __future__ import annotations

import ast

from .calls import Calls
from .values import Const, Either, Instance, Item, Mapping, Namespace, Scope, Sequence, Value, either


class Targets(Calls):
    """The part of the machine that stores values."""

    def bind(self, target: ast.expr, value: Value, scope: Scope, quiet: bool = False) -> None:
        """Give a value to a target of an assignment."""
        if isinstance(target, ast.Name):
            home = scope
            if target.id in self.outer_names.get(id(scope), ()):
                home = self.holder(scope.outer, target.id) or self.spaces[self.module.file].scope
                if self.depth or self.frames:
                    value = either(home.names.get(target.id, value), value)
            home.names[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._unpack(target, value, scope)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, Value(target, self.module), scope)
        elif isinstance(target, ast.Attribute):
            owner = self.value(target.value, scope)
            self.set_attribute(owner, target.attr, value, target, quiet)
        elif isinstance(target, ast.Subscript):
            self.set_item(self.value(target.value, scope), self.value(target.slice, scope), value, target)

    def _unpack(self, target: ast.Tuple | ast.List, value: Value, scope: Scope) -> None:
        count = len(target.elts)
        starred = any(isinstance(each, ast.Starred) for each in target.elts)
        for index, part in enumerate(target.elts):
            self.bind(part, Value(target, self.module) if starred else self.part(value, index, count, target), scope)

    def part(self, value: Value, index: int, count: int, node: ast.AST) -> Value:
        """One of the parts that a value is unpacked into."""
        if isinstance(value, Sequence) and value.whole and len(value.items) == count:
            return value.items[index]
        if isinstance(value, Either):
            parts = [self.part(each, index, count, node) for each in value.options]
            found = parts[0]
            for each in parts[1:]:
                found = either(found, each)
            return found
        return Item(value, Const(index), node, self.module)

    def set_attribute(self, owner: Value, name: str, value: Value, node: ast.AST, quiet: bool = False) -> None:
        """`owner.name = value`."""
        old: Value | None = None
        if isinstance(owner, Instance):
            old = owner.attributes.get(name)
            new = either(old, value) if old is not None and self.depth > owner.depth else value
            owner.attributes[name] = new
        elif isinstance(owner, Namespace):
            owner.scope.names[name] = value
        if not quiet:
            event = self.event("set", owner, [value], {}, node)
            event.attribute, event.result = name, old

    def set_item(self, owner: Value, index: Value, value: Value, node: ast.AST) -> None:
        """`owner[index] = value`."""
        if isinstance(owner, Mapping):
            if isinstance(index, Const) and isinstance(index.value, (str, int)):
                old = owner.items.get(index.value)
                owner.items[index.value] = value if old is None or not self.depth else either(old, value)
            else:
                owner.whole = False
                owner.items[f"?{len(owner.items)}"] = value
        elif isinstance(owner, Sequence):
            owner.whole = False
            owner.items.append(value)
        event = self.event("set", owner, [value], {}, node)
        event.attribute = "[]"
