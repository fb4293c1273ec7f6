"""How a script draws its first weights: its own initialisers, mended, and He initialisation where it has none."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .edits import Edit
from .module import Module, Source
from .training import body_of, function_of, reach, statement_of

CONSTANT = ("zeros_", "zero_", "constant_", "ones_", "fill_", "full_")
RANDOM = ("normal_", "uniform_", "trunc_normal_", "xavier_normal_", "xavier_uniform_", "kaiming_normal_",
          "kaiming_uniform_", "orthogonal_", "eye_")  # fmt: skip
NORMS = ("Norm", "_BatchNorm")
RECTIFIERS = ("relu", "ReLU", "LeakyReLU", "leaky_relu", "GELU", "gelu", "SiLU", "silu", "ELU", "elu", "Softplus")
SQUASHING = ("tanh", "Tanh", "sigmoid", "Sigmoid", "Softsign", "softsign")
WEIGHTED = ("Linear", "Conv1d", "Conv2d")


def initialiser_at(module: Module, line: int, names: tuple[str, ...]) -> ast.Call | None:
    """The call of an in-place initialiser at a line, or in the loop or function that begins there."""
    calls = [call for call in _initialisers(module, names) if call.lineno <= line <= (call.end_lineno or call.lineno)]
    return calls[0] if calls else None


def _initialisers(module: Module, names: tuple[str, ...]) -> list[ast.Call]:
    found = [
        node
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and module.dotted(node.func).rpartition(".")[2] in names
    ]
    return sorted(found, key=lambda call: (call.lineno, call.col_offset))


def initialised(module: Module, call: ast.Call) -> ast.expr | None:
    """The tensor that an initialiser fills: `w` of `nn.init.zeros_(w)`, of `w.data.zero_()`."""
    if module.dotted(call.func).startswith("torch.nn.init.") or module.dotted(call.func).startswith("init."):
        keyword = [each.value for each in call.keywords if each.arg == "tensor"]
        return call.args[0] if call.args else keyword[0] if keyword else None
    if isinstance(call.func, ast.Attribute):
        target = call.func.value
        return target.value if isinstance(target, ast.Attribute) and target.attr == "data" else target
    return call.args[0] if call.args else None


def kind_of(module: Module, tensor: ast.expr) -> str:
    """`weight`, `bias`, or "" for a name that says neither (a loop over parameters)."""
    text = module.segment(tensor).removesuffix(".data")
    leaf = text.rpartition(".")[2].partition("[")[0]
    return "weight" if "weight" in leaf else "bias" if "bias" in leaf else ""


def of_norm(module: Module, call: ast.Call) -> bool:
    """Whether an initialiser stands under a condition on norm layers, whose weights start at one."""
    current = module.parents.get(call)
    inner: ast.AST = call
    while current is not None:
        if isinstance(current, ast.If) and inner in current.body:
            return any(name in module.segment(current.test) for name in NORMS)
        inner, current = current, module.parents.get(current)
    return False


def namespace(module: Module, call: ast.Call) -> str:
    """How this file writes torch.nn.init."""
    dotted = module.dotted(call.func)
    if dotted.startswith("torch.nn.init.") and isinstance(call.func, ast.Attribute):
        return module.segment(call.func.value)
    return reach(module, "init")


def random_again(source: Source, module: Module, call: ast.Call) -> list[Edit]:
    """The initialisers of weights like the one at `call`, each replaced by one to scale; biases by zeros.

    The others of the same name in the same block or function are meant alike.
    """
    around = function_of(module, call)
    home = module.dotted(call.func).rpartition(".")[2]
    same = [
        each
        for each in _initialisers(module, (home,))
        if function_of(module, each) is around and _alike(module, each, call)
    ]
    edits = []
    for each in same or [call]:
        tensor = initialised(module, each)
        if tensor is not None and not of_norm(module, each):
            edits += _redrawn(source, module, each, tensor)
    return edits


def _alike(module: Module, each: ast.Call, call: ast.Call) -> bool:
    """The same kind of tensor, with the same arguments."""
    tensor, other = initialised(module, each), initialised(module, call)
    if tensor is None or other is None:
        return False
    methods = module.dotted(call.func).startswith("?")
    rest, mine = (
        [module.segment(part) for part in (one.args if methods else one.args[1:])]
        + [module.segment(part.value) for part in one.keywords]
        for one in (call, each)
    )
    return each is call or (kind_of(module, tensor) == kind_of(module, other) and rest == mine)


def _redrawn(source: Source, module: Module, call: ast.Call, tensor: ast.expr) -> list[Edit]:
    prefix, text = namespace(module, call), module.segment(tensor)
    kind = kind_of(module, tensor)
    home = statement_of(module, call)
    value = isinstance(home, ast.Expr) and home.value is call  # nobody uses what it returns
    if kind == "bias":
        return [module.replace(call, f"{prefix}.zeros_({text})")] if value else []
    new = f"{prefix}.{scheme(source, text)}({text})"
    if not kind and _is_parameter_of_all(module, tensor):
        if not value:
            return []
        new = f"{new} if {text}.dim() > 1 else {prefix}.zeros_({text})"
    return [module.replace(call, new)]


def _is_parameter_of_all(module: Module, tensor: ast.expr) -> bool:
    """Whether a name runs over parameters(), so that it may stand for a bias."""
    loop = module.enclosing(tensor, ast.For)
    while isinstance(loop, ast.For):
        if module.segment(tensor) in {
            module.segment(part) for part in ast.walk(loop.target) if isinstance(part, ast.Name)
        }:
            return "parameters" in module.segment(loop.iter)
        loop = module.enclosing(loop, ast.For)
    return False


def scheme(source: Source, text: str = "") -> str:
    """The initialiser that keeps the signal's size: orthogonal for recurrent weights, He for ReLU, else Xavier."""
    if "weight_hh" in text or "_hh" in text.rpartition(".")[2]:
        return "orthogonal_"
    return "kaiming_uniform_" if rectifies(source) else "xavier_uniform_"


