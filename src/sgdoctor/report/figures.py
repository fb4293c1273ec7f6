"""Figures of a record as plotly sees them: plain data with a title, a sentence that says what to look for, and a table.

Colours are those of Okabe and Ito, told apart without colour vision; every curve has a dash of its own as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ..diagnosis import Diagnosis, Proof
from ..diagnosis.comparison import Comparison
from ..record import Record
from ..record.record import Column, Objective, number, numbers
from .untrusted import line

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
POINTS = 1500  # of one curve; a longer one is thinned evenly, its last points kept
LAYERS = 40  # rows of a heat map
OBJECTIVES = 4  # losses drawn beside each other
SOME = 0.01  # share of units below which a picture of them shows one colour
CONSTANT = "best constant output"
TINY = 1e-12  # in place of 0 on a logarithmic axis


@dataclass(frozen=True)
class Figure:
    """One picture: `plot` is plotly's `data` and `layout`; `rows` is the same for who sees no pictures."""

    title: str
    note: str
    plot: dict[str, Any]
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def figures(diagnosis: Diagnosis) -> list[Figure]:
    """All that the record gives, in the order of reading."""
    record = diagnosis.record
    found = [_loss(diagnosis), _rates(record), _features(record)]
    found += [_gradients(record), _ratios(record), *_activations(record)]
    return [figure for figure in found if figure is not None]


def proof_figure(proof: Proof, name: str) -> Figure | None:
    """The loss before and after a change, on the first seed; the metric of every seed as a table."""
    curves = [(label, values) for label, values in zip(("before", "after"), proof.curves) if values]
    if not curves:
        return None
    traces = [
        _curve(label, list(range(len(values))), list(values), index) for index, (label, values) in enumerate(curves)
    ]
    rows = tuple(
        (str(seed + 1), *(f"{arm[seed]:.4g}" if seed < len(arm) else "" for arm in (proof.baseline, proof.treated)))
        for seed in range(max(len(proof.baseline), len(proof.treated)))
    )
    note = (
        f"Loss by step on the first of {proof.seeds} seeds. The metric that decides is {proof.metric}; see the table."
    )
    head = ("seed", f"{proof.metric} before", f"{proof.metric} after")
    return Figure(f"Before and after: {name}", note, _plot(traces, "step", "loss"), head, rows)


def comparison_figure(comparison: Comparison) -> Figure | None:
    """The losses of two runs, and where they part."""
    traces = []
    for index, (name, each) in enumerate((("first run", comparison.left), ("second run", comparison.right))):
        for objective in each.record.objectives[:1]:
            traces.append(_curve(name, *_thinned(*_series(objective)), index))
    if not traces:
        return None
    marks = [
        _mark(at, text)
        for at, text in ((comparison.unequal, "first difference"), (comparison.parted, "apart for good"))
        if at is not None
    ]
    note = "The loss of both runs by backward pass."
    return Figure("Losses", note, _plot(traces, "backward pass", "loss", shapes=marks))


# -- one function a figure ---------------------------------------------------------------------------------------


def _loss(diagnosis: Diagnosis) -> Figure | None:
    record, traces = diagnosis.record, []
    rows = []
    for index, objective in enumerate(record.objectives[:OBJECTIVES]):
        steps, values = _thinned(*_series(objective))
        name = _named(record, objective)
        traces.append(_curve(line(name), steps, values, index))
        finite = [value for value in values if math.isfinite(value)]
        if finite:
            rows.append((line(name), f"{finite[0]:.4g}", f"{finite[-1]:.4g}", f"{min(finite):.4g}"))
    if not traces:
        return None
    validation = _validation(record)
    if validation:
        steps, values = _thinned(list(validation), list(validation.values()))
        traces.append(_curve("validation", steps, values, len(traces), "lines+markers"))
    note = "The loss of each backward pass."
    learning = diagnosis.learning
    if learning is not None and np.isfinite(learning.baseline):
        level = learning.baseline * learning.scale
        ends = [x for trace in traces for x in (trace["x"][0], trace["x"][-1])]
        traces.append(_curve(CONSTANT, [min(ends), max(ends)], [level, level], 0))
        traces[-1]["line"] = {"color": "#888888", "dash": "dash", "width": 1.5}
        rows.append((CONSTANT, "", f"{level:.4g}", ""))
        note += " Below the grey line the outputs say something about the targets; at it, no more than a constant."
    head = ("loss", "first", "last", "least")
    return Figure("Loss", note, _plot(traces, "backward pass", "loss"), head, tuple(rows))


def _validation(record: Record) -> dict[float, float]:
    """step -> loss of the first line that evaluates without gradient; rows repeat their last values."""
    found: dict[float, float] = {}
    rows = record.rows("validation")
    for row in rows.where(site=rows[0].get("site")) if rows else ():
        found.update(zip(numbers(row.get("steps")).tolist(), numbers(row.get("values")).tolist()))
    return dict(sorted(found.items()))


