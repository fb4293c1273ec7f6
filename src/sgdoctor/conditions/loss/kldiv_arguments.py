"""KL divergence is given arguments of the wrong kind, or in the wrong order.

## What happens
`F.kl_div(input, target)` computes `target * (log target - input)`: its first argument must be *log*-probabilities of
the model, its second probabilities (or log-probabilities with `log_target=True`). Nothing is checked. With
probabilities first, the result is negative or tiny and its gradient pushes every output up by the same rule whatever it
predicts; with logits it is unbounded below; with log-probabilities as target the logarithm of a negative number is NaN
or counts as zero, and the loss is 0 or NaN. Swapped, the teacher is asked to follow the student. The default
`reduction='mean'` divides by the number of classes as well, so the term is K times weaker than written (torch warns).

## How it is told apart
Decided on both arguments: rows of log-probabilities are never positive and their exponentials sum to 1; rows of
probabilities are never negative and sum to 1. Which of them carries gradient tells a swap.
- `logits-to-probability-loss`: the same at NLLLoss and BCELoss. `double-softmax`: at CrossEntropyLoss.
- `undetached-target`: the arguments are right, and the teacher is trained as well.
- `nonfinite-loss`: log 0 inside a hand-written divergence. `lr-too-low`: the term is right, the steps are small.
Not this: `log_target=True` with two logarithms, either direction of the divergence on purpose, both arguments trained,
unnormalised targets (counts), 'sum' and 'none' with a division by hand, a factor T*T for a temperature.

## Remedy

    log_q = F.log_softmax(student(x) / T, dim=1)
    p = F.softmax(teacher(x) / T, dim=1)                     # under no_grad
    loss = F.kl_div(log_q, p, reduction="batchmean") * T * T

## Sources
- PyTorch, KLDivLoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html
  [input in log-space; argument order; reduction= "mean" does not return the true KL divergence value]
- Hinton et al., Distilling the knowledge in a neural network, https://arxiv.org/abs/1503.02531 [the factor T*T]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import numpy as np

from ...record import Record, Rows, Site
from ...source import Edit, Module, Source
from ...source.flow import Trail
from ...source.loss import argument, loss_call
from ...source.program.kinds import applied, operation, reformed
from ...source.program.queries import losses
from ..activations import loss_maker
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import optimizers_of, site_at, site_of_event


def in_run(
    record: Record,
    source: Source,
    *,
    tolerance: float = 0.02,  # rows of a softmax sum to 1 within 1e-6, after smoothing or in bfloat16 within 1e-2
    min_samples: int = 1,  # exact at every sample
) -> Answer:
    """An argument of kl_div is not what it should be."""
    seen = False
    for number, call in record.calls.items():
        rows = Rows(row for row in record.rows("argument", call=number) if row.get("kl"))
        if call.get("fn") != "kl_div" or not call.get("grad") or len(rows) < min_samples:
            continue
        seen = True
        site = record.site(call.get("site"))
        fault = _fault(rows, tolerance)
        if fault is not None:
            text = f"kl_div takes log-probabilities and then probabilities; {fault[1]}"
            last = record.rows("loss", call=number).column("value")
            if len(last):
                text += f"; it stands at {last[-1]:.4g}"
            yield Finding(site, (Evidence(text, "loss_arguments"),), 0.95, subject=(site, fault[0]))
            return
        if call.get("reduction") == "mean" and len((call.get("output") or {}).get("shape") or []) > 1:
            yield _mean(record, source, number, rows)
            return
    if not seen:
        yield NotEvaluated("kl_div was not called with gradient")


def _fault(rows: Rows, tolerance: float) -> tuple[str, str] | None:
    figures = {name: rows.column(f"kl.{name}") for name in rows[0]["kl"]}
    if any(not len(column) or not np.isfinite(column).any() for column in figures.values()):
        return None
    one, other = _kind(figures, "input", tolerance), _kind(figures, "target", tolerance)
    log_target = any(row.get("log_target") for row in rows)
    low, high = np.nanmin(figures["input_min"]), np.nanmax(figures["input_max"])
    if one == "probabilities" and other == "logs" and not log_target:
        return "swapped", "the first argument is probabilities and the second their logarithms: they are swapped"
    if one == "probabilities":
        return (
            "probabilities",
            f"the first is probabilities ({low:.3g} ... {high:.3g}, rows sum to 1), not their logarithm",
        )
    if one == "neither" and np.all(figures["input_lse_max"] > 0.1):
        return "logits", f"the first is raw outputs ({low:.3g} ... {high:.3g}), whose exponentials do not sum to 1"
    if other == "logs" and not log_target:
        return "log-target", "the second is log-probabilities, and log_target=True is not set"
    if other == "probabilities" and log_target:
        return "plain-target", "the second is probabilities although log_target=True says that it is logarithms"
    if other == "neither" and not log_target and np.all(figures["target_min"] < -1e-3):
        return "target-logits", "the second is raw outputs with negative values, no distribution"
    return None


def _kind(figures: dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]], name: str, tolerance: float) -> str:
    # Once weights are NaN an argument says nothing of what it was meant to be.
    known = np.isfinite(figures[f"{name}_min"]) & np.isfinite(figures[f"{name}_max"])
    figures = {key: column[known] for key, column in figures.items() if key.startswith(name) and known.any()} or figures
    low, high = figures[f"{name}_min"], figures[f"{name}_max"]
    sums = np.concatenate([figures[f"{name}_sum_min"], figures[f"{name}_sum_max"]])
    logs = np.concatenate([figures[f"{name}_lse_min"], figures[f"{name}_lse_max"]])
    if np.all(low >= 0) and np.all(np.abs(sums - 1) < tolerance):
        return "probabilities"
    return "logs" if np.all(high <= 1e-4) and np.all(np.abs(logs) < tolerance) else "neither"


def _mean(record: Record, source: Source, number: int, rows: Rows) -> Finding:
    """Only a factor, which matters where the step has the gradient's size, or another term stands beside it."""
    width = int(rows[-1]["kl"].get("width") or 0)
    objective = next((o for o in record.objectives if number in o.calls), None)
    adaptive = objective is not None and all(each.adaptive for each in optimizers_of(record, objective))
    alone = objective is not None and len(objective.calls) == 1
    site = record.site(record.calls[number].get("site"))
    maker = loss_maker(source, site)
    text = f"reduction='mean' divides the divergence by the {width} classes as well: it is {width} times too weak"
    return Finding(
        site_at(*maker) if maker else site,
        (Evidence(text, "loss_calls", float(width), 1.0),),
        0.7,
        severity="info" if adaptive and alone else "warning",
        subject=(site, "mean"),
    )


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The right form of the argument."""
    site, fault = finding.subject if isinstance(finding.subject, tuple) else (None, "")
    words = {
        "swapped": "swap the arguments: log-probabilities of the model first, target probabilities second",
        "probabilities": "give log_softmax instead of softmax as the first argument",
        "logits": "put log_softmax around the first argument",
        "log-target": "set log_target=True, or give the target as probabilities",
        "plain-target": "drop log_target=True: the target is probabilities",
        "target-logits": "put softmax around the second argument",
        "mean": "use reduction='batchmean'",
    }
    title = words.get(fault, "give log-probabilities first and probabilities second")
    found = loss_call(source, site.file, site.line) if site is not None else None
    edits = _edits(source, found, site, fault) if found is not None else ()
    return [Remedy(title, "safe" if fault != "mean" else "changes-training", tuple(edits))]


def _edits(source: Source, found: tuple[Module, ast.Call], site: object, fault: str) -> list[Edit]:
    module, call = found

    first, second = argument(call, 0, "input"), argument(call, 1, "target")
    if first is None or second is None:
        return []
    texts = module.segment(first), module.segment(second)
    functional = "F" if "F" in module.names else "torch.nn.functional"
    if fault == "swapped":
        return [module.replace(first, texts[1]), module.replace(second, texts[0])]
    if fault == "logits":
        return [module.replace(first, f"{functional}.log_softmax({texts[0]}, dim=-1)")]
    if fault == "target-logits":
        return [module.replace(second, f"{functional}.softmax({texts[1]}, dim=-1)")]
    if fault == "probabilities":
        for point in Trail(source).of(module, first):
            node = point.node
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "softmax":
                text = point.module.segment(node.func).removesuffix("softmax") + "log_softmax"
                return [point.module.replace(node.func, text)]
        return [module.replace(first, f"({texts[0]}).clamp_min(1e-12).log()")]
    if fault in ("log-target", "plain-target", "mean"):
        made = loss_maker(source, site) if isinstance(site, Site) else None
        if made is None:
            return []
        name, value = ("reduction", '"batchmean"') if fault == "mean" else ("log_target", str(fault == "log-target"))
        for keyword in made[1].keywords:
            if keyword.arg == name:
                return [made[0].replace(keyword.value, value)]
        text = made[0].segment(made[1])
        inner = "" if text.rstrip(")").endswith("(") else ", "
        return [made[0].replace(made[1], f"{text[:-1]}{inner}{name}={value})")]
    return []


def in_source(source: Source) -> Iterator[Finding]:
    """An argument of kl_div is made by the wrong function."""
    for _, place, name, call in losses(source):
        if name != "kl_div":
            continue
        first, second = (operation(reformed(call.argument(i, word)))[0] for i, word in ((0, "input"), (1, "target")))
        log_target = {**getattr(call.fn, "kwargs", {}), **call.kwargs}.get("log_target")
        summand = operation(reformed(call.argument(0, "input")))[1]
        fault = what = ""
        if first == "softmax" and second in ("log_softmax", "log"):
            fault, what = "swapped", "probabilities first and log-probabilities second"
        elif first == "softmax":
            fault, what = "probabilities", "probabilities first"
        elif first == "Linear":
            fault, what = "logits", "raw outputs of a linear layer first"
        elif second == "log_softmax" and first != "log_softmax" and log_target is None:
            model = any(applied(call.argument(1, "target"))) and not any(applied(call.argument(0, "input")))
            fault, what = ("swapped" if model else ""), "the model's log-probabilities second"
        elif first == "MatMult" or (first == "Add" and operation(summand)[0] == "MatMult"):
            fault, what = "logits", "raw outputs of a linear map first"
        elif first == "log_softmax" and second == "log_softmax" and log_target is None:
            fault, what = "log-target", "log-probabilities second, without log_target=True"
        if fault:
            site = site_of_event(place.event)
            text = f"kl_div takes log-probabilities and then probabilities, and is given {what}"
            yield Finding(site, (Evidence(text),), 0.96, subject=(site, fault))


CONDITION = Condition(
    "kldiv-arguments",
    "error",
    needs=("loss_calls", "loss_arguments", "loss_values"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    structural=True,
    explains=("nonfinite-loss", "exploding-gradients", "lr-too-high", "vanishing-gradients"),
)
