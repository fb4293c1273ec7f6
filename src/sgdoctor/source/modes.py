"""Where a script should switch its model between training and evaluation."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .edits import Edit
from .module import Function, Module, Source
from .rates import append_argument
from .training import function_of, method_calls, reach, receiver, statement_of

Place = tuple[str, int]  # file, line
LOOPS = (ast.For, ast.AsyncFor, ast.While)


def model_called(module: Module, line: int) -> str | None:
    """What is called at a line with a batch: `model` of `model(x)`, `self` of `self(x)` and of `self.forward(x)`."""
    calls = [
        node
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and node.lineno <= line <= (node.end_lineno or node.lineno) and node.args
    ]
    calls.sort(key=lambda call: (abs(call.lineno - line), -call.col_offset))
    for call in calls:
        text = module.segment(call.func)
        name = text.removesuffix(".forward")
        plain = "." not in name.removeprefix("self.") and name.replace(".", "").isidentifier()
        foreign = module.dotted(call.func).startswith(("torch", "numpy"))
        local = not text.startswith("self.") and (_is_function(module, name) or name in BUILTINS)
        if plain and not foreign and not local and not _is_loss(module, name):
            return name
    return None


BUILTINS = frozenset(("print", "len", "list", "sum", "zip", "enumerate", "float", "int", "tuple", "range", "next"))


def _is_function(module: Module, name: str) -> bool:
    named = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return any(isinstance(node, named) and node.name == name for node in module.tree.body)


def _is_loss(module: Module, name: str) -> bool:
    """Whether a name is assigned a loss of torch.nn."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            made = module.dotted(node.value.func)
            if made.startswith("torch.nn.") and made.endswith("Loss") and name in map(module.segment, node.targets):
                return True
    return False


def evaluated(source: Source, forward: Place, training: Place | None) -> list[Edit]:
    """eval() in front of an evaluation, train() where training goes on, dropout that follows the mode."""
    module = source.module(forward[0])
    name = model_called(module, forward[1]) if module is not None else None
    fixed = following_dropouts(source)
    if module is None or name is None:
        return fixed
    edits = _late_train(module, forward[1], name)
    if not edits and not switched_above(module, forward[1], name):
        anchor = _anchor(module, forward[1])
        edits = [module.insert_before(anchor, f"{name}.eval()")] if anchor is not None else []
    if not edits:
        return fixed
    if training is not None and not _switches_back(source, module, forward[1], training):
        edits += trained(source, training, [forward])
    return [*edits, *fixed]


def switched_above(module: Module, line: int, name: str) -> bool:
    """Whether eval() of the model stands in the function, above the line."""
    scope = module.function_at(line) or module.tree
    return any(receiver(module, call) == name and call.lineno < line for call in method_calls(module, scope, "eval"))


def _late_train(module: Module, line: int, name: str) -> list[Edit]:
    """A train() between eval() and the evaluation: dropped."""
    if not switched_above(module, line, name):
        return []
    scope = module.function_at(line) or module.tree
    last = max(c.lineno for c in method_calls(module, scope, "eval") if receiver(module, c) == name and c.lineno < line)
    late = [
        statement_of(module, call)
        for call in method_calls(module, scope, "train")
        if receiver(module, call) == name and last < call.lineno < line and not call.args
    ]
    return [module.delete(each) for each in late if isinstance(each, ast.Expr)]


def _anchor(module: Module, line: int) -> ast.stmt | None:
    """The statement in front of which an evaluation is switched: its no_grad block, else its loop, else itself."""
    statement = module.statement_at(line)
    function = module.function_at(line)
    current, found = statement, statement
    training = {id(node) for loop in _training_loops(module) for node in [loop]}
    while current is not None:
        outer = module.parents.get(current)
        if outer is function or isinstance(outer, ast.Module) or id(outer) in training:
            break
        if not isinstance(outer, ast.stmt):
            outer = module.enclosing(current, ast.stmt) if outer is not None else None
        if not isinstance(outer, ast.stmt):
            break
        if isinstance(outer, (*LOOPS, ast.With)):
            found = outer
        current = outer
    return found


def _training_loops(module: Module) -> list[ast.AST]:
    """Loops around a backward."""
    loops: list[ast.AST] = []
    for call in method_calls(module, module.tree, "backward"):
        current = module.enclosing(call, *LOOPS)
        while current is not None:
            loops.append(current)
            current = module.enclosing(current, *LOOPS)
    return loops


