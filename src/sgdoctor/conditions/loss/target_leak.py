"""The model can see its target: no causal mask, or the target is a column of the input.

## What happens
A next-token model whose attention is not masked (or whose convolution is centred, or whose recurrent layer runs both
ways) reads the token that it is to predict one place on. The loss falls far below what the data allow, quickly, in
training and in validation alike; generated text is noise, as there the next token does not exist yet. In tables and
time series the same happens when the target, or something computed from it, is left among the features: a score near
perfect that is gone in use.

## How it is told apart
Decided on the computation: ids show that place t is to say token t + 1, and a layer on the way mixes later places into
earlier ones (attention with weight above the diagonal, a kernel that reaches forward, a recurrence in both directions).
For tables: one column of the input is the target itself, up to scale and shift, in every batch.
- `label-shift`: the target stands at the same place in the input; no layer has to look ahead.
- `batch-mixing`: samples see each other, not their future. `data-leakage`: validation data in the training set.
- `overfitting`: low loss in training only.
Not this: an encoder that reads all of its own sequence, cross-attention, masked language models, autoencoders, tables
of two or three columns where the target follows from one of them, forecasts from a lag that resembles the target.

## Remedy

    y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    mask = nn.Transformer.generate_square_subsequent_mask(T)
    h = encoder(x, mask=mask, is_causal=True)
    features = table.drop(columns=["target"])

## Sources
- PyTorch, scaled_dot_product_attention,
  https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html [is_causal]
- PyTorch, Transformer, https://docs.pytorch.org/docs/stable/generated/torch.nn.Transformer.html
  [generate_square_subsequent_mask]
- Kaufman et al., Leakage in data mining, https://doi.org/10.1145/2382577.2382579 [definition and examples]
"""

from __future__ import annotations

import ast
from collections import Counter

import numpy as np

from ...record import Record, Row, Rows, Site
from ...record.record import numbers
from ...source import Edit, Module, Source
from ...source.causal import masked_attention, masked_softmax, padded_left
from ...source.loss import argument, trails
from ...source.numbers import literals
from ...source.spelling import without_entry
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import layer_site, site_at, site_of

SHIFTS = (-2, -1, 0, 1, 2, 3)  # of host/probes/pairs.py
JOINED = (
    "torch.stack", "torch.cat", "torch.column_stack", "torch.hstack", "torch.concat", "numpy.stack",
    "numpy.column_stack", "numpy.concatenate", "numpy.hstack",
)  # fmt: skip
ATTENTION = ("scaled_dot_product_attention", "MultiheadAttention", "TransformerEncoder", "TransformerEncoderLayer")


def in_run(
    record: Record,
    source: Source,
    *,
    min_next: float = 0.97,  # of the places where the target is the next token
    min_ahead: float = 0.01,  # share of attention on later places: a mask leaves exactly 0
    min_alike: float = 0.99999,  # |correlation| of a column with the target: float32 keeps 1e-6
    max_second: float = 0.98,  # of the next column: where several say it all, it may be the nature of the data
    min_samples: int = 4,  # samples that must agree
) -> Answer:
    """Later places, or the target itself, reach the prediction."""
    sequences = Rows(row for row in record.rows("sequence") if len(row.get("shifts") or []) == len(SHIFTS))
    copies = record.rows("copy")
    if not len(sequences) and not len(copies):
        yield NotEvaluated("neither token ids nor a table beside a single target was seen")
        return
    rows = Rows(row for row in sequences if _next(row) >= min_next)
    if len(rows) >= min_samples:
        said = _looks_ahead(record, source, rows, min_ahead)
        if said is not None:
            site, text, value = said
            yield Finding(site, (Evidence(text, "sequences", value, 0.0), *_standing(record, rows)), 0.93)
            return
    yield from _column(record, source, copies, min_alike, max_second, min_samples)


def _next(row: Row) -> float:
    value = float(numbers(row.get("shifts"))[SHIFTS.index(1)])
    return value if np.isfinite(value) else 0.0


def _looks_ahead(record: Record, source: Source, rows: Rows, min_ahead: float) -> tuple[Site | None, str, float] | None:
    shares = [float(np.nanmax(column)) for row in rows if len(column := numbers(row.get("ahead")))]
    known = [value for value in shares if np.isfinite(value)]
    if known and float(np.median(known)) > min_ahead:
        value = float(np.median(known))
        if str(rows[0].get("ahead_by")).startswith("Convolution"):
            text = (
                "its kernels reach forward: a convolution padded on both sides mixes later tokens into earlier places"
            )
            site = _convolution(source)
        else:
            text = f"its attention is not masked: {value:.0%} of it lies on later tokens, the wanted one among them"
            site = _attention(source)
        return site, f"each place is to say the next token, and {text}", value
    both = _both_ways(source)
    if both is not None and not known:
        text = "each place is to say the next token, and the recurrent layer also runs backwards, from the end to it"
        return both, text, 1.0
    return None


