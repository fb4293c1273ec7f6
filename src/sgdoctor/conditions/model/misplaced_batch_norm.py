"""Batch norm stands between the last layer and the loss.

## What happens
Batch norm makes its output's mean and spread over the batch what its two parameters say, whatever the layer before it
computes. At the end of a network that is wrong: the answer to one sample depends on which others are in the batch, a
regression can only state how far a sample is from the batch's mean, all logits of a classifier get the same mean and
spread over the batch however the classes are shared out in it, and evaluation, which uses running statistics, answers
differently from training. The scale and offset that the targets need must be learned by two numbers at the rate of the
weights. In the hidden layers it stands before or after the activation; both are in use, before is the paper's.

## How it is told apart
Decided on the graph: the last operation with parameters before the loss is a batch norm, or one without weights
(`affine=False`) stands behind it, whose answers always have mean 0 and spread 1, where the targets have not.
- `batch-norm-eval-gap`, `batch-of-one-norm`: statistics that do not fit, with the norm in its place.
- `restrictive-output`: an activation in that place. `unscaled-target`: the targets alone.
Not this: projections for contrastive losses (SimCLR, Barlow Twins), whose loss compares whole batches; a norm followed
by another layer; layer norm or a weight-normalised output.

## Remedy
    nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(),    # in hidden layers
    nn.Linear(64, 1)                                     # and nothing behind the last

## Sources
- Ioffe and Szegedy, Batch normalization, https://arxiv.org/abs/1502.03167 [before the nonlinearity, in hidden layers]
- PyTorch, BatchNorm1d, https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html
"""

from __future__ import annotations

import ast

from ...record import Record, Site
from ...record.record import Row
from ...source import Module, Source
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import layer_name, middle, site_at

BATCH_NORMS = ("NativeBatchNormBackward0", "CudnnBatchNormBackward0", "MiopenBatchNormBackward0")
JUDGED = (
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "cross_entropy", "nll_loss", "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
)  # fmt: skip
REGRESSION = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
KINDS = tuple(f"torch.nn.BatchNorm{n}d" for n in (1, 2, 3))


def in_run(
    record: Record,
    source: Source,
    *,
    max_activations: int = 1,  # between norm and loss: one of the output (sigmoid, softmax) changes nothing
    fitting: float = 0.25,  # targets of mean 0 and spread 1 to within this are what a norm without weights can answer
) -> Answer:
    """The layer next to the loss is a batch norm."""
    rows = record.rows("structure")
    if not rows or not any(row.get("tails") for row in rows):
        yield NotEvaluated("no loss function with the layer before it was seen")
        return
    for row in rows:
        for tail in row.get("tails") or []:
            call = record.calls.get(tail.get("call", -1)) or {}
            ops = [op[0] for op in tail.get("ops") or []]
            # Without weights of its own (affine=False) the norm is no layer, but an operation behind the last one.
            bare = next((index for index, name in enumerate(ops) if name in BATCH_NORMS), None)
            normed = tail.get("layer") in BATCH_NORMS or (bare is not None and tail.get("layer"))
            if not normed or call.get("fn") not in JUDGED or not call.get("grad"):
                continue
            hidden = [name for name in ops[:bare] if name.startswith(("Relu", "Gelu", "Silu", "LeakyRelu"))]
            if len(hidden) > max_activations - 1:
                continue  # activations of hidden layers: something without parameters ends the network
            target, output = call.get("target") or {}, call.get("output") or {}
            if target.get("grad") or not output.get("shape"):
                continue
            name = layer_name(record, tail.get("param")) if bare is None else None
            if bare is not None and _fits(record, call, fitting):
                continue
            text = (
                f"batch norm {name or 'without weights'} stands between the last layer and {call['fn']}: each answer "
                "is measured against the other samples of its batch"
            )
            site = _site(record, source, tail.get("param")) if bare is None else _bare_site(source)
            yield Finding(site, (Evidence(text, "structure"),), 0.9, layer=name)
            return


def _fits(record: Record, call: Row, fitting: float) -> bool:
    """Whether the targets of a regression are normalised themselves (features of a teacher, say)."""
    samples = record.rows("loss", call=call.get("i"), grad=True)
    mean, std = middle(samples.column("target.mean")), middle(samples.column("target.std"))
    return call.get("fn") in REGRESSION and abs(mean) < fitting and abs(std - 1) < fitting


def _site(record: Record, source: Source, parameter: int | None) -> Site | None:
    """Where it is applied, by its attribute in a forward; else where it is made."""
    known = record.parameters.get(parameter) if parameter is not None else None
    if known is None:
        return None
    attributes = [part for part in known.layer.split(".") if not part.isdigit()]
    made = source.layer(known.name)
    if attributes and not known.layer.rpartition(".")[2].isdigit():
        for module in source:
            for node in _uses(module, attributes[-1]):
                return site_at(module, node)
    return None if made is None else site_at(*made)


def _bare_site(source: Source) -> Site | None:
    """Where a batch norm without weights is applied, by its attribute in a forward; else where it is made."""
    for module in source:
        for call in sorted(module.calls(*KINDS), key=lambda each: -each.lineno):
            if not _without_weights(call):
                continue
            outer = module.parents.get(call)
            targets = outer.targets if isinstance(outer, ast.Assign) else []
            for target in targets:
                used = _uses(module, target.attr) if isinstance(target, ast.Attribute) else []
                if used:
                    return site_at(module, used[0])
            return site_at(module, call)
    return None


def _is_bare(module: Module, attribute: str) -> bool:
    """Whether an attribute holds a batch norm without weights."""
    return any(
        isinstance(target, ast.Attribute) and target.attr == attribute
        for call in module.calls(*KINDS)
        if _without_weights(call) and isinstance(outer := module.parents.get(call), ast.Assign)
        for target in outer.targets
    )


def _without_weights(call: ast.Call) -> bool:
    given = [keyword.value for keyword in call.keywords if keyword.arg == "affine"] or call.args[3:4]
    return bool(given) and isinstance(given[0], ast.Constant) and given[0].value is False


def _uses(module: Module, attribute: str) -> list[ast.Call]:
    found = [
        node
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == attribute
    ]
    return sorted(found, key=lambda node: -node.lineno)


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Without it: its call where it is applied, nn.Identity() where it is made in a Sequential."""
    title = "take the batch norm after the last layer away"
    module = source.module(finding.site.file) if finding.site is not None else None
    if module is None or finding.site is None:
        return [Remedy(title, "changes-training")]
    leaf = (finding.layer or "").rpartition(".")[2]
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call) or node.lineno != finding.site.line:
            continue
        applied = isinstance(node.func, ast.Attribute) and (node.func.attr == leaf or _is_bare(module, node.func.attr))
        if applied and len(node.args) == 1:
            return [Remedy(title, "changes-training", (module.replace(node, module.segment(node.args[0])),))]
        if module.dotted(node.func) in KINDS and isinstance(module.parents.get(node), ast.Call):
            prefix = module.segment(node.func).rpartition(".")[0] or "torch.nn"
            return [Remedy(title, "changes-training", (module.replace(node, f"{prefix}.Identity()"),))]
    return [Remedy(title, "changes-training")]


CONDITION = Condition(
    "misplaced-batch-norm",
    "warning",
    needs=("structure", "loss_calls", "parameters"),
    in_run=in_run,
    remedies=remedies,
    explains=("unscaled-target", "lr-too-low"),
)
