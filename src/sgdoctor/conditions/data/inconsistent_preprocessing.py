"""Inputs are prepared one way in training and another way in evaluation.

## What happens
The model is trained on standardised inputs and evaluated on raw ones, or the pixels are divided by 255 in one of two
data sets, or the scaler is fitted anew on the validation data. Weights that suit one scale meet another: training looks
perfect, the evaluation loss is huge from the first epoch, and accuracy is near chance. It is read as overfitting or as
a
batch-norm problem, and cannot be cured by regularisation.

## How it is told apart
Decided on what the model is called on: mean and standard deviation of its inputs in training against those in
evaluation. A scaler that is fitted twice, and a function that scales each part by its own mean and spread, are seen in
the source.
- `overfitting`: the inputs are alike, and the gap grows over the epochs. Here it is there at once.
- `batch-norm-eval-gap`, `train-mode-in-eval`: the mode of the layers differs, not the data.
- `unscaled-features`: both are unscaled. `data-leakage`: one scaler, fitted on both.
Not this: random augmentation, noise added in training on purpose, a validation set of another kind that is a little
shifted, single samples, grids for a plot.

## Remedy
One function (or transform, or fitted scaler) for all data that ever reach the model.

    scaler = StandardScaler().fit(x_train)
    x_train, x_val = scaler.transform(x_train), scaler.transform(x_val)    # fit once, transform everything

## Sources
- scikit-learn, Common pitfalls and recommended practices, https://scikit-learn.org/stable/common_pitfalls.html
  [inconsistent preprocessing: its first section]
- CS231n, Neural Networks part 2, https://cs231n.github.io/neural-networks-2/
  [statistics of the training data, applied to validation and test]
"""

from __future__ import annotations

import ast
from typing import Any

import numpy as np

from ...record import Record, Row, Site
from ...record.record import Column, number, numbers
from ...source import Edit, Module, Source
from ...source.flow import Point, Trail
from ...source.loading import loader_calls, model_inputs, origin
from ...source.loss import CONVERSIONS
from ...source.numbers import definitions
from ...source.preparation import computed_alike, scaled_apart, transformed_alike
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_at, site_of

NEAR = 3  # points of a trail: the call of a loss, of the model, its argument


def in_run(
    record: Record,
    source: Source,
    *,
    min_rows: int = 16,  # samples in evaluation: fewer have moments of their own
    max_ratio: float = 2.0,  # of standard deviations; splits of one data set differ by 1.2 at most in the clinic
    max_shift: float = 1.5,  # of means, in standard deviations of the training inputs; 0.3 at most in the clinic
) -> Answer:
    """The moments of a model's inputs differ between training and evaluation."""
    trained, held = _calls(record)
    if not record.rows("door"):
        yield NotEvaluated("no call of a model was seen")
        return
    for key, rows in held.items():
        before = trained.get(key)
        if before is None or _drifts(before, max_ratio, max_shift):
            continue  # what another part of the network puts out, as an encoder does for its head, is no data
        said = _differs(before, [row for row in rows if _rows(row) >= min_rows], max_ratio, max_shift)
        if said is None:
            continue
        row, text, value = said
        site = record.site(row.get("site"))
        trained_at = record.site(before[0].get("site"))
        place, evidence = _site(source, site, trained_at), (Evidence(text, "model_inputs", value, 1.0),)
        yield Finding(place, evidence, 0.9, subject=(site, trained_at))
        return
    apart = list(_scaled_apart(record, source, trained, held))
    yield from apart or _fitted_twice(source)


Key = tuple[Any, ...]
Calls = dict[Key, list[Row]]


