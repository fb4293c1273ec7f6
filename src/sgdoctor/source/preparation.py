"""The preparation of data before and after a split: fits moved behind it, transforms and expressions repeated."""

from __future__ import annotations

import ast

from .edits import Edit
from .flow import Point
from .module import Module, Source
from .spelling import bracketed
from .training import body_of, function_of, statement_of

SPLIT = "sklearn.model_selection.train_test_split"


def fitted_behind_split(module: Module, line: int) -> list[Edit]:
    """`x = s.fit_transform(x)` above a split of x: behind it, fitted to the training part and applied to the other."""
    statement = module.statement_at(line)
    call = _only_call(statement)
    if not isinstance(statement, ast.Assign) or call is None or not isinstance(call.func, ast.Attribute):
        return []
    if call.func.attr != "fit_transform" or not isinstance(call.func.value, ast.Name) or call.keywords:
        return []
    split, parts = _split_behind(module, statement)
    if split is None or not all(isinstance(arg, ast.Name) and arg.id in parts for arg in call.args):
        return []
    source_name, target = call.args[0], statement.targets[0]
    if module.segment(source_name) != module.segment(target) or _read_between(module, statement, split, target):
        return []
    scaler = call.func.value.id
    trained = [parts[arg.id][0] for arg in call.args if isinstance(arg, ast.Name)]
    held = parts[module.segment(source_name)][1]
    return [
        module.delete(statement),
        module.insert_after(split, f"{trained[0]} = {scaler}.fit_transform({', '.join(trained)})"),
        module.insert_after(split, f"{held} = {scaler}.transform({held})"),
    ]


def changed_behind_split(module: Module, split: ast.stmt) -> list[Edit]:
    """`x, y = oversample(x, y)` above a split of both: behind it, of the training part only."""
    body = body_of(module, split)
    for statement in reversed(body[: body.index(split)]):
        call = _only_call(statement)
        if not isinstance(statement, ast.Assign) or call is None or call.keywords:
            continue
        found, parts = _split_behind(module, statement)
        target = statement.targets[0]
        names = [module.segment(arg) for arg in call.args]
        made = [module.segment(each) for each in (target.elts if isinstance(target, ast.Tuple) else [target])]
        if found is not split or names != made or set(names) != set(parts) or len(names) < 2:
            continue
        if any(_read_between(module, statement, split, each) for each in call.args):
            continue
        trained = ", ".join(parts[name][0] for name in names)
        text = f"{trained} = {module.segment(call.func)}({trained})"
        return [module.delete(statement), module.insert_after(split, text)]
    return []


def transformed_alike(source: Source, trail: list[Point]) -> list[Edit]:
    """`x_val` on a trail, the sibling of an `x_train` that is scaled: scaled by the same scaler, behind that line."""
    for point in trail:
        if not isinstance(point.node, ast.Name):
            continue
        module, name = point.module, point.node.id
        for split in module.calls(SPLIT):
            statement = statement_of(module, split)
            parts = _parts(module, statement, split)
            pair = next((pair for pair in parts.values() if pair[1] == name), None)
            if pair is None or statement is None:
                continue
            edits = _transformed(module, statement, *pair)
            if edits:
                return edits
    return []


def _transformed(module: Module, split: ast.stmt, trained: str, held: str) -> list[Edit]:
    """Behind `x_train = scaler.fit_transform(x_train)` in the block of the split, where nothing scales the other."""
    body = body_of(module, split)
    for statement in body[body.index(split) + 1 :]:
        call = _only_call(statement)
        if call is None or not isinstance(statement, ast.Assign) or not isinstance(call.func, ast.Attribute):
            continue
        same = [module.segment(arg) for arg in call.args] == [trained]
        if not same or module.segment(statement.targets[0]) != trained or call.func.attr != "fit_transform":
            continue
        scaler = module.segment(call.func.value)
        again = [c for c in module.calls("?.transform") if c.args and module.segment(c.args[0]) == held]
        return [] if again else [module.insert_after(statement, f"{held} = {scaler}.transform({held})")]
    return []


