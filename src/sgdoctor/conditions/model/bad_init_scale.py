"""Weights start too large or too small.

## What happens
The variance of a layer's output is fan-in times the variance of its weights times that of its input. With a standard
deviation of 1 and 128 inputs every layer multiplies the signal by about 11: three layers put logits into the hundreds,
the first loss is tens to thousands where ln K is due, gradients are of the same size, and a rate that would be fair
throws the weights about, or sigmoid and tanh units start in their flat ends. With 0.001 every layer divides by a
hundred: the output is the last bias, gradients at the first layers are products of tiny numbers, and the loss sits at
that of a constant for hundreds of steps. Adam hides both for a while. PyTorch's own initialisation is fair; this comes
from `normal_(0, 1)`, a hand-picked constant, or `nn.Parameter(torch.randn(n, m))` for a weight.

## How it is told apart
Decided on the gain of each weight at step 0, its root mean square times the square root of its fan-in (0.6 for
PyTorch's default, 1 for Xavier, 1.4 for He), in several layers, together with what the loss shows.
- `symmetric-init`: all weights equal, or zero. `unscaled-features`, `unscaled-target`: the data are large.
- `exploding-gradients`: leads where the gradient is seen to grow through a deep stack, this follows.
- `vanishing-gradients`, `saturated-activations`, `dead-relu`: what it leads to.
- `lr-too-high`: a fair start that a step throws away.
Not this: a small or zero last layer or last layer of a residual branch, embeddings at standard deviation 1, pre-trained
weights, norm layers right behind the weight, which undo its scale.

## Remedy
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")       # tanh, sigmoid: xavier_normal_
    self.w = nn.Parameter(torch.randn(n, m) / n**0.5)

## Sources
- He et al., Delving deep into rectifiers, https://arxiv.org/abs/1502.01852
- Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks,
  https://proceedings.mlr.press/v9/glorot10a/glorot10a.pdf
- PyTorch, torch.nn.init, https://docs.pytorch.org/docs/stable/nn.init.html
"""

from __future__ import annotations

import ast
import math

import numpy as np

from ...record import Progress, Record, Site
from ...source import Module, Source
from ...source.initialisers import drawn_tensors, trained_draws
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..doubts import asks, surer_when_better, weighed
from ..network import listed
from ..questions import fails, judged, layer_name, layer_site, site_at, standing
from ..weights import gains_at_first

DRAWS = ("normal_", "uniform_", "trunc_normal_", "randn", "rand", "normal", "xavier_normal_", "xavier_uniform_")


def in_run(
    record: Record,
    source: Source,
    *,
    too_large: float = 4.0,  # gain; He's is 1.4, healthy scripts of the clinic stay below 2.5
    too_small: float = 0.1,  # gain; PyTorch's default is 0.58, healthy scripts of the clinic stay above 0.2
    min_layers: int = 2,  # one odd layer (the last, a branch) is often meant
    min_first: float = 2.0,  # first loss in units of the best constant's; a fair start is near 1
    bad_skill: float = 0.2,  # too small a start shows as a loss that stays where a constant is
) -> Answer:
    """Several layers start with weights far from what their width asks for."""
    entries = judged(record)
    if not entries or not record.rows("gradients"):
        yield NotEvaluated("no first gradients were seen" if entries else "learning cannot be judged")
        return
    for entry in entries:
        gains = gains_at_first(record, entry)
        if gains is None:
            continue
        large = [n for n, gain in gains if gain > too_large]
        small = [n for n, gain in gains[:-1] if 0 < gain < too_small]
        if len(large) >= min(min_layers, len(gains)) and len(large) >= 0.5 * len(gains) and len(gains) >= min_layers:
            start = float(entry.objective.values[0]) / entry.scale if len(entry.objective.values) else math.nan
            shown = not math.isfinite(start) or start > min_first * entry.baseline
            if shown and (entry.skill < 0.9 or entry.nonfinite or start > 10 * entry.baseline):
                yield _finding(record, source, entry, large, gains, "large", start)
                return
        if len(small) >= min_layers and len(small) >= 0.6 * len(gains[:-1]) and fails(entry, bad_skill):
            yield _finding(record, source, entry, small, gains, "small", math.nan)
            return


