"""Sigmoid or tanh units live in their flat ends, where the slope is nearly zero.

## What happens
The slope of tanh is 0.07 at |z| = 2 and 0.01 at 3; that of sigmoid is 0.25 at 0 and 0.007 at 5. A unit beyond that knee
passes next to nothing back, to its weights and to every layer below, and answers the same for almost every input.
The usual reason is a pre-activation that is too large: raw pixels of 0 to 255 into a default Linear(784, 64) put 97 %
of the tanh outputs above 0.99 in absolute value, and the same pixels divided by 255 none. Other reasons are large
initial weights, or a large lr that pushed units out. The loss sits still or creeps, and may move again by itself after
a long plateau, since saturated units can come back, slowly. Gates of an LSTM saturate in the same way.

## How it is told apart
Decided on the share of activations past the knee (tanh above 0.99, sigmoid outside 0.01 to 0.99), layer by layer, the
mean slope there, and the gradient lost across that layer; of a recurrent layer, whose gates are not seen one by one,
also on the size its biases start with. At step 0 it is initialisation or input; later, training.
- `unscaled-features`: the inputs are the reason; it leads, this follows. `bad-init-scale`: the weights are the reason.
- `vanishing-gradients`: slopes are fair in each layer, the product over many layers is small.
- `dead-relu`: ReLU-like units, slope exactly zero. `double-sigmoid`: at the loss, not inside the net.
- `lr-too-high`: saturation sets in after one large step, from a sound start.
Not this: the output sigmoid or softmax of a confident, correct classifier; gates that are open or closed in a run that
learns; hard attention; binary or spiking units with a surrogate slope.

## Remedy
Bring the pre-activations back to about unit scale: scale the input, then the weights.

    x = x.float() / 255.0                            # or standardise per feature, see unscaled-features
    nn.init.xavier_normal_(layer.weight, gain=nn.init.calculate_gain("tanh")); nn.init.zeros_(layer.bias)
    self.act = nn.ReLU()                             # hidden layers rarely need a sigmoid

A norm layer before the activation does it too. If saturation appears during training, lower the lr or clip.

## Sources
- CS231n, Neural Networks part 1, https://cs231n.github.io/neural-networks-1/
  [saturated sigmoids pass almost no gradient; large initial weights saturate]
- Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks,
  https://proceedings.mlr.press/v9/glorot10a/glorot10a.pdf
  [top layers driven into saturation; units leave it slowly, which explains plateaus]
"""

from __future__ import annotations

import ast

import numpy as np

from ...record import Progress, Record, Site
from ...record.record import number, numbers
from ...record.steps import Activation, activations
from ...source import Source
from ...source.activations import swapped, unscaled
from ...source.initialisers import CONSTANT, RANDOM, drawn_tensors, initialiser_at, random_again
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import fails, initialiser_site, judged, layer_name, layer_site, middle, site_at, standing
from ..weights import built_at, drawn_weights


def in_run(
    record: Record,
    source: Source,
    *,
    min_share: float = 0.55,  # of a hidden layer past the knee; clinic: healthy up to 0.08, faulty from 0.86
    min_at_first: float = 0.3,  # what saturates only on the way was pushed there: by the learning rate, mostly
    min_held: float = 0.9,  # at every look, from the first to the last
    good_skill: float = 0.9,  # clinic: faulty up to 0.78, as the last layer learns on what comes through
) -> Answer:
    """Hidden sigmoids or tanhs live in their flat ends, where almost no gradient passes."""
    entries = judged(record)
    if not entries or not (record.rows("activations") or record.rows("gradients")):
        yield NotEvaluated("no activations were seen" if entries else "learning cannot be judged")
        return
    for entry in entries:
        places = [a for a in activations(record, entry.objective.number) if a.kind in ("tanh", "sigmoid") and a.after]
        flat = [
            place
            for place in places
            if middle(place.columns["flat"]) > min_share and place.columns["flat"][0] > min_at_first
        ]
        held = [place for place in flat if float(np.nanmin(place.columns["flat"])) > min_held]
        # Of a loss without a constant's to compare with, its fall says little: the layers behind learn on what comes.
        if held and not np.isfinite(entry.skill) and not entry.drop > good_skill:
            flat = held
        elif not flat or not fails(entry, good_skill):
            yield from _gates(record, source, entry)
            continue
        worst = max(flat, key=lambda place: middle(place.columns["flat"]))
        share, at_first = middle(worst.columns["flat"]), float(worst.columns["flat"][0])
        layer = layer_name(record, worst.parameter)
        yield Finding(
            _site(record, source, worst, at_first > min_share),
            (
                Evidence(
                    f"{share:.0%} of the {worst.kind} outputs after {layer or 'a hidden layer'} are past the knee, "
                    f"where less than 2 % of the slope is left ({at_first:.0%} at the first step)",
                    "activations",
                    share,
                    0.1,
                ),
                Evidence(standing(entry), "objective", entry.last, entry.baseline),
            ),
            0.88,
            layer=layer,
            subject=built_at(record, entry.objective),
        )
        return


