"""Gradients are cleared between backward and step, so no update ever happens.

## What happens
`loss.backward(); optimizer.zero_grad(); optimizer.step()` throws away each gradient just before it is used. Since
`zero_grad` sets gradients to None (the default from PyTorch 2.0), the optimizer skips every parameter: weights stay
bit-identical, optimizer state stays empty, weight decay does nothing. With `set_to_none=False` the step runs on zeros:
plain SGD and Adam still do not move, but weight decay alone now shrinks the weights (AdamW 2 % and SGD with decay 0.1
18 % in 20 steps at lr 0.1). The loss wanders with the batches around its first value (ln K, Var(y)), no call is missing
from the loop, nothing raises, and no scheduler warns, because step is called.
In an accumulation loop it takes the form of a `zero_grad` inside every micro-batch: only the last one then counts.

## How it is told apart
Decided on the loop signature, backward then zero_grad then step without a backward in between, and on gradients None or
all zero when step is entered although backward had filled them; weights unchanged over all steps.
- `missing-step`: gradients are there, nobody steps. `missing-zero-grad`: the opposite.
- `detached-loss`, `frozen-parameters`, `unused-parameters`: backward never filled the gradients.
- `parameters-not-in-optimizer`: step has other parameters than those that hold gradients.
- `broken-accumulation`: the step does see a gradient, that of the last micro-batch only.
Not this: zero_grad before the forward, before backward or after step, all equivalent; a second optimizer's zero_grad
between the first one's backward and step, over other parameters (GANs); `zero_grad` in a closure before its backward.

## Remedy
Move the call: any place after step and before the next backward will do.

    optimizer.zero_grad()                            # moved up from between backward and step
    loss.backward()
    optimizer.step()

With accumulation put it beside the step, under the same `if`. Two optimizers over shared parameters: clear before each
backward, not between a backward and its step.

## Sources
- PyTorch, Optimizer.zero_grad, https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html
  [None by default; a parameter whose gradient is None is skipped, one with 0 is stepped]
- PyTorch forum, What does the backward() function do?,
  https://discuss.pytorch.org/t/what-does-the-backward-function-do/9944/2 [what each call does to .grad]
- PreDiff issue 32, https://github.com/gaozhihan/PreDiff/issues/32
  [zero_grad outside the `if` erased the accumulated gradients; fixed]
- Pytorch-UNet issue 378, https://github.com/milesial/Pytorch-UNet/issues/378 [placements that are equivalent]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import numpy as np

from ...record import Record, Site
from ...record.loop import lines_of
from ...record.record import Optimizer, numbers
from ...source import Module, Source
from ...source.program import Event
from ...source.program.queries import Entry, Place, called, entries, stepped
from ...source.program.training import before, events_in, is_handed_on, is_of, rounds, works_on_gradients
from ...source.program.values import Call
from ...source.training import (
    body_of,
    first_backward,
    function_of,
    gradients_in,
    is_repeated,
    shared_block,
    step_calls,
    wording,
)
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import optimizers_of, site_at, site_of_event
from .missing_zero_grad import zero_edits


def in_run(
    record: Record,
    source: Source,
    *,
    min_share: float = 0.5,  # of steps; clinic: 0 in every healthy run, 1 in every faulty one
    min_steps: int = 3,  # one such step may be a skipped batch
) -> Answer:
    """Gradients are cleared between backward and step."""
    if not record.optimizers:
        yield NotEvaluated("no optimizer was seen")
        return
    for optimizer in record.optimizers:
        cleared = int(optimizer.counters.get("cleared") or 0)
        if cleared < min_steps or cleared < min_share * optimizer.steps:
            found = _by_hand(record, source, optimizer, min_steps)
            if found is not None:
                yield found
            continue
        site = record.site(optimizer.counters.get("clear_site"))
        backward = next((o.site for o in record.objectives if optimizer in optimizers_of(record, o)), None)
        yield Finding(
            site or backward,
            (
                Evidence(
                    f"at {cleared} of {optimizer.steps} steps the gradients had been cleared after backward(): "
                    "the step found nothing to apply",
                    "optimizers",
                    cleared / max(1, optimizer.steps),
                    0.0,
                ),
            ),
            0.98,
            subject=(backward, optimizer.site),
        )


def _by_hand(record: Record, source: Source, optimizer: Optimizer, min_steps: int) -> Finding | None:
    """Gradients that backward filled are zero, or gone, at every step looked at, and the script clears them itself."""
    found = [numbers(row.get("grad")) for row in optimizer.updates]
    if len(found) < min_steps or any(np.nansum(column) != 0 or np.isinf(column).any() for column in found):
        return None
    given = 0
    for row in record.rows("gradients"):
        norms = dict(zip(row.get("params") or [], numbers(row.get("grad"))))
        given += any(norms[each] > 0 for each in optimizer.parameters & norms.keys())
    site = _cleared_by_hand(record, source, optimizer) if given >= min_steps else None
    if site is None:
        return None
    backward = next((o.site for o in record.objectives if optimizer in optimizers_of(record, o)), None)
    text = (
        f"backward() left gradients, and at all {len(found)} sampled steps of {optimizer.steps} they were zero or gone "
        "again: the step found nothing to apply"
    )
    return Finding(site, (Evidence(text, "updates", 0.0, 1.0),), 0.95, subject=(backward, optimizer.site))


def _cleared_by_hand(record: Record, source: Source, optimizer: Optimizer) -> Site | None:
    """`p.grad.zero_()` or `p.grad = None` in a function that steps the optimizer, in front of the step."""
    steps = [site for site, _ in lines_of(record, "S", optimizer.number)]
    for module in source:
        lines = [site.line for site in steps if source.module(site.file) is module]
        for statement in ast.walk(module.tree):
            if (
                not isinstance(statement, ast.stmt)
                or not _clears(module, statement)
                or not any(line > statement.lineno for line in lines)
            ):
                continue
            if any(module.function_at(line) is function_of(module, statement) for line in lines):
                return site_at(module, statement)
    return None


def _clears(module: Module, statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Assign):
        nothing = isinstance(statement.value, ast.Constant) and statement.value.value is None
        return nothing and any(part in gradients_in(statement) for part in statement.targets)
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return False
    call = module.dotted(statement.value.func).rpartition(".")[2]
    return call == "zero_" and bool(gradients_in(statement.value.func))


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The same line, moved in front of the backward; behind the step where only that is beside it."""
    site = finding.site
    backward, built = finding.subject if isinstance(finding.subject, tuple) else (None, None)
    module = source.module(site.file) if site is not None else None
    title = "move zero_grad() in front of backward()"
    if module is None or site is None or not isinstance(backward, Site):
        return [Remedy(title, "safe")]
    statement = module.statement_at(site.line)
    if statement is not None and _clears(module, statement):
        # Not moved as it is: in front of the first backward there is no gradient to set to zero.
        by_hand = _whole(module, statement) or statement
        added = zero_edits(source, module, backward, built) if isinstance(built, Site) else ()
        return [Remedy(title, "safe", (module.delete(by_hand), *added) if added else ())]
    moved = _whole(module, module.statement_with(site.line, "zero_grad"))
    if moved is None:
        return [Remedy(title, "safe")]
    behind = _step_beside(module, moved)
    first = module.statement_with(backward.line, "backward") if backward.file == site.file else None
    shared = shared_block(module, first, moved) if first is not None and first is not moved else None
    if first is not None and shared is not None and shared[1] is moved and not is_repeated(module, first, shared[0]):
        target = first_backward(module, first)
        return [
            Remedy(title, "safe", (module.delete(moved), module.insert_before(target, wording(module, moved, target))))
        ]
    if behind is not None:
        after = module.insert_after(behind, wording(module, moved, behind))
        return [Remedy("move zero_grad() behind step()", "safe", (module.delete(moved), after))]
    known = first is not None and isinstance(built, Site)
    added = zero_edits(source, module, backward, built) if known else ()
    return [Remedy(title, "safe", (module.delete(moved), *added) if added else ())]


