"""The training loop of a script: what its optimizer and model are called at a line, and where a call belongs."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .edits import Edit
from .module import Function, Module, Source
from .numbers import calls_of
from .rates import optimizer_call

REPEATED = (ast.If, ast.For, ast.While, ast.AsyncFor)
Method = (ast.FunctionDef, ast.AsyncFunctionDef)


def body_of(module: Module, statement: ast.stmt) -> list[ast.stmt]:
    """The block that a statement stands in."""
    for _, value in ast.iter_fields(module.parents[statement]):
        if isinstance(value, list) and statement in value:
            return value
    return [statement]


def statement_of(module: Module, node: ast.AST) -> ast.stmt | None:
    """The innermost statement around a node."""
    found = node if isinstance(node, ast.stmt) else module.enclosing(node, ast.stmt)
    return found if isinstance(found, ast.stmt) else None


def function_of(module: Module, node: ast.AST) -> Function | None:
    """The innermost function around a node."""
    found = module.enclosing(node, *Method)
    return found if isinstance(found, (ast.FunctionDef, ast.AsyncFunctionDef)) else None


def method_calls(module: Module, scope: ast.AST, name: str) -> list[ast.Call]:
    """Calls of a method by its name, in source order."""
    found = [
        node
        for node in ast.walk(scope)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name
    ]
    return sorted(found, key=lambda call: (call.end_lineno or call.lineno, call.end_col_offset or 0))


def receiver(module: Module, call: ast.Call) -> str:
    """`opt` of `opt.step()`."""
    return module.segment(call.func.value) if isinstance(call.func, ast.Attribute) else ""


def name_at(source: Source, file: str, line: int, module: Module, node: ast.AST) -> str | None:
    """What the value that is assigned or returned at `file`:`line` is called where `node` stands; None: not visible."""
    return next(_names_at(source, file, line, module, node), None)


def _names_at(source: Source, file: str, line: int, module: Module, node: ast.AST) -> Iterator[str]:
    found = optimizer_call(source, file, line)
    if found is not None:
        for at, holder in _holders(source, *found):
            yield from _visible(source, at, holder, module, node)


def _holders(source: Source, module: Module, value: ast.expr) -> Iterator[tuple[Module, ast.expr]]:
    """The targets that a value is assigned to; the value itself where it is an argument; through `return`, those of
    the function's callers."""
    outer = module.parents.get(value)
    if isinstance(outer, ast.Assign):
        yield from ((module, target) for target in outer.targets)
    elif isinstance(outer, (ast.AnnAssign, ast.NamedExpr)):
        yield module, outer.target
    elif isinstance(outer, (ast.Call, ast.keyword)):
        yield module, value
    elif isinstance(outer, (ast.IfExp, ast.BoolOp)):
        yield from _holders(source, module, outer)
    elif isinstance(outer, ast.Tuple):
        index = outer.elts.index(value)
        for at, target in _holders(source, module, outer):
            if isinstance(target, ast.Tuple) and index < len(target.elts):
                yield at, target.elts[index]
    elif isinstance(outer, ast.Return):
        function = function_of(module, outer)
        for at, call in calls_of(source, module, function) if function is not None else ():
            if call is not value:
                yield from _holders(source, at, call)


def _visible(source: Source, at: Module, holder: ast.expr, module: Module, node: ast.AST) -> Iterator[str]:
    """The names that reach `node` of what is assigned to, or handed over as, `holder`."""
    text = at.segment(holder)
    home, here = function_of(at, holder), function_of(module, node)
    handed = isinstance(holder, ast.Call)
    if isinstance(holder, ast.Attribute):
        if at is module and at.enclosing(holder, ast.ClassDef) is module.enclosing(node, ast.ClassDef):
            yield text
        return
    if not handed and at is module and (home is None or home is here or home in _around(module, node)):
        if home is None and here is not None:  # what a function is handed goes before a name of the whole file
            yield from _passed(source, at, text, home, module, here)
        yield text
        return
    owner = module.enclosing(here, ast.ClassDef) if here is not None else None
    if here is not None:
        yield from _passed(source, at, text, home, module, here)
    if isinstance(owner, ast.ClassDef):
        made = [each for each in owner.body if isinstance(each, Method) and each.name == "__init__"]
        for parameter in _passed(source, at, text, home, module, made[0]) if made else ():
            for each in ast.walk(made[0]):
                if isinstance(each, ast.Assign) and module.segment(each.value) == parameter:
                    yield module.segment(each.targets[0])


def _around(module: Module, node: ast.AST) -> list[ast.AST]:
    found, current = [], module.parents.get(node)
    while current is not None:
        found.append(current)
        current = module.parents.get(current)
    return found


