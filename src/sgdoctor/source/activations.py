"""The hidden activations of a script: which there are, and the same script with others, residuals or norms."""

from __future__ import annotations

import ast

from .edits import Edit
from .module import CONTAINERS, Module, Source
from .numbers import literals
from .training import function_of, method_calls, reach, statement_of

FUNCTIONS = {
    "sigmoid": ("torch.sigmoid", "torch.nn.functional.sigmoid", "?.sigmoid", "torch.nn.functional.hardsigmoid"),
    "tanh": ("torch.tanh", "torch.nn.functional.tanh", "?.tanh", "torch.nn.functional.softsign"),
    "relu": ("torch.relu", "torch.nn.functional.relu", "?.relu"),
}
LAYERS = {
    "sigmoid": ("torch.nn.Sigmoid", "torch.nn.Hardsigmoid"),
    "tanh": ("torch.nn.Tanh", "torch.nn.Softsign", "torch.nn.Hardtanh"),
    "relu": ("torch.nn.ReLU",),
}
LAYER_OF = {"relu": "ReLU", "leaky_relu": "LeakyReLU"}


def swapped(source: Source, kinds: tuple[str, ...], new: str) -> list[Edit]:
    """Every hidden activation of these kinds replaced by another; those at the output and of gates stay."""
    edits = []
    for module in source:
        for node in ast.walk(module.tree):
            if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
                outer = module.parents.get(node)
                call = outer if isinstance(outer, ast.Call) and outer.func is node else None
                new_text = [] if isinstance(outer, ast.Attribute) else _swap(module, node, call, kinds, new)
                layer = any(module.dotted(node) in LAYERS[kind] for kind in kinds)
                if new_text and not is_output(module, call or node, layer):
                    edits += new_text
            elif isinstance(node, ast.Constant) and node.value in kinds and _names_activation(module, node):
                quote = module.segment(node)[0]
                edits.append(module.replace(node, f"{quote}{new}{quote}"))
    return edits


def _swap(
    module: Module, node: ast.Name | ast.Attribute, call: ast.Call | None, kinds: tuple[str, ...], new: str
) -> list[Edit]:
    dotted = module.dotted(node)
    for kind in kinds:
        if dotted in LAYERS[kind]:
            new = LAYER_OF[new]
            return [
                _leaf(module, node, new)
                if isinstance(node, ast.Attribute)
                else module.replace(node, reach(module, new))
            ]
        if dotted not in FUNCTIONS[kind] or (dotted.startswith("?") and (call is None or call.args)):
            continue  # `?.tanh(x)`: a method of something else that is called alike
        if isinstance(node, ast.Attribute) and (new == "relu" or "functional" in dotted):
            return [_leaf(module, node, new)]
        name = f"{reach(module, 'functional')}.{new}"
        if not dotted.startswith("?") or call is None or not isinstance(node, ast.Attribute):
            return [module.replace(node, name)]
        line, column, *_ = module.span(call)
        behind = Edit(module.file, *module.span(node.value)[2:], *module.span(call)[2:], ")")
        return [Edit(module.file, line, column, line, column, f"{name}("), behind]
    return []


def _leaf(module: Module, node: ast.Attribute, name: str) -> Edit:
    """`nn.Tanh` -> `nn.ReLU`: only the last part, since what stands before may be changed itself."""
    return Edit(module.file, *module.span(node.value)[2:], *module.span(node)[2:], f".{name}")


def _names_activation(module: Module, node: ast.Constant) -> bool:
    """`nonlinearity="tanh"` of a layer, `activation="sigmoid"` of a function of the script's own."""
    outer = module.parents.get(node)
    return isinstance(outer, ast.keyword) and outer.arg in ("nonlinearity", "activation", "act", "act_fn")


