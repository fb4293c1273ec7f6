"""Operations that give NaN or infinity, put in their stable form by edits."""

from __future__ import annotations

import ast

from .edits import Edit
from .flow import SCOPES, Trail
from .loss import argument
from .module import Module, Source
from .spelling import CLOSED, after, before, bracketed, parts, spelled, wrapped

SMALL = "1e-12"  # under a logarithm or a root; float32 holds it, and no probability that matters is smaller
DIVISOR = "1e-8"
LARGEST_EXPONENT = "30.0"  # exp(30) is 1e13: far from float32's end even when thousands are summed


def stable_operation(source: Source, file: str, line: int, operation: str) -> tuple[Edit, ...]:
    """All operations of a kind (by node: LogBackward0, ...) in the function around a line, in their stable form."""
    module = source.module(file)
    function = None if module is None else module.function_at(line)
    if module is None:
        return ()
    scope: ast.AST = function or module.tree
    statement = module.statement_at(line)
    if function is None and statement is not None:
        scope = statement  # at the top of a file only the statement itself
    nodes = [node for node in ast.walk(scope) if isinstance(node, ast.expr)]
    edits: list[Edit] = []
    covered: set[ast.AST] = set()
    for node in nodes:
        found = _stable(source, module, node, operation) if node not in covered else ()
        if found:
            edits += found
            covered |= set(ast.walk(node))
    return tuple(edits)


def _stable(source: Source, module: Module, node: ast.expr, operation: str) -> tuple[Edit, ...]:
    if operation == "LogBackward0" and (given := _operand(module, node, "log")) is not None:
        return _log(source, module, node, given)
    if operation == "SqrtBackward0":
        return _root(module, node)
    if operation == "ExpBackward0" and (given := _operand(module, node, "exp")) is not None:
        return parts(module, given, "", f".clamp(max={LARGEST_EXPONENT})")
    if operation == "DivBackward0":
        return _division(module, node)
    return ()


def _operand(module: Module, node: ast.expr, name: str) -> ast.expr | None:
    """What `torch.log(x)` or `x.log()` is taken of; None for anything else, NumPy's and math's included."""
    if not isinstance(node, ast.Call):
        return None
    dotted = module.dotted(node.func)
    if dotted == f"torch.{name}":
        return argument(node, 0, "input")
    if dotted == f"?.{name}" and isinstance(node.func, ast.Attribute) and not node.args:
        return node.func.value
    return None


def _log(source: Source, module: Module, node: ast.expr, given: ast.expr) -> tuple[Edit, ...]:
    """`log(softmax(z))`, `log(sigmoid(z))`, `log(1 - sigmoid(z))` as one function each; else kept off 0."""
    if isinstance(given, ast.Constant) or _guarded(given):
        return ()
    if isinstance(given, ast.BinOp) and isinstance(given.op, ast.Sub) and isinstance(given.left, ast.Constant):
        inner = _made_by(source, module, given.right, "sigmoid")
        if given.left.value == 1 and inner is not None:
            name = spelled(module, "torch.nn.functional.logsigmoid")
            return (module.replace(node, f"{name}(-{bracketed(*inner)})"),) if name else _clamped(module, given)
    inner = _made_by(source, module, given, "sigmoid")
    if inner is not None and (name := spelled(module, "torch.nn.functional.logsigmoid")):
        return (module.replace(node, f"{name}({inner[0].segment(inner[1])})"),)
    soft = _softmax(source, module, given)
    if soft is not None and (name := spelled(module, "torch.nn.functional.log_softmax")):
        return (module.replace(node, f"{name}({', '.join(soft)})"),)
    summed = _sum_of_exponentials(module, given)
    if summed is not None and (name := spelled(module, "torch.logsumexp")):
        return (module.replace(node, f"{name}({', '.join(summed)})"),)
    return _clamped(module, given)


def _clamped(module: Module, given: ast.expr) -> tuple[Edit, ...]:
    return parts(module, given, "", f".clamp_min({SMALL})")