def _passed(
    source: Source, at: Module, text: str, home: Function | None, module: Module, function: Function
) -> Iterator[str]:
    """The parameters of a function that get the value called `text` in `home` from a call in there."""
    names = [each.arg for each in function.args.args]
    offset = 1 if names[:1] in (["self"], ["cls"]) else 0
    for other, call in calls_of(source, module, function):
        if other is not at or (home is not None and home not in _around(at, call)):
            continue
        for index, part in enumerate(call.args):
            if at.segment(part) == text and index + offset < len(names):
                yield names[index + offset]
        for keyword in call.keywords:
            if keyword.arg and at.segment(keyword.value) == text:
                yield keyword.arg


def shared_block(module: Module, first: ast.stmt, second: ast.stmt) -> tuple[ast.stmt, ast.stmt] | None:
    """The statements around two statements that stand in one block; None where no block holds both."""
    outer = {id(node): node for node in [first, *_around(module, first)]}
    current: ast.AST = second
    while current in module.parents:
        parent = module.parents[current]
        if id(parent) in outer and isinstance(current, ast.stmt):
            inner = next(node for node in outer.values() if module.parents.get(node) is parent)
            return (inner, current) if isinstance(inner, ast.stmt) else None
        current = parent
    return None


def is_repeated(module: Module, statement: ast.stmt, within: ast.stmt) -> bool:
    """Whether a condition or a loop stands between a statement and one around it."""
    current: ast.AST = statement
    while current is not within:
        if isinstance(current, REPEATED) and current is not statement:
            return True
        current = module.parents[current]
    return isinstance(within, REPEATED)


def first_backward(module: Module, backward: ast.stmt) -> ast.stmt:
    """The first statement with a backward in the block of one, behind the last step before it: of several losses."""
    body = body_of(module, backward)
    found = backward
    for statement in reversed(body[: body.index(backward)]):
        if method_calls(module, statement, "step"):
            break
        if method_calls(module, statement, "backward") and not isinstance(statement, (*REPEATED, *Method)):
            found = statement
    return found


def last_on_gradients(module: Module, backward: ast.stmt) -> ast.stmt:
    """The last statement of a block that works on gradients after backward: unscaling, clipping; else the backward."""
    body = body_of(module, backward)
    found = backward
    for statement in body[body.index(backward) + 1 :]:
        calls = [each for each in ast.walk(statement) if isinstance(each, ast.Call)]
        names = {module.dotted(call.func).rpartition(".")[2] for call in calls}
        if names & {"backward", "unscale_", "clip_grad_norm_", "clip_grad_value_", "clip_grad_norm"}:
            found = statement
    return found


def cleared_name(module: Module, node: ast.AST) -> str | None:
    """`opt` of the `opt.zero_grad()` in the function around a node, where that is no model's."""
    scope = function_of(module, node) or module.tree
    called = {module.segment(each.func) for each in ast.walk(scope) if isinstance(each, ast.Call)}
    models = called | {receiver(module, each) for each in method_calls(module, scope, "parameters")}
    names = [receiver(module, each) for each in method_calls(module, scope, "zero_grad")]
    return next((name for name in names if name not in models), None)


def step_calls(module: Module, scope: ast.AST, known: str | None = None) -> list[tuple[ast.Call, str]]:
    """(call, name of the optimizer) of steps in a scope, those of the optimizer called `known` first."""
    found = []
    for call in method_calls(module, scope, "step"):
        name = receiver(module, call)
        # Only chooses whose name stands in the patch: schedulers and environments step as well.
        if call.args and "scal" in name.lower():
            name = module.segment(call.args[0])
        elif any(part in name.lower() for part in ("sched", "env", "scal", "accelerator", "prof")):
            continue
        found.append((call, name))
    return sorted(found, key=lambda pair: pair[1] != known)


def clear_before(module: Module, backward: ast.stmt, step: ast.Call | None, name: str) -> Edit:
    """`name`.zero_grad() where a window of gradients begins: in front of backward, or behind a step that has its own
    condition or loop (accumulation, several optimizers)."""
    text = f"{name}.zero_grad()"
    statement = statement_of(module, step) if step is not None else None
    if statement is None:
        return module.insert_before(first_backward(module, backward), text)
    shared = shared_block(module, backward, statement)
    if shared is None or any(is_repeated(module, s, at) for s, at in zip((backward, statement), shared)):
        return module.insert_after(statement, text)
    return module.insert_before(first_backward(module, backward), text)


