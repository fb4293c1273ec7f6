"""The loss is summed over the batch, so that the step grows with the batch.

## What happens
With `reduction='sum'` (or `.sum()` by hand) the gradient is the batch size, and for images or sequences the number of
elements, times that of the mean. A learning rate that is usual for a mean then overshoots: the loss jumps, explodes or
ends as NaN, or the units die in the first steps; the short last batch of an epoch takes a smaller step than the others,
and changing the batch size changes the training. Adam divides the factor out again, so that it is harmless there,
except beside a penalty, a clip or a second term that was meant for a mean.

## How it is told apart
Decided on the options of the loss (or the operation at its root) together with the trouble that it makes: steps of an
optimizer without adaptive scale overshoot or throw the weights about, and would not if they were smaller by the number
of summed elements.
- `lr-too-high`: the same trouble with a mean; it follows here as a consequence. `unscaled-target`,
  `unscaled-features`: gradients are large since the numbers are. `exploding-gradients`: grown through depth.
- `wrong-metric`: a sum that is only printed. `broken-accumulation`: sums over micro-batches.
Not this: a summed loss with a rate that is scaled for it, under Adam, or divided by the batch by hand; evidence bounds
and likelihoods that are summed over pixels and averaged over samples.

## Remedy
The mean; or, to keep the sum, a rate divided by the batch size.

    criterion = nn.MSELoss()                                  # reduction="mean"
    loss = criterion(output, target)                          # by hand: (output - target).square().mean()

## Sources
- PyTorch, MSELoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.MSELoss.html [reduction: mean, sum, none]
- Goyal et al., Accurate, large minibatch SGD, https://arxiv.org/abs/1706.02677
  [the rate goes with the normalisation of the loss by the batch]
"""

from __future__ import annotations

import ast

import numpy as np

from ...record import Progress, Record, Site, progress
from ...source import Module, Source
from ...source.terms import addends, backwarded, definitions, returned
from ..activations import loss_maker
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import MIN_STEPS, middle, optimizers_of, site_at, standing, steps_of

MAX_HOPS = 8  # names followed back from what is backpropagated


def in_run(
    record: Record,
    source: Source,
    *,
    min_samples: int = 4,  # summed elements; below that a sum is hardly more than a mean
    min_jump: float = 0.3,  # |change| / |weight| of an early step, as for lr-too-high: healthy up to 0.19
    min_overshoot: float = 1.4,  # beyond the minimum along the step, as for lr-too-high
    max_skill: float = 0.5,  # a run that is well on its way is not thrown about
) -> Answer:
    """Summed losses make steps that overshoot."""
    entries = [entry for entry in progress(record) if entry.count >= MIN_STEPS or entry.nonfinite]
    if not entries:
        yield NotEvaluated("no loss was backpropagated often enough")
        return
    for entry in entries:
        summed = _summed(record, entry)
        held = optimizers_of(record, entry.objective)
        if summed is None or summed[0] < min_samples or any(each.adaptive for each in held):
            continue
        count, site = summed
        for steps in steps_of(record, entry.objective):
            # The first step that throws the weights about: those behind it start where no step should have led.
            early = steps.ratios[:8]
            jump = float(next((ratio for ratio in early if ratio > min_jump), np.nan))
            overshoot = middle(steps.overshoot)
            thrown, swings = jump > min_jump and jump / count < min_jump, overshoot > min_overshoot
            if not (thrown or swings) or not _bad(entry, max_skill):
                continue
            yield _finding(source, entry, site, count, jump if thrown else overshoot, thrown)
            return


def _summed(record: Record, entry: Progress) -> tuple[float, Site | None] | None:
    """(number of summed elements, line) of a loss that is a sum."""
    call = record.calls.get(entry.call) if entry.call is not None else None
    if call is not None:
        # Of logits per class only the samples count; of everything else all elements do.
        target = (call.get("target") or {}).get("shape") or (call.get("output") or {}).get("shape") or []
        direct = any(
            term.get("calls") for row in record.rows("terms", site=entry.objective.number) for term in row.get("of", [])
        )
        if call.get("reduction") == "sum" and _undivided(record, entry):
            return float(np.prod([max(1, size) for size in target] or [1])), record.site(call.get("site"))
        if direct:
            return None
    terms = [term for row in record.rows("terms", site=entry.objective.number) for term in row.get("of", [])]
    if not any(str(term.get("op")).startswith("SumBackward") for term in terms) or not _undivided(record, entry):
        return None
    for row in entry.objective.graphs:
        for name, shape, inputs in row.get("head") or []:
            if name.startswith("SumBackward") and not shape and inputs and inputs[0]:
                return float(np.prod(inputs[0])), entry.objective.site
    return None


