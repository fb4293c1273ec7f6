"""A NaN or an infinity is born in one operation, and the loss turns non-finite.

## What happens
One NaN spoils a whole run: through backward and the step it reaches all weights, and every later loss is NaN. Birth
places: `log(0)` and `0 / 0`; log of a softmax or sigmoid that underflowed; `exp(x)` above x = 88.7 in float32; values
above 65504 in float16; a handwritten softmax over a row masked entirely; cross-entropy over a batch whose targets are
all ignored. Some forwards are finite and only the gradient is not: `sqrt(x)` at 0 has gradient inf, `sqrt(x * x)` at 0
gives NaN, and so does `torch.where(x > 0, x.sqrt(), 0)`, since inf meets 0 in backward. `clamp(p, 1e-8, 1 - 1e-8)` does
not help at 1: in float32 its upper bound rounds to 1. The line that prints NaN is rarely the line that made it.

## How it is told apart
Decided on the first non-finite value in time and depth: input, activation, loss, gradient or parameter, with layer,
operation and line, and on what led up to it (growth over steps, or none). The first one names the cause.
- `nonfinite-data`: it came with the batch. `half-precision-optimizer`: parameters turn first, loss and gradients fine.
- `unscaled-features`, `lr-too-high`, `exploding-gradients`: values grew over steps before they overflowed; then they
  lead and this follows. Here the step before was unremarkable. `mixed-precision-misuse`: a scaler is in play.
- `logits-to-probability-loss`: log of a negative number.
Not this: -inf in attention masks, +-inf as a start value for a best score, GradScaler skipping a few steps at the start
of a float16 run, a NaN in a printed metric while loss and weights are finite.

## Remedy
Use the stable form of the operation, or keep its argument off the singular point before the operation, not after.

    F.log_softmax(z, 1); F.logsigmoid(z); torch.logsumexp(z, 1)    # not log(softmax), log(sigmoid), log(sum(exp))
    (x * x).sum(1).add(1e-12).sqrt()                               # eps inside the root; torch.linalg.norm is safe at 0
    torch.where(ok, torch.where(ok, x, 1.0).sqrt(), 0.0)           # mask the input too

float16: use bfloat16, or a scaler. `torch.autograd.set_detect_anomaly(True)` finds NaN made in backward, not inf, and
nothing in the forward. Skipping bad batches, `nan_to_num` or a lower lr only hide it.

## Sources
- pytorch issue 68425, https://github.com/pytorch/pytorch/issues/68425 [finite forward through where, NaN gradient]
- pytorch issue 16317, https://github.com/pytorch/pytorch/issues/16317 [mask the denominator inside, not the result]
- pytorch issue 4132, https://github.com/pytorch/pytorch/issues/4132 [0 times inf in the backward of a mask]
- pytorch issue 160016, https://github.com/pytorch/pytorch/issues/160016
  [asks for forward and inf checks, which anomaly mode lacks]
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

import numpy as np

from ...record import Record, Row, Site
from ...record.record import Objective, number
from ...source import Module, Source
from ...source.flow import Trail
from ...source.stable import stable_operation
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Outcome, Remedy
from ..questions import site_at

# Operation -> what the source calls it
BORN = {
    "LogBackward0": ("a logarithm of 0 or less", ("log",)),
    "SqrtBackward0": ("a square root at 0, whose slope is infinite", ("sqrt", "norm", "std", "pdist", "cdist")),
    "DivBackward0": ("a division by 0", ("/",)),
    "ExpBackward0": ("an exponential that overflows", ("exp",)),
    "SoftmaxBackward0": ("a softmax over nothing, as a mask covers their whole row", ("softmax",)),
}
REMEDIES = {
    "LogBackward0": "take the logarithm of something that cannot be 0: log_softmax, logsigmoid, or clamp_min(1e-12)",
    "SqrtBackward0": "put the epsilon inside: torch.sqrt(x + 1e-12)",
    "DivBackward0": "keep the divisor away from 0: clamp_min(1e-8)",
    "ExpBackward0": "subtract the maximum first (logsumexp), or clamp the exponent",
    "SoftmaxBackward0": "give a row that is masked entirely a finite score, or leave such samples out",
}


def in_run(record: Record, source: Source) -> Answer:
    """The loss turns NaN or infinite."""
    if not record.objectives:
        yield NotEvaluated("no backward was seen")
        return
    for objective in record.objectives:
        bad = ~np.isfinite(objective.values)
        if not bad.any():
            continue
        first = int(np.argmax(bad))
        hazard = _hazard(record, objective, first)
        evidence = [
            Evidence(
                f"the loss is {objective.values[first]} from step {first} on; before it was "
                f"{objective.values[first - 1]:.4g}"
                if first
                else "the loss is not finite at the very first step",
                "objective",
                float(first),
            )
        ]
        site = objective.site
        if hazard is not None:
            what, names = BORN[str(hazard.get("op"))]
            evidence.append(
                Evidence(
                    f"at step {number(hazard.get('n')):.0f} {number(hazard.get('bad')):.0f} of "
                    f"{number(hazard.get('of')):.0f} values of one operation are {what}",
                    "hazards",
                    number(hazard.get("bad")),
                    0.0,
                )
            )
            site = _operation(source, names) or site
        op = None if hazard is None else str(hazard.get("op"))
        steps = (first, int(objective.count) - 1)
        yield Finding(site, tuple(evidence), 0.95 if hazard else 0.7, steps=steps, subject=op)
        return


def _hazard(record: Record, objective: Objective, first: int) -> Row | None:
    """The operation nearest to the birth: seen at the first non-finite loss, or, if born in backward, before it."""
    rows = [r for r in record.rows("hazard", site=objective.number) if number(r.get("bad")) > 0 and r.get("op") in BORN]
    at_birth = [row for row in rows if number(row.get("n")) == first]
    # A value that was already NaN when it came is no birth: what counts is a 0 under a log, a root or a bar.
    born = [row for row in at_birth if number(row.get("bad")) > number(row.get("nonfinite"))]
    before = [row for row in rows if number(row.get("n")) < first and row.get("op") == "SqrtBackward0"]
    exploded = [row for row in at_birth if row.get("op") == "ExpBackward0"]
    chosen = born or before[-1:] or exploded
    return chosen[0] if chosen else None


def _operation(source: Source, names: tuple[str, ...]) -> Site | None:
    """The first place in the script where such an operation stands."""
    for module in source:
        if names == ("softmax",):
            calls = [call for call in module.calls("torch.softmax", "torch.nn.functional.softmax", "?.softmax")]
            masked = [call for call in calls if _is_masked(source, module, call)]
            if calls:
                return site_at(module, (masked or calls)[0])
            continue
        if names == ("/",):
            for node in ast.walk(module.tree):
                if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and "sum" in module.segment(node.right):
                    return site_at(module, node)
            continue
        dotted = [f"torch.{name}" for name in names] + [f"?.{name}" for name in names]
        for call in module.calls(*dotted):
            if (
                not all(isinstance(argument, ast.Constant) for argument in call.args)
                or module.dotted(call.func)[0] == "?"
            ):
                return site_at(module, call)
    return None


def _is_masked(source: Source, module: Module, call: ast.Call) -> bool:
    """Whether the scores of a softmax went through `masked_fill`."""
    points = Trail(source).of(module, call)
    return any(
        isinstance(point.node, ast.Call)
        and point.module.dotted(point.node.func).rpartition(".")[2].startswith("masked_fill")
        for point in points
    )


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The stable form of the operation it was born in."""
    kind, site = str(finding.subject), finding.site
    title = {**REMEDIES, **BORN_AS}.get(
        kind, "find the first operation whose result is not finite, and use its stable form"
    )
    edits = stable_operation(source, site.file, site.line, OPERATIONS.get(kind, kind)) if site is not None else ()
    return [Remedy(title, "changes-training", edits)]