def _calls(record: Record) -> tuple[dict[Key, list[Row]], dict[Key, list[Row]]]:
    """Calls in training and in evaluation, by model, argument and kind of input."""
    trained: dict[Key, list[Row]] = {}
    held: dict[Key, list[Row]] = {}
    backs = {row.get("site") for row in record.rows("door") if row.get("training") and row.get("grad")}
    for row in record.rows("door"):
        if "std" not in row or not str(row.get("dtype")).startswith(("float", "bfloat")):
            continue
        key = (row.get("model"), row.get("place"), tuple((row.get("shape") or [])[1:]))
        if row.get("training") and row.get("grad"):
            trained.setdefault(key, []).append(row)
        elif not row.get("grad") and (not row.get("training") or row.get("site") not in backs):
            held.setdefault(key, []).append(row)
    return trained, held


def _rows(row: Row) -> int:
    shape = row.get("shape") or [0]
    return int(shape[0]) if shape else 0


def _pooled(rows: list[Row]) -> tuple[Column, Column]:
    """Mean and standard deviation, by column where all rows have those."""
    columns = [(numbers(row.get("means")), numbers(row.get("stds"))) for row in rows]
    widths = {len(part) for pair in columns for part in pair}
    if len(widths) != 1 or 0 in widths:
        columns = [(np.array([number(row.get("mean"))]), np.array([number(row.get("std"))])) for row in rows]
    means, stds = np.array([pair[0] for pair in columns]), np.array([pair[1] for pair in columns])
    mean = means.mean(0)
    return mean, np.sqrt(np.square(stds).mean(0) + np.square(means - mean).mean(0))


def _differs(before: list[Row], after: list[Row], max_ratio: float, max_shift: float) -> tuple[Row, str, float] | None:
    if len(before) < 4 or not after:
        return None
    mean, std = _pooled(before)
    for row in after:
        # One training batch that looks like it is enough: the data are of several kinds.
        if any(_alike(each, row, max_ratio, max_shift) for each in before):
            continue
        found_mean, found_std = _pooled([row])
        if len(found_mean) != len(mean):
            found_mean, found_std = np.array([number(row.get("mean"))]), np.array([number(row.get("std"))])
            mean, std = np.array([number(before[0].get("mean"))]), np.array([number(before[0].get("std"))])
        alive = np.isfinite(std) & (std > 0) & np.isfinite(found_std) & (found_std > 0)
        if not alive.any():
            continue
        ratios = np.maximum(found_std[alive] / std[alive], std[alive] / found_std[alive])
        shifts = np.abs(found_mean[alive] - mean[alive]) / np.maximum(std[alive], found_std[alive])
        # The typical column, not the worst: one odd column of a small split is no pipeline.
        ratio, shift = float(np.median(ratios)), float(np.median(shifts))
        if ratio <= max_ratio and shift <= max_shift:
            continue
        pick = int(np.flatnonzero(alive)[np.argmin(np.abs(ratios - ratio) + np.abs(shifts - shift))])
        which = f"column {pick} of the inputs" if len(mean) > 1 else "the input"
        text = (
            f"in training {which} has mean {mean[pick]:.4g} and std {std[pick]:.4g}, in evaluation "
            f"{found_mean[pick]:.4g} and {found_std[pick]:.4g}"
        )
        return row, text, max(ratio, shift)
    return None


def _alike(one: Row, other: Row, max_ratio: float, max_shift: float) -> bool:
    return _near(_pooled([one]), _pooled([other]), max_ratio, max_shift)


def _near(one: tuple[Column, Column], other: tuple[Column, Column], max_ratio: float, max_shift: float) -> bool:
    (mean, std), (found_mean, found_std) = one, other
    if len(mean) != len(found_mean):
        return False
    with np.errstate(all="ignore"):
        ratio = np.nanmedian(np.maximum(found_std / std, std / found_std))
        shift = np.nanmedian(np.abs(found_mean - mean) / np.maximum(std, found_std))
    return bool(ratio <= max_ratio and shift <= max_shift)


