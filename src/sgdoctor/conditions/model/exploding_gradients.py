"""Gradients grow through depth or time until single steps throw the weights away.

## What happens
The backward signal is a product of one factor per layer, or per time step; factors above 1 grow it exponentially. With
weights of standard deviation 0.5 at width 64, activations grew 2.8-fold a layer forward and their gradients 2.8-fold a
layer backward (the square root of 64 * 0.25 / 2). A tanh RNN with recurrent weights twice the usual scale had an input
gradient 16 times larger at the first of 5 steps than at the last, and 9000 times at the first of 50. The loss starts
far above chance, or falls well for an hour and then jumps in one step, to a plateau or to NaN, at a steep place. It is
easy to overlook because most steps are sound, and a curve averaged over an epoch hides the one that was not.

## How it is told apart
Decided on growth of activation and activation-gradient RMS per layer or time step (weight gradients can be alike in all
layers of a plain stack, since the two growths cancel; where the weights start fair, the sum of a residual block that
nothing normalises is what grows), and on spikes of the gradient norm against its running median:
where one weight is passed again and again, a spike that steps of usual size led to, and that nothing clipped.
- `unscaled-features`, `unscaled-target`: the size enters with the data; they lead, this follows.
- `lr-too-high`: the norm is ordinary at first and grows only after the loss began to oscillate.
- `missing-zero-grad`: the norm rises because old gradients are still in it. `sum-reduction`: it scales with the batch.
- `ineffective-clipping`: a clip is there and does nothing. `nonfinite-loss`: a single operation, no growth before it.
Not this: a large norm in the first steps that settles, a norm that is large because the model is (it scales with the
root of the parameter count), GAN or RL spikes without lasting damage, spikes cut by a working clip.

## Remedy
Clip the global norm after backward and before the step, at a few times the median norm of sound steps.

    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=limit)  # returns the norm before clipping
    optimizer.step()                                 # GradScaler: scaler.unscale_(optimizer) before the clip

Clipping bounds the damage of a spike; steady growth needs its cause mended: initialisation, norm layers, residual
scaling, a gated cell or shorter sequences. It does not help against NaN: an infinite norm turns the gradient into NaN.

## Sources
- Pascanu et al., On the difficulty of training recurrent neural networks, https://arxiv.org/abs/1211.5063,
  read in the summary https://www.textbookofai.com/references/pascanu2013.html [product of Jacobians; norm clipping]
- PyTorch, clip_grad_norm_, https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html
  [one norm over all tensors; what it returns; error_if_nonfinite]
- PyTorch, Automatic mixed precision examples, https://docs.pytorch.org/docs/stable/notes/amp_examples.html
  [unscale before clipping]
"""

from __future__ import annotations

import ast

import numpy as np

from ...record import Progress, Record, Site
from ...record.record import Column, number
from ...record.steps import depth_ratio
from ...source import Source
from ...source.initialisers import CONSTANT, RANDOM, drawn_tensors, initialiser_at, random_again, trained_draws
from ...source.training import function_of, name_at, step_calls
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import (
    fails,
    initialiser_site,
    judged,
    layer_name,
    layer_site,
    middle,
    site_at,
    standing,
    steps_of,
)
from ..weights import built_at, clipped, drawn_weights, gains_at_first

FAIR_GAIN = 2.0  # of a weight at the start: 0.6 for PyTorch's default, 1.4 for He's
INITIALISERS = ("normal", "uniform", "constant", "orthogonal", "kaiming_normal", "kaiming_uniform", "xavier_normal")


