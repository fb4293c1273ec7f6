"""The derivative of a custom autograd function is wrong.

## What happens
A `torch.autograd.Function` computes its forward right and its backward wrong: a factor lost, a sign, the derivative of
another formula, `grad_output` not multiplied in, gradients returned in the wrong order. Nothing raises. The loss may
fall all the same, as a direction that is only roughly downhill is often good enough, and ends too high; or nothing is
learnt below that function. Reading the forward, which is what one looks at, shows nothing.

## How it is told apart
The function is called again on inputs that it got in the run, in float64, one input moved at a time, and the difference
of its output is compared with what its backward says (this needs `sgdoctor prove`). Not this, and left out:
- a forward that returns its input unchanged: gradient reversal and gradient scaling change the derivative on purpose;
- a forward with steps (`round`, `sign`, a spike): a straight-through or surrogate gradient is meant. Where the slope of
  the forward is zero or has a kink nothing is compared;
- a function that does not run in float64, or draws other numbers each time.
Neighbours: `uninformative-labels` (no function of one's own in the graph), `vanishing-gradients`, `detached-loss`.

## Remedy
Write the backward as the derivative of the forward, times `grad_output`; or drop the class, where plain operations do:
autograd then derives it. Keep a test beside the class:

    x = torch.randn(8, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(MyFunction.apply, (x,))

## Sources
- gradcheck, https://docs.pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradcheck.html
  [finite differences against the analytical gradient; meant for float64]
- Extending PyTorch, https://docs.pytorch.org/docs/stable/notes/extending.html [how forward and backward belong]
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from ...record import Record, Site
from ...source import Source
from ...source.module import Function
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Outcome, Remedy


def in_run(record: Record, source: Source) -> Answer:
    """A run shows that there are such functions, not whether they are right."""
    names = _own(record)
    if not record.rows("graph"):
        yield NotEvaluated("no graph was seen")
    elif names:
        yield NotEvaluated(f"only an experiment can tell whether {names[0]} is right: `sgdoctor prove`")


def _own(record: Record) -> list[str]:
    """Functions in the graphs that are no operation of torch's."""
    found = {name for row in record.rows("graph") for name in row.get("custom") or [] if "::" not in name}
    return sorted(name.removesuffix("Backward") for name in found)


def suspects(record: Record, source: Source) -> tuple[str, ...]:
    """The comparison with finite differences, where the script has functions of its own."""
    return ("custom_gradients",) if _own(record) else ()


def in_experiment(record: Record, source: Source, outcomes: Mapping[str, Outcome]) -> Answer:
    """A function whose backward is not the derivative of its forward."""
    outcome = outcomes.get("custom_gradients")
    if outcome is None or not outcome.figures:
        yield from in_run(record, source)
        return
    if not outcome.figure("wrong") > 0:
        return
    name, ratio = outcome.word("function"), outcome.figure("ratio")
    evidence = [
        Evidence(
            f"for {outcome.figure('bad'):.0f} of {outcome.figure('smooth'):.0f} inputs that were moved, "
            f"{name}.backward differs from the slope of its forward, by up to {outcome.figure('error'):.0%}",
            None,
            outcome.figure("error"),
            0.0,
        ),
        Evidence(f"its backward gives {ratio:.3g} times the slope (median; 1 is right)", None, ratio, 1.0),
    ]
    yield Finding(_backward(source, outcome), tuple(evidence), 0.95, subject=name)


def _backward(source: Source, outcome: Outcome) -> Site | None:
    """The line of backward that gives the wrong derivative, else its `def`, which Python counts from decorators."""
    line = outcome.figure("line")
    if not line > 0:
        return None
    file, place = outcome.word("file"), outcome.word("place")
    module = source.module(file)
    statement = module.function_at(int(line)) if module is not None else None
    following = module.function_at(int(line) + 1) if module is not None and statement is None else statement
    if module is None or following is None:
        return Site(file, int(line), place)
    inputs = outcome.figures.get("inputs")
    wrong = {int(each) for each in inputs} if isinstance(inputs, list) else set()
    owner = module.enclosing(following, ast.ClassDef)
    forward = next(
        (part for part in getattr(owner, "body", []) if isinstance(part, ast.FunctionDef) and part.name == "forward"),
        None,
    )
    return Site(file, _wrong_line(following, wrong, forward) or following.lineno, place)


def _wrong_line(backward: Function, wrong: set[int], forward: ast.AST | None = None) -> int | None:
    """Where the derivatives of these inputs are made: a name that they alone share, the name itself, the return."""
    returns = [node for node in ast.walk(backward) if isinstance(node, ast.Return) and node.value is not None]
    if len(returns) != 1 or returns[0].value is None:
        return None
    value = returns[0].value
    given = list(value.elts) if isinstance(value, ast.Tuple) else [value]
    if not wrong or max(wrong) >= len(given):
        return None
    made: dict[str, ast.Assign] = {}
    # What forward computes, too, is no derivative, and as it should be.
    right_values = {ast.dump(part) for part in ast.walk(forward) if isinstance(part, ast.expr)} if forward else set()
    for node in ast.walk(backward):
        if not isinstance(node, ast.Assign) or "saved_tensors" in ast.unparse(node.value):
            continue
        if len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            made[node.targets[0].id] = node
    made = {name: node for name, node in made.items() if ast.dump(node.value) not in right_values}
    named = [_local(each, made) for each in given]
    if len(wrong) == 1:
        factor = _factor(given[min(wrong)], made)
        return made[factor].lineno if factor is not None else returns[0].lineno
    right = {name for index, names in enumerate(named) if index not in wrong for name in names}
    shared = set.intersection(*(named[index] for index in wrong)) - right
    return min((made[name].lineno for name in shared), default=returns[0].lineno)


def _factor(value: ast.expr, made: dict[str, ast.Assign]) -> str | None:
    """The name a derivative is, or the one that it scales: in `grad * slope / n` what can be wrong is the slope."""
    names = [node.id for node in ast.walk(value) if isinstance(node, ast.Name) and node.id in made]
    sums = any(isinstance(n, ast.BinOp) and not isinstance(n.op, (ast.Mult, ast.Div)) for n in ast.walk(value))
    return names[0] if len(names) == 1 and not sums else None


def _local(value: ast.expr, made: dict[str, ast.Assign]) -> set[str]:
    """Names that a derivative is made of, those inside a name it consists of included."""
    inside = made[value.id].value if isinstance(value, ast.Name) and value.id in made else value
    return {node.id for node in ast.walk(inside) if isinstance(node, ast.Name) and node.id in made}


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Words: what the derivative is, is the author's to say."""
    name = finding.subject if isinstance(finding.subject, str) else "the function"
    return [
        Remedy(f"write {name}.backward as the derivative of its forward, or use plain operations instead", "advice")
    ]


CONDITION = Condition(
    "wrong-custom-gradient",
    "error",
    needs=("graph",),
    in_run=in_run,
    by_experiment=True,
    suspects=suspects,
    in_experiment=in_experiment,
    remedies=remedies,
    explains=("vanishing-gradients", "exploding-gradients", "lr-too-high", "lr-too-low", "nonfinite-loss"),
)
