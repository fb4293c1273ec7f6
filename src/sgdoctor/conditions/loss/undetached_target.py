"""The target of the loss carries gradient of its own.

## What happens
A bootstrapped target, `reward + gamma * value(next state)`, is an estimate that the prediction is to follow. If
gradient flows into it as well, the two sides meet half way: the value of the next state is pulled towards the present
one, which is another objective (the Bellman residual), slower and biased where transitions are random, and with a
maximum in the target often wrong for good. In self-distillation (BYOL, SimSiam) a target branch with gradient lets both
branches agree on a constant: the loss reaches its minimum, the features collapse to one point and say nothing.

## How it is told apart
Decided on the graph at the target: it has the form constant + factor * (output of trained parameters), the factor a
discount below 1; or it is another output of the trained network, and both shrink to a point while the loss falls.
- `detached-loss`: the opposite, a cut where gradient is due. `leaking-graph`: graphs that are kept by mistake.
- `constant-output`: constant by construction, not by training. `kldiv-arguments`: the arguments are of the wrong kind.
- `aliased-state`: a target network that is the same object as the live one.
Not this: losses between two learnt things that are meant to meet (consistency both ways, autoencoders of latents, style
and contrastive losses), residuals of differential equations, a generator's loss through a critic, VICReg and others
that hold the spread up by a term of its own, stop-gradient where it belongs.

## Remedy

    with torch.no_grad():
        target = reward + gamma * (1 - done) * target_net(next_state).max(1).values
    loss = F.smooth_l1_loss(q.gather(1, action).squeeze(1), target)

    loss = -F.cosine_similarity(predictor(z1), z2.detach()).mean()       # SimSiam

## Sources
- PyTorch, Reinforcement learning (DQN) tutorial,
  https://docs.pytorch.org/tutorials/intermediate/reinforcement_q_learning.html [next values under no_grad]
- Chen and He, Exploring simple siamese representation learning, https://arxiv.org/abs/2011.10566
  [without stop-gradient the outputs collapse to a constant]
- Baird, Residual algorithms, https://doi.org/10.1016/B978-1-55860-377-6.50013-X [gradient through the target]
"""

from __future__ import annotations

import ast

import numpy as np

from ...record import Record, Site
from ...record.record import number as number_of
from ...source import Module, Source
from ...source.flow import Trail
from ...source.loss import argument, loss_call
from ...source.terms import addends, backwarded
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_at

CUT = ("detach", "no_grad", "inference_mode", "data", "item", "numpy", "clone")


def in_run(
    record: Record,
    source: Source,
    *,
    min_discount: float = 0.5,  # discounts of returns lie between 0.9 and 1; a physical constant may be anything
    max_discount: float = 1.0,  # a value beyond is no discount
    collapse: float = 0.1,  # spread and loss over those at the start; clinic: collapsed 0.08, healthy above 1
    min_samples: int = 4,  # an end and a beginning
) -> Answer:
    """Gradient flows into what the prediction is to follow."""
    if not record.calls and not record.rows("terms"):
        yield NotEvaluated("no loss was seen")
        return
    for number, call in record.calls.items():
        if not (call.get("grad") and call.get("target_grad") and (call.get("output") or {}).get("shape") is not None):
            continue
        found = [number_of(row.get("discount")) for row in record.rows("argument", call=number)]
        site = record.site(call.get("site"))
        known = [value for value in found if min_discount <= value <= max_discount]
        if known and not _differential(record):
            yield _bootstrapped(source, site, str(call.get("fn")), known[0])
            return
        said = _collapsed(record, number, collapse, min_samples)
        if said is not None:
            place = _target_site(source, site) or site
            yield Finding(place, (Evidence(said, "loss_values", 0.0, 1.0),), 0.85, subject=site)
            return
    for row in record.rows("terms"):
        site = record.site(row.get("site"))
        for term in row.get("of", []):
            value = number_of(term.get("discount"))
            if min_discount <= value <= max_discount and not _differential(record):
                yield _bootstrapped(source, site, "the square", value, by_hand=True)
                return


