"""The variables that hold what a model is fed with, in training and elsewhere, and their standardisation."""

from __future__ import annotations

import ast
from typing import NamedTuple

from .edits import Edit
from .flow import SCOPES, Path, Point, Trail
from .loss import argument, loss_call
from .module import Module, Source
from .output import OutputTrail, output_of

LOOPS = (ast.For, ast.While, ast.AsyncFor)
FLOOR = "1e-8"  # keeps a constant column from being divided by 0; far below any spread that means something


class Root(NamedTuple):
    """A variable that holds a whole array of inputs: its name as written, and the assignment that made it."""

    module: Module
    text: str
    statement: ast.Assign | ast.AnnAssign


class FollowAll(Trail):
    """A trail that follows an argument to every call of its function; `lost` where there is none."""

    lost = False

    def _follow_argument(
        self, function: ast.FunctionDef | ast.AsyncFunctionDef, parameters: list[str], name: str, path: Path
    ) -> None:
        """Every call of a function, where the trail takes the first."""
        position = parameters.index(name)
        offset = 1 if parameters[0] in ("self", "cls") else 0
        given = [
            (module, value)
            for module in self._source
            for call in ast.walk(module.tree)
            if isinstance(call, ast.Call) and module.dotted(call.func).rpartition(".")[2] == function.name
            if (value := argument(call, position - offset, name)) is not None
        ]
        if not given or function.name in ("forward", "__init__", "__call__"):
            self.lost = True
            given = []
        for module, value in given:
            self._follow(module, value, path)


