"""Parameters that should learn have requires_grad False.

## What happens
A parameter with `requires_grad=False` gets no gradient and keeps the value it has. That is a tool for pre-trained
weights. Where the values are random ones it is a fault: a freeze loop over `model.parameters()` that runs after the new
head was put in, a name filter that no parameter passes (`if "fc" in name` on a model whose head is `classifier`), a
switch of a GAN that is never switched back, `nn.Embedding.from_pretrained(torch.randn(...))`, which freezes unless told
not to. The part that is left learns on top of noise, so the loss falls to a poor level and stays. If all is frozen
backward raises `element 0 of tensors does not require grad and does not have a grad_fn`.

## How it is told apart
Decided on parameters that need no gradient at any look, were never trained in this run, and, as nothing in the script
loads weights, stand at their random start; with the loss to show that it matters, or the head among them.
- `detached-loss`: parameters need a gradient, the way to them is cut. `unused-parameters`: nothing uses them.
- `ineffective-freeze`: the opposite, a freeze that does not hold. `reentrant-checkpoint`: needs gradient, gets none.
- `parameters-not-in-optimizer`: gradients come, nobody steps.
Not this: a body that was trained or loaded before, LoRA on a loaded base, frozen word vectors from a file, target and
teacher networks, GAN networks that are frozen in turns, fixed random projections in a run that learns.

## Remedy
Freeze before the new layers are put in, or free what should learn.

    for p in model.parameters(): p.requires_grad = False      # first the body ...
    model.fc = nn.Linear(model.fc.in_features, classes)       # ... then the new head, which learns
    nn.Embedding.from_pretrained(vectors, freeze=False)

Print `[n for n, p in model.named_parameters() if p.requires_grad]` before training.

## Sources
- PyTorch, Autograd mechanics: requires_grad and freezing,
  https://docs.pytorch.org/docs/stable/notes/autograd.html
- PyTorch, Transfer learning tutorial: freeze, then replace the last layer,
  https://docs.pytorch.org/tutorials/beginner/transfer_learning_tutorial.html
- PyTorch, Embedding.from_pretrained: freeze=True is the default,
  https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html
"""

from __future__ import annotations

import ast
import math

from ...record import Record, Site
from ...record.record import Row
from ...source import Edit, Module, Source
from ...source.flow import Trail
from ...source.training import body_of, method_calls, move_behind, receiver
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..network import around, freezes, listed, loads_weights, mentions
from ..questions import fails, judged, site_at, standing

TABLES = ("Embedding.from_pretrained", "EmbeddingBag.from_pretrained")
RANDOM = ("randn", "rand", "normal", "uniform", "standard_normal", "random", "normal_", "uniform_")
NO_GRAPH = "does not require grad and does not have a grad_fn"


def in_run(
    record: Record,
    source: Source,
    *,
    good_skill: float = 0.7,  # beyond it the frozen part costs little: random features that serve
    min_share: float = 0.02,  # of all elements; clinic: fixed small tables of healthy scripts are below
) -> Answer:
    """Random weights are frozen, and the run is the worse for it."""
    error = record.exception
    if error is not None and NO_GRAPH in str(error.get("text")):
        found = _all_frozen(record, source)
        if found is not None:
            yield found
        return
    if not record.rows("gradients"):
        yield NotEvaluated("no gradients were seen")
        return
    rows = record.rows("frozen")
    if not rows or loads_weights(source):
        return  # nothing is frozen, or what is was brought in from somewhere
    frozen = _always(rows)
    reached = {leaf for objective in record.objectives for leaf in objective.leaves}
    trained = {record.parameters[n].name for n in reached if n in record.parameters}
    frozen = [entry for entry in frozen if entry.get("name") not in trained and _random(entry)]
    elements = sum(math.prod(entry.get("shape") or [0]) for entry in frozen)
    whole = elements + sum(record.parameters[n].size for n in reached if n in record.parameters)
    entries = judged(record)
    if not frozen or not whole or elements / whole < min_share:
        return
    site = _freeze_of(source, [str(entry.get("name")) for entry in frozen])
    poor = [entry for entry in entries if fails(entry, good_skill)]
    if site is None or not poor:
        return
    names = [str(entry.get("name")) for entry in frozen]
    text = (
        f"{len(frozen)} parameters ({elements:,} of {whole:,} elements: {listed(names)}) need no gradient all run; the "
        "script neither loads nor trains them, so that they stay at their random start"
    )
    yield Finding(
        site,
        (
            Evidence(text, "frozen", float(elements), 0.0),
            Evidence(standing(poor[0]), "objective", poor[0].last, poor[0].baseline),
        ),
        0.88,
        layer=names[0].rpartition(".")[0] or names[0],
        subject="part" if _once_trained(rows) else "random",
    )


def _always(rows: list[Row]) -> list[Row]:
    """What is frozen at every look, and was never trained."""
    looks = [{str(e.get("name")): e for e in row.get("of") or [] if isinstance(e, dict)} for row in rows]
    common = set(looks[0]).intersection(*looks[1:]) if looks else set()
    kept = [looks[-1][name] for name in looks[-1] if name in common]
    return [e for e in kept if not any(look[str(e.get("name"))].get("trained") for look in looks)]


def _once_trained(rows: list[Row]) -> bool:
    """Whether some of what is frozen was trained by the script before."""
    return any(entry.get("trained") for row in rows for entry in row.get("of") or [] if isinstance(entry, dict))


def _random(entry: Row) -> bool:
    """A matrix that is not a norm layer's: a bias at zero or a scale at one is no random start."""
    return len(entry.get("shape") or []) >= 2


