"""A freeze freezes nothing, or not all.

## What happens
`module.requires_grad = False` sets a new attribute on the module and leaves its parameters as they were; so does a
misspelt `parameter.require_grad = False`. Python says nothing, and the "frozen" layers train on, usually at the large
rate meant for the new head, which ruins pre-trained weights. Another freeze holds for the weights only: batch norm in
train mode keeps moving its running statistics, so that the frozen body computes something else after every batch, and
in eval mode something else than in training. A third comes too late: after `zero_grad(set_to_none=False)` gradients
are zeros and not None, and momentum, Adam's averages or weight decay go on moving what was frozen.

## How it is told apart
Decided on attributes that look like a freeze on modules or parameters which still train; on batch norm layers with
frozen weights that ran in train mode; on frozen weights whose norm changes while an optimizer holds them.
- `frozen-parameters`: the freeze holds, and holds too much. `train-mode-in-eval`: validation, not a frozen body.
- `batch-norm-eval-gap`: statistics that lag behind in a body that trains.
Not this: a GAN's discriminator, frozen in turns, whose statistics move while the generator trains; target and teacher
networks that follow by a moving average; gradual unfreezing; bodies put into eval() after every train().

## Remedy
    model.encoder.requires_grad_(False)              # with the underscore: a method, for all parameters below
    model.encoder.eval()                             # after every model.train(): holds the norm statistics
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)    # built after

## Sources
- PyTorch, Module.requires_grad_, https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
- PyTorch, Autograd mechanics: eval mode is orthogonal to requires_grad, and norm statistics move in train mode,
  https://docs.pytorch.org/docs/stable/notes/autograd.html
- PyTorch, BatchNorm2d: running estimates in training,
  https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator

import numpy as np

from ...record import Record, Site
from ...record.record import number
from ...source import Edit, Source
from ...source.blocks import indentation
from ...source.program import Value
from ...source.program.kinds import is_module, settled
from ...source.program.queries import entries as program_entries
from ...source.program.values import Attr, Call, Const, Element, Item
from ...source.spelling import free_name, spelled
from ...source.training import receiver, statement_of
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..network import assignments, entries, freezes, listed, mentions
from ..questions import site_at, site_of_event


def in_run(
    record: Record,
    source: Source,
    *,
    min_looks: int = 2,  # seen moving between two looks at least
    min_change: float = 1e-5,  # of the norm of a frozen weight: beyond float32 rounding
) -> Answer:
    """Something that the script freezes goes on changing."""
    if not record.rows("gradients"):
        yield NotEvaluated("no gradients were seen")
        return
    for check in (_misspelt, _statistics, _moving):
        found = check(record, source, min_looks, min_change)
        if found is not None:
            yield found
            return


def _misspelt(record: Record, source: Source, min_looks: int, min_change: float) -> Finding | None:
    found = [entry for entry in entries(record, "thaw") if entry.get("trains")]
    if not found:
        return None
    names = list(dict.fromkeys(str(entry.get("attribute")) for entry in found))
    site, place = None, None
    for module in source:
        for target, value, statement in assignments(module):
            if not isinstance(target, ast.Attribute) or target.attr not in names or not _is_false(value):
                continue
            if target.attr != "requires_grad" or not _over_parameters(module.enclosing(statement, ast.For)):
                site, place = site_at(module, statement), (module.file, statement.lineno)
    if site is None:
        return None
    whole = [str(entry.get("name")) or "the model" for entry in found if entry.get("module")]
    trains = max(int(number(entry.get("trains"))) for entry in found)
    if whole:
        text = (
            f"`.{names[0]} = False` was set on {listed(whole)}, which is a module: {trains} of its parameters still "
            "need a gradient and train"
        )
    else:
        text = f"`.{names[0]} = False` was set on {len(found)} parameters; torch knows no such attribute, and all train"
    return Finding(site, (Evidence(text, "frozen", float(trains), 0.0),), 0.97, subject=place)


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def _over_parameters(loop: ast.AST | None) -> bool:
    if not isinstance(loop, ast.For):
        return False
    names = {part.attr for part in ast.walk(loop.iter) if isinstance(part, ast.Attribute)}
    return bool(names & {"parameters", "named_parameters"})


def _statistics(record: Record, source: Source, min_looks: int, min_change: float) -> Finding | None:
    """Batch norm with frozen weights in train mode, in a model of which another part trains."""
    looks = [row for row in record.rows("frozen") if any(e.get("moving") for e in row.get("of") or [])]
    if len(looks) < min_looks or len(looks) < 0.8 * len(record.rows("frozen")):
        return None
    moving = [e for e in looks[-1].get("of") or [] if e.get("moving")]
    ever: set[object] = {
        e.get("name") for row in record.rows("frozen") for e in row.get("of") or [] if e.get("trained")
    }
    later = _trained_after(record, {str(e.get("name")) for e in moving})
    bodies = [e for e in looks[-1].get("of") or [] if len(e.get("shape") or []) >= 2]
    if not moving or not bodies or later or not freezes(source):
        return None
    names = [str(e.get("name")) for e in moving]
    text = (
        f"{listed(sorted({name.rpartition('.')[0] for name in names}))}: batch norm whose weights are frozen runs in "
        "train mode, so that its running statistics move with every batch and the frozen part does not stay what it was"
    )
    evidence = [Evidence(text, "frozen", float(len(names)), 0.0)]
    if ever:
        evidence.append(Evidence(f"{len(ever)} of the frozen parameters were trained earlier in this run", "frozen"))
    return Finding(
        _freeze(source, names),
        tuple(evidence),
        0.85,
        severity="warning",
        layer=names[0].rpartition(".")[0],
        subject="statistics",
    )


def _trained_after(record: Record, names: set[str]) -> bool:
    """Whether they are trained again after a look that saw them frozen: they are frozen in turns."""
    first = min((number(row.get("step")) for row in record.rows("frozen")), default=np.inf)
    for row in record.rows("gradients"):
        if number(row.get("step")) > first:
            known = {record.parameters[n].name for n in row.get("params") or [] if n in record.parameters}
            if names & known:
                return True
    return False


def _moving(record: Record, source: Source, min_looks: int, min_change: float) -> Finding | None:
    """Frozen weights that an optimizer holds and whose norm changes."""
    norms: dict[str, list[float]] = {}
    for row in record.rows("frozen"):
        for entry in row.get("of") or []:
            if entry.get("held") and entry.get("trained"):
                norms.setdefault(str(entry.get("name")), []).append(number(entry.get("norm")))
    moved = []
    for name, values in norms.items():
        known = np.array([value for value in values if np.isfinite(value)])
        if len(set(known.tolist())) <= min_looks or np.ptp(known) <= min_change * max(float(known.max()), 1e-30):
            continue
        if not _trained_after(record, {name}):
            moved.append(name)
    if not moved:
        return None
    text = (
        f"{len(moved)} parameters ({listed(moved)}) need no gradient any more, yet change from look to look: the "
        "optimizer that holds them still moves them"
    )
    return Finding(_freeze(source, moved), (Evidence(text, "frozen", float(len(moved)), 0.0),), 0.9)


def _freeze(source: Source, names: list[str]) -> Site | None:
    parts = {part for name in names for part in name.split(".")}
    found = freezes(source)
    named = [(m, s) for m, s in found if parts & mentions(m, s)]
    return site_at(*(named or found)[-1]) if found else None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The method in place of the attribute; eval() where statistics move."""
    module = source.module(finding.site.file) if finding.site is not None else None
    if module is not None and isinstance(finding.subject, tuple) and finding.site is not None:
        for target, value, statement in assignments(module):
            if statement.lineno == finding.site.line and isinstance(target, ast.Attribute) and _is_false(value):
                edit = module.replace(statement, f"{module.segment(target.value)}.requires_grad_(False)")
                return [Remedy("freeze with requires_grad_(False)", "changes-training", (edit,))]
    if finding.subject == ():
        return [Remedy("freeze the parameters: module.requires_grad_(False)", "changes-training")]
    title = "put the frozen part into eval() after every train(), and give the optimizer only what should learn"
    edits = _kept(source) if finding.subject == "statistics" else []
    return [Remedy(title, "changes-training", tuple(edits))]


