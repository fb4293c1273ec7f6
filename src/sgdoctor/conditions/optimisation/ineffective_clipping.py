"""Gradient clipping that acts on nothing, or caps every step to almost nothing.

## What happens
`clip_grad_norm_` scales the gradients that are there at the moment of the call. Called before `backward()`, or after
`step()`, it works on gradients that are empty, or already used: large ones reach the weights unclipped, and the script
looks protected. The same with parameters that hold no gradient: another model's, or a generator from
`model.parameters()` that an optimizer or an earlier call has already used up, so that torch clips an empty list and
returns a norm of 0. The opposite fault is a limit far below the usual norm (1e-4 against 1): every single step is
capped, and under SGD the learning rate is divided by norm / limit, without a word.

## How it is told apart
Decided on the order of calls between two optimizer steps, on the norm that the call itself returned, and on limit /
norm over the run.
- `mixed-precision-misuse`: clipped at the right place, but before `unscale_`.
- `exploding-gradients`: what an ineffective clipping lets through; it stands beside this as its consequence.
- `lr-too-low`: small steps without a cap. `broken-accumulation`: the sum that is clipped is the wrong one.
Not this: a limit that is never reached; clipping after each micro-batch of a window; clipping values in place; steps
that are capped all the time by a factor that still leaves steps of usual size (Adam divides it out).

## Remedy
Between backward and step, on the optimizer's own parameters, with a limit near the usual norm (print what it returns):

    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
    optimizer.step()

## Sources
- PyTorch, clip_grad_norm_, https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html
  [changes .grad in place, returns the total norm before clipping]
- PyTorch, Automatic mixed precision examples, https://docs.pytorch.org/docs/stable/notes/amp_examples.html
  [the order backward, clip, step]
- Pascanu et al., On the difficulty of training recurrent neural networks, https://arxiv.org/abs/1211.5063
  [the limit from the average norm over many updates: half to ten times of it]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import numpy as np

from ...record import Record, Site
from ...record.loop import windows
from ...record.steps import Steps
from ...source import Module, Source
from ...source.loss import argument
from ...source.numbers import is_near, literals
from ...source.program import Event, Value
from ...source.program.kinds import modules_of
from ...source.program.queries import Entry, Place, called, entries, stepped
from ...source.program.tensors import is_generator
from ...source.program.training import before, events_in, is_of, rounds
from ...source.program.values import Call
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import fails, judged, middle, optimizers_of, site_of_event, standing

MIN_CALLS = 5  # fewer clippings are a trial, not a habit


def in_run(
    record: Record,
    source: Source,
    *,
    min_share: float = 0.9,  # of the windows with a clipping; one that is late once (an epoch's first) is no habit
    max_coefficient: float = 0.02,  # limit / norm; the limits that papers use lie between a tenth and ten norms
    max_ratio: float = 1e-4,  # |change| / |weight|: steps below the usual range, which starts there
) -> Answer:
    """Clipped too early, too late, on nothing, or to nothing."""
    if not record.rows("clip"):
        yield NotEvaluated("no gradient was clipped")
        return
    for index in dict.fromkeys(row.get("site") for row in record.rows("clip")):
        site = record.site(index)
        if site is None:
            continue
        found = _misplaced(record, source, index, site, min_share) or _of_nothing(record, index, site, min_share)
        found = found or _too_tight(record, index, site, max_coefficient, max_ratio)
        if found is not None:
            yield found
            return


def _misplaced(record: Record, source: Source, index: object, site: Site, min_share: float) -> Finding | None:
    early = total = 0
    step: Site | None = None
    for window in windows(record):
        letters = [letter for letter, _, _ in window.events]
        mine = [i for i, (letter, where, _) in enumerate(window.events) if letter == "c" and where == index]
        if not mine:
            continue
        total += window.times
        if "B" not in letters[: mine[-1]] and "B" in letters[mine[-1] :]:
            early += window.times
            step = record.site(window.events[-1][1])
    if early < MIN_CALLS or early < min_share * total:
        return None
    module = source.module(site.file)
    late = step is not None and step.file == site.file and _after(module, site.line, step.line)
    how = "after step(), when the gradients have been used" if late else "before backward(), when there are none yet"
    text = f"{early} of {total} steps: gradients are clipped {how}; those of backward() reach the weights unclipped"
    return Finding(site, (Evidence(text, "loop_windows", early / total, 0.0),), 0.95, subject="order")


def _after(module: Module | None, line: int, step: int) -> bool:
    """Whether a line comes after that of the step in one function."""
    return module is not None and module.function_at(line) is module.function_at(step) and line > step


def _of_nothing(record: Record, index: object, site: Site, min_share: float) -> Finding | None:
    norms = record.rows("clip", site=index, by="norm").column("norm")
    norms = norms[1:]  # a generator's first reading is real
    if len(norms) < MIN_CALLS or (norms == 0).mean() < min_share:
        return None
    rows = record.rows("gradients")
    real = [grad for row in rows for grad in row.get("grad", []) if isinstance(grad, (int, float)) and grad > 0]
    if len(real) < MIN_CALLS:
        return None
    text = (
        f"clip_grad_norm_ found a norm of 0 at {int((norms == 0).sum())} of {len(norms)} sampled calls, while the "
        "model has gradients: its first argument is empty (a generator that is used up) or other parameters"
    )
    return Finding(site, (Evidence(text, "loop_windows", 0.0, middle(np.array(real))),), 0.95, subject="nothing")


def _too_tight(record: Record, index: object, site: Site, max_coefficient: float, max_ratio: float) -> Finding | None:
    rows = record.rows("clip", site=index, by="norm")
    with np.errstate(all="ignore"):
        coefficients = rows.column("limit") / rows.column("norm")
    coefficient = middle(coefficients)
    if len(rows) < MIN_CALLS or not coefficient < max_coefficient:
        return None
    for entry in judged(record):
        for optimizer in optimizers_of(record, entry.objective):
            ratio = middle(Steps(record, optimizer).ratios)
            if not (ratio < max_ratio and ratio / coefficient > max_ratio) or not fails(entry, 0.7):
                continue
            limit = float(rows.column("limit")[0])
            text = (
                f"every step is cut to {coefficient:.2g} of its gradient (limit {limit:.3g}, usual norm "
                f"{middle(rows.column('norm')):.3g}); a step moves the weights by {ratio:.1g} of their size"
            )
            evidence = (Evidence(text, "updates", ratio, max_ratio), Evidence(standing(entry), "objective", entry.last))
            return Finding(site, evidence, 0.9, subject=("limit", limit, middle(rows.column("norm"))))
    return None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Between backward and step, on parameters that are there, with a limit near the norm."""
    site, subject = finding.site, finding.subject
    module = source.module(site.file) if site is not None else None
    statement = module.statement_at(site.line) if module is not None and site is not None else None
    if subject == "order":
        title = "clip between backward() and step()"
        backward = _backward_near(module, statement) if module is not None and statement is not None else None
        if module is None or backward is None or not isinstance(statement, ast.Expr):
            return [Remedy(title, "safe")]
        moved = (module.delete(statement), module.insert_after(backward, module.segment(statement)))
        return [Remedy(title, "safe", moved)]
    if subject == "nothing":
        title = "clip the parameters that the optimizer holds, as a list or asked for anew: model.parameters()"
        made = _generator(module, statement) if module is not None and statement is not None else None
        if module is None or made is None:
            return [Remedy(title, "safe")]
        return [Remedy(title, "safe", (module.replace(made, f"list({module.segment(made)})"),))]
    if isinstance(subject, tuple) and module is not None and statement is not None:
        _, limit, norm = subject
        title = f"raise max_norm to the size of the usual norm, about {norm:.1g}"
        calls = [n for n in ast.walk(statement) if isinstance(n, ast.Call) and "clip_grad" in module.dotted(n.func)]
        given = argument(calls[0], 1, "max_norm", "clip_value") if len(calls) == 1 else None
        known = literals(source, module, given) if given is not None else []
        behind = [each for each in known if is_near(each.value, limit)]
        edits = (behind[0].module.replace(behind[0].node, f"{norm:.1g}"),) if len(behind) == 1 else ()
        return [Remedy(title, "changes-training", edits)]
    return [Remedy("clip between backward() and step(), with a limit near the usual norm", "changes-training")]


