"""The learning rate of a script: the expression an optimizer gets it from, the literal behind it, a changed one."""

from __future__ import annotations

import ast
from typing import NamedTuple

from .edits import Edit
from .module import Module, Source
from .numbers import Literal, is_near, literal_value, literals

RATE_NAMES = ("lr", "learning_rate")
PEAK_SCHEDULES = ("OneCycleLR", "CyclicLR")  # they overwrite the optimizer's own rate by the second argument, max_lr


class Use(NamedTuple):
    """An expression that is used as a rate."""

    module: Module
    node: ast.expr


def optimizer_call(source: Source, file: str, line: int) -> tuple[Module, ast.Call] | None:
    """The call at a line that builds an optimizer: the one with a rate, or with parameters."""
    module = source.module(file)
    if module is None:
        return None
    calls = [
        node
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    calls.sort(key=lambda call: ((call.end_lineno or call.lineno) - call.lineno, -call.col_offset))
    for test in (_has_rate, _is_optimizer):
        for call in calls:
            if test(module, call):
                return module, call
    return None


def _has_rate(module: Module, call: ast.Call) -> bool:
    return any(keyword.arg in RATE_NAMES for keyword in call.keywords)


def _is_optimizer(module: Module, call: ast.Call) -> bool:
    named = module.dotted(call.func).startswith("torch.optim.")
    return named or any("parameters" in module.segment(part) for part in call.args[:1])


def uses(source: Source, module: Module, call: ast.Call) -> list[Use]:
    """The expressions that give an optimizer its rates: argument, entries of its groups, the peak of its schedule."""
    peaks = _peaks(source)
    if peaks:
        return peaks
    found = [Use(module, each.value) for each in call.keywords if each.arg in RATE_NAMES]
    if not found and len(call.args) >= 2 and not isinstance(call.args[1], ast.Starred):
        found.append(Use(module, call.args[1]))
    for node in ast.walk(call.args[0]) if call.args else ():
        if isinstance(node, ast.Dict):
            entries = zip(node.keys, node.values)
            found += [Use(module, v) for k, v in entries if isinstance(k, ast.Constant) and k.value in RATE_NAMES]
        elif isinstance(node, ast.Call) and module.dotted(node.func) == "dict":
            found += [Use(module, each.value) for each in node.keywords if each.arg in RATE_NAMES]
    return found


def _peaks(source: Source) -> list[Use]:
    found = []
    for module in source:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and module.dotted(node.func).endswith(PEAK_SCHEDULES):
                peak = [each.value for each in node.keywords if each.arg == "max_lr"]
                position = 2 if module.dotted(node.func).endswith("CyclicLR") else 1
                peak = peak or node.args[position : position + 1]
                found += [Use(module, value) for value in peak if not isinstance(value, ast.List)]
    return found


def scale(source: Source, file: str, line: int, rate: float | None, factor: float) -> tuple[Edit, ...]:
    """The rate of the optimizer built at a line, times `factor`: at the literal it comes from, else where it is used.

    `rate`: the one the run had, by which the literal is recognised.
    """
    found = optimizer_call(source, file, line)
    if found is None:
        return ()
    module, call = found
    used = uses(source, module, call)
    if used:
        return _distinct([edit for use in used for edit in _scale_use(source, use, rate, factor)])
    spread = [each.value for each in call.keywords if each.arg is None]
    for value in spread:
        entry = ast.Subscript(value=value, slice=ast.Constant("lr"))
        fitting = [each for each in literals(source, module, entry) if rate is None or is_near(each.value, rate)]
        if fitting:
            return (fitting[0].module.replace(fitting[0].node, written(fitting[0].value * factor)),)
    if rate is None or spread:
        return ()
    return (append_argument(module, call, f"lr={written(rate * factor)}"),)


def behind(source: Source, file: str, line: int, name: str, value: float) -> Use | None:
    """The literal that gives the optimizer built at a line a setting (`lr`, `momentum`) of this value, where it stands
    outside of the statement that builds it: in a table of settings, an option, a field. None where it does not."""
    found = optimizer_call(source, file, line)
    if found is None:
        return None
    module, call = found
    given = [Use(module, each.value) for each in call.keywords if each.arg == name]
    given += [
        Use(module, ast.Subscript(value=each.value, slice=ast.Constant(name)))
        for each in call.keywords
        if each.arg is None
    ]
    given = uses(source, module, call) or given if name in RATE_NAMES else given
    statement = module.enclosing(call, ast.stmt)
    for use in given:
        for literal in literals(source, use.module, use.node):
            inside = literal.module is module and literal.node in (ast.walk(statement) if statement is not None else ())
            if is_near(literal.value, value) and not inside:
                return Use(literal.module, literal.node)
    return None


def scale_setting(source: Source, file: str, line: int, name: str, value: float, factor: float) -> tuple[Edit, ...]:
    """Another setting of the optimizer built at a line (`weight_decay=`), times `factor`; `value`: what the run had."""
    found = optimizer_call(source, file, line)
    if found is None:
        return ()
    module, call = found
    given = [Use(module, keyword.value) for keyword in call.keywords if keyword.arg == name]
    return _distinct([edit for use in given for edit in _scale_use(source, use, value, factor)])


def multiplier(source: Source, value: float) -> Literal | None:
    """The literal of this value that a script multiplies something with: the weight of a term of its loss."""
    for module in source:
        for node in module.of_kind(ast.BinOp):
            for side, other in ((node.left, node.right), (node.right, node.left)):
                if not isinstance(node.op, ast.Mult) or literal_value(other) is not None:
                    continue
                fitting = [each for each in literals(source, module, side) if is_near(each.value, value)]
                if fitting:
                    return fitting[0]
    return None


def velocities(source: Source) -> list[Literal]:
    """The factors that keep a velocity in steps written by hand: `v.mul_(m).add_(w.grad)`, `v = m * v + w.grad`.

    A mean of gradients that fades, `m * v + (1 - m) * g`, does not add them up, and is none.
    """
    return [each for module in source for kept in _kept(module) for each in literals(source, module, kept)]


def _kept(module: Module) -> list[ast.expr]:
    found = []
    for call in module.of_kind(ast.Call):
        inner = call.func.value if isinstance(call.func, ast.Attribute) and call.func.attr in ("add_", "sub_") else None
        scaled = isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) and inner.func.attr == "mul_"
        if isinstance(inner, ast.Call) and scaled and inner.args and call.args and _adds_gradient(module, call):
            found.append(inner.args[0])
    for node in module.of_kind(ast.Assign):
        total = node.value
        if not isinstance(total, ast.BinOp) or not isinstance(total.op, (ast.Add, ast.Sub)):
            continue
        old = total.left
        if isinstance(old, ast.BinOp) and isinstance(old.op, ast.Mult) and _adds_gradient(module, total.right):
            own = [module.segment(target) for target in node.targets]
            found += [m for m, v in ((old.left, old.right), (old.right, old.left)) if module.segment(v) in own]
    return found