def _gates(
    record: Record,
    source: Source,
    entry: Progress,
    *,
    min_bias: float = 7.0,  # root mean square: a slope of 0.001 is left; a chrono initialisation has 4 to 6
    good_skill: float = 0.3,
) -> Answer:
    """The biases of a recurrent layer start so far out that its gates neither open nor close."""
    rows = record.rows("gradients", site=entry.objective.number)
    if not fails(entry, good_skill) or not rows or number(rows[0].get("n")) != 0:
        return
    for parameter, norm in zip(rows[0].get("params") or [], numbers(rows[0].get("weight"))):
        known = record.parameters.get(parameter)
        leaf = known.name.rpartition(".")[2] if known is not None else ""
        if known is None or not leaf.startswith(("bias_ih_l", "bias_hh_l")):
            continue
        size = float(norm) / max(1, known.size) ** 0.5
        if size > min_bias:
            text = f"the biases {known.name} start at a root mean square of {size:.3g}: the gates stand at their ends"
            evidence = Evidence(text, "weights", size, 1.0)
            shown = Evidence(standing(entry), "objective", entry.last, entry.baseline)
            built = built_at(record, entry.objective)
            site = _filled(source, leaf) or layer_site(record, source, parameter)
            yield Finding(site, (evidence, shown), 0.88, layer=known.layer, subject=built)
            return


def _filled(source: Source, attribute: str) -> Site | None:
    """The first statement that mentions a parameter of torch's recurrent layers by its own name."""
    for module in source:
        found = [n for n in ast.walk(module.tree) if isinstance(n, ast.Attribute) and n.attr == attribute]
        if found:
            return site_at(module, min(found, key=lambda node: node.lineno))
    return None


def _site(record: Record, source: Source, place: Activation, from_start: bool) -> Site | None:
    """The initialiser, where it began so and there is one; else the activation's own line."""
    if from_start:
        made = initialiser_site(source, "normal", "uniform", "constant", "xavier_uniform", "xavier_normal")
        if made is not None:
            return made
    names = {
        "tanh": ("torch.tanh", "?.tanh", "torch.nn.functional.tanh", "torch.nn.Tanh"),
        "sigmoid": ("torch.sigmoid", "?.sigmoid", "torch.nn.functional.sigmoid", "torch.nn.Sigmoid"),
    }[place.kind]
    found = [(module, call) for module in source for call in module.calls(*names)]
    scaled = [(m, c) for m, c in found if any(isinstance(n, ast.BinOp) for a in c.args for n in ast.walk(a))]
    chosen = scaled or found
    return site_at(*chosen[0]) if chosen else None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Bring the pre-activations back to unit scale."""
    title = "initialise to scale (nn.init.xavier_uniform_) and normalise what enters the activation"
    site = finding.site
    module = source.module(site.file) if site is not None else None
    if module is None or site is None:
        return [Remedy(title, "changes-training")]
    initialiser = initialiser_at(module, site.line, RANDOM + CONSTANT)
    offers = [
        ("bring the factor in front of the activation to 1", unscaled(source, site.line, site.file)),
        ("initialise to scale", random_again(source, module, initialiser) if initialiser is not None else []),
    ]
    if not any(edits for _, edits in offers):
        offers.append(("initialise to scale", drawn_tensors(source, ("randn", "rand"))))
        offers.append(("draw the weights to scale before training", drawn_weights(source, finding.subject)))
        offers.append(("replace the saturated activations by ReLU", swapped(source, ("sigmoid", "tanh"), "relu")))
    found = [Remedy(words, "changes-training", tuple(edits)) for words, edits in offers if edits]
    return found or [Remedy(title, "changes-training")]


CONDITION = Condition(
    "saturated-activations",
    "warning",
    needs=("activations", "objective", "constant_loss", "weights", "parameters"),
    in_run=in_run,
    remedies=remedies,
    by_learning=True,
    explains=("vanishing-gradients", "exploding-gradients", "uninformative-labels", "lr-too-low"),
)
