"""Sigmoid is applied before a loss that applies it again.

## What happens
`BCEWithLogitsLoss` takes logits and applies the sigmoid itself. Fed with probabilities it sees "logits" between 0 and
1: a sample of class 0 can at best be given sigmoid(0) = 0.5 and costs ln 2 = 0.693, one of class 1 sigmoid(1) = 0.731
and costs ln(1 + 1/e) = 0.313. With balanced classes the loss starts near 0.72 and flattens at 0.503 instead of 0; every
probability that is reported lies between 0.5 and 0.731, so that a threshold of 0.5 calls everything positive. Gradients
pass two sigmoids (a factor of at most 1/16) and fade as the first one becomes confident. Two sigmoids in a row before
`BCELoss` are the same fault.

## How it is told apart
Decided on the operation that made the loss's input: a sigmoid (or softmax), with nothing but reshaping between; for
`BCELoss` two sigmoids in a row. Values confined to 0 ... 1 at every sample confirm it.
- `double-softmax`: the same mistake at CrossEntropyLoss. `logits-to-probability-loss`: the opposite, no sigmoid at all.
- `wrong-loss-for-task`: another loss is due. `restrictive-output`: an activation whose range cannot reach the targets.
- `vanishing-gradients`, `lr-too-low`: slow, but the loss's input is not confined.
Not this: a sigmoid inside the network (gates, attention), a sigmoid for metrics or inference beside the logits that go
into the loss, similarities in 0 ... 1 that are scaled before the loss, one sigmoid with `BCELoss`.

## Remedy
Drop the sigmoid on the way to the loss; keep it where probabilities are shown, with the threshold at logit 0.

    logits = self.head(h)                                   # no nn.Sigmoid at the end
    loss = F.binary_cross_entropy_with_logits(logits, y)
    hits = (logits > 0) == (y > 0.5)                        # logit 0 is probability 0.5

Or keep the sigmoid and use `BCELoss`, which is the same in exact arithmetic and loses digits near 0 and 1.

## Sources
- PyTorch, BCEWithLogitsLoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
  [combines a Sigmoid layer and the BCELoss in one class]
- PyTorch, BCELoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html [takes probabilities]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import numpy as np

from ...record import Record, Rows
from ...source import Module, Source
from ...source.program.kinds import operation, options, picked
from ...source.program.queries import losses
from ...source.program.values import Call
from ..activations import applied, drop, place_site, without_gradient
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_of_layer

WITH_LOGITS = ("binary_cross_entropy_with_logits", "multilabel_soft_margin_loss")
SQUASHED = ("SigmoidBackward", "SoftmaxBackward")


def in_run(
    record: Record,
    source: Source,
    *,
    slack: float = 1e-6,  # a sigmoid never leaves 0 ... 1; rounding of half precision stays inside as well
) -> Answer:
    """What a loss with a sigmoid of its own is given has been through one already."""
    seen = False
    for row in record.rows("argument"):
        number, made = row.get("call"), row.get("made", [])
        call = record.calls.get(number) if number is not None else None
        if call is None or not call.get("grad"):
            continue
        fn = call.get("fn")
        if fn in WITH_LOGITS:
            seen = True
            twice = bool(made) and made[0].startswith(SQUASHED)
        elif fn == "binary_cross_entropy":
            seen = True
            kept = [name for name in made if not name.startswith("ClampBackward")]
            twice = len(kept) >= 2 and kept[0].startswith("Sigmoid") and kept[1].startswith(SQUASHED)
        else:
            continue
        samples = record.rows("loss", call=number, grad=True)
        low, high = samples.column("output.min"), samples.column("output.max")
        if not twice or (len(low) and (np.nanmin(low) < -slack or np.nanmax(high) > 1 + slack)):
            continue
        site = record.site(call.get("site"))
        layer = "Softmax" if made[0].startswith("Softmax") else "Sigmoid"
        places = applied(source, site, layer, layer.lower(), "expit")
        place = None if places and _shared(source, *places[0]) else place_site(places)
        yield Finding(place or site, _evidence(str(fn), layer, samples), 0.97, subject=layer)
        return
    if not seen:
        yield NotEvaluated("no binary cross-entropy with gradient was seen")


def _shared(source: Source, module: Module, node: ast.Call) -> bool:
    """Whether it stands in a function that evaluation calls as well, which wants the probabilities."""
    function = module.enclosing(node, ast.FunctionDef, ast.AsyncFunctionDef)
    name = function.name if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) else ""
    if name in ("", "forward"):
        return False
    uses = [(other, call) for other in source for call in other.calls(f"?.{name}", name)]
    spared = [without_gradient(other, call) for other, call in uses]
    return any(spared) and not all(spared)


def _evidence(fn: str, layer: str, samples: Rows) -> tuple[Evidence, ...]:
    ours = "a sigmoid already" if fn in WITH_LOGITS else "the result of two sigmoids in a row"
    text = f"what {fn} is given is {ours if layer == 'Sigmoid' else 'a softmax already'}"
    low, high = samples.column("output.min"), samples.column("output.max")
    if len(low) and np.isfinite(low).any():
        text += f" ({np.nanmin(low):.3g} ... {np.nanmax(high):.3g} in {len(low)} samples)"
    found = [Evidence(text, "loss_arguments", float(np.nanmax(high)) if len(high) else None, 1.0)]
    share = samples.column("target.mean")
    if fn in WITH_LOGITS and len(share) and np.isfinite(share).any():
        positive = float(np.clip(np.nanmean(share), 0, 1))
        floor = positive * float(np.log1p(np.exp(-1))) + (1 - positive) * float(np.log(2))
        last = float(samples.column("value")[-1])
        found.append(
            Evidence(
                f"so the loss cannot fall below {floor:.3f} with {positive:.0%} positives (0.313 for each of them, "
                f"0.693 for the others); it stands at {last:.3f}",
                "loss_values",
                last,
                floor,
            )
        )
    return tuple(found)


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Drop the sigmoid."""
    layer = str(finding.subject or "Sigmoid")
    return drop(finding, source, f"drop the {layer.lower()}: the loss takes the logits", layer, layer.lower(), "expit")


def in_source(source: Source) -> Iterator[Finding]:
    """What the loss with logits is given comes from a sigmoid, by every way there is."""
    for _, place, name, call in losses(source):
        if name != "binary_cross_entropy_with_logits":
            continue
        made = [picked(each) for each in options(picked(call.argument(0, "input")))]
        if not made or not all(isinstance(each, Call) and operation(each)[0] == "sigmoid" for each in made):
            continue
        soft = made[0]
        assert isinstance(soft, Call)
        text = f"{name} at line {place.event.line} is given the output of this sigmoid, and applies one itself"
        yield Finding(site_of_layer(soft), (Evidence(text),), 0.97, subject="Sigmoid")


CONDITION = Condition(
    "double-sigmoid",
    "error",
    needs=("loss_calls", "loss_values", "loss_arguments"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    structural=True,
    explains=("vanishing-gradients",),
)
