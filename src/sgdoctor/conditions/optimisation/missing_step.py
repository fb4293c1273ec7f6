"""The optimizer never steps, so the weights never change.

## What happens
Forward and backward run, gradients are there, and no `optimizer.step()` follows: forgotten, behind a condition that is
never true, on another optimizer object, called on the scheduler only, or skipped by a GradScaler at every step because
the scaled gradients keep overflowing. Weights are bit-identical from first to last; the printed loss still wanders with
the batches and dropout, and can drift, since batch norm goes on updating its running statistics in train mode. A
checkpoint is written, a schedule runs, the GPU is busy.
A scheduler gives a hint that scrolls past: "Detected call of `lr_scheduler.step()` before `optimizer.step()`".

## How it is told apart
Decided on the loop signature (backward without a step before the next backward or zero_grad), on weights bit-identical
over the run while gradients are non-zero, and on the scaler's found_inf and scale where there is one.
- `misplaced-zero-grad`: step is called, on cleared gradients. `detached-loss`, `frozen-parameters`: no gradients.
- `parameters-not-in-optimizer`: step runs and moves other parameters, or only some of these.
- `scheduler-kills-lr`, `lr-too-low`: step runs with an lr of zero, or too small to see; the lr trace shows it.
- `nonfinite-loss`, `mixed-precision-misuse`: why a scaler skips; they lead if every step is skipped.
Not this: accumulation windows, evaluation passes, gradients taken for saliency, adversarial examples or penalties,
manual updates under no_grad, LBFGS (several backwards a step), optimizers stepped in backward hooks, and a GradScaler
that skips its first few steps while its scale comes down from 65536.

## Remedy
Call it once per batch, after backward and before the scheduler.

    loss.backward()
    optimizer.step()                                 # AMP: scaler.step(optimizer); scaler.update()
    scheduler.step()

To see whether a scaler really stepped: it halves its scale in `update()` when it skipped. If it skips for ever, look
for the first non-finite gradient instead of changing the scaler.

## Sources
- learn2refocus issue 5, https://github.com/tedlasai/learn2refocus/issues/5
  [backward, scheduler step and zero_grad in place, the optimizer's step missing; confirmed]
- pytorch issue 67590, https://github.com/pytorch/pytorch/issues/67590 [GradScaler skips the step without telling]
- PyTorch, Automatic mixed precision examples, https://docs.pytorch.org/docs/stable/notes/amp_examples.html
  [scaler.step skips if gradients hold inf or NaN]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import numpy as np

from ...record import Record, Site
from ...record.record import Objective
from ...source import Module, Source
from ...source.program import Event
from ...source.program.kinds import applied, inner, is_cut, is_optimizer, is_scheduler, modules_of, within
from ...source.program.queries import backward_of, called, entries, owner_of
from ...source.program.training import is_handed_on
from ...source.program.values import Attr, Call
from ...source.training import cleared_name, function_of, last_on_gradients, method_calls, name_at, receiver
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import optimizers_of, site_at, site_of_event
from .missing_zero_grad import Backward

STILL = 1e-7  # relative change of a weight's norm that float32 rounding alone can make


def in_run(
    record: Record,
    source: Source,
    *,
    min_backwards: int = 5,  # fewer may be a warm-up pass or a check of gradients before the real loop
) -> Answer:
    """Gradients are computed for parameters that an optimizer holds, and it never steps."""
    if not record.optimizers:
        yield NotEvaluated("no optimizer was seen")
        return
    for optimizer in record.optimizers:
        if optimizer.steps or not optimizer.parameters:
            continue
        backwards = [o for o in record.objectives if optimizer in optimizers_of(record, o)]
        count = sum(objective.count - _began(objective, optimizer.parameters) for objective in backwards)
        if count < min_backwards or not _still(record, backwards, optimizer.parameters):
            continue
        if any(other.steps and other.parameters & optimizer.parameters for other in record.optimizers):
            continue
        backward = backwards[0].site
        yield Finding(
            _uncalled(source)
            or _unstepped(source, backward)
            or _unreached(source, backward, optimizer.site)
            or backward,
            (
                Evidence(
                    f"{count} backward passes reached the {len(optimizer.parameters)} parameters of this "
                    f"{optimizer.kind}, and its step() was never called: no weight has changed",
                    "optimizers",
                    0.0,
                    float(count),
                ),
            ),
            0.97,
            subject=Backward(backward, optimizer.site),
        )


def _began(objective: Objective, held: set[int]) -> int:
    """Backward passes that went before the first which reached these parameters: those of an earlier model."""
    reached = [row.get("n") for row in objective.graphs if held.intersection(row.get("leaves") or [])]
    return min((n for n in reached if isinstance(n, int)), default=0)


def _still(record: Record, objectives: list[Objective], held: set[int]) -> bool:
    """Whether the norm of every held weight is the same at every sample."""
    for objective in objectives:
        norms: dict[int, list[float]] = {}
        for row in record.rows("gradients", site=objective.number):
            for parameter, weight in zip(row.get("params") or [], row.get("weight") or []):
                if parameter in held and isinstance(weight, (int, float)):
                    norms.setdefault(parameter, []).append(float(weight))
        if any(np.ptp(values) > STILL * max(np.abs(values)) for values in norms.values() if len(values) > 1):
            return False
    return True


def _uncalled(source: Source) -> Site | None:
    """`optimizer.step` as a statement: named, and not called."""
    for module in source:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Attribute) and node.value.attr == "step":
                return site_at(module, node)
    return None


def _unstepped(source: Source, backward: Site | None) -> Site | None:
    """`scaler.update()` behind a backward of `scaler.scale(loss)`: the scaler's step is missing in front of it."""
    module = source.module(backward.file) if backward is not None else None
    statement = module.statement_with(backward.line, "backward") if module and backward is not None else None
    scaler = _scaler(module, statement) if module is not None and statement is not None else None
    if module is None or statement is None or scaler is None:
        return None
    scope = function_of(module, statement) or module.tree
    updates = [each for each in method_calls(module, scope, "update") if receiver(module, each) == scaler]
    return site_at(module, updates[0]) if len(updates) == 1 else None


