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
from ...source.program.kinds import WEIGHTED, constructor, inner, is_module, is_optimizer, layers, modules_of, settled
from ...source.program.queries import Entry, called, entries, stepped
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
    """A layer of the trained model is replaced after its optimizer was built, and no other optimizer follows."""
    for entry in entries(source):
        made = [p for p in entry.places if p.event.name == "call" and is_optimizer(p.event.result)]
        for optimizer in made:
            held = [each for part in optimizer.event.result.parts() for each in modules_of(part)]  # type: ignore[union-attr]
            inside = {one for each in held for one in inner(each)}
            for place in entry.places[optimizer.order :]:
                event = place.event
                layer = settled(event.args[0]) if event.name == "set" and event.args else None
                owner = settled(event.fn)
                if layer is None or owner is None or not is_module(layer) or not is_module(owner):
                    continue
                if not any(constructor(each).rpartition(".")[2] in WEIGHTED for each in layers(layer)):
                    continue
                mine = [each for each in held if id(owner) in inner(each)] or _under(entry, owner, inside)
                later = [each for each in made if each.order > place.order]
                grouped = any(called(p.event) == "add_param_group" for p in entry.places)
                trained = any(
                    stepped(p.event) is optimizer.event.result for p in entry.calls("step") if p.order > place.order
                )
                if mine and not later and not grouped and trained and optimizer.order < place.order:
                    text = f"this layer is made after the optimizer of line {getattr(optimizer.event.node, 'lineno', 0)}, which so does not hold it"
                    yield Finding(site_of_event(event), (Evidence(text),), 0.95, subject=())


def _under(entry: Entry, owner: Value, inside: set[int]) -> list[Value]:
    """The model itself, where the optimizer was given the very part that is replaced."""
    return [owner] if any(id(each) in inside for each in _replaced(owner)) else []


def _replaced(owner: Value) -> list[Value]:
    return list(owner.attributes.values()) if isinstance(owner, Instance) else []


CONDITION = Condition(
    "parameters-not-in-optimizer",
    "error",
    needs=("parameters", "optimizers", "gradients", "graph"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    structural=True,
)
