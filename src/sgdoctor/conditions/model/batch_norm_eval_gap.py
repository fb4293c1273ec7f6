"""Batch norm's running statistics do not match: eval mode scores far worse than train mode on the same batch.

## What happens
In train mode batch norm uses the batch's own mean and variance, in eval mode the running ones. Where these lag behind
(`momentum=0.001` carried over from a framework whose momentum means the opposite, few steps, statistics frozen early),
or average over kinds of batches that are normalised apart in training (real and generated, two domains, two views), the
trained network meets inputs at another scale in eval mode. The training loss is fine, validation is at chance, and
`model.train()` during validation seems to mend it.

## How it is told apart
By an experiment (`sgdoctor prove`): at several steps the same training batch, with the same weights, is scored in train
mode and in eval mode. Eval worse by a large share of the constant predictor's loss, steadily and late, with running
variance and batch variance apart, is this. Data are no part of it, so that `overfitting` and other splits cannot pass.
- `train-mode-in-eval`: the wrong mode is used. `batch-of-one-norm`: the batch statistics themselves are useless.
- `excessive-dropout`: train mode is the worse one.
Not this: a gap in the first steps, before 1 / momentum of them have passed; a small gap; adaptive or meta-learning
scripts that always run in train mode.

## Remedy
Leave `momentum` at 0.1 (the share of the new value), or give statistics time. Where kinds of batches differ, put them
through in one batch, give each its own norm layer, or use GroupNorm or LayerNorm, which keep no statistics.

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

import numpy as np

from ...record import Record
from ...source import Module, Source
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Outcome, Remedy
from ..questions import judged, site_at

NORMS = ("torch.nn.SyncBatchNorm", *(f"torch.nn.BatchNorm{dims}d" for dims in (1, 2, 3)))
USUAL = 0.1  # torch's default momentum


def in_run(record: Record, source: Source) -> Answer:
    """A run shows that there is batch norm in train mode, not what eval mode would make of the same batch."""
    if not record.rows("graph"):
        yield NotEvaluated("no graph was seen")
    elif _normed(record):
        yield NotEvaluated("only an experiment can tell: `sgdoctor prove`")


def _normed(record: Record) -> bool:
    rows = record.rows("mode", layer="batch_norm")
    return any(row.get("active") is True and row.get("graded") is True for row in rows)


def suspects(record: Record, source: Source) -> tuple[str, ...]:
    """The comparison of both modes, where batch norm trains and the script means to use eval mode."""
    tested = any(row.get("training") is False for row in record.rows("switch"))
    return ("train_against_eval",) if _normed(record) and tested else ()


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
    found = next(iter(_layers(source)), None)
    slow = next(((m, call) for m, call in _layers(source) if _momentum(call) is not None), found)
    yield Finding(site_at(*slow) if slow is not None else None, tuple(evidence), 0.9)


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
    """The usual momentum where another one is written; else words."""
    module = source.module(finding.site.file) if finding.site is not None else None
    edits = [
        module.replace(written, str(USUAL))
        for owner, call in _layers(source)
        if owner is module and module is not None
        for written in [_momentum(call)]
        if isinstance(written, ast.Constant) and isinstance(written.value, float) and written.value < USUAL / 2
    ]
    if edits:
        return [Remedy(f"batch norm's momentum at its usual {USUAL}", "changes-training", tuple(edits))]
    return [Remedy("one kind of batch for one norm layer, or GroupNorm, which keeps no statistics", "advice")]


CONDITION = Condition(
    "batch-norm-eval-gap",
    "error",
    needs=("modes", "mode_switches", "constant_loss", "graph"),
    in_run=in_run,
    by_experiment=True,
    suspects=suspects,
    in_experiment=in_experiment,
    remedies=remedies,
)
