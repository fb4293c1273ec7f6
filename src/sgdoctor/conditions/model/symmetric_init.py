"""Weights start equal, so all units of a layer stay alike, or the gradients stay zero for ever.

## What happens
Units with the same incoming and the same outgoing weights compute the same, get the same gradient, and stay the same: a
layer of 32 behaves as one unit (its weight matrix still had rank 1 after 500 steps). The run does learn, with the
capacity of one unit, 81 % and a loss of 0.45 where random hidden weights gave 98 % and 0.13, and passes for a weak
model. All zeros are worse: two layers with zero weights and biases, ReLU or tanh between them, give each other a
gradient of exactly zero, for ever. Only the last bias moves, and the loss stops at the entropy of the label shares
(0.691 here; ln K for balanced classes). A constant last layer before softmax also passes exactly zero down at first,
since the class gradients sum to zero.

## How it is told apart
Decided on equality, to rounding, of the rows of a hidden layer's weight and of its gradient, at step 0 and later; or on
gradients that are exactly zero in two neighbouring layers at all steps. Initialiser calls in the source give the line.
- `dead-relu`: units are zero but their weights differ; when weights are equal this one comes first.
- `vanishing-gradients`: small but unequal. `bad-init-scale`: random, of the wrong size.
- `underfitting`: too few units; here there are enough, all the same. `detached-loss`: no path at all.
Not this: a single linear or logistic layer from zeros (convex, trains well); only the last layer zero, or the last of
each residual block; LoRA with one of its two factors zero; zero biases; norm layers at weight 1; one constant layer
whose neighbours are random; equal weights with dropout, whose noise breaks the tie (84 % here, still the poorer start).

## Remedy
Draw weights at random; zero is for biases. Deleting the custom initialiser is usually enough, PyTorch's own are random.

    for m in model.modules():
        if isinstance(m, (nn.Linear, nn.Conv2d)):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")    # tanh or sigmoid: xavier_normal_
            if m.bias is not None: nn.init.zeros_(m.bias)

`nn.Parameter(torch.zeros(...))` for a weight matrix becomes `torch.randn(...) / fan_in ** 0.5`. If a product must start
at zero (adapters), zero one factor only.

## Sources
- CS231n, Neural Networks part 2, Weight initialization, https://cs231n.github.io/neural-networks-2/
  [all-zero pitfall: same outputs, same gradients, same updates]
- relora issue 18, https://github.com/Guitaricet/relora/issues/18
  [both LoRA factors zero, as a reader worked out: both gradients zero at all times]
- cosmos-predict2.5 pull request 15, https://github.com/nvidia-cosmos/cosmos-predict2.5/pull/15
  [lora_A all zeros by the order of two calls: no training]
- microsoft/LoRA issue 98, https://github.com/microsoft/LoRA/issues/98 [either may be zero as long as the other is not]
"""

from __future__ import annotations

from collections.abc import Iterator

from ...record import Record
from ...record.record import number, numbers
from ...source import Source
from ...source.initialisers import CONSTANT, drawn_tensors, initialiser_at, random_again
from ...source.program import Event, Value
from ...source.program.kinds import applied, constructor, is_module, layers, options, settled
from ...source.program.queries import Place, called, entries
from ...source.program.values import Attr, Branch, Call, Element, External
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..doubts import asks, surer_when_better, weighed
from ..network import attribute_made, listed
from ..questions import initialiser_site, layer_name, layer_site, optimizers_of, site_at, site_of_event
from ..weights import built_at, drawn_weights


def in_run(
    record: Record,
    source: Source,
    *,
    max_apart: float = 1e-6,  # |rows - first row| / |rows|: equal up to float32 rounding; random rows are near 1
    min_samples: int = 3,  # from the first step on: a zero layer that gets a gradient breaks its symmetry in it
) -> Answer:
    """All units of a hidden layer have the same weights, and training keeps them so."""
    rows = record.rows("units")
    if not rows:
        yield NotEvaluated("no layer with several units was seen")
        return
    for objective in record.objectives:
        history: dict[int, list[tuple[float, float]]] = {}
        samples = record.rows("units", site=objective.number)
        for row in samples:
            for entry in row.get("of") or []:
                # The last layer is told apart by its targets: equal rows there are no symmetry between units.
                if isinstance(entry, dict) and isinstance(entry.get("param"), int) and (entry.get("after") or 0) > 0:
                    pair = number(entry.get("norm")), number(entry.get("apart"))
                    history.setdefault(entry["param"], []).append(pair)
        if not any(optimizer.steps for optimizer in optimizers_of(record, objective)):
            continue
        alike = [
            parameter
            for parameter, values in history.items()
            if len(values) >= min_samples and all(apart <= max_apart * norm for norm, apart in values)
        ]
        if not alike:
            continue
        zero = all(norm == 0 for parameter in alike for norm, _ in history[parameter])
        last = number(samples[-1].get("n"))
        first = record.parameters.get(alike[0])
        names = [str(layer_name(record, parameter)) for parameter in alike]
        state = "all their weights are still zero" if zero else "all their rows are still equal"
        yield Finding(
            initialiser_site(source, "zeros", "constant", "ones", "fill", "zero", of=first.name if first else "")
            or layer_site(record, source, alike[0]),
            (
                Evidence(
                    f"{', '.join(names[:4])}{', ...' if len(names) > 4 else ''}: after {last:.0f} steps {state}, "
                    "so that every unit of such a layer computes the same",
                    "unit_symmetry",
                    0.0,
                    1.0,
                ),
            ),
            0.96,
            layer=names[0],
            subject=built_at(record, objective),
        )
        return
    yield from _zero_factors(record, source)