def _finding(
    record: Record,
    source: Source,
    entry: Progress,
    layers: list[int],
    gains: list[tuple[int, float]],
    word: str,
    start: float,
) -> Finding:
    worst = (max if word == "large" else min)(gain for n, gain in gains if n in layers)
    names = [str(layer_name(record, n)) for n in layers]
    text = (
        f"{listed(names)} start too {word}: each multiplies a signal by up to {worst:.2g}, where 0.6 to 1.4 "
        "keeps it as it is"
    )
    evidence = [Evidence(text, "weights", float(worst), 1.0)]
    if np.isfinite(start) and np.isfinite(entry.baseline):
        first = f"the first loss is {start:.4g}, {start / entry.baseline:.3g} times that of the best constant output"
        evidence.append(Evidence(first, "objective", start, entry.baseline))
    evidence.append(Evidence(standing(entry), "objective", entry.last, entry.baseline))
    site = _drawn(source) or layer_site(record, source, layers[0])
    return Finding(site, tuple(evidence), 0.9, layer=names[0], subject=word)


def _drawn(source: Source) -> Site | None:
    """The call that draws the weights: an initialiser, or `nn.Parameter(torch.randn(...))`."""
    found: list[tuple[int, Module, ast.Call]] = []
    for module in source:
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call):
                continue
            last = module.dotted(node.func).rpartition(".")[2]
            if last not in DRAWS:
                continue
            text = module.segment(node)
            outer = module.enclosing(node, ast.Call)
            wrapped = isinstance(outer, ast.Call) and module.dotted(outer.func).endswith("Parameter")
            if last.endswith("_"):
                found.append((0 if "weight" in text or "param" in text or text == "p" else 1, module, node))
            elif wrapped:
                found.append((1, module, node))
    # A tensor that requires grad without being a Parameter: a model of plain tensors.
    found = found or [(1, *each) for each in trained_draws(source, ("randn", "rand"))]
    found.sort(key=lambda entry: (entry[0], entry[2].lineno))
    return site_at(found[0][1], found[0][2]) if found else None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """He's initialisation in place of a normal one of fixed size."""
    title = "draw the weights by their fan-in: nn.init.kaiming_normal_ (ReLU) or xavier_normal_ (tanh, sigmoid)"
    module = source.module(finding.site.file) if finding.site is not None else None
    if module is None or finding.site is None or ("torch" not in module.names and "nn" not in module.names):
        return [Remedy(title, "changes-training")]
    prefix = "nn" if module.names.get("nn") == "torch.nn" else "torch.nn"
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call) or node.lineno != finding.site.line:
            continue
        name = module.dotted(node.func)
        if name in ("torch.nn.init.normal_", "torch.nn.init.uniform_") and node.args:
            what = module.segment(node.args[0])
        elif name in ("?.normal_", "?.uniform_") and isinstance(node.func, ast.Attribute):
            what = module.segment(node.func.value).removesuffix(".data")
        else:
            continue
        return [
            Remedy(words, "changes-training", (module.replace(node, f"{prefix}.init.{draw}({what})"),))
            for words, draw in ((title, "kaiming_normal_"), ("or smaller, by both fans", "xavier_uniform_"))
        ]
    drawn = drawn_tensors(source, ("randn", "rand"))
    return [
        Remedy("divide the draws by the root of their fan-in" if drawn else title, "changes-training", tuple(drawn))
    ]


CONDITION = Condition(
    "bad-init-scale",
    "error",
    needs=("weights", "graph", "objective", "constant_loss", "parameters"),
    in_run=in_run,
    suspects=asks(in_run, "fresh_initialisation"),
    in_experiment=weighed(in_run, fresh_initialisation=surer_when_better),
    remedies=remedies,
    explains=("lr-too-low", "uninformative-labels", "dead-relu", "vanishing-gradients"),
)
