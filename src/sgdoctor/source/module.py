"""One source file as facts, and all files of a script together."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TypeVar

from ..cells import FILE, Cells
from .edits import LINE, Edit, apply, delete_lines, insert_before, unified_diff

Function = ast.FunctionDef | ast.AsyncFunctionDef
Node = TypeVar("Node", bound=ast.AST)
CONTAINERS = ("Sequential", "ModuleList")


class Module:
    """A parsed file. `names` resolves what its imports bind: `F` -> torch.nn.functional."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text.removeprefix("\ufeff")  # a byte order mark is no Python once it is text
        self.mark = text[: len(text) - len(self.text)]
        self.lines = [line.rstrip("\r\n") for line in LINE.findall(self.text)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in a script is for its own interpreter to mention
            self.tree = ast.parse(self.text)
        self.parents: dict[ast.AST, ast.AST] = {}
        self.by_kind: dict[type[ast.AST], list[ast.AST]] = {}  # in source order
        self._index()

    def _index(self) -> None:
        """One pass, written out: `ast.walk` with `iter_child_nodes` takes twice as long, and `check` reads much."""
        parents, by_kind = self.parents, self.by_kind
        waiting: list[ast.AST] = [self.tree]
        while waiting:
            node = waiting.pop()
            by_kind.setdefault(node.__class__, []).append(node)
            children: list[ast.AST] = []
            fields = node.__dict__
            for name in node._fields:
                value = fields.get(name)
                if value.__class__ is list:
                    children += [each for each in value if isinstance(each, ast.AST)]
                elif isinstance(value, ast.AST) and name not in ("ctx", "op"):  # those are one object for all
                    children.append(value)
            for child in children:
                parents[child] = node
            children.reverse()
            waiting += children

    def of_kind(self, kind: type[Node]) -> list[Node]:
        """All nodes of a kind, in source order."""
        return self.by_kind.get(kind, [])  # type: ignore[return-value]

    @cached_property
    def names(self) -> dict[str, str]:
        """Imported name -> dotted path."""
        found: dict[str, str] = {}
        for plain in self.of_kind(ast.Import):
            for alias in plain.names:
                found[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        for node in self.of_kind(ast.ImportFrom):
            if node.module and not node.level:
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        return found

    def dotted(self, node: ast.AST) -> str:
        """`F.softmax` -> "torch.nn.functional.softmax"; a method of something unknown -> "?.softmax"; else ""."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            head = self.dotted(node.value)
            root = node.value
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and root.id in self.names:
                return f"{head}.{node.attr}"
            return f"?.{node.attr}"
        return ""

    def calls(self, *names: str, within: ast.AST | None = None) -> Iterator[ast.Call]:
        """Calls of functions whose dotted path is one of `names`; "?.x" stands for any method x. In source order."""
        found = [
            node
            for node in ast.walk(within or self.tree)
            if isinstance(node, ast.Call) and self.dotted(node.func) in names
        ]
        yield from sorted(found, key=lambda call: (call.lineno, call.col_offset))

    def enclosing(self, node: ast.AST, *kinds: type[ast.AST]) -> ast.AST | None:
        """The innermost node of one of these kinds around `node`."""
        current = self.parents.get(node)
        while current is not None and not isinstance(current, kinds):
            current = self.parents.get(current)
        return current

    def statement_at(self, line: int) -> ast.stmt | None:
        """The innermost statement that covers a line."""
        best: ast.stmt | None = None
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.stmt) or not node.lineno <= line <= (node.end_lineno or node.lineno):
                continue
            if best is None or node.lineno >= best.lineno:
                best = node
        return best

    def statement_with(self, line: int, attribute: str) -> ast.stmt | None:
        """The statement at a line in which `.attribute` stands (several may share it); else the innermost."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute) and node.attr == attribute and node.lineno == line:
                found = self.enclosing(node, ast.stmt)
                if isinstance(found, ast.stmt):
                    return found
        return self.statement_at(line)

    def function_at(self, line: int) -> Function | None:
        """The innermost function that covers a line."""
        statement = self.statement_at(line)
        if statement is None:
            return None
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return statement
        found = self.enclosing(statement, ast.FunctionDef, ast.AsyncFunctionDef)
        return found if isinstance(found, (ast.FunctionDef, ast.AsyncFunctionDef)) else None

    def loop_at(self, line: int) -> ast.For | ast.While | None:
        """The innermost loop around the statement at a line."""
        statement = self.statement_at(line)
        if statement is None:
            return None
        found = self.enclosing(statement, ast.For, ast.While)
        return found if isinstance(found, (ast.For, ast.While)) else None

    def segment(self, node: ast.AST) -> str:
        """The text of a node."""
        return ast.get_source_segment(self.text, node) or ""

    def indent(self, line: int) -> str:
        """The white space a line begins with."""
        text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        return text[: len(text) - len(text.lstrip())]

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int, int, int]:
        """(line, column, end line, end column) in characters; `ast` counts columns in UTF-8 bytes."""
        end_line = node.end_lineno or node.lineno
        return (
            node.lineno,
            self._characters(node.lineno, node.col_offset),
            end_line,
            self._characters(end_line, node.end_col_offset or 0),
        )

    def _characters(self, line: int, column: int) -> int:
        return len(self.lines[line - 1].encode()[:column].decode(errors="ignore"))

    def replace(self, node: ast.expr | ast.stmt, text: str) -> Edit:
        """Put `text` where the node stands."""
        return Edit(self.file, *self.span(node), text)

    def insert_before(self, statement: ast.stmt, text: str) -> Edit:
        """A statement in front of another: on a line of its own, or on that one's line where others share it."""
        line, column, _, _ = self.span(statement)
        if self.lines[line - 1][:column].strip():
            return Edit(self.file, line, column, line, column, text + "; ")
        return insert_before(self.file, _first_line(statement), self.indent(line) + text)

    def insert_after(self, statement: ast.stmt, text: str) -> Edit:
        """A statement behind another: on a line of its own, or on that one's line where others share it."""
        line, column, end_line, end_column = self.span(statement)
        simple = not hasattr(statement, "body")
        shared = self.lines[line - 1][:column].strip() or self.lines[end_line - 1][end_column:].lstrip().startswith(";")
        if simple and shared:
            return Edit(self.file, end_line, end_column, end_line, end_column, "; " + text)
        return insert_before(self.file, end_line + 1, self.indent(line) + text)

    def delete(self, statement: ast.stmt) -> Edit:
        """Drop a statement: its lines, or its part of a line that others share; `pass` stays where it was alone."""
        body = self._body(statement)
        if len(body) == 1:
            return self.replace(statement, "pass")
        line, column, end_line, end_column = self.span(statement)
        index = body.index(statement)
        if index + 1 < len(body) and body[index + 1].lineno == end_line:
            return Edit(self.file, line, column, *self.span(body[index + 1])[:2], "")
        if index and body[index - 1].end_lineno == line:
            return Edit(self.file, *self.span(body[index - 1])[2:], end_line, end_column, "")
        return delete_lines(self.file, _first_line(statement), end_line)

    def _body(self, statement: ast.stmt) -> list[ast.stmt]:
        """The block that a statement stands in."""
        for _, value in ast.iter_fields(self.parents[statement]):
            if isinstance(value, list) and statement in value:
                return value
        return [statement]


def _first_line(statement: ast.stmt) -> int:
    """Where it begins, its decorators included."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)])


class Source:
    """The files of one script that the run passed through, the script first. Files that do not parse are left out."""

    def __init__(self, texts: dict[str, str] | None = None) -> None:
        self.modules: dict[str, Module] = {}
        self.asked: frozenset[str] | None = None  # files that findings are wanted of; None: all
        self.facts: dict[str, object] = {}  # what readers have found out, by the name of the reader
        self.cells: Cells | None = None  # of which the file of a notebook's session is made
        for file, text in (texts or {}).items():
            try:
                self.modules[file] = Module(file, text)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue

    @classmethod
    def of(cls, modules: Iterable[Module]) -> Source:
        """Files that are parsed already."""
        found = cls()
        found.modules = {module.file: module for module in modules}
        return found

    def __iter__(self) -> Iterator[Module]:
        return iter(self.modules.values())

    def module(self, file: str) -> Module | None:
        """The file with this name."""
        return self.modules.get(file)

    def lines(self, file: str) -> list[str]:
        """Of a file, or of a notebook's cell; none where it is not known."""
        whole = self.modules.get(FILE)
        if file in self.modules or self.cells is None or whole is None:
            return self.modules[file].lines if file in self.modules else []
        return self.cells.split(whole.text).get(file, "").splitlines()

    def layer(self, parameter: str) -> tuple[Module, ast.stmt | ast.expr] | None:
        """Where the layer that holds a parameter is made: `self.fc1 = nn.Linear(...)`, an entry of a Sequential."""
        path = parameter.split(".")[:-1] or parameter.split(".")
        attributes = [part for part in path if not part.isdigit()]
        for module in self:
            if attributes:
                found = self._assignment(module, attributes[-1])
                if found is not None:
                    position = path[len(path) - path[::-1].index(attributes[-1]) :]
                    return module, self._entry(module, found, position)
            elif path:
                calls = sorted(module.calls("torch.nn.Sequential"), key=lambda call: self._is_part(module, call))
                for call in calls:
                    entry = self._entry(module, call, path)
                    if entry is not call:
                        return module, entry
        return None

    @staticmethod
    def _assignment(module: Module, attribute: str) -> ast.stmt | None:
        for node in ast.walk(module.tree):
            if isinstance(node, (ast.Assign, ast.AnnAssign)):
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    if isinstance(target, ast.Attribute) and target.attr == attribute:
                        return node
        return None

    @staticmethod
    def _is_part(module: Module, call: ast.Call) -> bool:
        """Whether a Sequential looks like part of another module: the parameters of a whole model are `0.weight`."""
        outer = module.enclosing(call, ast.Call, ast.stmt)
        targets = outer.targets if isinstance(outer, ast.Assign) else [getattr(outer, "target", None)]
        nested = isinstance(outer, ast.Call) and module.dotted(outer.func).endswith(CONTAINERS)
        return nested or any(isinstance(target, ast.Attribute) for target in targets)

    @staticmethod
    def _entry(module: Module, node: ast.stmt | ast.expr, position: list[str]) -> ast.stmt | ast.expr:
        """The argument of a Sequential or the element of a ModuleList at an index, else the node itself."""
        if not position or not position[0].isdigit():
            return node
        call = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else node
        if not isinstance(call, ast.Call) or not module.dotted(call.func).endswith(CONTAINERS):
            return node
        entries = list(call.args)
        if len(entries) == 1 and isinstance(entries[0], (ast.List, ast.Tuple)):
            entries = list(entries[0].elts)
        if any(isinstance(entry, ast.Starred) for entry in entries) or int(position[0]) >= len(entries):
            return node
        return Source._entry(module, entries[int(position[0])], position[1:])

    def changed(self, edits: list[Edit]) -> dict[str, str] | None:
        """The files that the edits change -> their new text; None where they do not apply or give no Python."""
        texts = {}
        for file in dict.fromkeys(edit.file for edit in edits):
            module = self.modules.get(file)
            if module is None:
                return None
            try:
                after = apply(module.text, [edit for edit in edits if edit.file == file])
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    compile(after, file, "exec", dont_inherit=True)
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                return None
            if after != module.text:
                texts[file] = module.mark + after
        return texts

    def diff(self, edits: list[Edit]) -> str | None:
        """All edits as one unified diff; None where they do not apply or the result is not Python."""
        texts = self.changed(edits) or {}
        modules = self.modules
        pairs = [(file, modules[file].mark + modules[file].text, after) for file, after in texts.items()]
        if self.cells is not None and FILE in texts:
            before, after = self.cells.split(modules[FILE].text), self.cells.split(texts[FILE])
            pairs = [pair for pair in pairs if pair[0] != FILE]
            pairs += [(name, before.get(name, ""), after[name]) for name in after if after[name] != before.get(name)]
        parts = [unified_diff(*pair) for pair in pairs]
        return "".join(parts) or None
