"""Batch norm's running statistics do not match: eval mode scores far worse than train mode on the same batch.

## What happens
In train mode batch norm uses the batch's own mean and variance, in eval mode the running ones. Where these lag behind
(`momentum=0.001` carried over from a framework whose momentum means the opposite, few steps, statistics frozen early),
or average over kinds of batches that are normalised apart in training (real and generated, two domains, two views), the
trained network meets inputs at another scale in eval mode. The training loss is fine, validation is at chance, and
`model.train()` during validation seems to mend it. An average of the weights that follows `parameters()` alone never
gets any: running statistics are buffers.

## How it is told apart
In the run, where the momentum leaves most of the running statistics at their initial value to the end, and batches are
seen to vary otherwise; or where a copy in eval mode follows its model by its parameters only. Else by an experiment
(`sgdoctor prove`): at several steps the same training batch, with the same weights, is scored in train mode and in eval
mode. Eval worse by a large share of the constant predictor's loss, steadily and late, with running variance and batch
variance apart, is this. Data are no part of it, so that `overfitting` and other splits cannot pass.
- `train-mode-in-eval`: the wrong mode is used. `batch-of-one-norm`: the batch statistics themselves are useless.
- `excessive-dropout`: train mode is the worse one.
Not this: a gap in the first steps, before 1 / momentum of them have passed; a small gap; adaptive or meta-learning
scripts that always run in train mode.

## Remedy
Leave `momentum` at 0.1 (the share of the new value), or give statistics time. Where kinds of batches differ, put them
through in one batch, give each its own norm layer, or use GroupNorm or LayerNorm, which keep no statistics.

    for kept, buffer in zip(average.buffers(), model.buffers()): kept.copy_(buffer)
    nn.BatchNorm2d(64)                          # momentum=0.1: running = 0.9 * running + 0.1 * batch
    torch.optim.swa_utils.update_bn(loader, model)   # statistics anew, after training

## Sources
- pytorch issue 4741, https://github.com/pytorch/pytorch/issues/4741 [high error in eval mode only]
- pytorch issue 5406, https://github.com/pytorch/pytorch/issues/5406 [eval uses the running statistics, by design]
- BatchNorm2d, https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
  [its momentum is the share of the new value, unlike an optimizer's]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from ...record import Record, Site
from ...record.record import number
from ...source import Module, Source
from ...source.averages import Average, parameters_only
from ...source.blocks import indentation
from ...source.numbers import definitions, is_near, literal_value, literals
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Outcome, Remedy
from ..network import loads_weights
from ..questions import judged, site_at

NORMS = ("torch.nn.SyncBatchNorm", *(f"torch.nn.BatchNorm{dims}d" for dims in (1, 2, 3)))
USUAL = 0.1  # torch's default momentum
CLOSE = 1e-6  # 1 - 0.999 is not 0.001 to the last digit


def in_run(
    record: Record,
    source: Source,
    *,
    min_left: float = 0.3,  # of the running statistics is still where they began: nothing at the default momentum
    min_ratio: float = 1.5,  # of running and batch variance, either way; sound layers of the clinic: 0.8 to 1.15
    min_batches: int = 30,  # three times 1 / momentum at its default: in fewer, no layer's statistics have settled
) -> Answer:
    """Statistics that have hardly begun to move at the end, and a copy that never gets any; the rest needs a trial."""
    if not record.rows("graph"):
        yield NotEvaluated("no graph was seen")
        return
    found = (_lagging(record, source, min_left, min_ratio, min_batches) if _tested(record) else None) or (
        _left_behind(record, source) if _normed(record) else None
    )
    if found is not None:
        yield found
    elif _normed(record):
        yield NotEvaluated("only an experiment can tell: `sgdoctor prove`")


def _lagging(record: Record, source: Source, min_left: float, min_ratio: float, min_batches: int) -> Finding | None:
    """A momentum that is too small for the length of the run."""
    counts = {objective.number: objective.count for objective in record.objectives}
    rows = {row.get("site"): row for row in record.rows("statistics")}
    for index, row in rows.items():
        looked = number(row.get("n")) + 1
        for entry in row.get("of") or []:
            momentum, ratio = number(entry.get("momentum")), number(entry.get("ratio"))
            batches = number(entry.get("seen")) * max(1.0, counts.get(index, looked) / looked)  # at the end
            left = (1 - momentum) ** batches
            if number(entry.get("seen")) < min_batches or not left > min_left or not momentum < USUAL:
                continue
            if not max(ratio, 1 / max(ratio, 1e-30)) > min_ratio:
                continue
            text = (
                f"with momentum {momentum:.2g} {left:.0%} of the running statistics that eval mode uses is still their "
                f"initial value after {batches:.0f} batches; the variance of a batch is {ratio:.2g} times the running "
                f"one in {entry.get('name') or 'a layer'}"
            )
            layer = str(entry.get("name") or "") or None
            evidence = (Evidence(text, "running_statistics", ratio, 1.0),)
            return Finding(_home(source, momentum), evidence, 0.9, layer=layer, subject=momentum)
    return None


def _left_behind(record: Record, source: Source) -> Finding | None:
    """An average of the weights, in eval mode, whose running statistics nothing brings along."""
    if loads_weights(source):
        return None  # what is copied may have settled long before
    for average in parameters_only(source):
        copy, model = average.module.segment(average.copy), average.module.segment(average.model)
        text = (
            f"{copy} follows {model} by its parameters() alone: running means and variances are buffers, and stay in "
            "the copy what they were when it was made, while it is used in eval mode"
        )
        site = site_at(average.module, average.loop)
        return Finding(site, (Evidence(text, "modes"),), 0.85, subject=average)
    return None


def _normed(record: Record) -> bool:
    rows = record.rows("mode", layer="batch_norm")
    return any(row.get("active") is True and row.get("graded") is True for row in rows)


def suspects(record: Record, source: Source) -> tuple[str, ...]:
    """The comparison of both modes, where batch norm trains and the script means to use eval mode."""
    return ("train_against_eval",) if _normed(record) and _tested(record) else ()


def _tested(record: Record) -> bool:
    """Whether something was put into eval mode."""
    return any(row.get("training") is False for row in record.rows("switch"))


def in_experiment(
    record: Record,
    source: Source,
    outcomes: Mapping[str, Outcome],
    *,
    min_gap: float = 0.3,  # of the constant predictor's loss; sound batch norm stays within noise of zero late in a run
    min_ratio: float = 1.5,  # eval over train loss: a gap that a glance at both numbers shows
    min_steps: float = 30.0,  # three times 1 / momentum at its default: statistics have settled in a sound layer
) -> Answer:
    """In eval mode the same batch has a far higher loss."""
    outcome = outcomes.get("train_against_eval")
    if outcome is None or not outcome.figures:
        yield from in_run(record, source)
        return
    train, tested = outcome.figure("train"), outcome.figure("eval")
    entries = [entry for entry in judged(record) if np.isfinite(entry.baseline) and entry.baseline > 0]
    scale = entries[0].baseline if entries else max(abs(train), 1e-12)
    if not outcome.figure("norms") > 0:
        return
    if outcome.figure("steps") < min_steps:
        yield NotEvaluated(f"{outcome.figure('steps'):.0f} steps are too few for running statistics to settle")
        return
    if not (tested - train > min_gap * scale and tested > min_ratio * train):
        return
    evidence = [
        Evidence(
            f"the same batch with the same weights has loss {train:.4g} in train mode and {tested:.4g} in eval mode",
            None,
            tested,
            train,
        ),
        Evidence(
            "in the layer that is furthest off the variance of a batch is "
            f"{outcome.figure('variance_ratio'):.3g} times the running one; "
            f"the smallest momentum is {outcome.figure('momentum'):.3g}",
            None,
            outcome.figure("variance_ratio"),
            1.0,
        ),
    ]
    momentum = outcome.figure("momentum")
    yield Finding(_home(source, momentum), tuple(evidence), 0.9, subject=momentum)


def _home(source: Source, momentum: float) -> Site | None:
    """Where an unusual momentum is written, else where the first norm layer is made."""
    odd = _written(source, momentum) if not is_near(momentum, USUAL) else []
    if odd:
        return site_at(odd[0].module, odd[0].node)
    made = next(iter(_layers(source)), None)
    slow = next(((m, call) for m, call in _layers(source) if _momentum(call) is not None), made)
    return site_at(*slow) if slow is not None else None


class Written(NamedTuple):
    """The number a momentum comes from; `kept`: the share of the old value is written, `1 - x` follows."""

    module: Module
    node: ast.expr
    kept: bool


def _written(source: Source, momentum: float) -> list[Written]:
    """The numbers behind the norm layers' momentum of this value, each once."""
    given = [(module, node) for module, call in _layers(source) if (node := _momentum(call)) is not None]
    found = [each for module, node in given if (each := _behind(source, module, node, momentum)) is not None]
    return list({id(each.node): each for each in found}.values())


