"""Parameters that receive gradients are not held by any optimizer.

## What happens
An optimizer keeps references to the parameter tensors it was given. Layers replaced or added afterwards (a new
`model.fc`), a copy made with deepcopy, a second module, layers built lazily, or missing from a hand-kept list of
parameter groups, are unknown to it. They take part in the forward and fill their `.grad`, and are neither stepped nor
cleared by it, so that their gradient keeps adding up. The rest of the model trains around a random layer, and the loss
falls to something mediocre: a fresh head that stays as drawn costs accuracy, not an exception. If the optimizer holds
nothing that is used, nothing moves at all. Only the empty case raises: `optimizer got an empty parameter list`.

## How it is told apart
Decided on parameter sets: trainable and given gradients, minus held by an optimizer, must be empty; what remains is
named with its share of all trainable elements, and stays bit-identical. In reverse, an optimizer that holds tensors no
graph reaches points to the copy or the replaced layer.
- `frozen-parameters`: requires_grad is False. `unused-parameters`: held, but no gradient. `detached-loss`: no path.
- `unregistered-parameters`: in the graph, but missing from `model.parameters()`; that is why the optimizer lacks them.
- `missing-step`: held, but never stepped. `aliased-state`, `ranks-diverged`: other copies of the same weights.
Not this: GANs and actor-critic, where one optimizer's loss gives gradients to the other's parameters; a frozen body
whose optimizer got only the head on purpose; EMA and target networks; inputs or latents that are optimised; manual
updates. `.to(device)` and `.double()` normally keep the tensors, so an optimizer built before them is usually sound.

## Remedy
Finish the model, then build the optimizer, or hand it the newcomers.

    model.fc = nn.Linear(model.fc.in_features, 10)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)     # moved below the last change of the model
    optimizer.add_param_group({"params": new.parameters()})        # for a layer added during training
    held = {id(p) for g in optimizer.param_groups for p in g["params"]}
    assert all(id(p) in held for p in model.parameters() if p.requires_grad)

Lazy modules: run one batch through the model first. Rebuild the scheduler too, it refers to the old optimizer.

## Sources
- mmf issue 104, https://github.com/facebookresearch/mmf/issues/104
  [new layers forgotten in the parameter groups; a warning asked for]
- mmf pull request 580, https://github.com/facebookresearch/mmf/pull/580 [the check, and how hard the error is to spot]
- mace pull request 1529, https://github.com/ACEsuit/mace/pull/1529 [lazily built submodules slip past the optimizer]
- pytorch issue 7844, https://github.com/pytorch/pytorch/issues/7844
  [`.cuda()` after building keeps the parameters; trouble only with optimizer state]
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...record import Record
from ...source import Source
from ...source.holdings import complete
from ...source.program import Value
from ...source.program.kinds import inner, is_cut, is_fresh, is_module, is_optimizer, modules_of, settled, within
from ...source.program.queries import Entry, Place, backward_of, called, entries, escapes, stepped
from ...source.program.training import freezes, held, is_handed_on, rounds
from ...source.program.values import Instance
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_of_event
from .missing_step import STILL


def in_run(
    record: Record,
    source: Source,
    *,
    min_samples: int = 2,  # sampled backward passes, many steps apart, that left them unchanged to the bit
    min_elements: int = 2,  # a lone scalar (a learnt temperature that is fixed for now) is no network
) -> Answer:
    """Parameters get gradients all run long, no optimizer holds them, and they never change."""
    stepped = [optimizer for optimizer in record.optimizers if optimizer.steps]
    if not stepped:
        yield NotEvaluated("no optimizer took a step")
        return
    held = {parameter for optimizer in record.optimizers for parameter in optimizer.parameters}
    if not any(record.parameters[p].declared for p in held if p in record.parameters):
        return  # what is optimised is an input (style transfer, adversarial examples): the network is a tool
    forgotten = _forgotten(record, held, min_samples)
    elements = sum(record.parameters[p].size for p in forgotten)
    if not forgotten or elements < min_elements:
        return
    names = [record.parameters[p].name for p in forgotten]
    idle = _idle(record, held)
    evidence = [
        Evidence(
            f"{len(forgotten)} parameters ({elements:,} elements: {_listed(names)}) get a gradient at every step, "
            "are in no optimizer and never change",
            "parameters",
            float(elements),
            0.0,
        )
    ]
    if idle:
        evidence.append(
            Evidence(
                f"the optimizer holds {len(idle)} that never get a gradient: "
                f"{_listed([record.parameters[p].name for p in idle if p in record.parameters])}",
                "parameters",
                float(len(idle)),
                0.0,
            )
        )
    layer = record.parameters[forgotten[0]].layer
    yield Finding(
        stepped[-1].site, tuple(evidence), 0.95, layer=layer, subject=tuple(_known(record, [*forgotten, *idle]))
    )


def _forgotten(record: Record, held: set[int], min_samples: int) -> list[int]:
    norms: dict[int, list[tuple[float, float]]] = {}
    for row in record.rows("gradients"):
        for parameter, weight, grad in zip(row.get("params") or [], row.get("weight") or [], row.get("grad") or []):
            if isinstance(weight, (int, float)) and isinstance(parameter, int):
                size = float(grad) if isinstance(grad, (int, float)) else 0.0
                norms.setdefault(parameter, []).append((float(weight), size))
    found = []
    for parameter, values in sorted(norms.items()):
        known = record.parameters.get(parameter)
        if parameter in held or known is None or not known.declared or len(values) < min_samples:
            continue
        weights = np.array([weight for weight, _ in values])
        moved = np.ptp(weights) > STILL * max(float(np.abs(weights).max()), 1e-30)
        if not moved and any(grad > 0 for _, grad in values):
            found.append(parameter)
    return found


def _idle(record: Record, held: set[int]) -> list[int]:
    reached = {leaf for objective in record.objectives for leaf in objective.leaves}
    return sorted(held - reached)


def _known(record: Record, parameters: list[int]) -> list[str]:
    """The names that modules give; a replaced layer is known by the name of the one that the optimizer still holds."""
    names = [record.parameters[p].name for p in parameters if p in record.parameters]
    return [name for name in names if "[" not in name]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Build it after the model is complete, over all of it."""
    title = "build the optimizer after the last change of the model, over all parameters that should learn"
    names = [str(name) for name in finding.subject] if isinstance(finding.subject, tuple) else []
    site = finding.site
    edits = complete(source, site.file, site.line, names) if site is not None else []
    return [Remedy(title, "changes-training", tuple(edits))]


