"""Gradients shrink through depth until the early layers do not learn.

## What happens
Each layer multiplies the backward signal by its weights and its activation's slope. A sigmoid's slope is at most 0.25;
with PyTorch's default initialisation eight sigmoid layers of width 64 gave the first layer a gradient about 1e-8 times
that of the last, a factor of about 0.1 a layer. The forward signal shrinks alike, so the output hardly depends on the
input (spread 1e-7 over samples) and the loss stops at the constant predictor, here 0.692, about ln 2. ReLU alone does
not save it: eight plain ReLU layers with the default initialisation stood at 0.692 after 500 steps of plain SGD; with
He initialisation, or with residual connections, the same run went to 0.001.
It is easy to overlook because nothing is zero, no warning appears, and the last layer's gradient looks healthy.

## How it is told apart
Decided on gradient RMS by depth (ratio first to last, and the factor a layer), the spread of activations by depth, the
relative update of the early layers, and skill near 0. Under Adam look at gradients, not updates: Adam rescales, and its
update ratio looked normal (1.5e-3) for a first-layer gradient of 1e-9; it fails once gradients sink below its eps 1e-8.
- `saturated-activations`: the slope is lost because units sit in the flat ends; then that leads and this follows.
- `dead-relu`, `detached-loss`, `frozen-parameters`, `symmetric-init`: gradients exactly zero or None, not small.
- `bad-init-scale`: the forward signal is off at step 0 in a net that is shallow or normalised enough to recover.
- `lr-too-low`: all layers move slowly, by similar ratios. `uninformative-labels`: one batch can be memorised.
Not this: gradients that are small everywhere near the end of training, ratios of 0.01 to 1 between layers (the healthy
ReLU runs above had 0.05), a new residual branch initialised to zero, a deliberately small lr for early layers.

## Remedy
Match the initialisation to the activation, and give the signal a way past the layers.

    for m in model.modules():
        if isinstance(m, nn.Linear):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu"); nn.init.zeros_(m.bias)   # tanh: xavier_normal_
    h = h + self.block(self.norm(h))                 # residual connection with a norm layer

Hidden sigmoids: use ReLU or GELU; batch norm between them helped (0.32 after the same 500 steps) but less. Recurrent
nets: LSTM or GRU. A larger lr is no remedy: it is the ratio between layers that is wrong.

## Sources
- Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks,
  https://proceedings.mlr.press/v9/glorot10a/glorot10a.pdf [sigmoids unsuited to depth; an initialisation that helps]
- He et al., Delving deep into rectifiers, https://huggingface.co/papers/1502.01852 [initialisation for rectifiers]
- mamba issue 527, https://github.com/state-spaces/mamba/issues/527
  [four layers train, eight do not; the user traced it to one norm option]
"""

from __future__ import annotations

import ast

from ...record import Record, Site
from ...record.steps import activations, depth_ratio
from ...source import Source
from ...source.activations import gated_instead, residual, swapped
from ...source.initialisers import CONSTANT, RANDOM, initialiser_at, random_again
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import fails, initialiser_site, judged, layer_name, layer_site, middle, site_at, standing
from ..weights import built_at, drawn_weights

DEEP = 6  # layers from which on PyTorch's own start (each layer passes 1/6 of the variance) loses a ReLU's signal

SQUASHING = (
    "torch.nn.Sigmoid",
    "torch.nn.Tanh",
    "torch.sigmoid",
    "torch.tanh",
    "torch.nn.functional.sigmoid",
    "torch.nn.functional.tanh",
    "?.sigmoid",
    "?.tanh",
    "torch.nn.RNN",
)


