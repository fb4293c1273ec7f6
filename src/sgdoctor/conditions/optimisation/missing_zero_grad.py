"""Gradients are never cleared between optimizer steps.

## What happens
`backward()` adds to `.grad`. Without `zero_grad()` each step uses the sum of all gradients since the start. For plain
SGD that is exactly momentum 1.0 (losses equal bit by bit in a test): nothing damps the motion, so the loss falls, rises
again and swings, on a quadratic with a period of about 2 pi / sqrt(lr * curvature) steps. One user's ten steps: 1.03,
0.82, 0.47, 0.20, 0.06, 0.09, 0.28, 0.53, 0.75, 0.87. A larger lr makes it explode (above 1e9 within 30 steps in a toy).
Adam divides the size out and hides it: at first the broken loop can even be ahead (0.165 against 0.201 at step 100),
later it stands still or drifts (0.212 against 0.087 at step 250). The loss alone cannot show this fault.
A `zero_grad()` once an epoch, or on another optimizer than the one that steps, is the same fault with a reset.

## How it is told apart
Decided on the stale gradient: at the first backward after a step, was the gradient that step used still there? With
the loop signature (no zero_grad between step and backward), and a gradient norm that outgrows the batch's own.
- `broken-accumulation`: gradients are cleared, but the window, the division or the tail is wrong.
- `misplaced-zero-grad`: cleared, but between backward and step. `exploding-gradients`, `lr-too-high`: nothing stale.
- `leaking-graph`: memory grows, gradients are clean.
Not this: gradient accumulation (cleared once a window); zero_grad after the step instead of before the forward, which
is equivalent; `p.grad = None` by hand; `model.zero_grad()`; LBFGS closures; a GAN generator whose stray gradients are
cleared before its own backward; libraries that clear by themselves (Opacus); gradients that are assigned to
full-precision master weights, which no backward adds to.

## Remedy
Clear once per step, anywhere between the step and the next backward.

    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

Then look at the lr again: it was tuned, if at all, for summed gradients. Do not keep the fault because the loss is
lower on a short run; if long averaging helps, ask for it with momentum 0.9.

## Sources
- PyTorch recipe, Zeroing out gradients,
  https://raw.githubusercontent.com/pytorch/tutorials/main/recipes_source/recipes/zeroing_out_gradients.py
  [gradients accumulate by default]
- aihwkit issue 446, https://github.com/IBM/aihwkit/issues/446 [the swinging loss above, and the loss with the call]
- pytorch issue 47175, https://github.com/pytorch/pytorch/issues/47175 [called once an epoch or not at all: no warning]
- opacus issue 194, https://github.com/meta-pytorch/opacus/issues/194
  [a tutorial without the call; the maintainer: not needed there]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ...record import Record, Site
from ...record.loop import lines_of
from ...record.steps import Steps
from ...source import Edit, Module, Source
from ...source.program.queries import clears, entries
from ...source.program.training import is_conditional, is_handed_on, is_made_in, rounds
from ...source.training import clear_before, clear_by_hand, function_of, name_at, step_calls
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import optimizers_of, site_at, site_of_event


class Backward(NamedTuple):
    """Where gradients are made, and where the optimizer that is to use them is built."""

    site: Site | None
    built: Site | None


def in_run(
    record: Record,
    source: Source,
    *,
    min_share: float = 0.5,  # of sampled steps; clinic: 0 in every healthy run, 1 in every faulty one
    min_samples: int = 3,  # the first step has no past, and one carried gradient may be meant
) -> Answer:
    """The gradient that was already stepped with is still there when the next backward begins."""
    if not record.rows("optimizer") and not record.rows("free"):
        yield NotEvaluated("no optimizer and no parameter that is stepped by hand was seen")
        return
    for optimizer in [*record.optimizers, None]:
        steps = Steps(record, optimizer)
        norms = steps.stale.column("norm")
        carried = norms > 0
        if carried.sum() < min_samples or carried.mean() < min_share:
            continue
        backward = next(
            (o.site for o in record.objectives if optimizer is None or optimizer in optimizers_of(record, o)), None
        )
        if optimizer is not None and backward is None and any(o.leaves for o in record.objectives):
            continue  # no backward adds to what it holds: its gradients are assigned (master weights)
        stepped_at = lines_of(record, "S", optimizer.number) if optimizer is not None else []
        known = norms[np.isfinite(norms)]
        grown = f" (its norm went from {known[0]:.3g} to {known[-1]:.3g})" if len(known) else ""
        yield Finding(
            stepped_at[0][0] if stepped_at else backward,
            (
                Evidence(
                    f"at {int(carried.sum())} of {len(norms)} sampled steps the gradient of the step before was still "
                    f"in place when backward() began{grown}",
                    "stale_gradients",
                    float(carried.mean()),
                    0.0,
                ),
            ),
            0.97,
            subject=Backward(backward, None if optimizer is None else optimizer.site),
        )


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """zero_grad() where a window of gradients begins; the gradient dropped behind each step written by hand."""
    title = "clear the gradients before backward(): optimizer.zero_grad()"
    uncalled = _uncalled(source)
    if uncalled:
        return [Remedy("call it: zero_grad needs its parentheses", "safe", uncalled)]
    site, built = finding.subject if isinstance(finding.subject, Backward) else (finding.site, finding.subject)
    module = source.module(site.file) if site is not None else None
    if module is None or not isinstance(site, Site):
        return [Remedy(title, "safe")]
    by_hand = tuple(clear_by_hand(module, site.line))
    # A notebook's optimizer was often built before the cell that is observed.
    edits = zero_edits(source, module, site, None) if source.cells is not None else ()
    if not isinstance(built, Site) and edits:
        return [Remedy(title, "safe", edits)]
    if not isinstance(built, Site):
        return [Remedy("clear the gradients after each step: w.grad = None", "safe", by_hand)]
    return [Remedy(title, "safe", zero_edits(source, module, site, built))]


def zero_edits(source: Source, module: Module, site: Site, built: Site | None) -> tuple[Edit, ...]:
    """A zero_grad() of the optimizer built at `built` for the backward at `site`."""
    backward = module.statement_with(site.line, "backward")
    if backward is None:
        return ()
    name, step = stepped(source, module, backward, built)
    return () if name is None else (clear_before(module, backward, step, name),)


def stepped(
    source: Source, module: Module, backward: ast.stmt, built: Site | None
) -> tuple[str | None, ast.Call | None]:
    """(what an optimizer is called at a backward, its step there), each None where it is not to be seen."""
    known = name_at(source, built.file, built.line, module, backward) if built is not None else None
    around = function_of(module, backward)
    steps = step_calls(module, around or module.tree, known)
    # A closure is defined where the optimizer is, and the step stands behind it.
    while not steps and around is not None:
        around = function_of(module, around)
        steps = step_calls(module, around or module.tree, known)
    if steps and (known is None or steps[0][1] == known or len({name for _, name in steps}) == 1):
        call, name = steps[0]
        inside = function_of(module, call) is function_of(module, backward)
        return (name if inside or known is None else known), (call if inside else None)
    return known, None


def _named_only(source: Source) -> Iterator[tuple[Module, ast.Expr]]:
    """`optimizer.zero_grad` as a statement: named, and not called."""
    for module in source:
        for node in module.of_kind(ast.Expr):
            if isinstance(node.value, ast.Attribute) and node.value.attr == "zero_grad":
                yield module, node


def _uncalled(source: Source) -> tuple[Edit, ...]:
    return tuple(module.replace(node, module.segment(node) + "()") for module, node in _named_only(source))


def in_source(source: Source) -> Iterator[Finding]:
    """A loop whose optimizer steps at every backward, and in which nothing clears anything."""
    for module, node in _named_only(source):
        text = f"{module.segment(node)} is named here and not called: it clears nothing"
        yield Finding(site_at(module, node), (Evidence(text),), 0.99)
    if any(_named_only(source)):
        return  # the loop around it lacks nothing else
    for entry in entries(source):
        for loop, optimizer, step, backwards in rounds(entry):
            if any(clears(place.event) for place in entry.places if loop in place.around):
                continue
            if is_conditional(step, loop) or is_made_in(entry, optimizer, loop) or is_handed_on(entry, optimizer, loop):
                continue
            outside = any(clears(place.event) for place in entry.places)
            text = f"each round of the loop at line {loop.line} adds to the gradients and steps"
            text += ": they are cleared outside of it only" if outside else ": nothing clears them, here or elsewhere"
            built = site_of_event(optimizer)
            yield Finding(site_of_event(backwards[0].event), (Evidence(text),), 0.97, subject=built)


CONDITION = Condition(
    "missing-zero-grad",
    "error",
    needs=("stale_gradients", "optimizers", "loop_windows", "graph"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    structural=True,
    explains=("exploding-gradients", "lr-too-high", "nonfinite-loss", "dead-relu", "saturated-activations"),
)
