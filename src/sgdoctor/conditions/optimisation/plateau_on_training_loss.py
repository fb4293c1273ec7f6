"""ReduceLROnPlateau watches the training loss although there is a validation loss, or is fed nothing.

## What happens
The scheduler is to cut the rate when the model stops getting better on data it has not seen. Fed the training loss, it
waits for as long as the model can still memorise: the rate stays high through the whole of the overfitting, and is cut
when it is too late. Fed the loss of the last batch, it acts on noise. Fed nothing, `step()` raises a TypeError about
`metrics`.

## How it is told apart
Decided on the source: what the fed expression is computed from is the value that the script backpropagates, and on the
run: losses without gradient were computed as well, so that a validation exists.
- `wrong-plateau-mode`: the right quantity, the wrong direction. `scheduler-order`: fed every batch.
- `overfitting`: what it makes worse.
Not this: a script without a validation, which has nothing else to feed; a validation loss that is computed by the same
function as the training loss: the call says whether its backward is reached.

## Remedy
Compute the mean loss over the validation set first, and feed that:

    val_loss = evaluate(model, val_loader)
    scheduler.step(val_loss)

## Sources
- PyTorch, ReduceLROnPlateau,
  https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html
  [its example steps on a validation loss, after validate()]
- PyTorch, torch.optim, How to adjust learning rate, https://docs.pytorch.org/docs/stable/optim.html
  [lowering the rate on validation measurements]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...record import Record
from ...record.schedules import Schedule, schedules
from ...source import Edit, Module, Source
from ...source.program.kinds import constructor, loss_of
from ...source.program.queries import entries, owner_of
from ...source.program.tensors import measured
from ...source.program.values import Call
from ...source.quantity import expressions, kind_of
from ...source.rates import append_argument
from ...source.training import body_of, method_calls
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_of_event

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Module)


def in_run(
    record: Record,
    source: Source,
    *,
    min_fed: int = 3,  # calls: fewer are a trial
) -> Answer:
    """The fed value is the one that is backpropagated, and a validation exists."""
    unfed = _unfed(record)
    if unfed is not None:
        yield unfed
        return
    found = [schedule for schedule in schedules(record) if schedule.plateau]
    if not found:
        yield NotEvaluated("no ReduceLROnPlateau was seen")
        return
    validated = record.rows("loss", grad=False)
    for schedule in found:
        if not validated or schedule.steps < min_fed or not _fed_training_loss(source, schedule):
            continue
        text = (
            f"{schedule.kind} was fed the loss that is backpropagated, {schedule.steps} times, while the script "
            "computes a validation loss as well: the rate follows what the model memorises"
        )
        yield Finding(schedule.step_site, (Evidence(text, "schedules", float(schedule.steps)),), 0.88)
        return


def _unfed(record: Record) -> Finding | None:
    error = record.exception or {}
    text = str(error.get("text", ""))
    if error.get("type") != "TypeError" or "ReduceLROnPlateau.step()" not in text or "metrics" not in text:
        return None
    frames = error.get("frames") or [None]
    evidence = (Evidence("ReduceLROnPlateau.step() was called without the value that it is to watch", "exception"),)
    return Finding(record.site(frames[-1]), evidence, 0.97, severity="error")


def _fed_training_loss(source: Source, schedule: Schedule) -> bool:
    site = schedule.step_site
    module = source.module(site.file) if site is not None else None
    if module is None or site is None:
        return False
    for call in module.calls("?.step"):
        if not call.lineno <= site.line <= (call.end_lineno or call.lineno) or not (call.args or call.keywords):
            continue
        fed = call.args[0] if call.args else call.keywords[0].value
        passed = expressions(source, module, fed)
        trained = any(_is_trained(source, home, part, passed) for home, part in passed)
        return trained and not any(_is_free(h, p) for h, p in passed)
    return False


def _is_trained(source: Source, module: Module, expression: ast.expr, passed: list[tuple[Module, ast.expr]]) -> bool:
    """Whether a name in an expression is backpropagated in its own function, as it was called for the fed value."""
    scope = module.enclosing(expression, *SCOPES) or module.tree
    names = {
        node.id
        for call in module.calls("?.backward", within=scope)
        for node in ast.walk(call.func)
        if isinstance(node, ast.Name) and module.enclosing(call, *SCOPES) is scope and _reached(module, call, passed)
    }
    return bool(names & {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)})


def _reached(module: Module, backward: ast.Call, passed: list[tuple[Module, ast.expr]]) -> bool:
    """Whether the tests around a backward hold: one function may serve training and validation."""
    function = module.enclosing(backward, ast.FunctionDef, ast.AsyncFunctionDef)
    named = function.name if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) else ""
    calls = [
        node
        for home, part in passed
        for node in ast.walk(part)
        if isinstance(node, ast.Call) and home.dotted(node.func).rpartition(".")[2] == named
    ]
    child: ast.AST = backward
    while child in module.parents and child is not function:
        parent = module.parents[child]
        if isinstance(parent, ast.If) and child is not parent.test:
            wanted = child in parent.body
            given = [_handed(function, call) for call in calls]
            if not given or any(_holds(parent.test, values) is not wanted for values in given):
                return False
        child = parent
    return True


def _handed(function: ast.AST | None, call: ast.Call) -> dict[str, ast.expr]:
    """The arguments of a call by parameter, defaults where it leaves them out."""
    if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return {}
    names = [each.arg for each in [*function.args.posonlyargs, *function.args.args]]
    values = dict(zip(reversed(names), reversed(function.args.defaults)))
    values |= {
        each.arg: default for each, default in zip(function.args.kwonlyargs, function.args.kw_defaults) if default
    }
    values |= dict(zip(names[names[:1] == ["self"] :], call.args))
    return values | {each.arg: each.value for each in call.keywords if each.arg}


def _holds(test: ast.expr, values: dict[str, ast.expr]) -> bool | None:
    """Whether a test of parameters holds, None where that is not to be seen."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = _holds(test.operand, values)
        return None if inner is None else not inner
    if isinstance(test, ast.Name) and test.id in values:
        given = values[test.id]
        return bool(given.value) if isinstance(given, ast.Constant) else True
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.left, ast.Name):
        return None
    passed, other, op = values.get(test.left.id), test.comparators[0], test.ops[0]
    if passed is None or not isinstance(other, ast.Constant):
        return None
    if other.value is None or isinstance(passed, ast.Constant):
        same = isinstance(passed, ast.Constant) and passed.value == other.value
        return (
            same if isinstance(op, (ast.Is, ast.Eq)) else not same if isinstance(op, (ast.IsNot, ast.NotEq)) else None
        )
    return None