class Origins(FollowAll):
    """Follows a batch back to all variables that it can be cut from; `lost` where one way ends elsewhere."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.roots: list[Root] = []
        self.indices: list[ast.expr] = []  # what roots were cut with
        self.splits: list[tuple[Module, ast.Call]] = []
        self.cast = False
        self._level = "batch"  # batch, iterable, dataset, array

    def _follow(self, module: Module, node: ast.expr, path: Path) -> None:
        level, count = self._level, (len(self.roots), self.lost, len(self._points))
        if isinstance(node, ast.Subscript) and level == "batch" and isinstance(node.value, (ast.Name, ast.Attribute)):
            self._level = "array"
            self.indices.append(node.slice)
        super()._follow(module, node, path)
        self._level = level
        if count == (len(self.roots), self.lost, len(self._points) - 1):
            self.lost = True  # nothing behind it, and no root

    def _follow_call(self, module: Module, node: ast.Call, path: Path) -> None:
        last = module.dotted(node.func).rpartition(".")[2]
        if last in ("DataLoader", "random_split", "Subset"):
            self._level = "dataset"
            if last == "random_split":
                self.splits.append((module, node))
            if last == "DataLoader" and any(word.arg == "collate_fn" for word in node.keywords):
                self.lost = True
                return
        elif last == "TensorDataset":
            self._level = "array"
        elif self._class(last) is not None or (self._level == "dataset" and last not in ("range",)):
            self.lost = True
            return
        if last in ("float", "double", "half"):
            self.cast = True
        super()._follow_call(module, node, path)

    def _follow_name(self, module: Module, node: ast.Name, path: Path) -> None:
        scope = module.enclosing(node, *SCOPES)
        while scope is not None:
            found = self._definition(module, scope, node)
            if found is not None:
                self._definition_found(module, node.id, found)
                if self._ended:
                    return
                self._follow(module, found[0], found[1] + path)
                return
            if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef)):
                parameters = [each.arg for each in scope.args.args]
                if node.id in parameters:
                    self._follow_argument(scope, parameters, node.id, path)
                    return
            scope = module.enclosing(scope, *SCOPES)
        self.lost = True

    _ended = False

    def _definition_found(self, module: Module, text: str, found: tuple[ast.expr, Path]) -> None:
        """Whether a definition makes a root: an assignment outside loops, of something that is no loader or dataset."""
        value = found[0]
        statement = module.parents.get(value)
        self._ended = False
        if isinstance(statement, (*LOOPS, ast.comprehension)):
            self._level = "iterable"
            return
        if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or isinstance(value, (ast.Name, ast.Attribute)):
            return
        if self._level == "array" or (self._level == "batch" and not _in_loop(module, statement)):
            self._ended = True
            root = Root(module, text, statement)
            if root not in self.roots:
                self.roots.append(root)

    def _follow_attribute(self, module: Module, attribute: str, path: Path, owner: ast.AST | None = None) -> None:
        for node in ast.walk(owner or module.tree):
            if not isinstance(node, ast.Assign):
                continue
            for target in node.targets:
                elements = list(target.elts) if isinstance(target, (ast.Tuple, ast.List)) else [target]
                for index, part in enumerate(elements):
                    if not (isinstance(part, ast.Attribute) and part.attr == attribute):
                        continue
                    self._definition_found(module, module.segment(part), (node.value, ()))
                    if not self._ended:
                        self._follow(module, node.value, ((index,) if len(elements) > 1 else ()) + path)
                    return
        self.lost = True


def _in_loop(module: Module, statement: ast.stmt) -> bool:
    found = module.enclosing(statement, *LOOPS, ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(found, LOOPS)


def standardised_inputs(source: Source, file: str, line: int, by_column: bool = True) -> tuple[Edit, ...]:
    """All inputs standardised with the statistics of those that the loss at a line is trained on.

    Empty where it is not certain which variables these are, and that no others reach the model.
    """
    found = loss_call(source, file, line)
    output = argument(found[1], 0, "input") if found is not None else None
    if found is None or output is None:
        return ()
    trail = output_of(source, found[0], output)
    if trail.model is None or not isinstance(trail.model.node, ast.Call):
        return ()
    trained = _origins(source, trail.model)
    everywhere = [_origins(source, call) for call in model_calls(source, trail)]
    if trained is None or any(each is None or each.cast for each in (trained, *everywhere)):
        return ()
    roots = [root for each in everywhere if each is not None for root in each.roots]
    others = list(dict.fromkeys(root for root in roots if root not in trained.roots))
    if len(trained.roots) != 1:
        return ()
    root = trained.roots[0]
    axis = "0" if by_column else ""
    if trained.splits:
        return () if others else _after_split(trained, root, axis)
    if others:
        return _together(root, others, axis)
    return _alone(root, [each for each in everywhere if each is not None], axis)


def _origins(source: Source, call: Point) -> Origins | None:
    node = call.node
    if not isinstance(node, ast.Call) or len(node.args) != 1 or node.keywords:
        return None
    origins = Origins(source)
    origins.of(call.module, node.args[0])
    return None if origins.lost or not origins.roots else origins


def model_calls(source: Source, trail: OutputTrail) -> list[Point]:
    """Every call of the model whose output the trail follows."""
    if trail.model is None or not isinstance(trail.model.node, ast.Call):
        return []
    made = trail.made_by(trail.model.module, trail.model.node.func)
    found = []
    for module in source:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and made is not None:
                other = trail.made_by(module, node.func)
                if other is not None and other.node is made.node:
                    found.append(Point(module, node))
    return found


def _statistics(module: Module, array: str, axis: str) -> tuple[str, str, str]:
    """(name of the mean, name of the spread, the statement that computes them)."""
    taken = {node.id for node in ast.walk(module.tree) if isinstance(node, ast.Name)}
    pairs = (("mean", "std"), ("x_mean", "x_std"), ("input_mean", "input_std"))
    mean, std = next((pair for pair in pairs if not taken & set(pair)), pairs[-1])
    return mean, std, f"{mean}, {std} = {array}.mean({axis}), {array}.std({axis}) + {FLOOR}"


def _together(root: Root, others: list[Root], axis: str) -> tuple[Edit, ...]:
    """Variables of one block, standardised behind the last of them."""
    roots = sorted([root, *others], key=lambda each: each.statement.lineno)
    module = root.module
    last = roots[-1].statement
    block = _block(module, last)
    if any(each.module is not module or each.statement not in block for each in roots):
        return ()
    between = block[block.index(roots[0].statement) + 1 : block.index(last)]
    if any(
        _uses(module, statement, each.text)
        for statement in between
        for each in roots
        if each.statement is not statement
    ):
        return ()
    mean, std, statement = _statistics(module, root.text, axis)
    names = list(dict.fromkeys(each.text for each in roots))
    values = ", ".join(f"({name} - {mean}) / {std}" for name in names)
    return _inserted(module, last, [statement, f"{', '.join(names)} = {values}"])


def _inserted(module: Module, statement: ast.stmt, texts: list[str]) -> tuple[Edit, ...]:
    return tuple(module.insert_after(statement, text) for text in texts)


def _alone(root: Root, everywhere: list[Origins], axis: str) -> tuple[Edit, ...]:
    """One variable for all: the part of it that is held back (`x[n:]`) is left out of the statistics."""
    slices = [index for each in everywhere for index in each.indices if isinstance(index, ast.Slice)]
    held = [index.lower for index in slices if index.lower is not None and index.upper is None and index.step is None]
    loops = [index for index in slices if index not in held and _batch(root.module, index)]
    if len({root.module.segment(lower) for lower in held if lower is not None}) > 1:
        return ()
    plain = [index for each in everywhere for index in each.indices if index not in loops and index not in slices]
    array = root.text
    if held and held[0] is not None:
        text = root.module.segment(held[0])
        if not isinstance(held[0], ast.Constant) and not _known_before(root, held[0]):
            return ()
        array = f"{root.text}[:{text}]"
    elif len(everywhere) > 1 or (len(slices) > len(loops)) or any(isinstance(index, ast.Constant) for index in plain):
        return ()  # another part is used somewhere, and which one is for training is not to be seen
    mean, std, statement = _statistics(root.module, array, axis)
    return _inserted(root.module, root.statement, [statement, f"{root.text} = ({root.text} - {mean}) / {std}"])


def _batch(module: Module, index: ast.Slice) -> bool:
    """`x[i : i + n]`."""
    return (
        index.lower is not None
        and index.upper is not None
        and module.segment(index.lower) in module.segment(index.upper)
    )


def _known_before(root: Root, node: ast.expr) -> bool:
    """Whether all names of an expression are assigned once, above the root's statement."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            stored = [
                other
                for other in ast.walk(root.module.tree)
                if isinstance(other, ast.Name) and other.id == part.id and isinstance(other.ctx, ast.Store)
            ]
            if len(stored) != 1 or stored[0].lineno > root.statement.lineno:
                return False
    return True