def computed_alike(trained: Point, held: Point) -> list[Edit]:
    """The input of an evaluation put through the arithmetic that the training input goes through around the same."""
    expression, module = _resolved(trained), trained.module
    if held.module is not module or expression is None:
        return []
    wanted = _shape_of(held.node)
    parts = [n for n in ast.walk(expression) if isinstance(n, ast.expr) and not isinstance(n, (ast.Slice, ast.Starred))]
    cores = [node for node in parts if _shape_of(node) == wanted]
    if len(cores) != 1 or cores[0] is expression or not _plain(expression, cores[0]):
        return []
    home = function_of(module, expression)
    inner = set(map(id, ast.walk(cores[0])))
    names = {n.id for n in ast.walk(expression) if isinstance(n, ast.Name) and id(n) not in inner}
    stored = {
        n.id for n in ast.walk(home or ast.Module([], [])) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    stored |= {each.arg for each in home.args.args} if home is not None else set()
    if home is not function_of(module, held.node) and names & stored:
        return []  # they are not known there
    whole, core = module.segment(expression), module.segment(cores[0])
    if whole.count(core) != 1 or "\n" in whole:
        return []
    return [module.replace(held.node, whole.replace(core, bracketed(module, held.node)))]


def _resolved(point: Point) -> ast.expr | None:
    """The expression behind a name that is assigned once in its function."""
    if not isinstance(point.node, ast.Name):
        return point.node
    scope = function_of(point.module, point.node) or point.module.tree
    values = [
        node.value
        for node in ast.walk(scope)
        if isinstance(node, ast.Assign)
        and any(
            isinstance(t, ast.Name) and isinstance(point.node, ast.Name) and t.id == point.node.id for t in node.targets
        )
    ]
    return values[0] if len(values) == 1 else None


def _shape_of(node: ast.expr) -> str:
    """An expression with the names of its indices left out: rows of one array, whichever they are."""
    copy = ast.parse(ast.unparse(node), mode="eval").body
    for part in ast.walk(copy):
        if isinstance(part, ast.Subscript):
            part.slice = ast.Constant(0)
    return ast.dump(copy)


def _plain(expression: ast.expr, core: ast.expr) -> bool:
    """Whether all around the core is arithmetic with numbers and names: nothing random, nothing of the batch."""
    inner = set(map(id, ast.walk(core)))
    allowed = (ast.BinOp, ast.UnaryOp, ast.Constant, ast.Name, ast.operator, ast.unaryop, ast.expr_context)
    return all(isinstance(node, allowed) for node in ast.walk(expression) if id(node) not in inner)


def _only_call(statement: ast.stmt | None) -> ast.Call | None:
    value = statement.value if isinstance(statement, ast.Assign) else None
    return value if isinstance(value, ast.Call) else None


def _split_behind(module: Module, statement: ast.stmt) -> tuple[ast.stmt | None, dict[str, tuple[str, str]]]:
    """The first split behind a statement of its block, and for each array its two parts."""
    body = body_of(module, statement)
    for later in body[body.index(statement) + 1 :]:
        for call in module.calls(SPLIT, within=later):
            parts = _parts(module, later, call)
            return (later, parts) if parts else (None, {})
    return None, {}


def _parts(module: Module, statement: ast.stmt | None, call: ast.Call) -> dict[str, tuple[str, str]]:
    """`a, b, c, d = train_test_split(x, y)` -> {"x": ("a", "b"), "y": ("c", "d")}."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) and statement.value is call else None
    if not isinstance(target, ast.Tuple) or len(target.elts) != 2 * len(call.args):
        return {}
    names = [module.segment(each) for each in target.elts]
    return {module.segment(arg): (names[2 * i], names[2 * i + 1]) for i, arg in enumerate(call.args)}


def _read_between(module: Module, first: ast.stmt, last: ast.stmt, name: ast.expr) -> bool:
    """Whether something between two statements of a block uses a name."""
    body = body_of(module, first)
    text = module.segment(name)
    between = body[body.index(first) + 1 : body.index(last)]
    return any(
        isinstance(node, (ast.Name, ast.Attribute)) and module.segment(node) == text
        for statement in between
        for node in ast.walk(statement)
    )


def scaled_apart(trained: list[Point], held: list[Point]) -> tuple[Point, Point] | None:
    """Two calls of one function that scales what it is given by that's own mean and spread, column by column.

    (for training, for evaluation). A function that is called sample by sample scales within samples, as may be meant.
    """
    for mine in trained:
        for other in held:
            module, one, two = mine.module, mine.node, other.node
            if one is two or other.module is not module or not _once(module, one) or not _once(module, two):
                continue
            assert isinstance(one, ast.Call) and isinstance(two, ast.Call)
            name = module.dotted(one.func)
            if name != module.dotted(two.func) or module.segment(one.args[0]) == module.segment(two.args[0]):
                continue
            for function in ast.walk(module.tree):
                if isinstance(function, ast.FunctionDef) and function.name == name and _by_itself(module, function):
                    return mine, other
    return None


def _once(module: Module, node: ast.expr) -> bool:
    """Whether it is a call with one argument that is made once, not for each item of something."""
    around = module.enclosing(node, ast.For, ast.While, ast.ListComp, ast.GeneratorExp, ast.Lambda, ast.ClassDef)
    return isinstance(node, ast.Call) and len(node.args) == 1 and around is None


def _by_itself(module: Module, function: ast.FunctionDef) -> bool:
    """`(x - x.mean(0)) / x.std(0)` of the one argument `x`, or of a part of it."""
    if len(function.args.args) != 1:
        return False
    given = function.args.args[0].arg
    found: dict[str, set[str]] = {"mean": set(), "std": set()}
    for call in ast.walk(function):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr not in found:
            continue
        axes = [*call.args[:1], *(word.value for word in call.keywords if word.arg in ("axis", "dim"))]
        first = axes and isinstance(axes[0], ast.Constant) and axes[0].value == 0
        names = {part.id for part in ast.walk(call.func.value) if isinstance(part, ast.Name)}
        if first and names == {given}:
            found[call.func.attr].add(module.segment(call.func.value))
    divides = any(isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) for node in ast.walk(function))
    return divides and bool(found["mean"] & found["std"])
