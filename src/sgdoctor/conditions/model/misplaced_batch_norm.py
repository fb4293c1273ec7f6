"""Batch norm stands between the last layer and the loss.

## What happens
Batch norm makes its output's mean and spread over the batch what its two parameters say, whatever the layer before it
computes. At the end of a network that is wrong: the answer to one sample depends on which others are in the batch, a
regression can only state how far a sample is from the batch's mean, all logits of a classifier get the same mean and
spread over the batch however the classes are shared out in it, and evaluation, which uses running statistics, answers
differently from training. The scale and offset that the targets need must be learned by two numbers at the rate of the
weights. In the hidden layers it stands before or after the activation; both are in use, before is the paper's.

## How it is told apart
Decided on the graph: the last operation with parameters before the loss is a batch norm.
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
from ...source import Module, Source
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import layer_name, site_at

BATCH_NORMS = ("NativeBatchNormBackward0", "CudnnBatchNormBackward0", "MiopenBatchNormBackward0")
JUDGED = (
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "cross_entropy", "nll_loss", "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
)  # fmt: skip
KINDS = tuple(f"torch.nn.BatchNorm{n}d" for n in (1, 2, 3))


def in_run(
    record: Record,
    source: Source,
    *,
    max_activations: int = 1,  # between norm and loss: one of the output (sigmoid, softmax) changes nothing
) -> Answer:
    """The layer next to the loss is a batch norm."""
    rows = record.rows("structure")
    if not rows or not any(row.get("tails") for row in rows):
        yield NotEvaluated("no loss function with the layer before it was seen")
        return
    for row in rows:
        for tail in row.get("tails") or []:
            call = record.calls.get(tail.get("call", -1)) or {}
            if tail.get("layer") not in BATCH_NORMS or call.get("fn") not in JUDGED or not call.get("grad"):
                continue
            hidden = [op[0] for op in tail.get("ops") or [] if op[0].startswith(("Relu", "Gelu", "Silu", "LeakyRelu"))]
            if len(hidden) > max_activations - 1:
                continue  # activations of hidden layers: something without parameters ends the network
            target, output = call.get("target") or {}, call.get("output") or {}
            if target.get("grad") or not output.get("shape"):
                continue
            name = layer_name(record, tail.get("param"))
            text = (
                f"batch norm {name or ''} stands between the last layer and {call['fn']}: each answer is measured "
                "against the other samples of its batch"
            )
            yield Finding(_site(record, source, tail.get("param")), (Evidence(text, "structure"),), 0.9, layer=name)
            return


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
        if isinstance(node.func, ast.Attribute) and node.func.attr == leaf and len(node.args) == 1:
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