def clear_by_hand(module: Module, line: int) -> list[Edit]:
    """`w.grad = None` behind each `w -= lr * w.grad` of the function at a line."""
    edits, seen = [], set()
    for statement in ast.walk(module.function_at(line) or module.tree):
        if not isinstance(statement, (ast.AugAssign, ast.Assign, ast.Expr)):
            continue
        target = _updated(statement)
        tensors = {module.segment(node.value) for node in gradients_in(statement)}
        if target is None or len(tensors) != 1:
            continue
        name = tensors.pop().removesuffix(".data")
        same = module.segment(target).removesuffix(".data").removesuffix(".copy_").removesuffix(".data") == name
        if same and name not in seen:
            seen.add(name)
            edits.append(module.insert_after(statement, f"{name}.grad = None"))
    return edits


def gradients_in(node: ast.AST) -> list[ast.Attribute]:
    """The `w.grad` in a piece of source."""
    return [part for part in ast.walk(node) if isinstance(part, ast.Attribute) and part.attr == "grad"]


def _updated(statement: ast.AugAssign | ast.Assign | ast.Expr) -> ast.expr | None:
    """The tensor that a statement changes."""
    if isinstance(statement, ast.AugAssign):
        return statement.target
    if isinstance(statement, ast.Assign):
        return statement.targets[0]
    call = statement.value
    inplace = isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr.endswith("_")
    return call.func.value if inplace and isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) else None


def model_of(source: Source, file: str, line: int) -> tuple[Module, ast.stmt, str] | None:
    """(file, statement, model) of the optimizer built at a line: `net` of `Adam(net.parameters())`."""
    found = optimizer_call(source, file, line)
    if found is None:
        return None
    module, call = found
    statement = statement_of(module, call)
    owners = [receiver(module, each) for each in method_calls(module, call, "parameters")]
    owners = owners or [receiver(module, each) for each in method_calls(module, statement or call, "parameters")]
    return (module, statement, owners[0]) if owners and statement is not None else None


def clip(source: Source, file: str, line: int, built: tuple[str, int] | None, limit: str) -> list[Edit]:
    """clip_grad_norm_ behind the backward at a line, unscaled first where a scaler is used."""
    module = source.module(file)
    backward = module.statement_with(line, "backward") if module is not None else None
    if module is None or backward is None:
        return []
    name = name_at(source, *built, module, backward) if built is not None else None
    steps = step_calls(module, function_of(module, backward) or module.tree, name)
    name = name or (steps[0][1] if steps else None)
    found = model_of(source, *built) if built is not None else None
    model = found[2] if found is not None and function_of(found[0], found[1]) is function_of(module, backward) else None
    if name is None and model is None:
        return []
    parameters = f"{model}.parameters()" if model else f'[p for g in {name}.param_groups for p in g["params"]]'
    lines = [f"{reach(module, 'utils')}.clip_grad_norm_({parameters}, {limit})"]
    scalers = method_calls(module, backward, "scale")
    if scalers and name is not None:
        lines.insert(0, f"{receiver(module, scalers[0])}.unscale_({name})")
    statement = statement_of(module, steps[0][0]) if steps else None
    shared = shared_block(module, backward, statement) if statement is not None else None
    if statement is not None and shared is not None and is_repeated(module, statement, shared[1]):
        return [module.insert_before(statement, text) for text in lines]
    return [module.insert_after(last_on_gradients(module, backward), text) for text in lines]


def reach(module: Module, name: str) -> str:
    """A name under which a file reaches a part of torch.nn: `nn.ReLU`, `torch.nn.init`, `F` for functional."""
    bound = {path: local for local, path in module.names.items()}
    if f"torch.nn.{name}" in bound:
        return bound[f"torch.nn.{name}"]
    if "torch.nn" in bound:
        return f"{bound['torch.nn']}.{name}"
    return f"{bound.get('torch', 'torch')}.nn.{name}"


def move_behind(module: Module, statements: list[ast.stmt], target: ast.stmt) -> list[Edit]:
    """Statements taken from their places and put behind another, in order."""
    edits = [module.delete(each) for each in statements]
    return [*edits, *(module.insert_after(target, wording(module, each, target)) for each in statements)]


def wording(module: Module, statement: ast.stmt, target: ast.stmt) -> str:
    """The text of a statement, with the comment behind it where both it and `target` have lines of their own."""
    text = module.segment(statement)
    lines = [(module.span(each), each) for each in (statement, target)]
    alone = all(not module.lines[span[0] - 1][: span[1]].strip() for span, _ in lines)
    tails = [module.lines[span[2] - 1][span[3] :].rstrip() for span, _ in lines]
    if alone and tails[0].lstrip().startswith("#") and not tails[1].lstrip().startswith(";"):
        return f"{text}{tails[0]}"
    return text