def in_source(source: Source) -> Iterator[Finding]:
    """A layer replaced after its optimizer was built; a fresh model in the loss that no optimizer was given."""
    every = entries(source)
    for entry in every:
        made = [place for place in entry.places if place.event.name == "call" and is_optimizer(place.event.result)]
        for place in entry.places:
            if place.event.name == "set" and place.event.args and _is_weighted(place.event.args[0]):
                yield from _replaced(entry, place, made)
    yield from _left_out(every)


def _is_weighted(value: Value) -> bool:
    value = settled(value) or value
    return is_module(value) and is_fresh(value)


def _replaced(entry: Entry, place: Place, made: list[Place]) -> Iterator[Finding]:
    owner, old = settled(place.event.fn), place.event.result
    before = [each for each in made if each.order < place.order]
    if not before or any(each.order > place.order for each in made) or owner is None or not is_module(owner):
        return
    if any(called(each.event) == "add_param_group" for each in entry.places):
        return
    optimizer = before[-1].event.result
    assert optimizer is not None
    inside = {one for part in optimizer.parts() for each in modules_of(part) for one in inner(each)}
    trained = any(stepped(p.event) is optimizer for p in entry.calls("step") if p.order > place.order)
    if trained and (id(owner) in inside or (old is not None and id(old) in inside)):
        line = getattr(before[-1].event.node, "lineno", 0)
        text = f"this layer is made after the optimizer of line {line} was, which so does not hold it"
        yield Finding(site_of_event(place.event), (Evidence(text),), 0.95, subject=())


def _left_out(every: list[Entry]) -> Iterator[Finding]:
    """A model of its own, with fresh weights, that a loss goes through and that no optimizer was given."""
    known, certain = held(every)
    if not known or not certain or freezes(every):
        return
    for entry in every:
        for _, optimizer, _, backwards in rounds(entry):
            for backward in backwards:
                within_loss = within(backward_of(backward.event), stop=is_cut)
                passed = {id(each) for each in within_loss if not is_cut(each)}
                for place in entry.places:
                    model = settled(place.event.fn)
                    alone = isinstance(model, Instance) and model.is_module and len(place.event.frames) <= 1
                    if not alone or model is None or id(place.event.result) not in passed or not is_fresh(model):
                        continue
                    if inner(model) & known or any(is_handed_on(each, optimizer) for each in every):
                        continue
                    if any(escapes(each, model) for each in every):
                        continue
                    assert isinstance(model, Instance)
                    text = f"the loss goes through {model.cls.name}, whose parameters no optimizer was given"
                    yield Finding(site_of_event(optimizer), (Evidence(text),), 0.9, subject=())
                    return


CONDITION = Condition(
    "parameters-not-in-optimizer",
    "error",
    needs=("parameters", "optimizers", "gradients", "graph"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    structural=True,
)