def _zero_factors(record: Record, source: Source, *, min_samples: int = 3, min_matrices: int = 2) -> Answer:
    """Matrices that are multiplied with each other, all zero: each one's gradient is a multiple of the other."""
    reached = {leaf for objective in record.objectives for leaf in objective.leaves}
    for optimizer in record.optimizers:
        rows = record.rows("update", opt=optimizer.number)
        moved: set[int] = set()
        met: set[int] = set()
        for row in rows:
            figures = zip(row.get("params") or [], numbers(row.get("weight")), numbers(row.get("change")))
            for parameter, weight, change in figures:
                met.add(parameter)
                if not (weight == 0 and change == 0):
                    moved.add(parameter)
        still = sorted(n for n in (met - moved) & reached if len(record.parameters[n].shape) >= 2)
        if len(rows) < min_samples or len(still) < min_matrices:
            continue
        names = [record.parameters[n].name for n in still]
        made = attribute_made(source, names[0].rpartition(".")[2])
        text = (
            f"{listed(names)} are zero and have been so for {optimizer.steps} steps: where such matrices are "
            "multiplied, each holds back the gradient of the other"
        )
        yield Finding(
            site_at(made[0], made[1]) if made is not None else layer_site(record, source, still[0]),
            (Evidence(text, "updates", 0.0, 1.0),),
            0.95,
            layer=layer_name(record, still[0]),
            subject=optimizer.site,
        )
        return


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Random weights."""
    title = "draw the weights at random, each unit its own (He or Xavier initialisation)"
    site = finding.site
    module = source.module(site.file) if site is not None else None
    initialiser = initialiser_at(module, site.line, CONSTANT) if module is not None and site is not None else None
    edits = random_again(source, module, initialiser) if module is not None and initialiser is not None else []
    edits = edits or drawn_tensors(source, ("zeros", "ones", "full"))
    edits = edits or drawn_weights(source, finding.subject)
    return [Remedy(title, "changes-training", tuple(edits))]


def in_source(source: Source) -> Iterator[Finding]:
    """Two weighted layers in a row are filled with one number each, and nothing is drawn afterwards."""
    every = entries(source)
    for entry in every:
        if any(called(place.event) in DRAWING for each in every for place in each.places):
            return
        filled: dict[int, Event] = {}
        for place in entry.calls("zeros_", "ones_", "constant_"):
            target = place.event.args[0] if place.event.args else None
            if not isinstance(place.event.fn, External) or not isinstance(target, Attr) or target.name != "weight":
                continue
            for layer in _layers(target.of, place):
                filled.setdefault(id(layer), place.event)
        for place in entry.places if filled else ():
            fn = settled(place.event.fn)
            if id(fn) not in filled or place.event.name != "call" or fn is None:
                continue
            before = [each for given in place.event.args for each in applied(given) if id(settled(each.fn)) in filled]
            if before:
                event = filled[id(fn)]
                text = "the weights of layers in a row are filled with one number: all their units are and stay alike"
                yield Finding(site_of_event(event), (Evidence(text),), 0.93)
                return


def _layers(owner: Value, place: Place) -> list[Value]:
    """The layers that a name stands for: one, several of a loop, or all linear ones inside a model."""
    tests = [each.test for each in place.around if isinstance(each, Branch)]
    if not all(isinstance(test, Call) and constructor(test) == "isinstance" for test in tests):
        return []
    found: list[Value] = []
    for each in options(owner):
        inside = each.of if isinstance(each, Element) else None
        if isinstance(inside, Call) and isinstance(inside.fn, Attr) and inside.fn.name in ("modules", "children"):
            linear = (layer for layer in layers(settled(inside.fn.of)) if constructor(layer) == "torch.nn.Linear")
            found += linear
        elif isinstance(each, Call) and is_module(each):
            found.append(each)
    return found


DRAWING = (
    "normal_",
    "uniform_",
    "xavier_uniform_",
    "xavier_normal_",
    "kaiming_uniform_",
    "kaiming_normal_",
    "orthogonal_",
    "trunc_normal_",
    "sparse_",
    "eye_",
    "dirac_",
    "load_state_dict",
    "copy_",
    "reset_parameters",
)


CONDITION = Condition(
    "symmetric-init",
    "error",
    needs=("unit_symmetry", "optimizers", "updates", "parameters"),
    in_run=in_run,
    suspects=asks(in_run, "fresh_initialisation"),
    in_experiment=weighed(in_run, fresh_initialisation=surer_when_better),
    in_source=in_source,
    remedies=remedies,
    explains=("vanishing-gradients", "dead-relu", "uninformative-labels", "lr-too-low"),
)