def _undivided(record: Record, entry: Progress) -> bool:
    """Whether the sum is backpropagated as it is."""
    terms = [term for row in record.rows("terms", site=entry.objective.number) for term in row.get("of", [])]
    weights = [abs(float(term.get("weight") or 0)) for term in terms if term.get("op") != "constant"]
    return not weights or max(weights) >= 0.5


def _bad(entry: Progress, max_skill: float) -> bool:
    if entry.nonfinite:
        return True
    if np.isfinite(entry.skill):
        return entry.skill < max_skill
    return bool(entry.last > 0.8 * entry.first)


def _finding(source: Source, entry: Progress, site: Site | None, count: float, figure: float, thrown: bool) -> Finding:
    if thrown:
        text = f"and one step moved the weights by {figure:.2g} of their own size (1e-4 to 1e-2 is usual)"
    else:
        text = f"and a step goes {figure:.2g} times as far as the minimum along it"
    evidence = (
        Evidence(
            f"the loss is the sum over {count:.0f} elements of the batch, not their mean: gradient and step are "
            f"{count:.0f} times as large, {text}",
            "updates",
            figure,
            1.0,
        ),
        Evidence(standing(entry), "objective", entry.last, entry.baseline),
    )
    maker = loss_maker(source, site)
    place = site_at(*maker) if maker else _sum_in(source, site)
    return Finding(place or site, evidence, 0.92, subject=site)


def _sum_in(source: Source, site: Site | None) -> Site | None:
    """The `.sum()` of a loss that is written by hand."""
    found = _sum(source, site)
    return site_at(*found) if found is not None else None


def _sum(source: Source, site: Site | None) -> tuple[Module, ast.Call] | None:
    """The outermost sum over everything, in what is backpropagated at a line or in what that is a name for."""
    found = backwarded(source, site.file, site.line) if site is not None else None
    waiting = [found] if found is not None else []
    for _ in range(MAX_HOPS):
        if not waiting:
            return None
        module, node = waiting.pop(0)
        for part in ast.walk(node):
            if isinstance(part, ast.Call) and not part.keywords:
                whole = {"?.sum": 0, "torch.sum": 1}.get(module.dotted(part.func))
                if whole is not None and len(part.args) == whole:
                    return module, part
            if isinstance(part, ast.Name):
                waiting += [(module, value) for value, _ in definitions(module, part)]
        if isinstance(node, ast.Call):
            waiting += returned(source, module, node)
        waiting += [(term.module, term.node) for term in addends(source, module, node) if term.module is not module]
    return None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The mean."""
    title = "average the loss over the batch: reduction='mean'"
    site = finding.subject if isinstance(finding.subject, Site) else None
    maker = loss_maker(source, site)
    if maker is not None:
        for keyword in maker[1].keywords:
            if keyword.arg == "reduction":
                return [Remedy(title, "changes-training", (maker[0].replace(keyword.value, '"mean"'),))]
            if keyword.arg == "size_average":
                return [Remedy(title, "changes-training", (maker[0].replace(keyword.value, "True"),))]
        return [Remedy(title, "changes-training")]
    found = _sum(source, site)
    if found is not None and isinstance(found[1].func, ast.Attribute):
        text = found[0].segment(found[1].func).removesuffix("sum") + "mean"
        return [Remedy(title, "changes-training", (found[0].replace(found[1].func, text),))]
    return [Remedy(title, "changes-training")]


CONDITION = Condition(
    "sum-reduction",
    "error",
    needs=("loss_calls", "loss_terms", "updates", "curvature", "objective", "graph"),
    in_run=in_run,
    remedies=remedies,
    explains=(
        "lr-too-high", "exploding-gradients", "nonfinite-loss", "dead-relu", "saturated-activations",
        "vanishing-gradients", "uninformative-labels", "unscaled-target",
    ),
)  # fmt: skip
