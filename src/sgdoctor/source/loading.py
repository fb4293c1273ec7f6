"""Where a loop gets its batches from: the loader that is gone through at a line, and the keywords it was built with."""

from __future__ import annotations

import ast

from .flow import Point, Trail
from .loss import CONVERSIONS, maker
from .module import Module, Source

LOADERS = ("DataLoader", "torch.utils.data.DataLoader", "torch.utils.data.dataloader.DataLoader")
CONSTANTS = (
    *("zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"),
    *("empty", "empty_like"),
)
FORMS = (
    *("float", "double", "half", "long", "int", "to", "type", "astype", "cpu", "cuda", "contiguous", "clone", "copy"),
    *("view", "reshape", "squeeze", "unsqueeze", "flatten", "permute", "transpose", "stack", "cat", "concatenate"),
)
JOINS = ("cat", "concat", "concatenate", "hstack", "vstack", "stack", "append", "repeat_interleave")


def loader_call(source: Source, file: str, line: int) -> Point | None:
    """The call that builds the loader which a `for` or a `next(iter(...))` at a line goes through."""
    module = source.module(file)
    if module is None:
        return None
    for node in ast.walk(module.tree):
        if getattr(node, "lineno", None) != line and not isinstance(node, ast.comprehension):
            continue
        start: ast.expr | None = None
        if isinstance(node, (ast.For, ast.comprehension)) and node.iter.lineno == line:
            start = node.iter
        elif isinstance(node, ast.Call) and module.dotted(node.func) in ("iter", "next") and node.args:
            start = node.args[0]
        if start is None:
            continue
        for point in Trail(source).of(module, start):
            if isinstance(point.node, ast.Call) and point.module.dotted(point.node.func).endswith("DataLoader"):
                return point
    return None


def loader_calls(source: Source) -> list[Point]:
    """All calls that build a loader, in source order."""
    return [Point(module, call) for module in source for call in module.calls(*LOADERS)]


def parted_at(one: Point, other: Point) -> Point | None:
    """Where data, or their indices, are parted by hand for two loaders of a function.

    The statement that names a part of each, `train, held = split(x)`; else the part of the first, cut from the same
    as that of the second: `train = order[:-n]`, `held = order[:n]`.
    """
    module = one.module
    scope = module.enclosing(one.node, ast.FunctionDef, ast.Module)
    if (
        other.module is not module
        or scope is None
        or module.enclosing(other.node, ast.FunctionDef, ast.Module) is not scope
    ):
        return None
    mine, theirs = _given(scope, one.node), _given(scope, other.node)
    cuts: dict[str, ast.Assign] = {}
    for node in ast.walk(scope):
        if not isinstance(node, ast.Assign):
            continue
        names = {part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)}
        if names & (mine - theirs) and names & (theirs - mine):
            return Point(module, node.value)
        target = node.targets[0]
        if isinstance(target, ast.Name) and isinstance(node.value, ast.Subscript):
            cuts[target.id] = node
    first = [cuts[name] for name in mine - theirs if name in cuts]
    second = [cuts[name] for name in theirs - mine if name in cuts]
    if len(first) != 1 or len(second) != 1:
        return None
    same = module.segment(_base(first[0])) == module.segment(_base(second[0]))
    return Point(module, first[0].value) if same else None


def _base(cut: ast.Assign) -> ast.expr:
    assert isinstance(cut.value, ast.Subscript)
    return cut.value.value


def _given(scope: ast.AST, loader: ast.expr) -> set[str]:
    """The names in the data set of a loader, and in what that was made of where it has a name of its own."""
    data = loader.args[0] if isinstance(loader, ast.Call) and loader.args else keyword(loader, "dataset")
    names = {part.id for part in ast.walk(data) if isinstance(part, ast.Name)} if data is not None else set()
    if isinstance(data, ast.Name):
        for node in ast.walk(scope):
            made = isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
            if (
                made
                and isinstance(node, ast.Assign)
                and any(getattr(each, "id", "") == data.id for each in node.targets)
            ):
                names |= {part.id for part in ast.walk(node.value) if isinstance(part, ast.Name)}
    return names