def _is_free(module: Module, expression: ast.expr) -> bool:
    """Whether an expression is evaluated where autograd is off: part of a validation."""
    around = module.enclosing(expression, ast.With)
    function = module.enclosing(expression, ast.FunctionDef)
    texts = [module.segment(item.context_expr) for item in around.items] if isinstance(around, ast.With) else []
    texts += (
        [module.segment(entry) for entry in function.decorator_list] if isinstance(function, ast.FunctionDef) else []
    )
    return any("no_grad" in text or "inference_mode" in text for text in texts)


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The validation loss instead."""
    title = "feed the scheduler a mean over the validation set, computed before it"
    site = finding.site
    module = source.module(site.file) if site is not None else None
    statement = module.statement_with(site.line, "step") if module is not None and site is not None else None
    calls = method_calls(module, statement, "step") if module is not None and statement is not None else []
    if module is None or len(calls) != 1 or len(calls[0].args) + len(calls[0].keywords) > 1:
        return [Remedy(title, "changes-training")]
    return [Remedy(title, "changes-training", tuple(_fed(source, module, calls[0])))]


def _fed(source: Source, module: Module, call: ast.Call) -> list[Edit]:
    """A step that is given the loss which its loop computes with autograd off; behind it, where it comes later."""
    statement = module.enclosing(call, ast.stmt)
    if not isinstance(statement, ast.Expr):
        return []
    body = body_of(module, statement)
    place = body.index(statement)
    for statements, later in ((body[:place], False), (body[place + 1 :], True)):
        for each in reversed(statements):
            name = next((name for name in _assigned(each) if _is_validation(source, module, name)), None)
            if name is None:
                continue
            text = module.segment(name)
            given = call.args[0] if call.args else call.keywords[0].value if call.keywords else None
            if later:
                wording = f"{module.segment(call.func)}({text})"
                return [module.delete(statement), module.insert_after(each, wording)]
            fed = module.replace(given, text) if given is not None else append_argument(module, call, text)
            return [fed]
    return []


def _assigned(statement: ast.stmt) -> Iterator[ast.Name]:
    """Names that a statement surely gives a value, in its loops and `with` as well."""
    if isinstance(statement, (ast.Assign, ast.AugAssign)):
        for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
            yield from (node for node in ast.walk(target) if isinstance(node, ast.Name) and node.id != "_")
    elif isinstance(statement, (ast.For, ast.With)):
        for inner in statement.body:
            yield from _assigned(inner)


def _is_validation(source: Source, module: Module, name: ast.Name) -> bool:
    """Whether it is a loss, and computed where autograd is off."""
    passed = expressions(source, module, name)
    free = any(_is_free(home, part) for home, part in passed[1:])
    trained = any(_is_trained(source, home, part, passed) for home, part in passed)
    return free and not trained and kind_of(source, module, name) == "falls"


def in_source(source: Source) -> Iterator[Finding]:
    """It is fed the loss of training, and the same loop computes a loss without gradients."""
    for entry in entries(source):
        for place in entry.calls("step"):
            schedule, loop = owner_of(place.event), place.loop
            if not constructor(schedule).endswith(".ReduceLROnPlateau") or loop is None or not place.event.args:
                continue
            fed = [each for each in measured(place.event.args[0]) if loss_of(each)]
            held_out = [
                p.event.result
                for p in entry.places
                if loop in p.around and p.event.name == "call" and p.event.grad is False and loss_of(p.event.result)
            ]
            if fed and held_out and all(isinstance(each, Call) and each.grad for each in fed):
                text = "fed the loss of training, though a loss is computed without gradients in the same loop"
                yield Finding(site_of_event(place.event), (Evidence(text),), 0.92)


CONDITION = Condition(
    "plateau-on-training-loss",
    "warning",
    needs=("schedules", "exception", "loss_calls", "loss_values"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
)