def _backward_near(module: Module, statement: ast.stmt) -> ast.stmt | None:
    """The backward() in the same block as a statement, where there is one."""
    parent = module.parents.get(statement)
    for call in module.calls("?.backward", within=parent):
        outer = module.parents.get(call)
        if isinstance(outer, ast.Expr) and module.parents.get(outer) is parent:
            return outer
    return None


def _generator(module: Module, statement: ast.stmt) -> ast.Call | None:
    """The call of parameters() that a name was assigned from which a clipping is given."""
    for call in ast.walk(statement):
        if not isinstance(call, ast.Call) or not call.args or "clip_grad" not in module.dotted(call.func):
            continue
        name = module.segment(call.args[0])
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Assign) and name in [module.segment(target) for target in node.targets]:
                value = node.value
                if isinstance(value, ast.Call) and module.dotted(value.func) == "?.parameters":
                    return value
    return None


def in_source(source: Source) -> Iterator[Finding]:
    """Going back from the clipping, a step or a zero_grad() is met before any backward(); or nothing is clipped."""
    for entry in entries(source):
        for place in entry.calls("clip_grad_norm_", "clip_grad_value_"):
            given = place.event.result.argument(0, "parameters") if isinstance(place.event.result, Call) else None
            for loop, optimizer, _, _ in rounds(entry):
                if loop not in place.around or given is None:
                    continue
                if given is optimizer.argument(0, "params") and is_generator(given):
                    text = "these parameters are a generator that the optimizer has used up: nothing is clipped"
                    yield Finding(site_of_event(place.event), (Evidence(text),), 0.97, subject="nothing")
                elif (met := _met(entry, place, given, optimizer)) is not None:
                    text = f"gradients are clipped behind {called(met)}() and before backward(): in vain"
                    yield Finding(site_of_event(place.event), (Evidence(text),), 0.95, subject="order")


def _met(entry: Entry, place: Place, given: Value, optimizer: Call) -> Event | None:
    """What makes the clipping too late or too early, where both are of one model."""
    models = {id(each) for each in modules_of(given)}
    if not models & {id(each) for value in optimizer.parts() for each in modules_of(value)}:
        return None
    for step in before(entry, place):
        for event in reversed(list(events_in(step))):
            if called(event) == "backward" or event.name == "set":
                return None
            if stepped(event) is optimizer or (called(event) == "zero_grad" and is_of(event, optimizer)):
                return event if event is step else None
    return None


CONDITION = Condition(
    "ineffective-clipping",
    "warning",
    needs=("loop_windows", "gradients", "updates", "objective"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    explains=("exploding-gradients", "nonfinite-loss", "lr-too-low", "lr-too-high"),
)
