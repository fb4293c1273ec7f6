"""Dropout is so strong, or so placed, that little is learned.

## What happens
Dropout with p zeroes a share p of what it is given and multiplies the rest by 1/(1-p). At p = 0.9 one unit of ten is
left, ten times as large: of 48 hidden units 5 speak in any pass, after two such layers hardly a path is the same twice,
and the noise drowns the signal. The training loss stands high and is rough, evaluation is better than training, and
every cure of overfitting makes it worse. On the output itself, after the last layer, no p is harmless: a share p of the
answers is set to zero at random and the others are too large by 1/(1-p), an error that nothing can learn away.

## How it is told apart
Decided on p as it was really applied in train mode, and on the place: between the last layer and the loss, or so strong
that less than 0.3 is kept, in a run whose training loss stays poor.
- `underfitting`: without the dropout it does not learn either. `train-mode-in-eval`: dropout active in validation.
- `lr-too-low`, `uninformative-labels`: no such dropout is active. `overfitting`: the fault on the other side.
Not this: 0.5 between wide hidden layers, dropout of attention weights, word dropout, p = 0.8 on a wide input in a run
that learns, Monte Carlo dropout in evaluation.

## Remedy
    nn.Dropout(0.2)                                  # 0.1 to 0.5 between hidden layers, never after the last one

## Sources
- Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting,
  https://jmlr.org/papers/v15/srivastava14a.html [0.5 for hidden units, 0.2 for inputs; too high p underfits]
- PyTorch, Dropout: outputs are scaled by 1/(1-p), https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout.html
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from ...record import Progress, Record, Site
from ...record.record import Row, number
from ...source import Edit, Module, Source
from ...source.criterion import taken_off
from ...source.loss import argument, loss_call
from ...source.output import last_layer, output_of
from ...source.program.kinds import operation, reformed
from ...source.program.queries import losses
from ...source.program.values import Call
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..network import listed
from ..questions import fails, judged, loss_site, site_at, site_of_event, site_of_layer, standing

DROPPING = ("Dropout", "dropout")
LINEAR = ("Linear", "linear")

LAYERS = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout")
_KINDS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout")
FUNCTIONS = ("torch.dropout", *(f"torch.nn.functional.{name}" for name in _KINDS))
OUTPUT_LOSSES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "cross_entropy")
LOGIT_LOSSES = ("binary_cross_entropy_with_logits", "binary_cross_entropy", "nll_loss")


def in_run(
    record: Record,
    source: Source,
    *,
    strong: float = 0.7,  # Srivastava et al. see underfitting from here on; customary are 0.1 to 0.5
    good_skill: float = 0.75,  # a run that explains so much in training is not drowned by it
    min_output: float = 0.05,  # on the output: beyond a token amount
) -> Answer:
    """Dropout that is active in training and too strong, or stands after the last layer."""
    rows = [row for row in record.rows("dropout") if row.get("active") and row.get("graded")]
    last = {row.get("i"): row for row in rows}
    if not last and not record.rows("structure"):
        yield NotEvaluated("no dropout was looked for")
        return
    after = _after_last(record)
    entries = judged(record)
    if after is not None and any(number(row.get("p")) >= min_output for row in last.values()):
        found = _place(record, source, list(last.values()), end=True)
        text = f"dropout stands between the last layer and {after}: a share of the answers is set to zero at random"
        site = loss_site(record, entries[0]) if entries else None
        yield replace(_finding(found, text, list(last.values()), 0.93, entries), subject=site)
        return
    heavy = [row for row in last.values() if number(row.get("p")) >= strong]
    poor = [entry for entry in entries if fails(entry, good_skill)]
    if not heavy or not poor:
        return
    p = max(number(row.get("p")) for row in heavy)
    widths = [f"{number(row.get('width')) * (1 - number(row.get('p'))):.0f} of {row.get('width')}" for row in heavy]
    text = f"dropout with p = {p:g} in training leaves {listed(list(dict.fromkeys(widths)))} values on average"
    yield _finding(_place(record, source, heavy, end=False), text, heavy, 0.9, poor)


def _finding(place: Site | None, text: str, rows: list[Row], confidence: float, entries: list[Progress]) -> Finding:
    p = max(number(row.get("p")) for row in rows)
    evidence = [Evidence(text, "dropouts", p, 0.5)]
    return Finding(place, (*evidence, *(_standing(entries))), confidence, subject=p)


def _standing(entries: list[Progress]) -> list[Evidence]:
    return [Evidence(standing(e), "objective", e.last, e.baseline) for e in entries[:1]]


def _after_last(record: Record) -> str | None:
    """The loss function whose input passed dropout after the last layer."""
    for row in record.rows("structure"):
        for tail in row.get("tails") or []:
            call = record.calls.get(tail.get("call", -1)) or {}
            ops = [op[0] for op in tail.get("ops") or []]
            if call.get("fn") in OUTPUT_LOSSES + LOGIT_LOSSES and "Dropout" in ops and tail.get("layer"):
                before = ops[ops.index("Dropout") + 1 :]
                if not any(name.startswith(("Relu", "Gelu", "Tanh", "Silu")) for name in before):
                    return str(call.get("fn"))
    return None


def _place(record: Record, source: Source, rows: list[Row], end: bool) -> Site | None:
    """The number in the source: a dropout whose p it is, else where a class of the script is given it."""
    calls = [(m, c, p) for m in source for c, p in _dropouts(m)]
    values = {round(number(row.get("p")), 6) for row in rows}
    exact = [(m, c) for m, c, p in calls if p is not None and round(p, 6) in values]
    if exact:
        return site_at(*(exact[-1] if end else exact[0]))
    given = [
        (m, node)
        for m in source
        for node in ast.walk(m.tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, float)
        and round(node.value, 6) in values
        and _is_setting(m, node)
    ]
    if given:
        return site_at(*given[0])
    sites = [site for row in rows if (site := record.site(row.get("site"))) is not None]
    return site_at(*calls[0][:2]) if calls else (sites[0] if sites else None)


def _dropouts(module: Module) -> list[tuple[ast.Call, float | None]]:
    found = []
    for call in module.calls(*(f"torch.nn.{name}" for name in LAYERS), *FUNCTIONS):
        layer = module.dotted(call.func).rpartition(".")[2] in LAYERS
        values = [k.value for k in call.keywords if k.arg == "p"] or call.args[0 if layer else 1 :][:1]
        value = values[0] if values else None
        constant = value.value if isinstance(value, ast.Constant) else None if value is not None else 0.5
        found.append((call, float(constant) if isinstance(constant, (int, float)) else None))
    return found


def _is_setting(module: Module, node: ast.Constant) -> bool:
    """A number given to a call, an argument's default, or a constant of the script."""
    outer = module.parents.get(node)
    return isinstance(outer, (ast.Call, ast.keyword, ast.arguments, ast.Assign, ast.AnnAssign, ast.Dict))


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """No dropout behind the last layer; elsewhere a customary p, where the number stands at the line."""
    title = "lower p to 0.1 - 0.5, and put no dropout after the last layer"
    if isinstance(finding.subject, Site):
        return [Remedy("take the dropout after the last layer away", "changes-training", _off(source, finding.subject))]
    module = source.module(finding.site.file) if finding.site is not None else None
    if module is None or finding.site is None or not isinstance(finding.subject, float):
        return [Remedy(title, "changes-training")]
    edits: list[Edit] = []
    for node in ast.walk(module.tree):
        same = isinstance(node, ast.Constant) and isinstance(node.value, float) and node.value == finding.subject
        if same and isinstance(node, ast.Constant) and finding.subject >= 0.7 and _is_setting(module, node):
            edits.append(module.replace(node, "0.2"))
    return [Remedy(title, "changes-training", tuple(edits))]


