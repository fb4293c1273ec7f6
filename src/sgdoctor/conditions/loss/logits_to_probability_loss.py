"""Raw logits are given to a loss that takes probabilities or log-probabilities.

## What happens
`BCELoss` takes probabilities. Given logits it raises "all elements of input should be between 0 and 1" as soon as one
lies outside (on a GPU as an assertion far from the line); clamped to 0 ... 1 they no longer raise, but whatever was
clamped has a gradient of zero. `NLLLoss` takes log-probabilities and checks nothing: it is minus the entry of the right
class. Fed with logits it is unbounded below, falls through zero for ever and inflates all weights; fed with softmax
probabilities it runs from -1/K towards -1, and its gradient does not grow where the prediction is wrong.

## How it is told apart
Decided on the values that the loss is given. `NLLLoss`: a row of log-probabilities has logsumexp 0, and never above
it; one of logits has any, one of probabilities at least ln K. `BCELoss`: values outside 0 ... 1, or a clamp with no
sigmoid or softmax below it in the graph. The loss is negative, which a likelihood of classes cannot be.
- `double-softmax`, `double-sigmoid`: the opposite, an activation too many. `wrong-loss-for-task`: another loss is due.
- `nonfinite-loss`: BCELoss raises the same message when its input is NaN; then that is the cause.
- `maximised-loss`: also falls for ever, but by its sign. `labels-out-of-range`: the *target* is outside 0 ... 1.
Not this: log_softmax or `log(softmax)` with NLLLoss, sums below 1 (a mixture's parts, smoothed counts), densities of
continuous variables, which may well be negative.

## Remedy
The form with logits; it is also the numerically safe one.

    criterion = nn.BCEWithLogitsLoss()               # instead of BCELoss, no sigmoid in the model
    criterion = nn.CrossEntropyLoss()                # instead of NLLLoss, no softmax in the model

Or put the missing activation in front: `torch.sigmoid` before BCELoss, `F.log_softmax(x, dim=1)` before NLLLoss.

## Sources
- PyTorch, NLLLoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.NLLLoss.html
  [the input is expected to contain log-probabilities of each class]
- PyTorch, BCELoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html
- PyTorch, BCEWithLogitsLoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import numpy as np

from ...record import Record, Rows, Site
from ...record.record import number as number_of
from ...source import Source
from ...source.program.kinds import operation, options, reformed
from ...source.program.queries import losses
from ...source.program.values import Call
from ..activations import applied, dropped, loss_maker
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_at, site_of_event, site_of_loss

OUTSIDE = "all elements of input should be between 0 and 1"
LINEAR = (
    "AddmmBackward",
    "MmBackward",
    "MvBackward",
    "ConvolutionBackward",
    "LinearBackward",
    "AddBackward",
    "BmmBackward",
)
FORMS = {"BCELoss": "BCEWithLogitsLoss", "NLLLoss": "CrossEntropyLoss"}
FUNCTIONS = {"binary_cross_entropy": "binary_cross_entropy_with_logits", "nll_loss": "cross_entropy"}


def in_run(
    record: Record,
    source: Source,
    *,
    excess: float = 0.1,  # logsumexp above 0; log_softmax keeps 1e-6, log(softmax + 1e-3) of 100 classes 0.095
) -> Answer:
    """The input of a probability loss is no probability."""
    error = record.exception
    if error is not None and OUTSIDE in str(error.get("text")):
        output = (error.get("loss") or {}).get("output") or {}
        low, high = number_of(output.get("min")), number_of(output.get("max"))
        if np.isfinite(low) and np.isfinite(high) and (low < 0 or high > 1):
            frames = error.get("frames") or []
            site = record.site(frames[-1]) if frames else None
            text = f"binary_cross_entropy takes probabilities and was given {low:.3g} ... {high:.3g} (torch raised)"
            yield _finding(source, site, text, high, "binary_cross_entropy")
            return
    seen = False
    for number, call in record.calls.items():
        if not call.get("grad") or call.get("fn") not in FUNCTIONS:
            continue
        seen = True
        site = record.site(call.get("site"))
        said = (
            _log_probabilities(record.rows("loss", call=number, grad=True), excess)
            if call.get("fn") == "nll_loss"
            else _clamped(record.rows("argument", call=number))
        )
        if said is not None:
            yield _finding(source, site, said[0], said[1], str(call.get("fn")), said[2])
            return
    if not seen and (error is None or OUTSIDE not in str(error.get("text"))):
        yield NotEvaluated("neither binary_cross_entropy nor nll_loss was called with gradient")


def _log_probabilities(samples: Rows, excess: float) -> tuple[str, float, str] | None:
    samples = Rows(row for row in samples if row.get("rows"))
    low, high = samples.column("rows.lse_min"), samples.column("rows.lse_max")
    known = np.isfinite(high)  # falling without bound, such a loss soon overflows
    if not known.any() or not np.all(high[known] > excess):
        return None
    sums = np.concatenate([samples.column("rows.sum_min")[known], samples.column("rows.sum_max")[known]])
    value = float(samples.column("value")[-1])
    if np.all(np.abs(sums - 1) < 1e-2) and np.nanmin(samples.column("output.min")) >= 0:
        text = f"nll_loss takes log-probabilities and is given probabilities (rows sum to 1); it stands at {value:.3g}"
        return text, value, "probabilities"
    text = (
        f"nll_loss takes log-probabilities, whose exponentials sum to 1 in each row; here they sum to "
        f"{_power(np.min(low[known]))} ... {_power(np.max(high[known]))}: raw logits. The loss has no lower bound, "
        f"and stands at {value:.3g}"
    )
    return text, value, "logits"


def _power(logarithm: float) -> str:
    return f"{np.exp(logarithm):.3g}" if logarithm < 50 else f"e^{logarithm:.0f}"


def _clamped(rows: Rows) -> tuple[str, float, str] | None:
    for row in rows:
        made = row.get("made", [])
        if len(made) >= 2 and made[0].startswith("ClampBackward") and made[1].startswith(LINEAR):
            text = (
                "binary_cross_entropy is given the output of a linear layer clamped to 0 ... 1, no sigmoid: where it "
            )
            return text + "was clamped the gradient is zero", 0.0, "logits"
    return None


def _finding(source: Source, site: Site | None, text: str, value: float, fn: str, given: str = "logits") -> Finding:
    maker = loss_maker(source, site)
    place = site_at(*maker) if maker else site
    return Finding(place, (Evidence(text, "loss_values", value, 0.0),), 0.95, subject=(site, fn, given))


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The form with logits, by name."""
    site, fn, given = finding.subject if isinstance(finding.subject, tuple) else (None, "", "logits")
    new = {"binary_cross_entropy": "BCEWithLogitsLoss", "nll_loss": "CrossEntropyLoss"}.get(fn, "the form with logits")
    title = f"use {new}, which takes logits" + (", and drop the softmax" if given == "probabilities" else "")
    maker = loss_maker(source, site)
    if maker is None or not isinstance(maker[1].func, ast.Attribute):
        return [Remedy(title, "safe")]
    module, call = maker
    assert isinstance(call.func, ast.Attribute)
    name = {**FORMS, **FUNCTIONS}.get(call.func.attr)
    if name is None:
        return [Remedy(title, "safe")]
    edits = [module.replace(call.func, f"{module.segment(call.func.value)}.{name}")]
    if given == "probabilities":
        places = applied(source, site, "Softmax", "softmax")
        edits += dropped(places[0]) if places else ()
    return [Remedy(title, "safe", tuple(edits))]


