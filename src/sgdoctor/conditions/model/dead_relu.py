"""ReLU units output zero for every input and receive no gradient.

## What happens
A ReLU whose pre-activation is negative for all samples outputs 0 and has slope 0: its weights and bias get a gradient
of exactly zero and stay where they are, unless the layer below moves its input back. One step that is too large,
strongly negative biases, or a shifted input can do it. When a whole layer dies, everything below it stops and the
output is one constant: SGD at lr 10 killed the second layer of a small net entirely, with the first layer's gradient
exactly 0; biases of -5 kept the loss at 0.691, the labels' entropy, from the first step to the last. When only part of
a layer dies the loss often does not tell: with Adam at lr 0.1 a run reached a loss of 0 with 59 % of that layer dead.

## How it is told apart
Decided on the share of units that are zero for every sample over many batches, by layer, with their zero gradient, and
on whether it costs anything: a layer (nearly) all dead, or a share that grows while skill stands still.
- `symmetric-init`: all units equal, or weights all zero: it explains dead units and comes first.
- `lr-too-high`: if units died at a jump of the loss, it leads. `unscaled-features`: likewise, if inputs pushed them.
- `vanishing-gradients`: small, not exactly zero. `detached-loss`, `frozen-parameters`: None, or no path.
- `constant-feature`: the layer's input is what does not vary.
Not this: half of all activations being zero, which is what a ReLU does; a unit at zero in one batch but not in others;
rare features and mixture-of-experts branches; ReLU6, GELU, SiLU; a modest share of dead units in a run that learns.

## Remedy
Remove what killed them, then start from fresh weights: dead units do not recover by themselves.

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)       # a tenth of the lr that killed them; or warm up, clip
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu"); nn.init.zeros_(layer.bias)
    self.act = nn.LeakyReLU(0.01)                    # keeps a slope; also GELU, ELU

Standardise the inputs. LeakyReLU keeps units alive but does not mend a bad start: with the biases at -5 it stayed at
0.691 for 300 steps as well. A norm layer before the ReLU keeps pre-activations on both sides of zero.

## Sources
- CS231n, Neural Networks part 1, https://cs231n.github.io/neural-networks-1/
  [how a large step kills a unit for good; monitor the fraction; Leaky ReLU with mixed results]
- Lu et al., Dying ReLU and initialization: theory and numerical examples,
  https://deepai.org/publication/dying-relu-and-initialization-theory-and-numerical-examples
  [deep ReLU nets die in probability with depth; initialisation as the treatment]
- keras issue 7057, https://github.com/keras-team/keras/issues/7057 [common and hard to see; a detector asked for]
"""

from __future__ import annotations

import ast

from ...record import Progress, Record, Site
from ...record.steps import Activation, activations
from ...source import Edit, Module, Source
from ...source.activations import swapped
from ...source.initialisers import CONSTANT, RANDOM, initialiser_at, random_again, shifted_biases
from ...source.rates import scale, written
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import fails, initialiser_site, judged, late, layer_name, layer_site, middle, optimizers_of, standing
from ..weights import built_at, drawn_weights


def in_run(
    record: Record,
    source: Source,
    *,
    min_share: float = 0.85,  # of a layer's units zero for a whole batch; clinic: healthy up to 0.27, faulty 1.0
    min_width: int = 2,  # a layer of one unit says nothing of a layer
    good_skill: float = 0.9,  # dead units beside a run that has learnt cost nothing; clinic: faulty to 0.01
) -> Answer:
    """Units of a ReLU layer put out zero for every sample, so that no gradient reaches them again."""
    entries = judged(record)
    if not entries or not record.rows("activations"):
        yield NotEvaluated("no activations were seen" if entries else "learning cannot be judged")
        return
    for entry in entries:
        if entry.nonfinite or not fails(entry, good_skill):
            continue
        places = [a for a in activations(record, entry.objective.number) if a.kind in ("relu", "threshold")]
        dead = [p for p in places if p.width >= min_width and middle(late(p.columns["dead"])) > min_share]
        if not dead:
            continue
        first = dead[0]
        share, at_first = middle(late(first.columns["dead"])), float(first.columns["dead"][0])
        layer = layer_name(record, first.parameter)
        yield Finding(
            _site(record, source, first, at_first > min_share),
            (
                Evidence(
                    f"{share:.0%} of the units after {layer or 'a layer'} are zero for every sample of a batch "
                    f"({at_first:.0%} at the first step): no gradient passes them",
                    "activations",
                    share,
                    0.3,
                ),
                Evidence(standing(entry), "objective", entry.last, entry.baseline),
            ),
            0.9,
            layer=layer,
            subject=(at_first > min_share, _rate(record, entry), built_at(record, entry.objective)),
        )
        return


def _site(record: Record, source: Source, place: Activation, from_start: bool) -> Site | None:
    """The initialiser where they were dead from the start; else the layer in front of them."""
    made = initialiser_site(source, "constant", "uniform", "normal", "fill") if from_start else None
    return made or layer_site(record, source, place.parameter)


def _rate(record: Record, entry: Progress) -> float | None:
    rates = [rate for optimizer in optimizers_of(record, entry.objective)[:1] for rate in optimizer.lr if rate > 0]
    return max(rates) if rates else None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Bring the pre-activations back around zero; a lower rate where units died on the way."""
    title = "start with biases at 0 and He initialisation; a lower learning rate if they died on the way"
    from_start, rate, built = finding.subject if isinstance(finding.subject, tuple) else (True, None, None)
    site = finding.site
    module = source.module(site.file) if site is not None else None
    if module is None or site is None:
        return [Remedy(title, "changes-training")]
    initialiser = initialiser_at(module, site.line, RANDOM + CONSTANT)
    offers = [
        ("start with biases at 0", shifted_biases(source)),
        ("start from He initialisation, and biases at 0", _redrawn(source, module, initialiser)),
    ]
    if not from_start and isinstance(built, Site) and rate:
        for factor in (0.1, 0.01):
            words = f"lower the learning rate from {rate:.3g} to {written(rate * factor)}"
            offers.insert(0 if factor == 0.1 else 1, (words, list(scale(source, built.file, built.line, rate, factor))))
    if not any(edits for _, edits in offers):
        offers.append(("draw the weights by He's rule before training", drawn_weights(source, built, rectified=True)))
    offers.append(("replace ReLU by LeakyReLU, which keeps a slope", swapped(source, ("relu",), "leaky_relu")))
    found = [Remedy(words, "changes-training", tuple(edits)) for words, edits in offers if edits]
    return found or [Remedy(title, "changes-training")]


def _redrawn(source: Source, module: Module, initialiser: ast.Call | None) -> list[Edit]:
    return [] if initialiser is None else random_again(source, module, initialiser)


CONDITION = Condition(
    "dead-relu",
    "error",
    needs=("activations", "objective", "constant_loss"),
    in_run=in_run,
    remedies=remedies,
    by_learning=True,
    explains=("vanishing-gradients", "uninformative-labels", "lr-too-low"),
)