def _off(source: Source, loss: Site) -> tuple[Edit, ...]:
    """The dropouts between the last layer and the loss at a line, off."""
    found = loss_call(source, loss.file, loss.line)
    output = argument(found[1], 0, "input") if found is not None else None
    if found is None or output is None:
        return ()
    trail = output_of(source, found[0], output)
    if last_layer(trail) is None:
        return ()
    names = {*LAYERS, *(name.rpartition(".")[2] for name in FUNCTIONS)}
    return tuple(edit for stage in trail.stages[:-1] if stage.name in names for edit in taken_off(stage))


def in_source(source: Source) -> Iterator[Finding]:
    """A loss is given what dropout made of the last linear layer's output."""
    for _, place, _, call in losses(source):
        made = reformed(call.argument(0, "input"))
        name, given = operation(made)
        if not isinstance(made, Call) or name not in DROPPING or operation(reformed(given))[0] not in LINEAR:
            continue
        site = site_of_event(place.event)
        text = f"dropout behind the last layer: outputs are set to zero before the loss at line {site.line} sees them"
        yield Finding(site_of_layer(made), (Evidence(text),), 0.95, subject=site)


CONDITION = Condition(
    "excessive-dropout",
    "warning",
    needs=("dropouts", "structure", "objective", "constant_loss"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    explains=("uninformative-labels", "lr-too-low", "unscaled-target"),
)