def _differential(record: Record) -> bool:
    """Whether the loss has derivatives of the network in it, or learns its input: a residual is wanted there."""
    plain = any(not parameter.declared for parameter in record.parameters.values())
    ops = {name for row in record.rows("terms") for term in row.get("of", []) for name in term.get("path", [])}
    return plain or any("BackwardBackward" in name for name in ops)


def _bootstrapped(source: Source, site: Site | None, fn: str, value: float, by_hand: bool = False) -> Finding:
    text = (
        f"the target of {fn} is a constant + {value:.3g} times an output of the trained parameters, and requires grad: "
        "the estimate that is to be followed is itself moved towards the prediction"
    )
    place = _estimate(source, site, by_hand)
    return Finding(place or site, (Evidence(text, "loss_arguments", value, None),), 0.92, subject=site)


def _collapsed(record: Record, number: int, collapse: float, min_samples: int) -> str | None:
    rows = record.rows("loss", call=number, grad=True)
    spread, value = rows.column("output.spread"), rows.column("value")
    if len(rows) < min_samples or not np.isfinite([spread[0], spread[-1], value[0], value[-1]]).all():
        return None
    if spread[0] <= 0 or not value[-1] < collapse * value[0] or spread[-1] > collapse * spread[0]:
        return None
    share = spread[-1] / spread[0]
    return (
        f"both sides of the loss carry gradient and shrink to a point: the spread of the outputs is {share:.1%} of "
        f"what it was, and the loss went from {value[0]:.3g} to {value[-1]:.3g}"
    )


def _target_site(source: Source, site: Site | None) -> Site | None:
    found = loss_call(source, site.file, site.line) if site is not None else None
    target = argument(found[1], 1, "target") if found is not None else None
    return site_at(found[0], target) if found is not None and target is not None else None


def _estimate(source: Source, site: Site | None, by_hand: bool) -> Site | None:
    """Where constant + factor * value is written."""
    found = _estimate_node(source, site, by_hand)
    return site_at(*found) if found is not None else None


def _estimate_node(source: Source, site: Site | None, by_hand: bool) -> tuple[Module, ast.expr] | None:
    starts: list[tuple[Module, ast.expr]] = []
    found = loss_call(source, site.file, site.line) if site is not None and not by_hand else None
    target = argument(found[1], 1, "target") if found is not None else None
    if found is not None and target is not None:
        starts.append((found[0], target))
    if by_hand and site is not None and (back := backwarded(source, site.file, site.line)) is not None:
        for term in addends(source, *back):
            starts += [(term.module, part) for part in ast.walk(term.node) if isinstance(part, (ast.Name, ast.BinOp))]
    for module, start in starts:
        for point in Trail(source).of(module, start):
            node = point.node
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
                sides = (node.left, node.right)
                if any(isinstance(side, ast.BinOp) and isinstance(side.op, ast.Mult) for side in sides):
                    return point.module, node
    return None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """detach() on the target."""
    title = "detach the target: compute it under torch.no_grad(), or call .detach() on it"
    place = finding.site
    site = finding.subject if isinstance(finding.subject, Site) else None
    for by_hand in (False, True):
        found = _estimate_node(source, site, by_hand)
        if found is not None and place is not None and site_at(*found)[:2] == place[:2]:
            text = f"({found[0].segment(found[1])}).detach()"
            return [Remedy(title, "safe", (found[0].replace(found[1], text),))]
    call = loss_call(source, site.file, site.line) if site is not None else None
    target = argument(call[1], 1, "target") if call is not None else None
    if call is None or target is None:
        return [Remedy(title, "safe")]
    return [Remedy(title, "safe", (call[0].replace(target, f"{call[0].segment(target)}.detach()"),))]


CONDITION = Condition(
    "undetached-target",
    "error",
    needs=("loss_calls", "loss_values", "loss_arguments", "loss_terms", "parameters"),
    in_run=in_run,
    remedies=remedies,
    flatters=True,  # a target that moves towards its prediction makes the loss smaller than it is
    structural=True,
)
