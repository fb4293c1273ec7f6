"""The model is too small: it cannot even memorise one batch.

## What happens
The loss stops well above its floor, in training as in validation, and neither more epochs nor another learning rate
move it. A linear model on a problem that is not linear (XOR, circles, a product of inputs), a hidden layer of two
units, a code of one number in between. The model has said what it can. It is easy to take for bad labels or a bad
optimizer, as the curve looks the same.

## How it is told apart
By an experiment (`sgdoctor prove`): the first batch alone, for as many steps as the run has, at the script's learning
rate and at ten times less and more. Where the loss hardly falls at any of them, and the narrowest place between
input and output is a few units wide (or there is no hidden layer at all), it is capacity.
- `uninformative-labels`: one batch is memorised by a model of some width. `lr-too-low`, `lr-too-high`: another
  rate does.
- `vanishing-gradients`, `dead-relu`, `missing-step`: wide enough, but gradients do not arrive or do nothing.
- `restrictive-output`: the last activation cannot reach the targets. `missing-nonlinearity`: deep, yet linear.
Not this: a linear model that does well, a strong bottleneck that is meant (an autoencoder whose loss falls).

## Remedy
More width first, then depth; a non-linearity between layers. A model that can memorise the batch can still be held
back later by weight decay, dropout or early stopping.

    nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2))    # not nn.Linear(2, 2)

## Sources
- Karpathy, A Recipe for Training Neural Networks, https://karpathy.github.io/2019/04/25/recipe/
  [overfit one batch: the lowest loss must be reachable]
- Zhang et al., Understanding deep learning requires rethinking generalization, https://arxiv.org/abs/1611.03530
  [networks of usual size fit even random labels]
- Deep Learning Tuning Playbook, https://github.com/google-research/tuning_playbook [when to make a model larger]
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

import numpy as np

from ...record import Progress, Record, Site
from ...record.record import Parameter
from ...source import Edit, Module, Source
from ...source.numbers import literals
from ..condition import Answer, Condition, Evidence, Finding, Outcome, Remedy
from ..doubts import left_open
from ..questions import judged, layer_name, layer_site, loss_site, site_at, standing

MIN_STEPS = 60  # fewer steps may be a slow start
WIDE = 32  # units: what a hidden layer of a small model usually has at least
SIZES = ("out_features", "hidden_size", "out_channels", "embedding_dim")
NARROW = 4  # units; a place as narrow as that holds a few bits of a batch


def suspects(record: Record, source: Source) -> tuple[str, ...]:
    """Whether one batch is memorised, where a narrow model does not learn."""
    return (
        ("memorises_one_batch",) if any(_stuck(entry) and _narrowest(record, entry) for entry in judged(record)) else ()
    )


def _stuck(entry: Progress, max_skill: float = 0.3) -> bool:
    return not entry.nonfinite and entry.count >= MIN_STEPS and np.isfinite(entry.skill) and entry.skill < max_skill


def _narrowest(record: Record, entry: Progress) -> tuple[int, int] | None:
    """(parameter, width) of the narrowest place before the output: 0 where a single layer is all there is."""
    matrices = [
        record.parameters[number]
        for number in sorted(entry.objective.leaves)
        if number in record.parameters and len(record.parameters[number].shape) >= 2
    ]
    if not matrices:
        return None
    if len(matrices) == 1:
        return matrices[0].number, 0
    width, number = min((_width(known), known.number) for known in matrices[:-1])
    return (number, width) if width <= NARROW else None


def _width(known: Parameter) -> int:
    """The units that a layer gives on: of a table the columns, of a recurrent layer the state, not its gates."""
    columns = str(known.module).startswith("Embedding") or ".weight_hh" in f".{known.name}"
    return int(known.shape[1 if columns else 0])


def _home(source: Source, name: str, width: int) -> Site | None:
    """Where the number of units is written: an option, a default, an argument."""
    found = source.layer(name) if width else None
    node = found[1] if found is not None else None
    made = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else node
    if found is None or not isinstance(made, ast.Call):
        return None
    given = [*made.args[1:2], *(each.value for each in made.keywords if each.arg in SIZES)]
    behind = [each for part in given for each in literals(source, found[0], part) if each.value == width]
    return site_at(behind[0].module, behind[0].node) if behind else None


def in_experiment(
    record: Record,
    source: Source,
    outcomes: Mapping[str, Outcome],
    *,
    min_share: float = 0.7,  # of the constant predictor's loss left on one batch; models of some width end below 0.3
) -> Answer:
    """One batch is not memorised at any rate, by a model that is narrow."""
    outcome = outcomes.get("memorises_one_batch")
    if outcome is None or not outcome.figures:
        yield from CONDITION.in_run(record, source)
        return
    if not outcome.figure("share") > min_share or outcome.figure("rates") < 2:
        return
    for entry in judged(record):
        found = _narrowest(record, entry) if _stuck(entry) else None
        if found is None:
            continue
        parameter, width = found
        layer = layer_name(record, parameter)
        where = f"{layer} is {width} units wide" if width else f"{layer} is all there is between input and output"
        evidence = (
            Evidence(f"can one batch be memorised? {outcome.answer}", None, outcome.figure("share"), 0.3),
            Evidence(f"{where}; {standing(entry)}", "parameters", float(width), 16.0),
        )
        known = record.parameters.get(parameter)
        site = _home(source, known.name, width) if known is not None else None
        site = site or layer_site(record, source, parameter) or loss_site(record, entry)
        subject = (known.name if known is not None else None, width)
        yield Finding(site, evidence, 0.85, layer=layer, subject=subject)
        return


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The narrow place made wider, or a hidden layer put in front of the only one."""
    title = "make the model wider (a hidden layer of 32 units or more), then deeper"
    parameter, width = finding.subject if isinstance(finding.subject, tuple) else (None, 0)
    found = source.layer(parameter) if isinstance(parameter, str) else None
    if found is None and not width:  # the model is the layer, and its weight has no other name
        only = [(module, call) for module in source for call in module.calls("torch.nn.Linear")]
        found = only[0] if len(only) == 1 else None
    if found is None:
        return [Remedy(title, "advice")]
    module, node = found
    made = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else node
    if not isinstance(made, ast.Call) or module.dotted(made.func) != "torch.nn.Linear" or len(made.args) < 2:
        return [Remedy(title, "advice")]
    if width:
        behind = [each for each in literals(source, module, made.args[1]) if each.value == width]
        edits = [behind[0].module.replace(behind[0].node, str(WIDE))] if len(behind) == 1 else []
        return [Remedy(title, "changes-training", tuple(edits))]
    return [Remedy(title, "changes-training", tuple(_hidden(module, made)))]