def _freeze_of(source: Source, names: list[str]) -> Site | None:
    """The statement that froze them; a table made from random vectors where there is none."""
    parts = {part for name in names for part in name.split(".")}
    found = freezes(source)
    named = [(m, s) for m, s in found if parts & mentions(m, around(m, s))]
    chosen = named or found
    if chosen:
        return site_at(chosen[-1][0], _thaw(*chosen[-1]) or chosen[-1][1])
    table = _table(source)
    return None if table is None else site_at(*table)


def _thaw(module: Module, statement: ast.stmt) -> ast.stmt | None:
    """What frees a part only of what was frozen while the model was used: a switch that is not switched back."""
    loop = around(module, statement)
    outer = loop if isinstance(loop, ast.stmt) else statement
    roots = _held(module, outer)
    body = body_of(module, outer)
    behind = body[body.index(outer) + 1 :] if outer in body else []
    used = False
    for later in behind:
        used = used or any(isinstance(c, ast.Call) and module.segment(c.func) in roots for c in ast.walk(later))
        frees = any(isinstance(n, ast.Attribute) and n.attr.startswith("requires_grad") for n in ast.walk(later))
        if used and frees and any(part.startswith(f"{root}.") for part in _held(module, later) for root in roots):
            return later
    return None


def _held(module: Module, node: ast.AST) -> set[str]:
    """What a statement frees or freezes: the `net` of `net.parameters()` and of `net.requires_grad_()`."""
    names = ("parameters", "named_parameters", "requires_grad_")
    return {receiver(module, call) for name in names for call in method_calls(module, node, name)}


def _drawn(source: Source, module: Module, node: ast.expr) -> bool:
    """Whether a value comes from a random generator."""
    return any(
        isinstance(part, ast.Call) and module.dotted(part.func).rpartition(".")[2] in RANDOM
        for point in Trail(source).of(module, node)
        for part in ast.walk(point.node)
    )


def _table(source: Source) -> tuple[Module, ast.Call] | None:
    """`from_pretrained` of random vectors that leaves `freeze` at its default."""
    for module in source:
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call) or not module.dotted(node.func).endswith(TABLES):
                continue
            default = len(node.args) < 2 and not any(keyword.arg == "freeze" for keyword in node.keywords)
            if default and node.args and _drawn(source, module, node.args[0]):
                return module, node
    return None


def _all_frozen(record: Record, source: Source) -> Finding | None:
    """The loss had no graph because nothing in the model needs a gradient."""
    found = freezes(source)
    last = record.rows("needing")
    if not found or not last or last[-1].get("needing") != 0 or not last[-1].get("held"):
        return None
    loops = [(m, s) for m, s in found if around(m, s) is not s or isinstance(s, ast.Expr)]
    if not loops:
        return None
    text = "backward() found nothing that needs a gradient: all parameters were frozen before (torch raised)"
    return Finding(site_at(*loops[-1]), (Evidence(text, "exception"),), 0.98)


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Free a table, freeze before a new layer is put in, or do not freeze what is random."""
    title = "freeze before new layers are put in, and only what is pre-trained; let the rest learn"
    table = _table(source)
    if table is not None and finding.site == site_at(*table) and table[1].args:
        module, call = table
        last = call.keywords[-1].value if call.keywords else call.args[-1]
        edit = module.replace(last, f"{module.segment(last)}, freeze=False")
        return [Remedy("let the table learn: freeze=False", "changes-training", (edit,))]
    site = finding.site
    found = source.module(site.file) if site is not None else None
    statement = found.statement_at(site.line) if found is not None and site is not None else None
    if found is None or statement is None:
        return [Remedy(title, "changes-training")]
    edits = _new_layers_behind(found, statement)
    if not edits and finding.subject == "random":
        edits = _unfrozen(found, statement)
    return [Remedy(title, "changes-training", tuple(edits))]


def _new_layers_behind(module: Module, statement: ast.stmt) -> list[Edit]:
    """`net.fc = nn.Linear(...)` above a loop that freezes all of `net`, moved behind that loop."""
    loop = around(module, statement)
    whole = [loop.iter] if isinstance(loop, ast.For) else [statement]
    roots = {held for part in whole for held in _held(module, part)}
    outer = loop if isinstance(loop, ast.stmt) else statement
    body = body_of(module, outer)
    moved: list[ast.stmt] = []
    for before in body[: body.index(outer)]:
        target = before.targets[0] if isinstance(before, ast.Assign) else None
        inside = isinstance(target, ast.Attribute) and module.segment(target.value) in roots
        inside = inside or (isinstance(target, ast.Subscript) and module.segment(target.value) in roots)
        if inside and isinstance(before, ast.Assign) and isinstance(before.value, ast.Call):
            moved.append(before)
    return move_behind(module, moved, outer) if moved else []


def _unfrozen(module: Module, statement: ast.stmt) -> list[Edit]:
    """The freeze taken away: its loop, its statement, its keyword."""
    for node in ast.walk(statement):
        if isinstance(node, ast.keyword) and node.arg == "requires_grad":
            return [module.replace(node.value, "True")]
    loop = around(module, statement)
    if isinstance(loop, ast.For) and len(loop.body) > 1:
        return []
    gone = loop if isinstance(loop, ast.For) else statement
    alone = len(body_of(module, gone)) == 1
    return [] if alone else [module.delete(gone)]


CONDITION = Condition(
    "frozen-parameters",
    "error",
    needs=("frozen", "graph", "parameters", "exception"),
    in_run=in_run,
    remedies=remedies,
    structural=True,
    explains=("detached-loss", "unused-parameters", "vanishing-gradients", "uninformative-labels", "lr-too-low"),
)