def is_output(module: Module, node: ast.AST, layer: bool) -> bool:
    """Whether an activation makes the output or a gate, or is no part of the network: it is then left alone."""
    outer = module.parents.get(node)
    if isinstance(outer, ast.Call) and module.dotted(outer.func).endswith(CONTAINERS[0]):
        return bool(outer.args) and outer.args[-1] is node and not _is_inner(module, outer)
    if layer:
        return False
    if isinstance(outer, ast.Return):
        return _returns_output(module, node)
    return _is_gate(module, node) or not _is_trained(module, node)


def _is_gate(module: Module, node: ast.AST) -> bool:
    """Whether the value is multiplied with another, at once or by its name."""
    outer, function = module.parents.get(node), function_of(module, node)
    if isinstance(outer, ast.BinOp) and isinstance(outer.op, (ast.Mult, ast.Sub)):
        return True
    target = outer.targets[0] if isinstance(outer, ast.Assign) else None
    if not isinstance(target, ast.Name) or function is None:
        return False
    products = (each for each in ast.walk(function) if isinstance(each, ast.BinOp) and isinstance(each.op, ast.Mult))
    sides = {side.id for each in products for side in (each.left, each.right) if isinstance(side, ast.Name)}
    return target.id in sides


def _is_trained(module: Module, node: ast.AST) -> bool:
    """Whether a call stands in a method, in the loop around a backward, or in what that calls: no making of data."""
    function = function_of(module, node)
    owner = module.parents.get(function) if function is not None else None
    if isinstance(owner, ast.ClassDef):
        return not any(getattr(each, "name", "") in ("__getitem__", "__iter__") for each in owner.body)
    loops = [module.enclosing(call, ast.For, ast.While) for call in method_calls(module, module.tree, "backward")]
    for loop in loops:
        for each in ast.walk(loop) if loop is not None else ():
            if each is node or (function and isinstance(each, ast.Call) and module.dotted(each.func) == function.name):
                return True
    return False


def _is_inner(module: Module, call: ast.Call) -> bool:
    """Whether a Sequential is one block of several: part of another container, made in a loop, a function's result."""
    outer = module.enclosing(call, ast.Call, ast.stmt)
    nested = isinstance(outer, ast.Call) and module.dotted(outer.func).endswith((*CONTAINERS, "append"))
    looped = module.enclosing(call, ast.ListComp, ast.GeneratorExp, ast.For) is not None
    statement = statement_of(module, call)
    body = False
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Attribute):
        # `self.body = Sequential(..., Tanh())` in front of `self.head = Linear(...)`
        owner = function_of(module, statement)
        later = [s for s in owner.body if s.lineno > statement.lineno] if owner is not None else []
        made = [s for s in later if isinstance(s, ast.Assign) and isinstance(s.value, ast.Call)]
        body = any(module.dotted(s.value.func).startswith("torch.nn.") for s in made if isinstance(s.value, ast.Call))
    return nested or looped or body or isinstance(statement, ast.Return)


def _returns_output(module: Module, node: ast.AST) -> bool:
    """Whether `return tanh(...)` ends the model rather than a block: its class is the last that the file declares."""
    owner = module.enclosing(node, ast.ClassDef)
    if owner is None:
        return True
    used = [
        each
        for each in ast.walk(module.tree)
        if isinstance(each, ast.Call) and isinstance(owner, ast.ClassDef) and module.dotted(each.func) == owner.name
    ]
    return not any(isinstance(module.enclosing(each, ast.ClassDef), ast.ClassDef) for each in used)


def residual(module: Module, line: int) -> list[Edit]:
    """`x = act(layer(x))` in a loop over layers: `x = x + act(layer(x))`."""
    statement = module.statement_at(line)
    looped = module.enclosing(statement, ast.For) if statement is not None else None
    if not isinstance(statement, ast.Assign) or not isinstance(looped, ast.For):
        return []
    target = statement.targets[0]
    if not isinstance(target, ast.Name) or not isinstance(statement.value, ast.Call):
        return []
    names = [node.id for node in ast.walk(statement.value) if isinstance(node, ast.Name)]
    layer = looped.target.id if isinstance(looped.target, ast.Name) else ""
    if target.id not in names or layer not in names or not _alike(module, looped.iter):
        return []
    return [module.replace(statement.value, f"{target.id} + {module.segment(statement.value)}")]