def _drifts(rows: list[Row], max_ratio: float, max_shift: float) -> bool:
    """Whether what goes in changes in the course of training: the first third of the calls against the last."""
    part = len(rows) // 3
    return part > 0 and not _near(_pooled(rows[:part]), _pooled(rows[-part:]), max_ratio, max_shift)


def _site(source: Source, site: Site | None, trained: Site | None) -> Site | None:
    """Where the inputs of the evaluation become tensors; else where the model is called on them."""
    if site is None:
        return None
    inputs = model_inputs(source, site.file, site.line)
    made = _computed(inputs) or origin(inputs)
    if site == trained:  # one line for both: what differs lies behind the second loader
        calls = loader_calls(source)
        data = calls[-1].node.args[:1] if len(calls) > 1 and isinstance(calls[-1].node, ast.Call) else []
        made = origin(Trail(source).of(calls[-1].module, data[0])) if data else made
    elif trained is not None and made is not None:
        before = origin(model_inputs(source, trained.file, trained.line))
        if before is not None and before.node is made.node:  # the same tensor: what differs is done at the call
            return _branch(inputs) or _other_argument(source) or site
    return site_of(made) if made is not None else site


def _computed(trail: list[Point]) -> Point | None:
    """The arithmetic that a function of the script gives back: `return (x - self.mean) / self.std`."""
    for point in trail:
        if isinstance(point.node, ast.BinOp) and isinstance(point.module.parents.get(point.node), ast.Return):
            return point
    return None


def _other_argument(source: Source) -> Site | None:
    """Where the evaluation's own preparation is made, of two data sets of one class that differ in such an argument."""
    made: list[Point] = []
    for loader in loader_calls(source):
        data = loader.node.args[0] if isinstance(loader.node, ast.Call) and loader.node.args else None
        trail = Trail(source).of(loader.module, data) if data is not None else []
        made += [point for point in trail if isinstance(point.node, ast.Call)][:1]
    if len(made) < 2:
        return None
    module, one, other = made[0].module, made[0].node, made[-1].node
    if not isinstance(one, ast.Call) or not isinstance(other, ast.Call) or made[-1].module is not module:
        return None
    if module.dotted(one.func) != module.dotted(other.func):
        return None
    pairs = [*zip(one.args, other.args)]
    pairs += [(a.value, b.value) for a in one.keywords for b in other.keywords if a.arg == b.arg]
    for first, second in pairs:
        if isinstance(first, ast.Name) and isinstance(second, ast.Name) and first.id != second.id:
            values = [next(iter(definitions(source, module, each)), None) for each in (first, second)]
            if all(value is not None and isinstance(value[1], ast.Call) for value in values) and values[1] is not None:
                return site_at(*values[1])
    return None


def _branch(trail: list[Point]) -> Site | None:
    """Where a dataset that serves both asks which of them it is, before it computes what it gives."""
    for module, node in trail:
        function = module.enclosing(node, ast.FunctionDef)
        if not isinstance(node, ast.Name) or not isinstance(function, ast.FunctionDef):
            continue
        for test in ast.walk(function):
            asks = isinstance(test, ast.If) and isinstance(test.test, ast.Attribute)
            made = [each for each in ast.walk(test) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)]
            if asks and isinstance(test, ast.If) and any(each.id == node.id for each in made):
                return site_at(module, test)
    return None


def _fitted_twice(source: Source) -> Answer:
    """`scaler.fit_transform(x_train)`, and again `scaler.fit_transform(x_val)`."""
    for module in source:
        fits: dict[str, list[ast.Call]] = {}
        for call in module.calls("?.fit_transform"):
            if isinstance(call.func, ast.Attribute) and call.args and _is_scaler(module, call.func.value):
                scope = module.enclosing(call, ast.FunctionDef, ast.AsyncFunctionDef)
                fits.setdefault(f"{module.segment(call.func.value)} {id(scope)}", []).append(call)
        for name, calls in fits.items():
            texts = {module.segment(call.args[0]) for call in calls}
            loops = [module.enclosing(call, ast.For, ast.While) for call in calls]
            if len(calls) < 2 or len(texts) < 2 or loops[0] is not loops[-1]:
                continue
            first, last = (module.segment(call.args[0]) for call in (calls[0], calls[-1]))
            if not _one_kind(first, last):
                continue
            text = f"`{name.split()[0]}` is fitted to `{first}` (line {calls[0].lineno}), and again to `{last}`"
            yield Finding(site_at(module, calls[-1]), (Evidence(text),), 0.9, subject=calls[-1].func)
            return


