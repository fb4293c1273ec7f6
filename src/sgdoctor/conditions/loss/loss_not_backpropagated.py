"""The loss is computed and never backpropagated, or backward() is called on something else.

## What happens
Without `loss.backward()` no parameter has a gradient, `optimizer.step()` skips them all without a word, and the weights
stay as they were: the loss wanders about its first value with the batches. When backward() is called on another tensor
(a part of the sum, a penalty, an output), something is trained, but not what the printed loss says.

## How it is told apart
Decided on the loop: a loss with gradient is computed again and again, the optimizer steps, and no backward pass is ever
seen, or the loss's node is in none of the graphs that are backpropagated while the line that calls backward() names
a part of the sum that the script adds up, or what is backpropagated is made of the weights alone.
- `missing-step`: gradients exist and nobody steps. `detached-loss`: backward() is called on a graph that was cut.
- `misplaced-zero-grad`: gradients exist and are cleared before the step. `frozen-parameters`: parameters refuse them.
- `constant-loss`: it is backpropagated, and depends on nothing. `lr-too-low`: weights do move, slowly.
- `unused-parameters`: nothing that the script computes needs them; here a term that is left out does.
Not this: losses computed for a report, evaluation, evolution strategies, gradients set by hand or by torch.func,
alternating terms, an auxiliary loss that is only watched.

## Remedy

    optimizer.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()                                  # on the whole sum, before the step
    optimizer.step()

## Sources
- PyTorch, Optimizing model parameters, https://docs.pytorch.org/tutorials/beginner/basics/optimization_tutorial.html
  [zero_grad, backward, step]
- PyTorch, Tensor.backward, https://docs.pytorch.org/docs/stable/generated/torch.Tensor.backward.html
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import numpy as np

from ...record import Record, Site
from ...record.record import Objective, number, numbers
from ...source import Edit, Module, Source
from ...source.program.kinds import loss_of, settled, within
from ...source.program.queries import Entry, backward_of, called, clears, entries, escapes, owner_of, stepped
from ...source.program.training import is_handed_on
from ...source.program.values import Call, Op
from ...source.terms import addends, backwarded, definitions, returned
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_of_event

# What a term is where no loss is computed from the outputs: a layer, or an activation behind it.
LAYERS = ("AddmmBackward", "MmBackward", "LinearBackward", "ConvolutionBackward", "ReluBackward", "SigmoidBackward",
          "TanhBackward", "SoftmaxBackward", "NativeBatchNormBackward", "NativeLayerNormBackward")  # fmt: skip


# What a penalty of the weights is made of, where it meets no data.
PENALTY = ("AddBackward", "SumBackward", "MulBackward", "DivBackward", "PowBackward", "MeanBackward", "AbsBackward",
           "NormBackward", "LinalgVectorNormBackward", "SqrtBackward", "StackBackward", "CatBackward", "ViewBackward",
           "ReshapeAliasBackward", "UnsafeViewBackward", "UnsqueezeBackward", "SqueezeBackward")  # fmt: skip


def in_run(
    record: Record,
    source: Source,
    *,
    min_steps: int = 5,  # a first pass may be a trial of the shapes
    min_samples: int = 4,  # of a loss that is in no graph; the first six of each line are always sampled
) -> Answer:
    """No backward pass belongs to the loss."""
    if not record.optimizers:
        yield NotEvaluated("no optimizer was seen")
        return
    if not record.objectives:
        yield from _never(record, source, min_steps)
        return
    if any(row.get("truncated") or row.get("opaque") for row in record.rows("graph")):
        yield NotEvaluated("the graph could not be seen whole (compiled, or very large)")
        return
    found = False
    for answer in _another(record, source, min_samples):
        found = True
        yield answer
    if not found:
        yield from _part(record, source, min_steps)


def _never(record: Record, source: Source, min_steps: int) -> Answer:
    """Losses with gradient and steps without: nothing was ever backpropagated."""
    graded = [i for i, call in record.calls.items() if call.get("grad")]
    counts = {i: max(list(record.rows("loss", call=i).column("n")) or [0.0]) + 1 for i in graded}
    steps = [entry for entry in record.optimizers if entry.steps >= min_steps]
    if any(np.isfinite(numbers(row.get("grad"))).any() for entry in steps for row in entry.updates):
        return  # gradients came from somewhere else
    if not steps and not (counts and max(counts.values()) >= min_steps and record.exception is None):
        return
    if steps and not any(len(entry.updates) for entry in steps):
        return
    site = record.site(record.calls[max(counts, key=lambda i: counts[i])].get("site")) if counts else None
    # backward() is missing in front of the step, where that stands beside the loss.
    loss, step = site, _step_site(record)
    if step is not None and (site is None or (step.file, step.function) == (site.file, site.function)):
        site = step
    many = f"the optimizer stepped {steps[0].steps} times" if steps else "the loss was computed again and again"
    text = f"{many} and backward() was never called: no parameter ever had a gradient"
    yield Finding(site, (Evidence(text, "objective", 0.0, float(steps[0].steps if steps else 1)),), 0.95, subject=loss)


def _step_site(record: Record) -> Site | None:
    for row in record.rows("window"):
        for letter, site, _ in row.get("events", []):
            if letter == "S":
                return record.site(site)
    return None


def _another(record: Record, source: Source, min_samples: int) -> Answer:
    """A loss of the training loop that is in no graph, though it is added to one that is."""
    used = {call for objective in record.objectives for call in objective.calls}
    sites = {record.calls[call].get("site") for call in used if call in record.calls}
    for index, call in record.calls.items():
        if not call.get("grad") or index in used or call.get("site") in sites:
            continue
        samples = record.rows("loss", call=index, grad=True)
        site = record.site(call.get("site"))
        if len(samples) < min_samples or site is None:
            continue
        for objective in record.objectives:
            if objective.count < min_samples or objective.site is None:
                continue
            total = _left_out(record, source, site, objective)
            name = _name_of(source, site)
            if total is None:
                total, name = _penalty(record, source, objective), name or _name_of_call(source, site, objective.site)
            if total is None:
                continue
            text = (
                f"{call.get('fn')} is computed with gradient, and its result is in none of the graphs that are "
                f"backpropagated: backward() is called on `{total}` instead"
            )
            evidence = Evidence(text, "graph", 0.0, 1.0)
            yield Finding(objective.site, (evidence,), 0.9, subject=name)
            return


def _penalty(record: Record, source: Source, objective: Objective) -> str | None:
    """What is backpropagated, where that is the only objective and is made of the weights alone."""
    alone = len(record.objectives) == 1 and not objective.calls
    graphs = [row for row in objective.graphs if not row.get("layers")]
    known = [record.parameters.get(leaf) for leaf in objective.leaves]
    if (
        not alone
        or len(graphs) != len(objective.graphs)
        or not all(leaf is not None and leaf.declared for leaf in known)
    ):
        return None
    made = [str(entry[0]) for row in graphs for entry in row.get("head", [])]
    site = objective.site
    found = backwarded(source, site.file, site.line) if site is not None else None
    if not made or found is None or not all(name.startswith(PENALTY) for name in made):
        return None
    return found[0].segment(found[1])


def _name_of_call(source: Source, loss: Site, backward: Site | None) -> str | None:
    """What the result of the function in which a loss is computed is called, where backward() stands."""
    module = source.module(backward.file) if backward is not None else None
    function = module.function_at(backward.line) if module is not None and backward is not None else None
    if module is None or function is None:
        return None
    assigned = [
        node for node in ast.walk(function) if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
    ]
    for node in assigned:
        called = module.dotted(node.value.func).rpartition(".")[2] if isinstance(node.value, ast.Call) else ""
        if called == loss.function.rpartition(".")[2] and isinstance(node.targets[0], ast.Name):
            return node.targets[0].id
    return None


def _left_out(record: Record, source: Source, loss: Site, objective: Objective) -> str | None:
    """What is backpropagated instead of the loss, where the loss is kept by name in the same function.

    Either the script adds the loss up with it and leaves that sum unused by backward(), or it is no loss at all: a loss
    that serves nothing but a report stands beside one that is backpropagated.
    """
    backward = objective.site
    found = backwarded(source, backward.file, backward.line) if backward is not None else None
    module = source.module(loss.file)
    if found is None or backward is None or module is not found[0] or loss.function != backward.function:
        return None
    name = _name_of(source, loss)
    if name is None:
        return None
    function = module.function_at(backward.line) or module.tree
    used = _names(found[1]) | {part for term in addends(source, *found) for part in _names(term.node)}
    summed = any(
        isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and name in _names(node) and used & _names(node)
        for node in ast.walk(function)
    )
    return module.segment(found[1]) if summed or _is_output(record, objective) else None


def _is_output(record: Record, objective: Objective) -> bool:
    """Whether what is backpropagated is an output as it comes from a layer: summed or averaged, no loss of any form."""
    terms = [term for row in record.rows("terms", site=objective.number) for term in row.get("of", [])]
    return bool(terms) and all(
        str(term.get("form")).startswith(LAYERS) and not term.get("calls") and number(term.get("weight")) > 0
        for term in terms
    )


def _name_of(source: Source, site: Site) -> str | None:
    module = source.module(site.file)
    statement = module.statement_at(site.line) if module is not None else None
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    return None


def _part(record: Record, source: Source, min_steps: int) -> Answer:
    """A sum written by hand is made, and one of its terms backpropagated: what serves the others gets no gradient."""
    objective = record.objectives[0]
    found = backwarded(source, objective.site.file, objective.site.line) if objective.site is not None else None
    if len(record.objectives) > 1 or objective.count < min_steps or found is None:
        return
    rows = {row.get("opt"): row for row in record.rows("idle")}
    idle = {n for row in rows.values() for n in row.get("params") or [] if n in record.parameters} - objective.leaves
    whole = _sum_of(source, *found) if idle else None
    if whole is None:
        return
    elements = sum(record.parameters[n].size for n in idle)
    text = (
        f"backward() is called on `{found[0].segment(found[1])}`, one term of the sum `{whole[0]}`, which is "
        f"backpropagated nowhere: {len(idle)} parameters ({elements:,} elements) never get a gradient"
    )
    yield Finding(objective.site, (Evidence(text, "graph", float(elements), 0.0),), 0.9, subject=whole[1])


def _sum_of(source: Source, module: Module, term: ast.expr) -> tuple[str, str] | None:
    """(the sum that a term is added up in, what that is called where the term is backpropagated)."""
    if not isinstance(term, ast.Name):
        return None
    function = module.function_at(term.lineno) or module.tree
    for node in ast.walk(function):
        if not isinstance(node, ast.Assign):
            continue
        target, value = node.targets[0], node.value
        if isinstance(target, ast.Name) and target.id != term.id and _adds(value, term.id):
            return module.segment(value), target.id
        names = [e.id if isinstance(e, ast.Name) else "" for e in target.elts] if isinstance(target, ast.Tuple) else []
        if term.id not in names or not isinstance(value, ast.Call):
            continue
        for other, values in returned(source, module, value):
            if not isinstance(values, ast.Tuple) or len(values.elts) != len(names):
                continue
            part = values.elts[names.index(term.id)]
            for name, each in zip(names, values.elts):
                made = _made(other, each)
                if name and isinstance(part, ast.Name) and _adds(made, part.id):
                    return other.segment(made), name
    return None


def _made(module: Module, node: ast.expr) -> ast.expr:
    """The expression that a name was given last before it is used, else the expression itself."""
    values = [value for value, _ in definitions(module, node)] if isinstance(node, ast.Name) else []
    return values[0] if len(values) == 1 else node


def _adds(value: ast.expr, name: str) -> bool:
    """Whether an expression is a sum, of this name and of another."""
    if not isinstance(value, ast.BinOp) or not isinstance(value.op, ast.Add):
        return False
    sides = [_names(value.left), _names(value.right)]
    return any(name in mine and other - {name} for mine, other in (sides, sides[::-1]))


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """backward() on the loss, in front of the step."""
    title = "call backward() on the loss before optimizer.step()"
    site = finding.site
    module = source.module(site.file) if site is not None else None
    if module is None or site is None:
        return [Remedy(title, "safe")]
    if not isinstance(finding.subject, str):
        return [Remedy(title, "safe", tuple(_in_front(source, module, site, finding.subject)))]
    return [Remedy("call backward() on the loss itself", "changes-training", tuple(_whole(source, module, finding)))]


def _in_front(source: Source, module: Module, site: Site, loss: object) -> list[Edit]:
    """backward() of the loss that is computed at `loss`, in front of the step, or behind the loss itself."""
    name = _name_of(source, loss) if isinstance(loss, Site) else None
    statement = module.statement_at(site.line)
    if name is None or statement is None:
        return []
    call = f"{name}.backward()"
    return [module.insert_after(statement, call) if site == loss else module.insert_before(statement, call)]


def _whole(source: Source, module: Module, finding: Finding) -> list[Edit]:
    """backward() on the sum that the script makes of the loss, else on the loss."""
    site, name = finding.site, finding.subject
    found = backwarded(source, site.file, site.line) if site is not None else None
    if found is None or site is None or not isinstance(name, str):
        return []
    function = module.function_at(site.line) or module.tree
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp) and name in _names(node.value):
            target = node.targets[0]
            if isinstance(target, ast.Name) and node.lineno < site.line:
                return [module.replace(found[1], target.id)]
    return [module.replace(found[1], name)]


def in_source(source: Source) -> Iterator[Finding]:
    """A loop computes a loss and steps, and nothing in the program ever calls backward(), or only on a part of it."""
    every = entries(source)
    yield from _in_part(every)
    names = {called(place.event) for entry in every for place in entry.places}
    if names & {"backward", "grad", "manual_backward", "grad_and_value", "vjp", "jvp", "value_and_grad"}:
        return
    for entry in every:
        for place in entry.calls("step"):
            optimizer, loop = stepped(place.event), place.loop
            if not isinstance(optimizer, Call) or loop is None or is_handed_on(entry, optimizer):
                continue
            if place.event.args and stepped(place.event) is not settled(place.event.args[0]):
                continue
            losses = [p for p in entry.places if loop in p.around and p.event.grad and loss_of(p.event.result)]
            if any(clears(p.event) and p.event.name == "set" for p in entry.places):
                continue
            if losses and not any(escapes(entry, p.event.result) for p in losses if p.event.result is not None):
                text = f"a loss is computed and the optimizer steps at line {place.event.line}, and nothing in the "
                text += "program calls backward(): no gradient exists"
                yield Finding(site_of_event(losses[-1].event), (Evidence(text),), 0.95)
                return


def _in_part(every: list[Entry]) -> Iterator[Finding]:
    """One term of a sum is sent back; the sum, with the loss in it, is computed beside it and only printed."""
    backwards = [(entry, place) for entry in every for place in entry.calls("backward")]
    if len(backwards) != 1:
        return
    entry, place = backwards[0]
    sent, loop = backward_of(place.event), place.loop
    if not isinstance(sent, Op) or loop is None or any(loss_of(each) for each in within(sent)):
        return
    for other in entry.calls("item"):
        whole = owner_of(other.event)
        if isinstance(whole, Op) and whole.operator == "Add" and any(each is sent for each in whole.operands):
            rest = [each for each in whole.operands if each is not sent]
            if any(loss_of(part) for each in rest for part in within(each)):
                text = f"backward() is called on one term of the sum of line {whole.line}: the "
                text += "loss in it sends nothing back"
                yield Finding(site_of_event(place.event), (Evidence(text),), 0.93)
                return


CONDITION = Condition(
    "loss-not-backpropagated",
    "error",
    needs=("loss_calls", "loss_values", "objective", "graph", "optimizers", "updates", "loop_windows"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    structural=True,
    explains=("uninformative-labels", "missing-step", "lr-too-low", "detached-loss", "unused-parameters"),
)