def in_run(
    record: Record,
    source: Source,
    *,
    min_ratio: float = 300.0,  # gradient norm, first place over last; clinic: healthy to 43, faulty from 1.9e3
    good_skill: float = 0.3,  # a run that learns holds its gradients; clinic: faulty runs are far below 0
    min_layers: int = 5,  # in fewer, growth of that size is the scale of the weights itself, which bad-init-scale says
    early: int = 6,  # sampled backward passes: once a run has blown up, its gradients may look tame
) -> Answer:
    """The gradient grows on its way back, over layers or over time steps."""
    entries = judged(record)
    if not entries or not record.rows("signal"):
        yield NotEvaluated("the gradient by depth was not seen" if entries else "learning cannot be judged")
        return
    for entry in entries:
        ratios = depth_ratio(record, entry.objective.number)
        ratio = np.nanmax([middle(ratios[:early]), middle(ratios)]) if len(ratios) else float("nan")
        if not fails(entry, good_skill):
            continue
        if not ratio > min_ratio:
            yield from _thrown(record, source, entry, ratios)
            continue
        row = next((r for r in record.rows("signal", site=entry.objective.number)), {})
        places = [p for p in row.get("params") or [] if isinstance(p, int)]
        # A bias that a forward by hand adds is a place of its own, but no layer.
        matrices = [len(known.shape) > 1 for p in places if (known := record.parameters.get(p)) is not None]
        behind = max((int(a) for a in row.get("after") or [] if isinstance(a, int)), default=0)
        if (1 + behind) * float(np.mean(matrices or [True])) < min_layers:
            continue
        count = len(row.get("norm") or [])
        yield Finding(
            _site(record, source, entry, places),
            (
                Evidence(
                    f"from the output to the input the gradient grows {ratio:.1e} times over {count} places",
                    "gradient_by_depth",
                    float(ratio),
                    1.0,
                ),
                Evidence(standing(entry), "objective", entry.last, entry.baseline),
            ),
            0.9,
            layer=layer_name(record, places[0]) if places else None,
            subject=(entry.objective.site, built_at(record, entry.objective)),
        )
        return


def _thrown(
    record: Record,
    source: Source,
    entry: Progress,
    ratios: Column,
    *,
    repeats: int = 10,  # places that one weight is met at: time steps, iterations of one network
    min_jump: float = 300.0,  # gradient norm over the median of those before it
    min_growth: float = 10.0,  # from the last place to the first, at the jump
    thrown: float = 1.0,  # of the weights' size, moved by the step it leads to: nothing limits it
    usual: float = 0.15,  # of the weights' size, moved a step before it: beyond, the rate itself is too high
) -> Answer:
    """Through a recurrence, one step of usual size is followed by a gradient that throws the weights away."""
    rows = record.rows("signal", site=entry.objective.number)
    places = [p for p in (rows[0].get("params") or [] if rows else []) if isinstance(p, int)]
    if not places or max(places.count(p) for p in places) < repeats:
        return
    grown = {int(number(row.get("n"))): ratio for row, ratio in zip(rows, ratios)}
    for steps in steps_of(record, entry.objective):
        for i, row in enumerate(steps.updates):
            before, now = middle(steps.gradients[:i]), steps.gradients[i]
            through = grown.get(int(number(row.get("n"))), float("nan"))
            if not (now > min_jump * before and through > min_growth and steps.ratios[i] > thrown):
                continue
            if not np.nanmax(steps.ratios[:i], initial=0.0) < usual:
                return
            text = (
                f"at step {number(row.get('step')):.0f} the gradient jumps to {now:.3g} ({before:.3g} before) and "
                f"grows {through:.3g} times on its way back over {len(places)} places; the step it leads to moves the "
                f"weights by {steps.ratios[i]:.3g} of their size"
            )
            built = built_at(record, entry.objective)
            evidence = Evidence(text, "gradient_by_depth", float(now), before)
            shown = Evidence(standing(entry), "objective", entry.last, entry.baseline)
            subject = (entry.objective.site, built)
            yield Finding(_step(source, *subject) or entry.objective.site, (evidence, shown), 0.9, subject=subject)
            return