def in_run(
    record: Record,
    source: Source,
    *,
    max_ratio: float = 3e-4,  # gradient norm, first place over last; clinic: faulty to 1e-5, healthy from 6e-3
    good_skill: float = 0.5,  # clinic: faulty up to 0.00; a deep net that learns has no such fault
) -> Answer:
    """The gradient shrinks on its way back, until the first layers get none."""
    entries = judged(record)
    if not entries or not record.rows("signal"):
        yield NotEvaluated("the gradient by depth was not seen" if entries else "learning cannot be judged")
        return
    for entry in entries:
        ratios = depth_ratio(record, entry.objective.number)
        ratio = middle(ratios)
        # Exactly zero is no shrinking: nothing comes back at all (dead units, zero weights).
        if not 0 < ratio < max_ratio or not fails(entry, good_skill) or entry.nonfinite:
            continue
        first = next((r for r in record.rows("signal", site=entry.objective.number)), {})
        places = [p for p in first.get("params") or [] if isinstance(p, int)]
        depth = max((int(a) for a in first.get("after") or [] if isinstance(a, int)), default=0) + 1
        yield Finding(
            _site(record, source, entry.objective.number, places[0] if places else None),
            (
                Evidence(
                    f"over {depth} layers the gradient shrinks to {ratio:.1e} of what it is at the output "
                    "(about 1 where gradients flow)",
                    "gradient_by_depth",
                    ratio,
                    1.0,
                ),
                Evidence(standing(entry), "objective", entry.last, entry.baseline),
            ),
            0.9,
            layer=layer_name(record, places[0]) if places else None,
            subject=(depth, built_at(record, entry.objective)),
        )
        return


def _site(record: Record, source: Source, objective: object, first: int | None) -> Site | None:
    """The squashing activation, where the graph has one; else the initialiser; else the layers that are stacked."""
    kinds = {place.kind for place in activations(record, objective) if place.after}
    if kinds & {"sigmoid", "tanh"} or not kinds:
        found = [(module, call) for module in source for call in module.calls(*SQUASHING)]
        looped = [(m, c) for m, c in found if m.enclosing(c, ast.For, ast.ListComp, ast.GeneratorExp) is not None]
        if found:
            return site_at(*(looped or found)[0])
    else:
        made = initialiser_site(source, "normal", "uniform", "constant", "xavier_normal", "xavier_uniform")
        if made is not None:
            return made
    return _stacked(source) or layer_site(record, source, first)


def _stacked(source: Source) -> Site | None:
    """The first layer, or block of the script's own, that is made in a loop or comprehension."""
    blocks = {
        node.name
        for module in source
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and any(module.dotted(base).endswith("nn.Module") for base in node.bases)
    }
    for module in source:
        own = (n for n in ast.walk(module.tree) if isinstance(n, ast.Call) and module.segment(n.func) in blocks)
        for call in (*module.calls("torch.nn.Linear", "torch.nn.Conv2d", "torch.nn.Conv1d"), *own):
            if module.enclosing(call, ast.For, ast.ListComp, ast.GeneratorExp) is not None:
                return site_at(module, call)
    return None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """What lets the gradient through: a gated cell, a residual, ReLU with He initialisation."""
    title = "use ReLU with He initialisation, normalisation between layers, or residual connections x + f(x)"
    depth, built = finding.subject if isinstance(finding.subject, tuple) else (0, None)
    site = finding.site
    module = source.module(site.file) if site is not None else None
    if module is None or site is None:
        return [Remedy(title, "changes-training")]
    offers = []
    initialiser = initialiser_at(module, site.line, (*RANDOM, *CONSTANT))
    if initialiser is not None:
        offers.append(("initialise to scale", random_again(source, module, initialiser)))
    offers.append(("replace the plain recurrent layer by a GRU, whose gates carry the gradient", gated_instead(source)))
    drawn = [] if _draws_to_scale(source) or depth < DEEP else drawn_weights(source, built, rectified=True)
    relu = swapped(source, ("sigmoid", "tanh"), "relu")
    words = "replace the squashing activations by ReLU" + (" and draw the weights by He's rule" if drawn else "")
    offers.append((f"carry the signal past each of the {depth} layers: x = x + f(x)", residual(module, site.line)))
    offers.append((words, [*relu, *drawn] if relu else []))
    offers.append(("draw the weights by He's rule", [] if relu else drawn))
    found = [Remedy(words, "changes-training", tuple(edits)) for words, edits in offers if edits]
    return found or [Remedy(title, "changes-training")]


def _draws_to_scale(source: Source) -> bool:
    """Whether the script draws its weights by He's or Glorot's rule already."""
    names = ("kaiming_normal_", "kaiming_uniform_", "xavier_normal_", "xavier_uniform_", "orthogonal_")
    return any(True for module in source for _ in module.calls(*(f"torch.nn.init.{name}" for name in names)))


CONDITION = Condition(
    "vanishing-gradients",
    "error",
    needs=("gradient_by_depth", "objective", "constant_loss"),
    in_run=in_run,
    remedies=remedies,
    by_learning=True,
    explains=("uninformative-labels", "lr-too-low"),
)