def cutting_loops(source: Source, file: str, line: int) -> list[tuple[Module, ast.For | ast.While]]:
    """The loop around a line, and behind it that of the script's own generator which it goes through."""
    module = source.module(file)
    loop = module.loop_at(line) if module is not None else None
    if module is None or not isinstance(loop, (ast.For, ast.While)):
        return []
    found: list[tuple[Module, ast.For | ast.While]] = [(module, loop)]
    for point in Trail(source).of(module, loop.iter) if isinstance(loop, ast.For) else ():
        inner = point.module.enclosing(point.node, ast.For, ast.While)
        given = isinstance(point.module.parents.get(point.node), ast.Yield)
        if given and isinstance(inner, (ast.For, ast.While)) and inner is not loop:
            found.append((point.module, inner))
    return found


def keyword(call: ast.expr, name: str) -> ast.expr | None:
    """The value of a keyword of a call."""
    found = [each.value for each in getattr(call, "keywords", []) if each.arg == name]
    return found[0] if found else None


def is_true(node: ast.expr | None) -> bool:
    """Whether an expression is not plainly false or missing."""
    return node is not None and not (isinstance(node, ast.Constant) and not node.value)


def made_constant(trail: list[Point]) -> bool:
    """Whether a value on a trail is filled with a constant by the script itself, as labels of a GAN are.

    Parts that are put together, and arrays that are filled later, are no constants.
    """
    for point in trail:
        for node in ast.walk(point.node):
            if not isinstance(node, ast.Call) or point.module.dotted(node.func).rpartition(".")[2] not in CONSTANTS:
                continue
            around = point.module.enclosing(node, ast.Call, ast.stmt)
            joined = isinstance(around, ast.Call) and point.module.dotted(around.func).rpartition(".")[2] in JOINS
            if not joined and not _filled(point.module, node):
                return True
    return False


def _filled(module: Module, creation: ast.Call) -> bool:
    """Whether elements of what is created are assigned later: `labels[i] = ...`."""
    statement = module.enclosing(creation, ast.Assign)
    names = {module.segment(target) for target in statement.targets} if isinstance(statement, ast.Assign) else set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Subscript) and module.segment(target.value) in names:
                    return True
    return False


def model_inputs(source: Source, file: str, line: int) -> list[Point]:
    """The trail of the first argument of the innermost call at a line that takes one: `model(x)`."""
    module = source.module(file)
    if module is None:
        return []
    calls = [
        node
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and node.lineno <= line <= (node.end_lineno or node.lineno) and node.args
    ]
    named = [call for call in calls if isinstance(call.func, (ast.Name, ast.Attribute)) and _is_own(module, call)]
    named.sort(key=lambda call: (call.end_lineno or call.lineno) - call.lineno)
    for call in named or calls:
        trail = Trail(source).of(module, call.args[0])
        if len(trail) > 1:
            return trail
    return []


def _is_own(module: Module, call: ast.Call) -> bool:
    """A call of an object of the script: no function of a library, no method that libraries have."""
    name = module.dotted(call.func)
    if name.startswith("torch.") or name in (
        "print",
        "len",
        "range",
        "float",
        "int",
        "sum",
        "enumerate",
        "zip",
        "next",
    ):
        return False
    return name.rpartition(".")[2] not in (
        "append",
        "item",
        "backward",
        "format",
        "update",
        "write",
        "extend",
        "argmax",
    )


def _form_only(point: Point) -> bool:
    """Whether a call changes the type, the shape or the place of numbers, and none of them."""
    node = point.node
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in FORMS


def origin(trail: list[Point]) -> Point | None:
    """Where the numbers on a trail become tensors; behind what a dataset returns, where it computes them."""
    for point in trail:
        if isinstance(point.node, ast.Call):
            name = point.module.dotted(point.node.func).rpartition(".")[2]
            if name in CONVERSIONS and name != "TensorDataset":
                return point
    for index, point in enumerate(trail):
        if isinstance(point.node, ast.Tuple) and isinstance(point.module.parents.get(point.node), ast.Return):
            made = [later for later in trail[index + 1 :] if isinstance(later.node, (ast.Call, ast.Compare, ast.BinOp))]
            return next((later for later in made if not _form_only(later)), made[0] if made else point)
    return maker(trail)