def _standing(record: Record, rows: Rows) -> tuple[Evidence, ...]:
    call = rows[0].get("call")
    values = record.rows("loss", call=call, grad=True).column("value")
    known = values[np.isfinite(values)]
    if len(known) < 2:
        return ()
    text = f"the loss went from {known[0]:.3g} to {known[-1]:.3g}"
    return (Evidence(text, "loss_values", float(known[-1]), float(known[0])),)


def _attention(source: Source) -> Site | None:
    """The call that takes a mask and is given none: a function, an attribute that holds attention, a softmax."""
    for module in source:
        for call in module.calls("torch.nn.functional.scaled_dot_product_attention"):
            if not _masked(call):
                return site_at(module, call)
    for module in source:
        held = _holders(module)
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or _masked(node):
                continue
            if node.func.attr in held and isinstance(node.func.value, ast.Name) and node.func.value.id == "self":
                return site_at(module, node)
    for module in source:
        calls = [*module.calls("torch.nn.functional.softmax", "torch.softmax", "?.softmax")]
        inside = [call for call in calls if isinstance(module.enclosing(call, ast.ClassDef), ast.ClassDef)]
        if inside:
            return site_at(module, inside[0])
    return None


def _masked(call: ast.Call) -> bool:
    return any(keyword.arg in ("mask", "attn_mask", "is_causal", "src_mask", "tgt_mask") for keyword in call.keywords)


def _holders(module: Module) -> set[str]:
    """Attributes that hold attention of torch."""
    found = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            made = module.dotted(node.value.func).rpartition(".")[2]
            inner = [module.dotted(n.func).rpartition(".")[2] for n in ast.walk(node.value) if isinstance(n, ast.Call)]
            if made in ATTENTION or set(inner) & set(ATTENTION):
                found |= {target.attr for target in node.targets if isinstance(target, ast.Attribute)}
    return found


def _convolution(source: Source) -> Site | None:
    for module in source:
        for call in module.calls("torch.nn.Conv1d", "torch.nn.functional.conv1d"):
            if any(keyword.arg == "padding" for keyword in call.keywords):
                return site_at(module, call)
    return None


def _both_ways(source: Source) -> Site | None:
    for module in source:
        for call in module.calls("torch.nn.GRU", "torch.nn.LSTM", "torch.nn.RNN"):
            for keyword in call.keywords:
                if keyword.arg == "bidirectional" and isinstance(keyword.value, ast.Constant) and keyword.value.value:
                    return site_at(module, call)
    return None


def _column(
    record: Record, source: Source, copies: Rows, min_alike: float, max_second: float, min_samples: int
) -> Answer:
    """One column of the input is the target in every sampled batch."""
    by_call: dict[object, Rows] = {}
    for row in copies:
        if len(row.get("alike") or []) == 2 and len(row.get("columns") or []) == 2:
            by_call.setdefault((row.get("call"), row.get("param")), Rows()).append(row)
    for rows in by_call.values():
        alike = np.array([numbers(row["alike"]) for row in rows])
        ((column, times),) = Counter(row["columns"][0] for row in rows).most_common(1)
        if len(rows) < min_samples or times < len(rows) or not np.all(alike[:, 0] >= min_alike):
            continue
        if np.median(alike[:, 1]) > max_second:
            continue
        shape = rows[0].get("shape") or []
        text = (
            f"column {column} of the input is the target, up to scale and shift, in all {len(rows)} sampled batches "
            f"(correlation 1.0000; the next column has {np.median(alike[:, 1]):.2f}): the model only has to copy it"
        )
        call = record.calls.get(rows[0].get("call", -1)) or {}
        loss = record.site(call.get("site"))
        site = (
            _selection(source, loss) or _features(source, rows[0]) or layer_site(record, source, rows[0].get("param"))
        )
        yield Finding(
            site or loss,
            (Evidence(text, "copied_columns", float(alike[:, 0].min()), 1.0), *_standing(record, rows)),
            0.9,
            subject=(column, tuple(shape), _name(record, rows[0].get("param"))),
        )
        return


def _name(record: Record, parameter: object) -> str | None:
    known = record.parameters.get(parameter) if isinstance(parameter, int) else None
    return None if known is None else known.name


def _selection(source: Source, loss: Site | None) -> Site | None:
    """Where the model's input is cut out of a table or a series, or its columns are put together, last."""
    trail = trails(source, loss.file, loss.line)[0] if loss is not None else []
    for point in trail:
        module, node = point
        if isinstance(module.enclosing(node, ast.For, ast.FunctionDef), ast.For):
            continue  # a batch is cut out of the samples there
        if isinstance(node, ast.Call) and (module.dotted(node.func) in JOINED or _drops(node)):
            return site_of(point)
        if isinstance(node, ast.Subscript) and (_columns_of(node) or _of_sample(module, node)):
            return site_of(point)
    return None