def _alike(module: Module, layers: ast.expr) -> bool:
    """Whether layers are made by a comprehension in which each is the same: only then may input and output be added."""
    name = module.segment(layers)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Assign) and name in map(module.segment, node.targets):
            for part in ast.walk(node.value):
                if isinstance(part, (ast.ListComp, ast.GeneratorExp)):
                    bound = {each.id for each in ast.walk(part.generators[0].target) if isinstance(each, ast.Name)}
                    return not bound & {each.id for each in ast.walk(part.elt) if isinstance(each, ast.Name)}
    return False


def gated_instead(source: Source) -> list[Edit]:
    """nn.RNN -> nn.GRU and nn.RNNCell -> nn.GRUCell, which return the same; their nonlinearity goes."""
    edits = []
    for module in source:
        for name in ("RNN", "RNNCell"):
            for call in module.calls(f"torch.nn.{name}"):
                new = "GRU" + name.removeprefix("RNN")
                func = call.func
                text = f"{module.segment(func.value)}.{new}" if isinstance(func, ast.Attribute) else reach(module, new)
                edits.append(module.replace(func, text))
                edits += [_without(module, call, each) for each in call.keywords if each.arg == "nonlinearity"]
    return edits


def _without(module: Module, call: ast.Call, keyword: ast.keyword) -> Edit:
    """A call without one of its keywords."""
    parts: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
    index = parts.index(keyword)
    begin = module.span(keyword)  # type: ignore[arg-type]
    if index:
        before = module.span(parts[index - 1])  # type: ignore[arg-type]
        return Edit(module.file, *before[2:], *begin[2:], "")
    if len(parts) > 1:
        return Edit(module.file, *begin[:2], *module.span(parts[1])[:2], "")  # type: ignore[arg-type]
    return Edit(module.file, *begin, "")


def unscaled(source: Source, line: int, file: str) -> list[Edit]:
    """`sigmoid(k * layer(x))` with a large k: k is 1 at the literal it comes from, else the factor goes."""
    module = source.module(file)
    statement = module.statement_at(line) if module is not None else None
    if module is None or statement is None:
        return []
    scaled = [pair for pair in _scaled(module, module.tree) if statement_of(module, pair[0]) is statement]
    if not scaled:
        return []
    factor = scaled[0][1]
    large = [each for each in literals(source, module, factor) if abs(each.value) > 1]
    if large and large[0].node is not factor:
        largest = max(large, key=lambda each: abs(each.value))
        return [largest.module.replace(largest.node, "1.0")]
    alike = module.segment(factor)
    return [
        module.replace(product, module.segment(product.right if side is product.left else product.left))
        for product, side in _scaled(module, module.tree)
        if module.segment(side) == alike
    ]


def _scaled(module: Module, scope: ast.AST) -> list[tuple[ast.BinOp, ast.expr]]:
    """(product, its factor) in front of each sigmoid or tanh."""
    found: list[tuple[ast.BinOp, ast.expr]] = []
    for kind in ("sigmoid", "tanh"):
        for call in module.calls(*FUNCTIONS[kind], *LAYERS[kind], within=scope):
            parts = call.args or ([call.func.value] if isinstance(call.func, ast.Attribute) else [])
            product = parts[0] if parts else None
            if not isinstance(product, ast.BinOp) or not isinstance(product.op, ast.Mult):
                continue
            for side in (product.left, product.right):
                if isinstance(side, (ast.Name, ast.Attribute, ast.Constant)):
                    found.append((product, side))
                    break
    return found
