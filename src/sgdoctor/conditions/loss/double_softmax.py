"""Softmax is applied before a loss that applies it again.

## What happens
`CrossEntropyLoss` takes raw logits and computes log_softmax itself. Fed with probabilities it sees "logits" between 0
and 1, so even a perfect prediction leaves the loss at ln(1 + (K-1)/e): 0.313 for K = 2, 0.551 for 3, 0.744 for 4, 1.044
for 6, 1.461 for 10, 3.622 for 100, 5.910 for 1000. It starts near ln K as it should (0.693, 1.386, 2.303, 4.605) and
flattens at that floor. Gradients pass through two softmaxes and fade as the first one becomes confident.
It is easy to overlook because accuracy rises all the same: with Adam a toy problem reached 97 % either way; with SGD at
lr 0.1 the double version stood at 87 % after 300 steps and the single one at 97 %.

## How it is told apart
Decided on the loss's input: rows non-negative and summing to 1 (to rounding) at every step, with LogSoftmax <- Softmax
in the graph; the source gives the line. The loss value at its floor confirms, and is not needed.
- `wrong-loss-for-task`: another loss is due. `logits-to-probability-loss`: the opposite, raw logits into NLLLoss.
- `double-sigmoid`: the same mistake at BCEWithLogitsLoss. `constant-output`: softmax over an axis of length 1.
- `lr-too-low`, `vanishing-gradients`: the loss is high and slow, but its input rows do not sum to 1.
Not this: log_softmax before CrossEntropyLoss, which changes nothing (applying it twice gives the same values);
log(softmax) with NLLLoss; softmax inside attention; softmax outside the path of the loss, for metrics or inference;
distillation targets, which are meant to be probabilities.

## Remedy
Drop the softmax on the way to the loss; keep it where probabilities are shown.

    logits = self.fc(h)                              # no nn.Softmax at the end of the model
    loss = F.cross_entropy(logits, target)
    probabilities = logits.softmax(dim=1)            # for reports only; argmax needs no softmax

If a caller needs a model that returns probabilities, return logits and convert there, or use
`F.nll_loss(torch.log(p.clamp_min(1e-12)), target)`, which is right but numerically weaker.

## Sources
- PyTorch, CrossEntropyLoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
  [unnormalised logits expected; equals LogSoftmax followed by NLLLoss]
- SciCo issue 2, https://github.com/ariecattan/SciCo/issues/2
  [validation loss stuck; the floor of about 0.74 named for this fault]
- lightning-bolts issue 654, https://github.com/Lightning-Universe/lightning-bolts/issues/654
  [softmax twice in a published model]
- Co-teaching issue 4, https://github.com/bhanML/Co-teaching/issues/4 [log_softmax twice changes nothing]
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator

import numpy as np

from ...record import Record, Site
from ...source import Edit, Module, Source
from ...source.criterion import taken_off
from ...source.loss import argument, loss_call
from ...source.output import output_of
from ...source.program.kinds import operation, options, reformed
from ...source.program.queries import losses
from ...source.program.values import Call
from ...source.spelling import in_place_of, spelled
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_at, site_of_event, site_of_layer


def in_run(
    record: Record,
    source: Source,
    *,
    tolerance: float = 1e-3,  # rows of a float32 softmax sum to 1 within 1e-6, of a bfloat16 one within 4e-3 / K
    min_samples: int = 1,  # exact at every sample; by chance logits never do this for a whole batch
) -> Answer:
    """What cross-entropy is given are probabilities already."""
    seen = False
    for number, call in record.calls.items():
        if call.get("fn") != "cross_entropy" or not call.get("grad"):
            continue
        samples = record.rows("loss", call=number, grad=True)
        samples = type(samples)(row for row in samples if row.get("rows"))
        if len(samples) < min_samples:
            continue
        seen = True
        low, high = samples.column("rows.sum_min"), samples.column("rows.sum_max")
        if not (np.all(np.abs(low - 1) < tolerance) and np.all(np.abs(high - 1) < tolerance)):
            continue
        if samples.column("output.min").min() < 0:
            continue
        shape = (call.get("output") or {}).get("shape") or [0, 0]
        classes = int(shape[1]) if len(shape) > 1 else 2
        floor = math.log(1 + (classes - 1) / math.e)
        yield Finding(
            _softmax(source) or record.site(call.get("site")),
            (
                Evidence(
                    f"every row that cross_entropy is given is non-negative and sums to 1 ({len(samples)} samples of "
                    f"{classes} classes): it is a softmax already, and the loss applies another",
                    "loss_values",
                    float(high.max()),
                    1.0,
                ),
                Evidence(
                    f"so the loss cannot fall below ln(1 + {classes - 1}/e) = {floor:.3f}; it stands at "
                    f"{samples.column('value')[-1]:.3f}",
                    "loss_values",
                    float(samples.column("value")[-1]),
                    floor,
                ),
            ),
            0.98,
            subject=record.site(call.get("site")),
        )
        return
    if not seen:
        yield NotEvaluated("cross_entropy was not called with gradient")


def _softmax(source: Source) -> Site | None:
    """The softmax that feeds the loss: the one nearest to the end of a forward, a Sequential or a training loop."""
    found = [(module, node) for module in source for node in _applied(module)]
    return site_at(*found[-1]) if found else None


def _applied(module: Module) -> list[ast.expr]:
    """Softmax calls of a file whose value is returned, is the last layer, or goes on by name; not for reports only."""
    functions = [*module.calls("torch.nn.functional.softmax", "torch.softmax", "?.softmax")]
    layers = [*module.calls("torch.nn.Softmax")]
    kept: list[ast.expr] = []
    for call in [*layers, *functions]:
        if module.enclosing(call, ast.With) is not None and _no_grad(module, call):
            continue
        outer = module.parents.get(call)
        if isinstance(outer, ast.BinOp) or (
            isinstance(outer, ast.Attribute) and outer.attr in ("argmax", "max", "cpu")
        ):
            continue  # inside attention arithmetic, or on its way to a report
        kept.append(call)
    kept.sort(key=lambda call: (_rank(module, call), call.lineno))
    return kept


def _rank(module: Module, call: ast.expr) -> int:
    """How likely its value is the model's output: a returned one most, then the end of a Sequential."""
    outer = module.parents.get(call)
    if isinstance(outer, ast.Return):
        return 3
    sequential = isinstance(outer, ast.Call) and outer.args and outer.args[-1] is call
    return 2 if sequential or isinstance(outer, (ast.Assign, ast.List)) else 1


