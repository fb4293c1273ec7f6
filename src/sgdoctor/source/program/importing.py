"""What imports bind: other files of the program, or names outside it."""

from __future__ import annotations

import ast

from ..imports import file_of
from ..module import Module, Source
from .targets import Targets
from .values import External, Namespace, Scope, Value


class Importing(Targets):
    """The part of the machine that imports."""

    source: Source
    known: set[str]  # names of files and folders

    def space(self, module: Module) -> Namespace:
        """Defined where entries are."""
        raise NotImplementedError

    def _import(self, node: ast.Import, scope: Scope) -> str:
        for alias in node.names:
            found = self._imported(alias.name, 0)
            if found is not None and alias.asname:
                scope.names[alias.asname] = self.space(found)
            elif found is None:
                name = alias.asname or alias.name.partition(".")[0]
                scope.names[name] = External(alias.name if alias.asname else name, node, self.module)
        return ""

    def _import_from(self, node: ast.ImportFrom, scope: Scope) -> str:
        base = node.module or ""
        home = self._imported(base, node.level) if base else None
        for alias in node.names:
            bound = alias.asname or alias.name
            inner = self._imported(f"{base}.{alias.name}" if base else alias.name, node.level)
            if alias.name == "*":
                if home is not None:
                    scope.names.update(self._kept(home))
            elif inner is not None:
                scope.names[bound] = self._space(inner)
            elif home is not None:
                scope.names[bound] = self._kept(home).get(alias.name, Value(node, self.module))
            elif node.level:
                scope.names[bound] = Value(node, self.module)
            else:
                scope.names[bound] = External(f"{base}.{alias.name}", node, self.module)
        return ""

    def _space(self, module: Module) -> Namespace:
        here = self.module
        space = self.space(module)
        self.module = here
        return space

    def _kept(self, module: Module) -> dict[str, Value]:
        return self._space(module).scope.names

    def _imported(self, dotted: str, level: int) -> Module | None:
        if len(self.source.modules) < 2 or (not level and dotted.partition(".")[0] not in self.known):
            return None
        file = file_of(self.module.file, dotted, level, self.source.modules.__contains__)
        return self.source.modules.get(file) if file is not None else None