def _behind(source: Source, module: Module, node: ast.expr, value: float, depth: int = 4) -> Written | None:
    for each in literals(source, module, node):
        if is_near(each.value, value):
            return Written(each.module, each.node, False)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and literal_value(node.left) == 1:
        for each in literals(source, module, node.right):
            if abs(1 - each.value - value) < CLOSE:
                return Written(each.module, each.node, True)
    if isinstance(node, ast.Name) and depth:
        for at, part in definitions(source, module, node):
            found = _behind(source, at, part, value, depth - 1)
            if found is not None:
                return found
    return None


def _layers(source: Source) -> Iterator[tuple[Module, ast.Call]]:
    for module in source:
        for call in module.calls(*NORMS):
            yield module, call


def _momentum(call: ast.Call) -> ast.expr | None:
    """The momentum as written, None where it is the default."""
    named = [keyword.value for keyword in call.keywords if keyword.arg == "momentum"]
    given = named or call.args[2:3]
    return given[0] if given else None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The usual momentum where a smaller one is written; the buffers copied, too; else words."""
    subject = finding.subject
    if isinstance(subject, Average):
        lines = (
            f"for kept, buffer in zip({subject.module.segment(subject.copy)}.buffers(), "
            f"{subject.module.segment(subject.model)}.buffers()):\n"
            f"{subject.module.indent(subject.loop.lineno)}{indentation(subject.module)}kept.copy_(buffer)"
        )
        edit = subject.module.insert_after(subject.loop, lines)
        return [Remedy("let the copy take over the buffers as well", "changes-training", (edit,))]
    slow = isinstance(subject, float) and subject < USUAL / 2
    odd = _written(source, subject) if isinstance(subject, float) and slow else []
    if odd:
        edits = tuple(each.module.replace(each.node, str(1 - USUAL if each.kept else USUAL)) for each in odd)
        return [Remedy(f"batch norm's momentum at its usual {USUAL}", "changes-training", edits)]
    return [Remedy("one kind of batch for one norm layer, or GroupNorm, which keeps no statistics", "advice")]


CONDITION = Condition(
    "batch-norm-eval-gap",
    "error",
    needs=("modes", "mode_switches", "constant_loss", "graph", "running_statistics"),
    in_run=in_run,
    by_experiment=True,
    suspects=suspects,
    in_experiment=in_experiment,
    remedies=remedies,
    explains=("overfitting", "no-regularisation"),  # its validation is worse for another reason
)