def _rates(record: Record) -> Figure | None:
    traces, rows = [], []
    for index, optimizer in enumerate(record.optimizers[:OBJECTIVES]):
        steps, rates = optimizer.rates
        if not len(steps) or len(set(rates.tolist())) == 1:
            continue  # a picture of one number says less than the number, which stands in the evidence
        at = [*steps.tolist(), float(max(optimizer.steps, steps[-1]))]
        drawn = [*rates.tolist(), float(rates[-1])]
        trace = _curve(line(f"{optimizer.kind} {optimizer.number}"), *_thinned(at, drawn), index)
        trace["line"]["shape"] = "hv"
        traces.append(trace)
        rows.append((line(optimizer.kind), f"{rates[0]:.4g}", f"{np.nanmax(rates):.4g}", f"{rates[-1]:.4g}"))
    if not traces:
        return None
    note = "Of the first parameter group, wherever it was seen to change."
    plot = _plot(traces, "step", "learning rate", logarithmic=all(t["y"] and min(t["y"]) > 0 for t in traces))
    return Figure("Learning rate", note, plot, ("optimizer", "first", "largest", "last"), tuple(rows))


def _features(record: Record) -> Figure | None:
    rows = record.rows("features")
    if not rows:
        return None
    row = rows[-1]
    mean, std = np.abs(numbers(row.get("mean"))), numbers(row.get("std"))
    if not len(mean) or len(mean) != len(std) or row.get("indices"):
        return None
    columns = row.get("columns") or list(range(len(mean)))
    names = [str(column) for column in columns][: len(mean)]
    traces = [
        _curve("spread (standard deviation)", names, _positive(std), 0, "markers"),
        _curve("distance from zero (|mean|)", names, _positive(mean), 1, "markers"),
    ]
    traces[1]["marker"]["symbol"] = "diamond-open"
    table = tuple((name, f"{m:.4g}", f"{s:.4g}") for name, m, s in zip(names, mean, std))
    note = "What reaches the first layer, column by column: near 1 is what layers are made for."
    return Figure(
        "Scale of the inputs",
        note,
        _plot(traces, "column", "scale", logarithmic=True),
        ("column", "|mean|", "standard deviation"),
        table[:LAYERS],
    )


def _gradients(record: Record) -> Figure | None:
    rows = [row for row in record.rows("gradients") if row.get("site") == _main_site(record)]
    note = "Root mean square of each gradient by layer (input at the top) and step. Fading upwards: it vanishes."
    return _heat(record, "Gradients", note, [(row, "grad", None) for row in rows])


def _ratios(record: Record) -> Figure | None:
    rows = [row for optimizer in record.optimizers[:1] for row in optimizer.updates]
    note = "Size of a step over the size of the weight, by layer and step: 1e-4 to 1e-2 is usual."
    return _heat(record, "Update ratios", note, [(row, "change", "weight") for row in rows])