def _drops(call: ast.Call) -> bool:
    """`table.drop(columns=...)`, `numpy.delete(table, i, axis=1)`."""
    named = any(keyword.arg in ("columns", "axis") for keyword in call.keywords)
    return named and isinstance(call.func, ast.Attribute) and call.func.attr in ("drop", "delete")


def _columns_of(node: ast.Subscript) -> bool:
    """`table[:, columns]`, `table[["a", "b"]]`."""
    index = node.slice
    return isinstance(index, ast.List) or (isinstance(index, ast.Tuple) and isinstance(index.elts[0], ast.Slice))


def _of_sample(module: Module, node: ast.Subscript) -> bool:
    """A window of a series, cut where a dataset hands out one sample."""
    function = module.enclosing(node, ast.FunctionDef)
    sample = isinstance(function, ast.FunctionDef) and function.name in ("__getitem__", "__iter__")
    return sample and isinstance(node.slice, ast.Slice)


def _features(source: Source, row: Row) -> Site | None:
    """Where columns are put together: the first stack, cat or concatenation that holds several expressions."""
    for module in source:
        calls = [
            call for call in module.calls(*JOINED) if not isinstance(module.enclosing(call, ast.ClassDef), ast.ClassDef)
        ]
        if calls:
            return site_at(module, calls[-1])
    return None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """A mask, padding in front only, or the column dropped."""
    site = finding.site
    module = source.module(site.file) if site is not None else None
    if isinstance(finding.subject, tuple):
        edits = _dropped(source, module, site.line, *finding.subject) if module is not None and site is not None else []
        return [Remedy("drop the column that holds the target from the features", "changes-training", tuple(edits))]
    title = "mask later places: is_causal=True, or a square subsequent mask"
    calls = [n for n in ast.walk(module.tree) if isinstance(n, ast.Call)] if module is not None else []
    for call in calls:
        if module is None or site is None or call.lineno != site.line:
            continue
        name = module.dotted(call.func)
        leaf = name.rpartition(".")[2]
        if leaf in ("GRU", "LSTM", "RNN"):
            return [Remedy("run the recurrent layer forward only (and halve what comes after)", "changes-training")]
        if leaf == "Conv1d":
            title = "pad in front only: a convolution that is cut to the length of its input sees no later place"
            return [Remedy(title, "changes-training", tuple(padded_left(source)))]
        if name == "torch.nn.functional.scaled_dot_product_attention" and not _masked(call):
            text = module.segment(call)[:-1].rstrip().rstrip(",") + ", is_causal=True)"
            return [Remedy(title, "changes-training", (module.replace(call, text),))]
        if leaf == "softmax":
            return [Remedy(title, "changes-training", tuple(masked_softmax(module, call)))]
        made = _maker(module, call)
        if made is not None and not _masked(call):
            return [Remedy(title, "changes-training", tuple(masked_attention(module, call, made)))]
    return [Remedy(title, "changes-training")]


def _maker(module: Module, call: ast.Call) -> ast.Call | None:
    """What made the attention that is called as an attribute."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else None
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call) or name not in _holders(module):
            continue
        if any(isinstance(target, ast.Attribute) and target.attr == name for target in node.targets):
            return node.value
    return None


def _dropped(
    source: Source, module: Module, line: int, column: int, shape: tuple[int, ...], parameter: object
) -> list[Edit]:
    """One of as many columns as the input has, where they are put together; the first layer takes one less."""
    width = shape[-1] if shape else 0
    for call in module.calls(*JOINED):
        parts = call.args[0] if call.args else None
        if call.lineno != line or not isinstance(parts, (ast.List, ast.Tuple)) or len(parts.elts) != width:
            continue
        if any(isinstance(part, ast.Starred) for part in parts.elts):
            continue
        found = source.layer(parameter) if isinstance(parameter, str) else None
        made = found[1].value if found is not None and isinstance(found[1], ast.Assign) else found and found[1]
        size = argument(made, 0, "in_features", "input_size") if isinstance(made, ast.Call) else None
        known = literals(source, found[0], size) if found is not None and size is not None else []
        fits = [each.module.replace(each.node, str(width - 1)) for each in known if each.value == width]
        return [without_entry(module, parts.elts[column], parts.elts), *fits[:1]]
    return []


CONDITION = Condition(
    "target-leak",
    "error",
    needs=("sequences", "copied_columns", "loss_values", "loss_calls"),
    in_run=in_run,
    remedies=remedies,
    flatters=True,
)