def rectifies(source: Source) -> bool:
    """Whether the hidden activations are of the ReLU family rather than sigmoid or tanh."""
    counts = {True: 0, False: 0}
    for module in source:
        for node in ast.walk(module.tree):
            if isinstance(node, (ast.Name, ast.Attribute)):
                leaf = module.dotted(node).rpartition(".")[2]
                if leaf in RECTIFIERS or leaf in SQUASHING:
                    counts[leaf in RECTIFIERS] += 1
    return counts[True] >= counts[False] and counts[True] > 0


DROPPED = ("requires_grad", "fill_value", "size")


def drawn_tensors(source: Source, creators: tuple[str, ...]) -> list[Edit]:
    """Trained matrices made by `torch.zeros(a, b)` and the like: drawn at random, over the root of their fan-in."""
    return [
        module.replace(_scaling(module, call), _drawn(module, call, _sizes(module, call)))
        for module, call in trained_draws(source, creators)
    ]


def trained_draws(source: Source, creators: tuple[str, ...]) -> Iterator[tuple[Module, ast.Call]]:
    """The calls `torch.randn(a, b)` and the like that make a trained matrix."""
    for module in source:
        for call in module.calls(*(f"torch.{name}" for name in creators)):
            if len(_sizes(module, call)) == 2 and _is_trained(module, call):
                yield module, call


def _sizes(module: Module, call: ast.Call) -> list[ast.expr]:
    first = call.args[0] if call.args else None
    if isinstance(first, (ast.Tuple, ast.List)):
        return list(first.elts)
    return [] if module.dotted(call.func) == "torch.full" else list(call.args)


def _is_trained(module: Module, call: ast.Call) -> bool:
    """Whether a tensor requires grad where it is made: by keyword, by method, as nn.Parameter."""
    if any(each.arg == "requires_grad" for each in call.keywords):
        return True
    current: ast.AST = call
    while isinstance(current, ast.expr):
        outer = module.parents[current]
        if isinstance(outer, ast.Attribute) and outer.attr == "requires_grad_":
            return True
        if isinstance(outer, ast.Call) and module.dotted(outer.func).endswith("Parameter"):
            return True
        current = outer
    return _required_later(module, current)


