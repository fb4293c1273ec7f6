"""What kind of number an expression is: one that should rise (accuracy) or one that should fall (a loss)."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from .module import Function, Module, Source
from .numbers import handed

RISING = frozenset(
    (
        "argmax", "topk", "accuracy_score", "balanced_accuracy_score", "f1_score", "roc_auc_score", "r2_score",
        "average_precision_score", "matthews_corrcoef", "precision_score", "recall_score", "accuracy",
    )
)  # fmt: skip
FALLING = frozenset(
    ("mean_squared_error", "mean_absolute_error", "log_loss", "cross_entropy", "kl_div", "binary_cross_entropy",
     "binary_cross_entropy_with_logits", "logsigmoid", "logsumexp")
)  # fmt: skip
MAX_EXPRESSIONS = 60
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Module)


def kind_of(source: Source, module: Module, node: ast.expr) -> str | None:
    """ "rises" or "falls" as training succeeds, by what the expression is computed from; None where both or neither."""
    found: set[str] = set()

    def decided(home: Module, expression: ast.expr) -> bool:
        said = _says(home, expression)
        found.update({said} if said is not None else set())
        return said is not None

    expressions(source, module, node, decided)
    return found.pop() if len(found) == 1 else None


def expressions(
    source: Source, module: Module, node: ast.expr, stop: Callable[[Module, ast.expr], bool] | None = None
) -> list[tuple[Module, ast.expr]]:
    """All that an expression is computed from, by name: assignments, sums, own functions; not beyond `stop`."""
    passed: list[tuple[Module, ast.expr]] = []
    waiting: list[tuple[Module, ast.expr, int | None]] = [(module, node, None)]
    seen: set[tuple[int, int | None]] = set()
    while waiting and len(seen) < MAX_EXPRESSIONS:
        home, expression, position = waiting.pop(0)
        if (id(expression), position) in seen:
            continue
        seen.add((id(expression), position))
        if isinstance(expression, (ast.Tuple, ast.List)) and position is not None:
            waiting += [(home, element, None) for element in expression.elts[position : position + 1]]
            continue
        passed.append((home, expression))
        if stop is None or not stop(home, expression):
            waiting += _origins(source, home, expression, position)
    return passed


def _says(module: Module, expression: ast.expr) -> str | None:
    said = set()
    for node in ast.walk(expression):
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq) for op in node.ops):
            said.add("rises")
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd):
            said.add("rises")  # what two masks have in common
        if isinstance(node, ast.Call):
            dotted = module.dotted(node.func)
            last = dotted.rpartition(".")[2]
            if last in RISING:
                said.add("rises")
            elif last in FALLING or last.endswith("_loss") or (last.endswith("Loss") and dotted.startswith("torch")):
                said.add("falls")
    return said.pop() if len(said) == 1 else None


def _origins(
    source: Source, module: Module, expression: ast.expr, position: int | None
) -> list[tuple[Module, ast.expr, int | None]]:
    """What the names and the own functions in an expression stand for."""
    found: list[tuple[Module, ast.expr, int | None]] = []
    given_away: set[ast.AST] = set()  # what an own function is given counts where, and if, that function uses it
    for node in ast.walk(expression):
        if node in given_away:
            continue
        if isinstance(node, ast.Call):
            function = _function(source, module.dotted(node.func).rpartition(".")[2])
            whole = position if node is expression else None
            for home, value in _returned(*function) if function is not None else ():
                found.append((home, value, whole))
            if function is not None:
                given_away.update(part for given in [*node.args, *node.keywords] for part in ast.walk(given))
        elif isinstance(node, (ast.Name, ast.Attribute)) and not _is_part(module, node):
            found += [(module, value, place) for value, place in _assigned(module, node)]
            found += [(at, value, None) for at, value in _given(source, module, node)]
    return found


def _given(source: Source, module: Module, name: ast.Name | ast.Attribute) -> Iterator[tuple[Module, ast.expr]]:
    """What callers pass for a parameter of the function around a name."""
    function = module.enclosing(name, ast.FunctionDef, ast.AsyncFunctionDef)
    if isinstance(name, ast.Name) and isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
        yield from handed(source, module, function, name.id)


def _is_part(module: Module, node: ast.expr) -> bool:
    """Whether a name is only the beginning of a longer one: `args` of `args.lr`, not `loss` of `loss.item()`."""
    outer = module.parents.get(node)
    called = module.parents.get(outer) if isinstance(outer, ast.Attribute) else None
    return isinstance(outer, ast.Attribute) and not (isinstance(called, ast.Call) and called.func is outer)


def _function(source: Source, name: str) -> tuple[Module, Function] | None:
    for module in source:
        for node in ast.walk(module.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
                return module, node
    return None


def _returned(module: Module, function: Function) -> list[tuple[Module, ast.expr]]:
    return [(module, n.value) for n in ast.walk(function) if isinstance(n, ast.Return) and n.value is not None]


def _assigned(module: Module, name: ast.Name | ast.Attribute) -> list[tuple[ast.expr, int | None]]:
    """Values that are assigned or added to a name in its own scope, with their place where it is one of several."""
    text = module.segment(name)
    scope: ast.AST = module.tree
    if isinstance(name, ast.Name):
        scope = module.enclosing(name, *SCOPES) or module.tree
    found: list[tuple[ast.expr, int | None]] = []
    for node in ast.walk(scope):
        if isinstance(node, ast.AugAssign) and module.segment(node.target) == text:
            found.append((node.value, None))
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, (ast.Tuple, ast.List)):
                    names = [module.segment(element) for element in target.elts]
                    found += [(node.value, names.index(text))] if text in names else []
                elif module.segment(target) == text:
                    found.append((node.value, None))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            appended = node.func.attr == "append" and module.segment(node.func.value) == text
            found += [(node.args[0], None)] if appended else []
    return found