def _guarded(node: ast.expr) -> bool:
    """Whether something is added to it, or it is clamped, already."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return any(isinstance(side, ast.Constant) for side in (node.left, node.right))
    call = node if isinstance(node, ast.Call) else None
    return call is not None and isinstance(call.func, ast.Attribute) and call.func.attr.startswith(("clamp", "clip"))


def _assigned_once(source: Source, module: Module, node: ast.expr) -> ast.expr:
    """The value of a name that is given one in this function; the expression itself else."""
    if not isinstance(node, ast.Name):
        return node
    scope = module.enclosing(node, *SCOPES)
    points = Trail(source).of(module, node)
    inside = len(points) > 1 and points[1].module is module and module.enclosing(points[1].node, *SCOPES) is scope
    return points[1].node if inside else node


def _made_by(source: Source, module: Module, node: ast.expr, name: str) -> tuple[Module, ast.expr] | None:
    """What the sigmoid was taken of, where a value is one; only of names that this function still has."""
    value = _assigned_once(source, module, node)
    if not isinstance(value, ast.Call):
        return None
    dotted = module.dotted(value.func)
    if dotted in (f"torch.{name}", f"torch.nn.functional.{name}") and value.args:
        given = value.args[0]
    elif dotted == f"?.{name}" and isinstance(value.func, ast.Attribute) and not value.args:
        given = value.func.value
    else:
        return None
    same = value is node or isinstance(given, ast.Name)  # an expression far away may mean other things here
    return (module, given) if same else None


def _softmax(source: Source, module: Module, node: ast.expr) -> list[str] | None:
    """The arguments of the softmax that a value is, as `log_softmax` takes them."""
    value = _assigned_once(source, module, node)
    if not isinstance(value, ast.Call):
        return None
    dotted = module.dotted(value.func)
    words = [f"{word.arg}={module.segment(word.value)}" for word in value.keywords if word.arg]
    if dotted in ("torch.softmax", "torch.nn.functional.softmax"):
        if value is not node and value.args and not isinstance(value.args[0], ast.Name):
            return None
        return [*(module.segment(each) for each in value.args), *words]
    if dotted == "?.softmax" and isinstance(value.func, ast.Attribute):
        if value is not node and not isinstance(value.func.value, ast.Name):
            return None
        return [module.segment(value.func.value), *(module.segment(each) for each in value.args), *words]
    return None


def _sum_of_exponentials(module: Module, node: ast.expr) -> list[str] | None:
    """`torch.exp(z).sum(1)` -> z, 1: what `logsumexp` takes."""
    if not isinstance(node, ast.Call) or len(node.args) + len(node.keywords) == 0:
        return None
    dotted = module.dotted(node.func)
    words = [f"{word.arg}={module.segment(word.value)}" for word in node.keywords if word.arg]
    if dotted == "torch.sum" and node.args:
        inner, rest = node.args[0], node.args[1:]
    elif dotted == "?.sum" and isinstance(node.func, ast.Attribute):
        inner, rest = node.func.value, node.args
    else:
        return None
    given = _operand(module, inner, "exp")
    if given is None or not (rest or words):
        return None
    return [module.segment(given), *(module.segment(each) for each in rest), *words]


def _root(module: Module, node: ast.expr) -> tuple[Edit, ...]:
    given = _operand(module, node, "sqrt")
    if given is not None:
        if isinstance(given, ast.Constant) or _guarded(given):
            return ()
        tight = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.value is given
        return _plus(module, given, SMALL, tight)
    if isinstance(node, ast.Call) and module.dotted(node.func) in ("?.std", "torch.std"):
        name = node.func
        if isinstance(name, ast.Attribute):
            _, _, line, column = module.span(name)
            renamed = Edit(module.file, line, column - len("std"), line, column, "var")
            return renamed, after(module, node, f".add({SMALL}).sqrt()")
    return ()


def _plus(module: Module, node: ast.expr, small: str, tight: bool) -> tuple[Edit, ...]:
    """`x + eps`, in brackets where a method follows."""
    closed = isinstance(node, CLOSED) or (
        isinstance(node, ast.BinOp) and not isinstance(node.op, (ast.BitOr, ast.BitAnd))
    )
    if not tight:
        return (after(module, node, f" + {small}"),) if closed else wrapped(module, node, "(", f") + {small}")
    inside = module.segment(node)
    _, _, line, end = module.span(node)
    bracket = module.lines[line - 1][end : end + 1] == ")" and not isinstance(node, CLOSED)
    if bracket and inside:  # `(a * b).sqrt()` has its brackets already
        return (after(module, node, f" + {small}"),)
    return wrapped(module, node, "(", f" + {small})")


def _division(module: Module, node: ast.expr) -> tuple[Edit, ...]:
    """A divisor that is computed, moved off 0."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Div):
        return ()
    divisor = node.right
    if isinstance(divisor, ast.Constant) or _guarded(divisor) or not _computed(module, divisor):
        return ()
    _, _, line, end = module.span(divisor)
    if isinstance(divisor, CLOSED):
        return wrapped(module, divisor, "(", f" + {DIVISOR})")
    inside = module.lines[line - 1][end : end + 1] == ")"  # `a / (b - c)`: the brackets are there
    return (after(module, divisor, f" + {DIVISOR}"),) if inside else (before(module, divisor, ""),)


def _computed(module: Module, node: ast.expr) -> bool:
    """Whether it can be a tensor: no length, count or shape."""
    if isinstance(node, ast.Call) and module.dotted(node.func) in ("len", "math.sqrt", "float", "int", "max", "min"):
        return False
    text = module.segment(node)
    return ".shape" not in text and ".size(" not in text and "numel" not in text