def _hidden(module: Module, made: ast.Call) -> list[Edit]:
    """`nn.Linear(a, b)` as a hidden layer and the output layer; none where its own weight is used by name."""
    statement = module.parents.get(made)
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    name = module.segment(target) if target is not None else ""
    used = [n for n in ast.walk(module.tree) if isinstance(n, ast.Attribute) and n.attr in ("weight", "bias")]
    if not name or any(module.segment(node.value) == name for node in used):
        return []
    linear, prefix = module.segment(made.func), module.segment(made.func).rpartition(".")[0]
    nn = f"{prefix}." if prefix else "torch.nn."
    if not prefix and "torch" not in module.names:
        return []
    sizes = [module.segment(each) for each in made.args[:2]]
    rest = "".join(f", {module.segment(each)}" for each in [*made.args[2:], *made.keywords])
    text = f"{nn}Sequential({linear}({sizes[0]}, {WIDE}), {nn}ReLU(), {linear}({WIDE}, {sizes[1]}{rest}))"
    return [module.replace(made, text)]


CONDITION = Condition(
    "underfitting",
    "warning",
    needs=("objective", "constant_loss", "graph", "parameters"),
    in_run=left_open(suspects),
    by_experiment=True,
    suspects=suspects,
    in_experiment=in_experiment,
    remedies=remedies,
    by_learning=True,
    explains=("uninformative-labels",),
)