# What the hunt (trials/experiments/origin_of_nonfinite.py) calls the accident -> what mends it
BORN_AS = {
    "log": REMEDIES["LogBackward0"],
    "root": REMEDIES["SqrtBackward0"] + "; and mask its argument, not its result",
    "division": REMEDIES["DivBackward0"],
    "exp": REMEDIES["ExpBackward0"],
    "masked-row": REMEDIES["SoftmaxBackward0"],
    "half-overflow": "keep this operation in float32, or use bfloat16: float16 ends at 65504",
    "data": "drop or fill the values that are not finite before they reach the model",
    "weight": "the weights were not finite before: look at what loads or draws them",
    "growth": "values grew over many steps before they overflowed here: a smaller step, or clipping, stops the growth",
}

OPERATIONS = {"log": "LogBackward0", "root": "SqrtBackward0", "division": "DivBackward0", "exp": "ExpBackward0"}


def suspects(record: Record, source: Source) -> tuple[str, ...]:
    """The hunt, where a loss is not finite."""
    return ("origin_of_nonfinite",) if any(not np.isfinite(o.values).all() for o in record.objectives) else ()


def in_experiment(record: Record, source: Source, outcomes: Mapping[str, Outcome]) -> Answer:
    """The operation and line where it was born, as seen in the hunt."""
    outcome = outcomes.get("origin_of_nonfinite")
    for answer in in_run(record, source):
        if not isinstance(answer, Finding) or outcome is None or not outcome.figures:
            yield answer
            continue
        line = outcome.figure("line")
        site = Site(outcome.word("file"), int(line), outcome.word("place")) if line > 0 else answer.site
        born = Evidence(
            f"the first value that is not finite is born {outcome.answer}", None, outcome.figure("bad"), 0.0
        )
        yield Finding(
            site,
            (born, answer.evidence[0]),
            0.97,
            layer=outcome.word("layer") or None,
            steps=answer.steps,
            subject=outcome.word("kind"),
        )


CONDITION = Condition(
    "nonfinite-loss",
    "error",
    needs=("objective", "hazards"),
    in_run=in_run,
    remedies=remedies,
    suspects=suspects,
    in_experiment=in_experiment,
    explains=("dead-relu",),
)