def _scaled_apart(record: Record, source: Source, trained: Calls, held: Calls) -> Answer:
    """`scale(x_train)` and `scale(x_val)`, where `scale` takes the mean and the spread of what it is given."""
    for key, rows in held.items():
        sites = [record.site(each[0].get("site")) for each in (trained.get(key) or [{}], rows)]
        if sites[0] is None or sites[1] is None or sites[0] == sites[1]:
            continue
        found = scaled_apart(*(model_inputs(source, site.file, site.line) for site in sites if site is not None))
        if found is not None:
            one, other = (point.module.segment(point.node) for point in found)
            text = f"`{one}` scales the training inputs by their own mean and spread, and `{other}` those of evaluation"
            yield Finding(site_of(found[1]), (Evidence(text + " by theirs"),), 0.8)
            return


def _one_kind(first: str, last: str) -> bool:
    """Two parts of one thing: inputs and targets share no scaler's meaning (`X`, then `y`)."""
    return first[:1].lower() == last[:1].lower()


def _is_scaler(module: Module, node: ast.expr) -> bool:
    if isinstance(node, ast.Call):  # made on the spot: `StandardScaler().fit_transform(x)`
        return "preprocessing" in module.dotted(node.func)
    text = module.segment(node)
    for found in ast.walk(module.tree):
        if not isinstance(found, ast.Assign) or not isinstance(found.value, ast.Call):
            continue
        named = any(module.segment(target) == text for target in found.targets)
        if named and "preprocessing" in module.dotted(found.value.func):
            return True
    return False


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The same preparation for both."""
    module = source.module(finding.site.file) if finding.site is not None else None
    func = finding.subject
    if module is not None and isinstance(func, ast.Attribute):
        edit = module.replace(func, f"{module.segment(func.value)}.transform")
        return [Remedy("use the scaler that was fitted to the training data", "changes-training", (edit,))]
    title = "send the evaluation data through what the training data went through"
    held, trained = func if isinstance(func, tuple) else (None, None)
    if held is None or trained is None:
        return [Remedy(title, "changes-training")]
    return [Remedy(title, "changes-training", tuple(_alike_edits(source, finding.site, held, trained)))]


def _alike_edits(source: Source, site: Site | None, held: Site, trained: Site) -> list[Edit]:
    inputs = model_inputs(source, held.file, held.line)
    module = source.module(site.file) if site is not None else None
    if held == trained or module is not None:
        calls = module.calls("?.tensor", *(f"torch.{n}" for n in CONVERSIONS)) if module is not None else ()
        at = [call for call in calls if site is not None and call.lineno == site.line and call.args]
        trails = [Trail(source).of(module, call.args[0]) for call in at if module is not None]
        for trail in [*trails, inputs]:
            edits = transformed_alike(source, trail)
            if edits:
                return edits
    before = model_inputs(source, trained.file, trained.line)
    if held == trained:
        return []
    pairs = ((one, other) for one in before[:NEAR] for other in inputs[:NEAR])
    return next((edits for one, other in pairs if (edits := computed_alike(one, other))), [])


CONDITION = Condition(
    "inconsistent-preprocessing",
    "error",
    needs=("model_inputs",),
    in_run=in_run,
    remedies=remedies,
    explains=("overfitting", "batch-norm-eval-gap"),
)