def _heat(record: Record, title: str, note: str, cells: Sequence[tuple[Any, str, str | None]]) -> Figure | None:
    """Rows are parameters in the order of their first use, columns sampled steps, values logarithms to base 10."""
    known = sorted({p for row, _, _ in cells for p in row.get("params") or [] if p in record.parameters})
    known = [p for p in known if len(record.parameters[p].shape) > 1 or len(known) <= LAYERS // 2][:LAYERS]
    if not known or not cells:
        return None
    grid = np.full((len(known), len(cells)), np.nan)
    for column, (row, top, bottom) in enumerate(cells):
        tops, params = numbers(row.get(top)), row.get("params") or []
        bottoms = numbers(row.get(bottom)) if bottom else None
        for place, parameter in enumerate(params[: len(tops)]):
            if parameter not in known:
                continue
            size = math.sqrt(max(1, record.parameters[parameter].size))
            below = bottoms[place] if bottoms is not None and place < len(bottoms) else size
            grid[known.index(parameter), column] = tops[place] / below if below else np.nan
    logs = np.log10(np.maximum(grid, TINY), where=np.isfinite(grid), out=np.full_like(grid, np.nan))
    names = [line(record.parameters[parameter].name) for parameter in known]
    steps = [number(row.get("step", row.get("n"))) for row, _, _ in cells]
    table = tuple((name, *(_power(logs[i, j]) for j in (0, -1))) for i, name in enumerate(names))
    return Figure(title, note, _map(logs, steps, names), ("layer", "first look", "last look"), table)


def _activations(record: Record) -> Iterator[Figure]:
    rows = [row for row in record.rows("activations") if row.get("site") == _main_site(record) and row.get("of")]
    if not rows:
        return
    count = max(len(row["of"]) for row in rows)
    rows = [row for row in rows if len(row["of"]) == count]
    steps = [number(row.get("step", row.get("n"))) for row in rows]
    names = [_place(record, index, place) for index, place in enumerate(rows[-1]["of"])][:LAYERS]
    for key, title, note in (
        ("dead", "Dead units", "Share of units that are zero for every sample of a batch: no gradient reaches them."),
        ("flat", "Saturated units", "Share of outputs in the flat ends of a sigmoid or tanh: hardly any gradient."),
    ):
        grid = np.array([[number(place.get(key)) for place in row["of"][:LAYERS]] for row in rows]).T
        some = np.isfinite(grid).any(axis=1) if grid.size else np.array([], dtype=bool)
        if some.any() and np.nanmax(grid) >= SOME:
            chosen = [name for name, kept in zip(names, some) if kept]
            table = tuple((name, f"{row[0]:.0%}", f"{row[-1]:.0%}") for name, row in zip(chosen, grid[some]))
            plot = _map(grid[some], steps, chosen, (0.0, 1.0))
            yield Figure(title, note, plot, ("place", "first look", "last look"), table)


def _place(record: Record, index: int, place: dict[str, Any]) -> str:
    known = record.parameters.get(place.get("param", -1))
    return line(f"{index + 1} {place.get('kind', '')}" + (f" after {known.layer}" if known else ""))


# -- what figures are made of ------------------------------------------------------------------------------------


def _main_site(record: Record) -> int | None:
    return record.objectives[0].number if record.objectives else None


def _named(record: Record, objective: Objective) -> str:
    if objective.site is None:
        return "loss"
    site = record.shown(objective.site)
    return f"{site.file.rpartition('/')[2]}:{site.line}"


def _series(objective: Objective) -> tuple[list[float], list[float]]:
    ends = np.cumsum(objective.weights)
    return (ends - objective.weights).tolist(), objective.values.tolist()


def _thinned(x: list[float], y: list[float]) -> tuple[list[float], list[float]]:
    if len(x) <= POINTS:
        return x, y
    chosen = np.unique(np.linspace(0, len(x) - 1, POINTS).astype(int))
    return [x[i] for i in chosen], [y[i] for i in chosen]


def _positive(values: Column) -> list[float]:
    return [float(value) if value > 0 else TINY for value in values]


def _power(value: float) -> str:
    return f"{10**value:.1e}" if math.isfinite(value) else ""


def _curve(name: str, x: Sequence[Any], y: Sequence[float], index: int, mode: str = "lines") -> dict[str, Any]:
    style = {"color": COLOURS[index % len(COLOURS)], "dash": DASHES[index % len(DASHES)], "width": 2}
    marker = {"color": style["color"], "size": 7}
    return {
        "type": "scatter",
        "mode": mode,
        "name": name,
        "x": list(x),
        "y": list(y),
        "line": style,
        "marker": marker,
        "connectgaps": False,
    }


def _mark(step: float, text: str) -> dict[str, Any]:
    return {
        "type": "line",
        "yref": "paper",
        "x0": step,
        "x1": step,
        "y0": 0,
        "y1": 1,
        "line": {"dash": "dash", "width": 1.5, "color": "#888888"},
        "label": {"text": text, "textposition": "end", "yanchor": "bottom"},
    }


def _plot(
    traces: list[dict[str, Any]],
    x: str,
    y: str,
    logarithmic: bool = False,
    shapes: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    layout = {
        "xaxis": {"title": {"text": x}},
        "yaxis": {"title": {"text": y}, **({"type": "log", "dtick": 1} if logarithmic else {"type": "linear"})},
        "shapes": shapes or [],
        "showlegend": len(traces) > 1,
        "height": 340,
    }
    return _checked(traces, layout)


def _map(grid: Any, steps: list[float], names: list[str], limits: tuple[float, float] | None = None) -> dict[str, Any]:
    share = limits is not None
    trace: dict[str, Any] = {
        "type": "heatmap",
        "z": grid.tolist(),
        "x": [str(int(step)) if math.isfinite(step) else "" for step in steps],
        "y": names,
        "colorscale": "Cividis",
        "colorbar": {"thickness": 12, **({"tickformat": ".0%"} if share else {"tickprefix": "1e", "nticks": 6})},
        "hovertemplate": "%{y}, step %{x}: %{z:.2f}<extra></extra>",
    }
    if limits is not None:
        trace |= {"zmin": limits[0], "zmax": limits[1]}
    layout = {
        "xaxis": {"title": {"text": "step"}, "type": "category"},
        "yaxis": {"autorange": "reversed", "automargin": True},
        "height": 140 + 22 * len(names),
    }
    return _checked([trace], layout)


def _checked(traces: list[dict[str, Any]], layout: dict[str, Any]) -> dict[str, Any]:
    """As plotly reads it, so that a field that does not exist is an error here and not an empty picture there."""
    margin = {"l": 60, "r": 16, "t": 16, "b": 48}
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    made = go.Figure(data=traces, layout={**layout, "margin": margin, "legend": legend}, skip_invalid=False)
    return {"data": traces, "layout": {**made.layout.to_plotly_json(), "template": None}}