def _no_grad(module: Module, node: ast.AST) -> bool:
    outer = module.enclosing(node, ast.With)
    while isinstance(outer, ast.With):
        entered = [module.segment(item.context_expr) for item in outer.items]
        if any("no_grad" in text or "inference_mode" in text for text in entered):
            return True
        outer = module.enclosing(outer, ast.With)
    return False


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Drop the softmax that the loss's argument comes through; keep what it is applied to."""
    title = "drop the softmax: CrossEntropyLoss takes the logits"
    site = finding.site
    if site is None:
        return [Remedy(title, "safe")]
    loss = finding.subject if isinstance(finding.subject, Site) else None
    edits = _on_the_way(source, loss) if loss is not None else ()
    module = source.module(site.file)
    if not edits and module is not None:
        found = next((call for call in _applied(module) if call.lineno == site.line), None)
        edits = _without(module, found) if isinstance(found, ast.Call) else ()
    return [Remedy(title, "safe", edits)]


def _on_the_way(source: Source, loss: Site) -> tuple[Edit, ...]:
    """The edits that take every softmax off the way from the last layer to the loss at a line."""
    call = loss_call(source, loss.file, loss.line)
    output = argument(call[1], 0, "input", "logits") if call is not None else None
    if call is None or output is None:
        return ()
    edits: list[Edit] = []
    for stage in output_of(source, call[0], output).stages:
        if stage.name in ("softmax", "Softmax", "log_softmax", "LogSoftmax", "Softmax2d", "softmin"):
            if stage.name.lower().startswith("log") and not edits:
                continue  # log_softmax before cross_entropy changes nothing; behind it a softmax may still stand
            edits += taken_off(stage)
    return tuple(edits)


def _without(module: Module, call: ast.Call) -> tuple[Edit, ...]:
    if module.dotted(call.func) == "torch.nn.Softmax":
        outer = module.parents.get(call)
        if isinstance(outer, ast.Call) and outer.func is call:  # nn.Softmax(dim=1)(x)
            return (in_place_of(module, outer, outer.args[0]),) if outer.args else ()
        return (module.replace(call, f"{spelled(module, 'torch.nn.Identity') or 'torch.nn.Identity'}()"),)
    if isinstance(call.func, ast.Attribute) and module.dotted(call.func).startswith("?"):
        return (in_place_of(module, call, call.func.value),)
    given = argument(call, 0, "input")
    return () if given is None else (in_place_of(module, call, given),)


def in_source(source: Source) -> Iterator[Finding]:
    """What cross_entropy is given comes from a softmax, by every way there is."""
    for _, place, name, call in losses(source):
        if name != "cross_entropy":
            continue
        made = [reformed(each) for each in options(reformed(call.argument(0, "input")))]
        if not made or not all(isinstance(each, Call) and operation(each)[0] == "softmax" for each in made):
            continue
        loss = site_of_event(place.event)
        soft = made[0]
        assert isinstance(soft, Call)
        text = f"cross_entropy at line {loss.line} is given the output of this softmax, and applies softmax itself"
        yield Finding(site_of_layer(soft), (Evidence(text),), 0.97, subject=loss)


CONDITION = Condition(
    "double-softmax",
    "error",
    needs=("loss_calls", "loss_values"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    structural=True,
)