def _switches_back(source: Source, module: Module, line: int, training: Place) -> bool:
    """Whether train() is called again and again: in a loop, or in a function other than the evaluation's own."""
    evaluation = module.function_at(line)
    for other in source:
        for call in method_calls(other, other.tree, "train"):
            off = call.args and isinstance(call.args[0], ast.Constant) and not call.args[0].value
            home = function_of(other, call)
            looped = other.enclosing(call, *LOOPS) is not None
            trains = home is not None and (other.file, home) == (training[0], other.function_at(training[1]))
            after = home is not None and home is evaluation and call.lineno > line
            if not off and (looped or after or (trains and _is_called_in_loop(source, home))):
                return True
    return False


def _is_called_in_loop(source: Source, function: Function | None) -> bool:
    for module in source:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and function is not None:
                named = module.dotted(node.func).rpartition(".")[2] == function.name
                if named and module.enclosing(node, *LOOPS) is not None:
                    return True
    return False


def trained(source: Source, forward: Place, evaluations: list[Place]) -> list[Edit]:
    """train() in front of the loop over batches, or at the head of its body where an evaluation is part of that."""
    module = source.module(forward[0])
    name = model_called(module, forward[1]) if module is not None else None
    statement = module.statement_at(forward[1]) if module is not None else None
    if module is None or name is None or statement is None:
        return []
    text = f"{name}.train()"
    loop = module.enclosing(statement, *LOOPS)
    function = module.function_at(forward[1])
    if not isinstance(loop, LOOPS) or function_of(module, loop) is not function:
        first = _first_in(function) if function is not None else statement
        return [module.insert_before(first, text)]
    if any(_is_within(source, module, loop, place) for place in evaluations):
        inner = next(each for each in loop.body if each.lineno <= forward[1] <= (each.end_lineno or each.lineno))
        return [module.insert_before(inner, text)]
    return [module.insert_before(loop, text)]


def uncalled(source: Source) -> Iterator[tuple[Module, ast.Expr]]:
    """`model.train` as a statement of its own: the brackets are missing."""
    for module in source:
        for statement in module.of_kind(ast.Expr):
            if isinstance(statement.value, ast.Attribute) and statement.value.attr == "train":
                yield module, statement


def _first_in(function: Function) -> ast.stmt:
    """The first statement of a function behind its docstring."""
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(function.body) > 1
    return function.body[1] if documented else first


def _is_within(source: Source, module: Module, loop: ast.AST, place: Place) -> bool:
    """Whether a place stands in a loop, or in a function that is called there."""
    at = source.module(place[0])
    if at is module and getattr(loop, "lineno", 0) <= place[1] <= (getattr(loop, "end_lineno", 0) or 0):
        return True
    function = at.function_at(place[1]) if at is not None else None
    calls = (node for node in ast.walk(loop) if isinstance(node, ast.Call))
    return function is not None and any(module.dotted(c.func).rpartition(".")[2] == function.name for c in calls)


def deaf_dropouts(source: Source) -> Iterator[tuple[Module, ast.Call]]:
    """Dropout that ignores the mode: F.dropout(x) without `training`, nn.Dropout(p)(x) made in forward."""
    for module in source:
        for call in module.calls("torch.nn.functional.dropout", "torch.nn.functional.alpha_dropout"):
            given = len(call.args) > 2 or any(each.arg in ("training", None) for each in call.keywords)
            if not given and _in_method(module, call):
                yield module, call
        for made in module.calls("torch.nn.Dropout"):
            outer = module.parents.get(made)
            if isinstance(outer, ast.Call) and outer.func is made and len(outer.args) == 1 and _in_method(module, made):
                yield module, outer


def following_dropouts(source: Source) -> list[Edit]:
    """Dropout that ignores the mode, made to follow it."""
    edits = []
    for module, call in deaf_dropouts(source):
        made = call.func
        if not isinstance(made, ast.Call):
            edits.append(append_argument(module, call, "training=self.training"))
            continue
        rate = [module.segment(part) for part in [*made.args[:1], *(k.value for k in made.keywords if k.arg == "p")]]
        parts = [module.segment(call.args[0]), *rate[:1], "training=self.training"]
        edits.append(module.replace(call, f"{reach(module, 'functional')}.dropout({', '.join(parts)})"))
    return edits


def _in_method(module: Module, node: ast.AST) -> bool:
    function = function_of(module, node)
    return function is not None and isinstance(module.parents.get(function), ast.ClassDef)