def _kept(source: Source) -> list[Edit]:
    """Behind each train() of a function that trains: eval() for batch norm whose weights are frozen."""
    edits: list[Edit] = []
    for module in source:
        nn = spelled(module, "torch.nn")
        for call in module.calls("?.train") if nn is not None else ():
            statement, function = statement_of(module, call), module.function_at(call.lineno)
            scope = function or module.tree
            trains = next(module.calls("?.backward", within=scope), None) is not None
            if not isinstance(statement, ast.Expr) or call.args or call.keywords or not trains:
                continue
            model, part = receiver(module, call), free_name(scope, "layer", "part")
            pad, unit = module.indent(statement.lineno), indentation(module)
            lines = [
                f"for {part} in {model}.modules():  # frozen batch norm keeps its statistics, too",
                f"{pad}{unit}if isinstance({part}, {nn}.modules.batchnorm._BatchNorm) and {part}.affine:",
                f"{pad}{unit * 2}{part}.train({part}.weight.requires_grad)",
            ]
            if not module.lines[statement.lineno - 1].rstrip().endswith(";"):
                edits.append(module.insert_after(statement, "\n".join(lines)))
    return edits


def in_source(source: Source) -> Iterator[Finding]:
    """requires_grad set on a module, or under a misspelt name on its parameters: nothing happens."""
    for entry in program_entries(source):
        for place in entry.places:
            event = place.event
            owner, value = settled(event.fn), settled(event.args[0]) if event.args else None
            if event.name != "set" or not isinstance(value, Const) or value.value is not False or owner is None:
                continue
            if event.attribute == "requires_grad" and is_module(owner):
                text = "requires_grad is set on a module, which has no such switch: its parameters go on training"
            elif _is_parameter(owner) and event.attribute in _nearly(event.attribute):
                text = (
                    f"{event.attribute} is no attribute of a parameter: requires_grad was meant, and nothing is frozen"
                )
            else:
                continue
            yield Finding(site_of_event(event), (Evidence(text),), 0.97, subject=())


def _nearly(name: str) -> list[str]:
    return [] if name == "requires_grad" else [name for _ in difflib.get_close_matches(name, ["requires_grad"], 1, 0.8)]


def _is_parameter(value: Value) -> bool:
    """Whether it is what a loop over parameters() gives, or the weight of a layer."""
    if isinstance(value, Item):
        value = value.of
    if isinstance(value, Element) and isinstance(value.of, Call) and isinstance(value.of.fn, Attr):
        return value.of.fn.name in ("parameters", "named_parameters") and is_module(settled(value.of.fn.of) or value)
    return isinstance(value, Attr) and value.name in ("weight", "bias") and is_module(settled(value.of) or value)


CONDITION = Condition(
    "ineffective-freeze",
    "error",
    needs=("frozen", "gradients", "parameters"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
)