def _after_split(trained: Origins, root: Root, axis: str) -> tuple[Edit, ...]:
    """Behind `a, b = random_split(TensorDataset(x, y), ...)`: in place, as the dataset holds the same tensor."""
    module, call = trained.splits[0]
    statement = module.parents.get(call)
    if len(trained.splits) != 1 or not isinstance(statement, ast.Assign) or module is not root.module:
        return ()
    target = statement.targets[0]
    scopes = {module.enclosing(each, *SCOPES) for each in (statement, root.statement)}
    if not isinstance(target, ast.Tuple) or len(scopes) != 1 or _in_loop(module, statement):
        return ()
    part = next((each for each in target.elts if _leads_to(trained, each)), None)
    if part is None:
        return ()
    mean, std, text = _statistics(module, f"{root.text}[{module.segment(part)}.indices]", axis)
    return _inserted(module, statement, [text, f"{root.text}.sub_({mean}).div_({std})"])


def _leads_to(trained: Origins, target: ast.expr) -> bool:
    """Whether the trail went through the name of this part."""
    return isinstance(target, ast.Name) and any(
        isinstance(point.node, ast.Name) and point.node.id == target.id for point in trained.points
    )


def _block(module: Module, statement: ast.stmt) -> list[ast.stmt]:
    for _, value in ast.iter_fields(module.parents[statement]):
        if isinstance(value, list) and statement in value:
            return value
    return [statement]


def _uses(module: Module, statement: ast.stmt, text: str) -> bool:
    """Whether a statement reads a variable for more than its shape."""
    for node in ast.walk(statement):
        if (
            isinstance(node, (ast.Name, ast.Attribute))
            and isinstance(node.ctx, ast.Load)
            and module.segment(node) == text
        ):
            outer = module.parents.get(node)
            measured = isinstance(outer, ast.Attribute) and outer.attr in ("shape", "size", "dtype", "ndim")
            counted = isinstance(outer, ast.Call) and module.dotted(outer.func) == "len"
            if not measured and not counted:
                return True
    return False