def _adds_gradient(module: Module, node: ast.expr) -> bool:
    parts = list(ast.walk(node))
    fading = any(isinstance(p, ast.BinOp) and isinstance(p.op, ast.Sub) and literal_value(p.left) == 1 for p in parts)
    names = {p.id for p in parts if isinstance(p, ast.Name)}
    named = (a for a in module.of_kind(ast.Assign) if any(isinstance(t, ast.Name) and t.id in names for t in a.targets))
    return not fading and (
        _is_gradient(node) or any(isinstance(a.value, ast.Attribute) and _is_gradient(a.value) for a in named)
    )


def scale_by_hand(source: Source, file: str, line: int, factor: float) -> tuple[Edit, ...]:
    """The rate of the steps written by hand (`w -= lr * w.grad`) in the function at a line, times `factor`."""
    module = source.module(file)
    if module is None:
        return ()
    edits = []
    for node in ast.walk(module.function_at(line) or module.tree):
        for rate in _factors_of_gradient(node):
            edits += _scale_use(source, Use(module, rate), None, factor)
    return _distinct(edits)


def _factors_of_gradient(node: ast.AST) -> list[ast.expr]:
    """`lr` of `lr * w.grad`, and of `add_(w.grad, alpha=-lr)`."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        for rate, gradient in ((node.left, node.right), (node.right, node.left)):
            if _is_gradient(gradient) and not _is_gradient(rate):
                return [rate.operand if isinstance(rate, ast.UnaryOp) else rate]
    if isinstance(node, ast.Call) and node.args and _is_gradient(node.args[0]):
        alphas = [each.value for each in node.keywords if each.arg == "alpha"]
        return [alpha.operand if isinstance(alpha, ast.UnaryOp) else alpha for alpha in alphas]
    return []


def _is_gradient(node: ast.expr) -> bool:
    return any(isinstance(part, ast.Attribute) and part.attr == "grad" for part in ast.walk(node))


def _scale_use(source: Source, use: Use, rate: float | None, factor: float) -> list[Edit]:
    own = literal_value(use.node)
    if own is not None:
        return [use.module.replace(use.node, written(own * factor))]
    behind = literals(source, use.module, use.node)
    fitting = [each for each in behind if rate is None or is_near(each.value, rate)]
    # A literal that nothing confirms is taken only where there is no other.
    if fitting and (rate is not None or len({each.value for each in fitting}) == 1):
        chosen = fitting[0]
        return [chosen.module.replace(chosen.node, written(chosen.value * factor))]
    text = use.module.segment(use.node)
    simple = isinstance(use.node, (ast.Name, ast.Attribute, ast.Subscript, ast.Call))
    return [use.module.replace(use.node, f"{text if simple else f'({text})'} * {written(factor)}")]


def _distinct(edits: list[Edit]) -> tuple[Edit, ...]:
    """Groups may share one literal: it is changed once."""
    return tuple(dict.fromkeys(edits))


def append_argument(module: Module, call: ast.Call, text: str) -> Edit:
    """One more argument at the end of a call."""
    parts: list[ast.expr] = [*call.args, *(each.value for each in call.keywords)]
    _, _, line, column = module.span(call)
    if not parts:
        return Edit(module.file, line, column - 1, line, column - 1, text)
    _, _, line, column = max((module.span(part) for part in parts), key=lambda span: span[2:])
    if (line, column) == module.span(call)[2:]:  # `f(x for x in y)`: the brackets of the call are the generator's own
        return module.replace(parts[0], f"({module.segment(parts[0])}, {text})")
    return Edit(module.file, line, column, line, column, f", {text}")


def written(value: float) -> str:
    """A number as a person would write it, to two digits."""
    return f"{value:.2g}"
