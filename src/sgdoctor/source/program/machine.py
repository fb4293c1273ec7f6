"""Goes through a program as Python would, with symbols for values, and writes down what it does in order."""

from __future__ import annotations

import ast
import bisect
import re
from collections.abc import Callable

from ..module import Function as Definition
from ..module import Module, Source
from .calls import Frame
from .importing import Importing
from .values import (
    Branch,
    Carried,
    Class,
    Const,
    External,
    Function,
    Loop,
    Namespace,
    Scope,
    Sequence,
    Step,
    Value,
    either,
)

FUEL = 20_000  # statements of one file with all that it calls; one that needs more is not judged
FUEL_UNCALLED = 1_500  # of a function that nothing in the program calls
FUEL_IN_ALL = 60_000  # of the functions of one program that nothing calls
FRAMEWORKS = ("torch", "lightning", "pytorch_lightning", "accelerate")
# Words without which a function that nothing calls has nothing to be judged
TRAINS = re.compile(r"backward|cross_entropy|Loss\b|_loss\b|kl_div|\.step\(|checkpoint\(|requires_grad|load_state_dict")


class Exhausted(Exception):
    """An entry is too long to be followed."""


class Machine(Importing):
    """One program. `entries` is what its files do from top to bottom, and its functions that nothing calls."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.spaces: dict[str, Namespace] = {}
        self.entered: set[ast.AST] = set()  # functions that were gone through
        self.made: set[ast.AST] = set()  # classes that were instantiated
        self.classes: list[Class] = []
        self.functions: list[Function] = []
        self.steps: list[Step] = []
        self.frames: list[Frame] = []
        self.calls: tuple[ast.AST, ...] = ()
        self.grad: bool | None = True
        self.depth = 0  # branches and loops around
        self.fuel = FUEL
        self.entries: list[list[Step]] = []
        self.lines: dict[str, list[int]] = {}  # of each file, those with a word of training
        self.spent = 0
        self.assigned: dict[ast.AST, set[str]] = {}  # of each loop, the names it gives values to
        self.known = {part.removesuffix(".py") for file in source.modules for part in file.split("/")}
        self.module: Module
        self._do: dict[type[ast.stmt], Callable[[ast.stmt, Scope], str]] = {
            kind: getattr(self, name) for kind, name in STATEMENTS.items()
        }
        self.prepare()

    def run(self) -> None:
        """Everything."""
        for module in self.source:
            if self.source.asked is None or module.file in self.source.asked:
                self.space(module)
        for cls in list(self.classes):
            if cls.node not in self.made and self._could_train(cls):
                self._entry(lambda cls=cls: self._unmade(cls), FUEL_UNCALLED)  # type: ignore[misc]
        for function in list(self.functions):
            if function.node not in self.entered and self._could_train(function):
                self._entry(lambda function=function: self._uncalled(function), FUEL_UNCALLED)  # type: ignore[misc]

    def _could_train(self, value: Value) -> bool:
        """Whether one of the words of training stands in a function or class, and fuel is left for it."""
        module, node = value.module, value.node
        if module is None or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            return False
        if self.source.asked is not None and module.file not in self.source.asked:
            return False
        if not any(path.partition(".")[0] in FRAMEWORKS for path in module.names.values()):
            return False  # other libraries have a backward() too
        if module.file not in self.lines:
            text, at = module.text, 0
            lines: list[int] = []
            for match in TRAINS.finditer(text):
                line = (lines[-1] if lines else 1) + text.count("\n", at, match.start())
                lines.append(line)
                at = match.start()
            self.lines[module.file] = lines
        lines = self.lines[module.file]
        index = bisect.bisect_left(lines, node.lineno)
        return index < len(lines) and lines[index] <= (node.end_lineno or node.lineno) and self.spent < FUEL_IN_ALL

    def _entry(self, work: Callable[[], None], fuel: int = FUEL) -> None:
        outer = self.steps, self.frames, self.calls, self.grad, self.depth, self.fuel
        self.steps, self.frames, self.calls, self.grad, self.depth, self.fuel = [], [], (), True, 0, fuel
        self.times.clear()
        module = getattr(self, "module", None)
        try:
            work()
            if self.steps:
                self.entries.append(self.steps)
        except (Exhausted, RecursionError):
            pass
        self.spent += fuel - self.fuel if fuel == FUEL_UNCALLED else 0
        self.steps, self.frames, self.calls, self.grad, self.depth, self.fuel = outer
        if module is not None:
            self.module = module

    def space(self, module: Module) -> Namespace:
        """What a file defines, after it has been gone through."""
        if module.file in self.spaces:
            return self.spaces[module.file]
        space = self.spaces[module.file] = Namespace(module, Scope(None))
        space.scope.names["__name__"] = Const("__main__")

        def work() -> None:
            self.module = module
            self.block(module.tree.body, space.scope)

        self._entry(work)
        return space

    def _unmade(self, cls: Class) -> None:
        """A class that the program does not make: with an object made of unknown arguments, each method by itself."""
        assert cls.module is not None
        self.module = cls.module
        instance = self.instantiate(cls, [], {}, cls.node or cls.module.tree, known=False)
        for value in list(cls.scope.names.values()):
            if isinstance(value, Function) and value.node not in self.entered:
                before, self.steps = self.steps, []
                self.enter(Function(value.node, value.module, value.scope, cls, instance), None, {}, value.node)  # type: ignore[arg-type]
                if self.steps:
                    self.entries.append(self.steps)
                self.steps = before

    def _uncalled(self, function: Function) -> None:
        assert function.module is not None
        self.module = function.module
        self.enter(function, None, {}, function.node or function.module.tree)

    # Statements: each says how it goes on, "" to the next one

    def block(self, statements: list[ast.stmt], scope: Scope) -> str:
        """Statements one after the other."""
        do = self._do
        for statement in statements:
            self.fuel -= 1
            if self.fuel < 0:
                raise Exhausted
            method = do.get(statement.__class__)
            if method is not None:
                leaves = method(statement, scope)
                if leaves:
                    return leaves
        return ""

    def _expression(self, node: ast.Expr, scope: Scope) -> str:
        if not isinstance(node.value, ast.Constant):
            value = self.value(node.value, scope)
            if isinstance(node.value, ast.Call):
                name = value.fn.name if hasattr(value, "fn") and isinstance(value.fn, External) else ""
                if name in ("sys.exit", "exit", "quit", "os._exit"):
                    return "raise"
        return ""

    def _assign(self, node: ast.Assign, scope: Scope) -> str:
        value = self.value(node.value, scope)
        for target in node.targets:
            self.bind(target, value, scope)
        return ""

    def _annotated(self, node: ast.AnnAssign, scope: Scope) -> str:
        if node.value is not None:
            self.bind(node.target, self.value(node.value, scope), scope)
        return ""

    def _augmented(self, node: ast.AugAssign, scope: Scope) -> str:
        added = self.value(node.value, scope)
        old = self.value(node.target, scope)
        event = self.event("add", old, [added], {}, node)
        new = self.folded(node.op, old, added, node)
        event.result = new
        if not isinstance(old, Sequence):
            self.bind(node.target, new, scope, quiet=True)
        return ""

    def _function(self, node: Definition, scope: Scope) -> str:
        function = Function(node, self.module, scope)
        for decorator in node.decorator_list:
            self.value(decorator, scope)
        for default in [*node.args.defaults, *(each for each in node.args.kw_defaults if each is not None)]:
            self.value(default, scope)
        scope.names[node.name] = function
        self.functions.append(function)
        return ""

    def _class(self, node: ast.ClassDef, scope: Scope) -> str:
        cls = Class(node, self.module, Scope(scope), [self.value(base, scope) for base in node.bases])
        count = len(self.functions)
        for statement in node.body:
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                cls.scope.names[statement.name] = Function(statement, self.module, scope, cls)
            else:
                self.block([statement], cls.scope)
        del self.functions[count:]
        scope.names[node.name] = cls
        self.classes.append(cls)
        return ""

    def _return(self, node: ast.Return, scope: Scope) -> str:
        value = Const(None, node, self.module) if node.value is None else self.value(node.value, scope)
        if self.frames:
            self.frames[-1].returned.append(value)
        return "return"

    def _leave(self, node: ast.stmt, scope: Scope) -> str:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.value(child, scope)
        return {ast.Raise: "raise", ast.Break: "break", ast.Continue: "continue"}[type(node)]

    def _if(self, node: ast.If, scope: Scope) -> str:
        test = self.value(node.test, scope)
        if isinstance(test, Const) and test.value is True and _is_main(node.test):
            return self.block(node.body, scope)
        branch = Branch(node, self.module, test)
        return self.arms(branch, [node.body, node.orelse], scope)

    def arms(self, branch: Branch, bodies: list[list[ast.stmt]], scope: Scope) -> str:
        """Alternatives: what they leave behind is put together; how all of them leave, "" where one goes on."""
        before, outer = dict(scope.names), self.steps
        outer.append(branch)
        self.depth += 1
        merged: dict[str, Value] | None = None
        ways = []
        for body in bodies:
            scope.names, self.steps = dict(before), []
            way = self.block(body, scope)
            ways.append(way)
            branch.arms.append((self.steps, way))
            if not way:
                merged = dict(scope.names) if merged is None else _merged(merged, scope.names)
        self.depth -= 1
        self.steps = outer
        scope.names = before if merged is None else merged
        return "" if "" in ways else ways[0]

    def _for(self, node: ast.For | ast.AsyncFor, scope: Scope) -> str:
        over = self.value(node.iter, scope)
        loop = Loop(node, self.module, over)

        def begin() -> None:
            self.bind(node.target, self.element(over, loop, node.iter), scope)

        return self._rounds(loop, node.body, node.orelse, scope, begin)

    def _while(self, node: ast.While, scope: Scope) -> str:
        loop = Loop(node, self.module, None)

        def begin() -> None:
            self.value(node.test, scope)

        return self._rounds(loop, node.body, node.orelse, scope, begin)

    def _rounds(
        self, loop: Loop, body: list[ast.stmt], orelse: list[ast.stmt], scope: Scope, begin: Callable[[], None]
    ) -> str:
        before, outer = dict(scope.names), self.steps
        outer.append(loop)
        if loop.node not in self.assigned:
            self.assigned[loop.node] = _assigned(loop.node)
        for name in self.assigned[loop.node]:
            if name in before and not isinstance(before[name], (Function, Class)):
                loop.carried[name] = Carried(before[name], name, loop)
                scope.names[name] = loop.carried[name]
        self.steps = loop.body
        self.depth += 1
        begin()
        way = self.block(body, scope)
        self.depth -= 1
        self.steps = outer
        for name, carried in loop.carried.items():
            carried.left = scope.names.get(name, carried)
        if way in ("return", "raise") and loop.over is None and not _has_break(loop.node):
            return way if _endless(loop.node) else ""
        for name, old in before.items():
            new = scope.names.get(name, old)
            if new is not old and not isinstance(new, Carried):
                scope.names[name] = loop.carried.get(name, new) if isinstance(old, Const) else either(old, new)
        return self.block(orelse, scope) if orelse else ""

    def _with(self, node: ast.With | ast.AsyncWith, scope: Scope) -> str:
        grad = self.grad
        for item in node.items:
            manager = self.value(item.context_expr, scope)
            self.grad = self.gradients(manager, self.grad)
            if item.optional_vars is not None:
                self.bind(item.optional_vars, manager, scope)
        way = self.block(node.body, scope)
        self.grad = grad
        return way

    def _try(self, node: ast.Try, scope: Scope) -> str:
        way = self.block(node.body, scope)
        if not way and node.orelse:
            way = self.block(node.orelse, scope)
        handlers = [each.body for each in node.handlers]
        if handlers:
            branch = Branch(node, self.module, None)
            other = self.arms(branch, [*handlers, []], scope)
            way = way and other
        last = self.block(node.finalbody, scope) if node.finalbody else ""
        return last or way

    def _match(self, node: ast.Match, scope: Scope) -> str:
        branch = Branch(node, self.module, self.value(node.subject, scope))
        return self.arms(branch, [*(each.body for each in node.cases), []], scope)

    def _delete(self, node: ast.Delete, scope: Scope) -> str:
        for target in node.targets:
            if isinstance(target, ast.Name):
                scope.names.pop(target.id, None)
            elif isinstance(target, ast.Attribute):
                self.event("set", self.value(target.value, scope), [], {}, target).attribute = target.attr
        return ""

    def _global(self, node: ast.Global | ast.Nonlocal, scope: Scope) -> str:
        for name in node.names:
            self.outer_names.setdefault(id(scope), set()).add(name)
        return ""


def _is_main(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"


def _merged(one: dict[str, Value], other: dict[str, Value]) -> dict[str, Value]:
    found = dict(one)
    for name, value in other.items():
        found[name] = either(one[name], value) if name in one and one[name] is not value else value
    return found


def _assigned(loop: ast.AST) -> set[str]:
    """Names that a loop assigns, nested functions aside."""
    found, waiting = set(), list(ast.iter_child_nodes(loop))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Store):
                found.add(node.id)
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            waiting += ast.iter_child_nodes(node)
    return found


def _has_break(loop: ast.AST) -> bool:
    return any(isinstance(node, ast.Break) for node in ast.walk(loop))


def _endless(loop: ast.AST) -> bool:
    return isinstance(loop, ast.While) and isinstance(loop.test, ast.Constant) and bool(loop.test.value)


STATEMENTS: dict[type[ast.stmt], str] = {
    ast.Expr: "_expression",
    ast.Assign: "_assign",
    ast.AnnAssign: "_annotated",
    ast.AugAssign: "_augmented",
    ast.FunctionDef: "_function",
    ast.AsyncFunctionDef: "_function",
    ast.ClassDef: "_class",
    ast.Return: "_return",
    ast.Raise: "_leave",
    ast.Break: "_leave",
    ast.Continue: "_leave",
    ast.If: "_if",
    ast.For: "_for",
    ast.AsyncFor: "_for",
    ast.While: "_while",
    ast.With: "_with",
    ast.AsyncWith: "_with",
    ast.Try: "_try",
    ast.Match: "_match",
    ast.Import: "_import",
    ast.ImportFrom: "_import_from",
    ast.Delete: "_delete",
    ast.Global: "_global",
    ast.Nonlocal: "_global",
}