def _step(source: Source, backward: Site | None, built: Site | None) -> Site | None:
    """The step that the gradient of a backward leads to."""
    module = source.module(backward.file) if backward is not None else None
    statement = module.statement_with(backward.line, "backward") if module is not None and backward else None
    if module is None or statement is None:
        return None
    name = name_at(source, built.file, built.line, module, statement) if built is not None else None
    steps = step_calls(module, function_of(module, statement) or module.tree, name)
    return site_at(module, steps[0][0]) if steps else None


def _site(record: Record, source: Source, entry: Progress, places: list[int]) -> Site | None:
    """The initialiser that made the weights large, or the sum that grows from block to block where they are fair.

    Else the layer whose weight multiplies again and again.
    """
    gains = [gain for _, gain in gains_at_first(record, entry) or []]
    added = _residual(record, source, places) if gains and float(np.median(gains)) < FAIR_GAIN else None
    if added is not None:
        return added
    most = max(places, key=places.count) if places else None
    known = record.parameters.get(most) if most is not None else None
    made = initialiser_site(source, *INITIALISERS, of=known.name if known else "")
    drawn = next(trained_draws(source, ("randn", "rand")), None)
    return made or layer_site(record, source, most) or (site_at(*drawn) if drawn is not None else None)


def _residual(record: Record, source: Source, places: list[int]) -> Site | None:
    """`x + self.f(x)` in the class that holds most of the weights."""
    made = [source.layer(known.name) for p in places if (known := record.parameters.get(p)) is not None]
    owners = [(each[0], owner) for each in made if each and (owner := each[0].enclosing(each[1], ast.ClassDef))]
    if not owners:
        return None
    module, owner = max(owners, key=owners.count)
    if 2 * owners.count((module, owner)) < len(places):
        return None
    found = next((n for n in ast.walk(owner) if isinstance(n, ast.BinOp) and _branch(n) is not None), None)
    return site_at(module, found) if found is not None else None


def _branch(node: ast.AST) -> ast.expr | None:
    """`self.f(x)` of `x + self.f(x)`."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Add):
        return None
    held, branch = sorted((node.left, node.right), key=_applies)
    return branch if isinstance(held, ast.Name) and _applies(branch) else None


def _applies(node: ast.expr) -> bool:
    """Whether an expression calls a layer of its own object."""
    functions = [part.func for part in ast.walk(node) if isinstance(part, ast.Call)]
    return any(
        isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "self"
        for part in functions
    )


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Initialise to scale, and clip between backward and step."""
    backward, built = finding.subject if isinstance(finding.subject, tuple) else (None, None)
    site = finding.site
    module = source.module(site.file) if site is not None else None
    initialiser = initialiser_at(module, site.line, RANDOM + CONSTANT) if module is not None and site else None
    drawn = random_again(source, module, initialiser) if module is not None and initialiser is not None else []
    drawn = drawn or drawn_tensors(source, ("randn", "rand"))
    offers = [
        ("initialise to scale (He or Xavier; orthogonal for recurrent weights)", drawn),
        (
            "clip between backward() and step(): torch.nn.utils.clip_grad_norm_(parameters, 1.0)",
            clipped(source, backward, built),
        ),
    ]
    at_site = (
        [node for node in ast.walk(module.tree) if getattr(node, "lineno", 0) == site.line] if module and site else []
    )
    branches = [branch for node in at_site if (branch := _branch(node)) is not None]
    if module is not None and branches:
        scaled = [module.replace(branch, f"0.1 * ({module.segment(branch)})") for branch in branches[:1]]
        offers[0] = ("scale down what each block adds, or normalise what it is given (nn.LayerNorm)", scaled)
    elif not drawn:
        offers.append(("draw the weights to scale before training", drawn_weights(source, built)))
    return [Remedy(words, "changes-training", tuple(edits)) for words, edits in offers]


CONDITION = Condition(
    "exploding-gradients",
    "error",
    needs=("gradient_by_depth", "objective", "constant_loss"),
    in_run=in_run,
    remedies=remedies,
    by_learning=True,
    explains=("nonfinite-loss", "lr-too-high", "dead-relu", "uninformative-labels", "bad-init-scale"),
)