def _unreached(source: Source, backward: Site | None, built: Site | None) -> Site | None:
    """The condition in front of a step() in the function of the backward: it was never true."""
    module = source.module(backward.file) if backward is not None else None
    statement = module.statement_with(backward.line, "backward") if module and backward is not None else None
    name = name_at(source, built.file, built.line, module, statement) if module and statement and built else None
    scope = function_of(module, statement) if module is not None and statement is not None else None
    if module is None or scope is None or name is None:
        return None
    tests = [module.enclosing(call, ast.If, ast.FunctionDef) for call in method_calls(module, scope, "step")
             if receiver(module, call) == name]  # fmt: skip
    found = tests[0] if len(tests) == 1 else None
    alone = isinstance(found, ast.If) and all(statement is not each for each in ast.walk(found))
    return site_at(module, found) if isinstance(found, ast.If) and alone else None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The missing parentheses, or a step() behind the backward and what follows it on the gradients."""
    site = finding.site
    passed, built = finding.subject if isinstance(finding.subject, Backward) else (site, finding.subject)
    module = source.module(site.file) if site is not None else None
    title = "call optimizer.step() after backward()"
    if module is None or site is None:
        return [Remedy(title, "safe")]
    statement = module.statement_with(site.line, "step")
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Attribute):
        edit = module.replace(statement, module.segment(statement) + "()")
        return [Remedy("call it: step needs its parentheses", "safe", (edit,))]
    if isinstance(module.statement_at(site.line), ast.If):
        return [Remedy("let the condition in front of step() come true", "changes-training")]
    backward = module.statement_with(passed.line, "backward") if isinstance(passed, Site) else None
    if backward is None or not isinstance(built, Site):
        return [Remedy(title, "safe")]
    name = name_at(source, built.file, built.line, module, backward) or cleared_name(module, backward)
    if name is None:
        return [Remedy(title, "safe")]
    behind = last_on_gradients(module, backward)
    scaler = _scaler(module, backward)
    lines = [f"{name}.step()"] if scaler is None else [f"{scaler}.step({name})", f"{scaler}.update()"]
    if scaler is not None and passed != site:  # the update is there
        lines = lines[:1]
    return [Remedy(title, "safe", tuple(module.insert_after(behind, line) for line in lines))]


def _scaler(module: Module, backward: ast.stmt) -> str | None:
    """`scaler` of `scaler.scale(loss).backward()`."""
    calls = method_calls(module, backward, "scale")
    return receiver(module, calls[0]) if calls else None


def in_source(source: Source) -> Iterator[Finding]:
    """A loop computes gradients of a model that an optimizer holds, and nothing in the program ever steps."""
    for module in source:
        for node in module.of_kind(ast.Expr):
            if isinstance(node.value, ast.Attribute) and node.value.attr == "step":
                text = f"{module.segment(node)} is named here and not called: nothing is updated"
                yield Finding(site_at(module, node), (Evidence(text),), 0.99)
                return
    every = entries(source)
    places = [place for entry in every for place in entry.places]
    steps = [place.event for place in places if called(place.event) == "step"]
    if any(not is_scheduler(owner_of(event)) for event in steps) or any(_by_hand(place.event) for place in places):
        return
    for entry in every:
        for place in entry.calls("backward"):
            loss, loop = backward_of(place.event), place.loop
            if loss is None or loop is None:
                continue
            trained = {id(each.fn) for each in applied(loss, stop=is_cut)}
            for made in places:
                optimizer = made.event.result
                if not isinstance(optimizer, Call) or not is_optimizer(optimizer) or loop in made.around:
                    continue
                held = {one for value in optimizer.parts() for each in modules_of(value) for one in inner(each)}
                if not trained & held or any(is_handed_on(each, optimizer) for each in every):
                    continue
                text = f"the optimizer of line {optimizer.line} never steps: backward() fills gradients in vain"
                yield Finding(
                    site_of_event(place.event),
                    (Evidence(text),),
                    0.95,
                    subject=site_of_event(optimizer),
                )
                return


def _by_hand(event: Event) -> bool:
    """Whether it may change weights without an optimizer."""
    if event.name == "add":
        parts = [each for value in (event.fn, *event.args) for each in within(value)]
        return any(isinstance(each, Attr) and each.name in ("data", "grad") for each in parts)
    writes = ("sub_", "add_", "copy_", "addcmul_", "addcdiv_", "mul_", "lerp_", "load_state_dict", "set_")
    return called(event) in writes or (event.name == "set" and event.attribute in ("data", "grad"))


CONDITION = Condition(
    "missing-step",
    "error",
    needs=("optimizers", "gradients"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    structural=True,
)
