"""What a model's output passes through: from its use back through forwards and Sequentials to its last layer."""

from __future__ import annotations

import ast
from functools import cached_property
from typing import NamedTuple

from .flow import Path, Point, Trail
from .module import CONTAINERS, Module, Source
from .spelling import entries_of

# Modules that give their input in another form: behind them stands the layer that makes the output.
PASSING = frozenset(
    (
        "Softmax", "LogSoftmax", "Softmin", "Sigmoid", "LogSigmoid", "Tanh", "ReLU", "Softplus", "ReLU6", "Identity",
        "Dropout", "Flatten", "Unflatten", "Hardsigmoid", "Hardtanh", "GELU", "ELU", "LeakyReLU", "SiLU",
    )
)  # fmt: skip
WRAPPERS = ("torch.nn.DataParallel", "torch.nn.parallel.DistributedDataParallel", "torch.compile", "torch.jit.script")


class Stage(NamedTuple):
    """One operation on the output: its expression, and the call that made the module where a module does it.

    In a Sequential both are the same: the entry.
    """

    module: Module
    node: ast.expr
    made: Point | None = None

    @property
    def name(self) -> str:
        """What it is, without its path: "softmax", "Softmax", "Linear"."""
        call = self.made.node if self.made is not None else self.node
        module = self.made.module if self.made is not None else self.module
        return module.dotted(call.func).rpartition(".")[2] if isinstance(call, ast.Call) else ""


class OutputTrail(Trail):
    """A trail that goes through the calls of modules into their forwards, and ends at the last layer with weights."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.stages: list[Stage] = []
        self.model: Point | None = None  # the outermost call of a module

    def _follow_call(self, module: Module, node: ast.Call, path: Path) -> None:
        made = self.made_by(module, node.func)
        if made is None:
            self.stages.append(Stage(module, node))
            super()._follow_call(module, node, path)
            return
        if self.model is None:
            self.model = next(point for point in reversed(self._points) if point.node is node)
        self._through(Stage(module, node, made), path)

    def _through(self, stage: Stage, path: Path) -> None:
        made = stage.made
        assert made is not None and isinstance(made.node, ast.Call)
        own = self._class(made.module.dotted(made.node.func).rpartition(".")[2])
        if own is not None:
            forward = self._method(own[1], "forward")
            if forward is not None:
                self._follow_return(own[0], forward, path)
            return
        if stage.name == "Sequential":
            self._entries(made.module, made.node)
            return
        self.stages.append(stage)
        if stage.name in PASSING and isinstance(stage.node, ast.Call) and stage.node.args:
            self._follow(stage.module, stage.node.args[0], path)

    def _entries(self, module: Module, container: ast.Call) -> None:
        for entry in reversed(entries_of(container)):
            inner = entry.elts[-1] if isinstance(entry, ast.Tuple) and entry.elts else entry  # of an OrderedDict
            made = self._made(Trail(self._source).of(module, inner))
            if made is None or not isinstance(made.node, ast.Call):
                return
            stage = Stage(module, inner, made)
            if stage.name in PASSING:
                self.stages.append(stage)
                continue
            self._through(stage, ())
            return

    def made_by(self, module: Module, function: ast.expr) -> Point | None:
        """The call that made the module which `function` names: `Net()`, `nn.Linear(3, 1)`, `nn.Sequential(...)`."""
        if isinstance(function, ast.Name) and (function.id in module.names or self._function(function.id)):
            return None
        if isinstance(function, ast.Attribute) and not self._is_attribute(module, function):
            return None
        if not isinstance(function, (ast.Name, ast.Attribute, ast.Call)):
            return None
        return self._made(self._behind(module, function))

    def _made(self, points: list[Point]) -> Point | None:
        """The first call on a trail that makes a module."""
        for point in points:
            if not isinstance(point.node, ast.Call):
                continue
            dotted = point.module.dotted(point.node.func)
            if dotted in WRAPPERS:
                continue
            if dotted.endswith("Loss") or dotted.startswith(
                ("torch.nn.functional.", "torch.nn.init.", "torch.nn.utils.")
            ):
                return None
            if dotted.startswith("torch.nn."):
                return point
            own = self._class(dotted.rpartition(".")[2])
            if own is not None and self._method(own[1], "forward") is not None:
                return point
        return None

    def _behind(self, module: Module, function: ast.expr) -> list[Point]:
        trail = Trail(self._source)
        if isinstance(function, ast.Attribute) and not _of_self(function):  # `model.head`: of whatever class has it
            trail._follow_attribute(module, function.attr, ())
            return trail._points
        return trail.of(module, function)

    def _is_attribute(self, module: Module, function: ast.Attribute) -> bool:
        """Whether it is something that a class of the script stores, as against a method of a tensor or of torch."""
        if not module.dotted(function).startswith("?."):
            return False
        return function.attr in self._stored

    @cached_property
    def _stored(self) -> set[str]:
        """Attributes that the script assigns to anything."""
        return {
            part.attr
            for module in self._source
            for part in ast.walk(module.tree)
            if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store)
        }


def output_of(source: Source, module: Module, node: ast.expr) -> OutputTrail:
    """The trail of an expression that holds what a model put out."""
    trail = OutputTrail(source)
    trail.of(module, node)
    return trail


def _of_self(function: ast.Attribute) -> bool:
    return isinstance(function.value, ast.Name) and function.value.id in ("self", "cls")


def last_layer(trail: OutputTrail) -> Stage | None:
    """The layer with weights that makes the output; None where the trail does not reach one."""
    stage = trail.stages[-1] if trail.stages else None
    if stage is None or stage.made is None or stage.name in (*PASSING, *CONTAINERS):
        return None
    return stage