def _whole(module: Module, statement: ast.stmt | None) -> ast.stmt | None:
    """The loop over optimizers or parameters that a statement is all of."""
    outer = module.parents.get(statement) if statement is not None else None
    simple = isinstance(outer, (ast.For, ast.If)) and outer.body == [statement] and not outer.orelse
    return _whole(module, outer) if simple and isinstance(outer, (ast.For, ast.If)) else statement


def _step_beside(module: Module, statement: ast.stmt) -> ast.stmt | None:
    """The step that follows a statement in its block."""
    body = body_of(module, statement)
    later = [each for each in body[body.index(statement) + 1 :] if step_calls(module, each)]
    return later[0] if later else None


def in_source(source: Source) -> Iterator[Finding]:
    """Going back from a step, a zero_grad() is met before any backward()."""
    for entry in entries(source):
        for loop, optimizer, step, backwards in rounds(entry):
            cleared = _between(entry, step, optimizer)
            direct = [place for place in backwards if place.around == step.around]
            if cleared is None or not direct or is_handed_on(entry, optimizer, loop):
                continue
            text = "zero_grad() stands between backward() and step(): the step finds no gradient, and nothing is learnt"
            built = site_of_event(optimizer)
            yield Finding(
                site_of_event(cleared), (Evidence(text),), 0.98, subject=(site_of_event(direct[0].event), built)
            )


def _between(entry: Entry, step: Place, optimizer: Call) -> Event | None:
    for each in before(entry, step):
        if isinstance(each, Event) and called(each) == "zero_grad" and is_of(each, optimizer):
            return each
        if any(works_on_gradients(event) or stepped(event) is optimizer for event in events_in(each)):
            return None
    return None


CONDITION = Condition(
    "misplaced-zero-grad",
    "error",
    needs=("optimizers", "loop_windows", "updates", "gradients"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    structural=True,
)