def in_source(source: Source) -> Iterator[Finding]:
    """What a loss of probabilities is given comes straight from a layer with weights."""
    for _, place, name, call in losses(source):
        wanted = {"binary_cross_entropy": "probabilities", "nll_loss": "log-probabilities"}.get(name)
        made = [reformed(each) for each in options(reformed(call.argument(0, "input")))]
        kinds = {operation(each)[0] if isinstance(each, Call) else "" for each in made}
        if wanted is None or not made:
            continue
        raw = kinds <= SCORING
        if not raw and not (name == "nll_loss" and kinds == {"softmax"}):
            continue
        given = "logits" if raw else "probabilities"
        kind = ", ".join(sorted(kinds))
        text = f"{name} takes {wanted}, and is given what {kind} gives: {given}"
        site = site_of_event(place.event)
        yield Finding(site_of_loss(call), (Evidence(text),), 0.96, subject=(site, name, given))


SCORING = {"Linear", "Conv1d", "Conv2d", "Conv3d", "Bilinear", "LazyLinear"}


CONDITION = Condition(
    "logits-to-probability-loss",
    "error",
    needs=("loss_calls", "loss_values", "loss_arguments", "exception"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    structural=True,
    explains=("exploding-gradients", "nonfinite-loss", "lr-too-high", "dead-relu", "maximised-loss"),
)