def _required_later(module: Module, statement: ast.AST) -> bool:
    """`w.requires_grad_()` or `w.requires_grad = True` behind the statement that makes w."""
    if not isinstance(statement, ast.Assign):
        return False
    name = module.segment(statement.targets[0])
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in ("requires_grad_", "requires_grad")
        and module.segment(node.value) == name
        for node in ast.walk(module.tree)
    )


def _drawn(module: Module, call: ast.Call, sizes: list[ast.expr]) -> str:
    dims = [module.segment(size) for size in sizes]
    size = sizes[1] if _is_transposed(module, call) else sizes[0]
    fan = (
        module.segment(size)
        if isinstance(size, (ast.Name, ast.Attribute, ast.Constant))
        else f"({module.segment(size)})"
    )
    grad = any(each.arg == "requires_grad" for each in call.keywords)
    torch = module.segment(call.func).rpartition(".")[0]
    keep = [f"{each.arg}={module.segment(each.value)}" for each in call.keywords if each.arg not in DROPPED]
    drawn = f"{torch + '.' if torch else 'torch.'}randn({', '.join([*dims, *keep])}) / {fan} ** 0.5"
    outer = module.parents.get(_scaling(module, call))
    bare = isinstance(outer, (ast.Assign, ast.keyword, ast.Call))
    return f"({drawn}).requires_grad_()" if grad else drawn if bare else f"({drawn})"


def shifted_biases(source: Source) -> list[Edit]:
    """Statements that move the biases of a layer (`layer.bias.data -= 5`, `layer.bias.data = ...`): dropped."""
    edits = []
    for module in source:
        for node in ast.walk(module.tree):
            if not isinstance(node, (ast.Assign, ast.AugAssign)):
                continue
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            text = module.segment(target).removesuffix(".data")
            base = target.value if isinstance(target, ast.Subscript) else None
            text = module.segment(base).removesuffix(".data") if base is not None else text
            shifts = isinstance(node, ast.AugAssign) or ".data" in module.segment(target)
            if text.endswith(".bias") and shifts:
                edits.append(module.delete(node))
    return edits


def _scaling(module: Module, call: ast.Call) -> ast.expr:
    """`torch.randn(a, b) * 5`: the product, whose factor goes as well."""
    outer = module.parents.get(call)
    product = isinstance(outer, ast.BinOp) and isinstance(outer.op, (ast.Mult, ast.Div))
    return outer if product and isinstance(outer, ast.BinOp) else call


def _is_transposed(module: Module, call: ast.Call) -> bool:
    """Whether a weight is (out, in), as F.linear takes it; else (in, out), as `x @ w` does."""
    statement = statement_of(module, call)
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    leaf = target.attr if isinstance(target, ast.Attribute) else target.id if isinstance(target, ast.Name) else ""
    used: list[ast.expr] = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and module.dotted(node.func).endswith("functional.linear"):
            used += node.args[1:2]
        elif isinstance(node, ast.Attribute) and node.attr in ("T", "t", "mT"):
            used.append(node.value)
    return bool(leaf) and any(module.segment(each).rpartition(".")[2] == leaf for each in used)


def draw_before(module: Module, statement: ast.stmt, model: str, rectified: bool) -> list[Edit]:
    """A loop in front of a statement that draws the weights of a whole model to scale."""
    prefix = reach(module, "init")
    kinds = ", ".join(reach(module, kind) for kind in WEIGHTED)
    call = 'kaiming_normal_(layer.weight, nonlinearity="relu")' if rectified else "xavier_normal_(layer.weight)"
    indent = module.indent(statement.lineno)
    lines = [
        f"for layer in {model}.modules():",
        f"{indent}    if isinstance(layer, ({kinds})):",
        f"{indent}        {prefix}.{call}",
    ]
    if body_of(module, statement)[0] is not statement and module.span(statement)[1] != len(indent):
        return []  # it shares its line with another statement
    return [module.insert_before(statement, "\n".join(lines))]
