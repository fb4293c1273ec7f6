"""The validation builds graphs that no backward pass ever uses.

## What happens
`model.eval()` changes layers, not autograd. Without `no_grad()` every forward pass of the validation records its graph
and keeps all activations until its output is dropped: two to three times the memory and up to half more time, and where
the validation loss is summed up as a tensor, the graphs of the whole validation set at once: the run that trains well
dies with an out-of-memory error in its first validation.

## How it is told apart
Decided on the run: `eval()` was called with autograd on, or losses that require grad came one after another, and no
backward pass followed; and on the source: nothing around that pass switches autograd off.
- `train-mode-in-eval`: the flag of the layers; costs correctness, this costs memory and time.
- `leaking-graph`: the training's graphs are kept. `eval-mode-in-training`: a backward pass does follow.
Not this: attacks and saliency maps, which differentiate in eval mode; gradient penalties; fine-tuning with frozen batch
norm; auxiliary values that are only logged during training; one look at the output behind the training.

## Remedy
Switch autograd off around the evaluation, as a decorator or a block; `eval()` stays, the two do different things.

    @torch.no_grad()                  # or torch.inference_mode()
    def evaluate(model, loader):
        model.eval()
        ...

## Sources
- PyTorch, Autograd mechanics, Locally disabling gradient computation,
  https://docs.pytorch.org/docs/stable/notes/autograd.html [eval() is orthogonal to no_grad and inference_mode]
- PyTorch, no_grad, https://docs.pytorch.org/docs/stable/generated/torch.no_grad.html
  [reduces memory consumption where backward() will not be called; works as a decorator]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...record import Record, Site
from ...source import Module, Source
from ...source.blocks import between, under
from ...source.program import Event, Value
from ...source.program.kinds import loss_of, within
from ...source.program.modes import compared, modes_of, sent_back, trained
from ...source.program.queries import Entry, called, entries, owner_of
from ...source.rhythm import calls_of
from ...source.spelling import spelled
from ...source.training import body_of
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_at, site_of_event

SWITCHES = ("no_grad", "inference_mode", "set_grad_enabled")
MEASURES = ("argmax", "eq", "topk", "accuracy_score", "roc_auc_score", "f1_score", "r2_score")


def in_run(
    record: Record,
    source: Source,
    *,
    min_passes: int = 2,  # evaluations: one at the end of a script costs nobody anything
    min_losses: int = 3,  # times that several such losses came in a row: as often as there are epochs
) -> Answer:
    """Evaluations with autograd on and no backward pass after them."""
    rows = {row.get("site"): row for row in record.rows("evaluation")}
    if not record.objectives:
        yield NotEvaluated("no training was seen")
        return
    if any(_differentiates(module) for module in source):
        yield NotEvaluated("the script differentiates by itself: its graphs may be meant")
        return
    for index, row in rows.items():
        site = record.site(index)
        graded = row.get("graded", 0) - row.get("backed", 0)
        if site is None or row.get("backed", 0) or graded < min_passes or not _measured(source, site):
            continue
        text = (
            f"{graded} evaluations began at this eval() with autograd on, nothing in the code that follows switches it "
            "off, and no backward pass used what they recorded"
        )
        place = _idle(source, site) or _forward(source, site) or site
        yield Finding(place, (Evidence(text, "evaluations", float(graded), 0.0),), 0.92)
        return
    found = _unused_losses(record, min_losses)
    if found is not None:
        site, count = found
        site = _idle(source, site) or site
        text = (
            f"in {count} validations one loss after another was computed with its graph, and no backward pass followed"
        )
        yield Finding(site, (Evidence(text, "evaluations", float(count), 0.0),), 0.88)


def _differentiates(module: Module) -> bool:
    names = (
        "torch.autograd.grad",
        "torch.func.grad",
        "torch.func.grad_and_value",
        "torch.func.vjp",
        "torch.func.jacrev",
    )
    return next(module.calls(*names), None) is not None or "create_graph" in module.text


def _measured(source: Source, site: Site) -> bool:
    """Whether the code behind an eval() takes a loss or a metric of the model, with autograd left on."""
    module = source.module(site.file)
    if module is None:
        return False
    nodes = _region(source, module, site.line)
    if any(_switches_off(home, node) for home, node in nodes):
        return False
    function = module.function_at(site.line)
    if function is not None:
        outside = [_around(caller, call) for caller, call in calls_of(source, function)]
        if any(outside):
            return False
    return any(_measures(home, node) for home, node in nodes)


def _region(source: Source, module: Module, line: int) -> list[tuple[Module, ast.AST]]:
    """The nodes behind an eval(), up to the next train(), with the bodies of the script's functions called there."""
    scope = module.function_at(line) or module.tree
    ends = [call.lineno for call in module.calls("?.train", within=scope) if call.lineno > line]
    loops = [call.lineno for call in module.calls("?.backward", within=scope) if call.lineno > line]
    end = min([*ends, *loops, 10**9])
    nodes: list[tuple[Module, ast.AST]] = []
    decorators = getattr(scope, "decorator_list", [])
    for node in [*ast.walk(scope), *decorators]:
        if line < getattr(node, "lineno", 0) < end or node in decorators:
            nodes.append((module, node))
    for _, node in list(nodes):
        if not isinstance(node, ast.Call):
            continue
        name = module.dotted(node.func).rpartition(".")[2]
        for home in source:
            for inner in ast.walk(home.tree):
                if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)) and inner.name == name:
                    nodes += [(home, part) for part in ast.walk(inner)]
    return nodes


def _switches_off(module: Module, node: ast.AST) -> bool:
    if isinstance(node, ast.Call) and module.dotted(node.func).endswith(".requires_grad_"):
        return any(isinstance(part, ast.Constant) and part.value is False for part in node.args)
    if not isinstance(node, (ast.Attribute, ast.Name)) or module.dotted(node).rpartition(".")[2] not in SWITCHES:
        return False
    outer = module.parents.get(node)
    return outer is None or not _is_idle(module, outer)


def _is_idle(module: Module, node: ast.AST) -> bool:
    """Whether this is a no_grad() that no `with` holds: made and dropped, it switches nothing."""
    name = module.dotted(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
    return name in SWITCHES[:2] and isinstance(module.parents.get(node), ast.Expr)


def _idle(source: Source, site: Site) -> Site | None:
    """A no_grad() that switches nothing, in the function of a place."""
    module = source.module(site.file)
    scope = (module.function_at(site.line) or module.tree) if module is not None else None
    for node in ast.walk(scope) if scope is not None else ():
        if module is not None and isinstance(node, ast.Call) and _is_idle(module, node):
            return site_at(module, node)
    return None


def _forward(source: Source, site: Site) -> Site | None:
    """The first call, behind an eval(), of what was put in eval mode."""
    module = source.module(site.file)
    if module is None:
        return None
    here = [call for call in module.calls("?.eval") if call.lineno == site.line]
    models = {module.segment(call.func.value) for call in here if isinstance(call.func, ast.Attribute)}
    region = [node for home, node in _region(source, module, site.line) if home is module]
    calls = [node for node in region if isinstance(node, ast.Call) and module.segment(node.func) in models]
    inside = [call for call in calls if module.function_at(call.lineno) is module.function_at(site.line)]
    return site_at(module, min(inside, key=lambda call: call.lineno)) if inside else None


def _around(module: Module, call: ast.Call) -> bool:
    """Whether a call stands in a `with no_grad()`."""
    found = module.enclosing(call, ast.With)
    return isinstance(found, ast.With) and any(
        _switches_off(module, node) for item in found.items for node in ast.walk(item.context_expr)
    )


def _measures(module: Module, node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        return any(isinstance(op, ast.Eq) for op in node.ops) and not isinstance(node.left, ast.BinOp)
    if not isinstance(node, ast.Call):
        return False
    name = module.dotted(node.func).rpartition(".")[2] or module.segment(node.func)
    if name in ("mean", "sum", "norm"):  # an error by hand: (y - x).pow(2).mean()
        return any(isinstance(part, ast.BinOp) and isinstance(part.op, ast.Sub) for part in ast.walk(node))
    return name in MEASURES or "loss" in name.lower() or "criterion" in name or "entropy" in name


def _unused_losses(record: Record, min_losses: int) -> tuple[Site, int] | None:
    """(line, windows) of a loss with gradient that comes several times in a row and is part of no objective."""
    used = {call for objective in record.objectives for call in objective.calls}
    used_sites = {record.calls.get(call, {}).get("site") for call in used}
    graded = {row.get("site") for row in record.calls.values() if row.get("grad")} - used_sites
    runs = {row.get("site"): row.get("count", 0) for row in record.rows("loss_run")}
    for index in graded - {None}:
        count = runs.get(index, 0)
        site = record.site(index)
        if count >= min_losses and site is not None:
            return site, count
    return None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """no_grad() as a decorator of the function that evaluates, or around the statements where it trains as well."""
    title = "evaluate under torch.no_grad()"
    site = finding.site
    module = source.module(site.file) if site is not None else None
    statement = module.statement_at(site.line) if module is not None and site is not None else None
    if module is not None and isinstance(statement, ast.Expr) and _is_idle(module, statement.value):
        return [Remedy("put the evaluation inside `with torch.no_grad():`; the call alone switches nothing", "safe")]
    torch = spelled(module, "torch") if module is not None else None
    if module is None or statement is None or torch is None or site is None:
        return [Remedy(title, "safe")]
    function = module.function_at(site.line)
    if function is None or _trains(module, function):
        return [Remedy(title, "safe", tuple(under(module, _evaluation(module, statement), f"with {torch}.no_grad():")))]
    if any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in ast.walk(function)):
        return [Remedy(title, "safe")]
    return [Remedy(title, "safe", (module.insert_before(function, f"@{torch}.no_grad()"),))]


def _trains(module: Module, node: ast.AST) -> bool:
    return next(module.calls("?.backward", "?.step", "?.train", within=node), None) is not None


def _evaluation(module: Module, statement: ast.stmt) -> list[ast.stmt]:
    """The statements of one block that evaluate: behind an eval() up to the last that measures, else around a loss."""
    body = body_of(module, statement)
    if any(True for _ in module.calls("?.eval", within=statement)):
        behind = []
        for later in body[body.index(statement) + 1 :]:
            if _trains(module, later):
                break
            behind.append(later)
        while behind and not any(_measures(module, node) for node in ast.walk(behind[-1])):
            behind.pop()
        return behind
    while not isinstance(outer := module.parents.get(statement), (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef)):
        if not isinstance(outer, (ast.For, ast.With, ast.If)) or _trains(module, outer):
            break
        statement = outer
    first = statement
    for before in reversed(body_of(module, statement)[: body_of(module, statement).index(statement)]):
        made = before.targets[0] if isinstance(before, ast.Assign) else None
        named = {node.id for node in ast.walk(made) if isinstance(node, ast.Name)} if made is not None else set()
        used = {node.id for node in ast.walk(first) if isinstance(node, ast.Name)}
        # `out = model(x)` in front of `loss = criterion(out, y)`
        if not named & used or not isinstance(getattr(before, "value", None), ast.Call) or _trains(module, before):
            break
        first = before
    return between(module, first, statement)


def in_source(source: Source) -> Iterator[Finding]:
    """A model that is trained elsewhere is held against targets in eval mode with gradients on, which nothing uses."""
    every = entries(source)
    if any(called(place.event) == "grad" for entry in every for place in entry.places if place.event.name == "call"):
        return
    back: set[int] | None = None
    for entry in every:
        for forward in modes_of(entry).forwards(modal=False):
            event, loop = forward.place.event, forward.place.loop
            if event.grad is not True:
                continue
            back = sent_back(every) if back is None else back
            steps = trained(every, forward.model)
            if loop is None or any(loop in step.around for step in steps):
                continue  # no validation of many batches: a single forward costs little
            shared = loop is not None and any(loop is step.loop for step in steps)
            again = loop is not None and any(each in step.loops for step in steps for each in forward.place.loops)
            if forward.modes != {"eval"} and not (again and _is_loss(entry, event.result)):
                continue
            if not steps or shared or id(event.result) in back or not compared(entry, event.result):
                continue
            text = (
                "held against targets with gradients on, and nothing is sent back: graphs are built that nothing uses"
            )
            yield Finding(_home(event), (Evidence(text),), 0.9)
            return


def _is_loss(entry: Entry, result: Value | None) -> bool:
    """Whether a loss is computed of an output, and nothing but its number is used."""
    for place in entry.calls("item"):
        parts = list(within(owner_of(place.event), limit=400))
        if any(loss_of(each) for each in parts) and any(each is result for each in parts):
            return True
    return False


def _home(event: Event) -> Site:
    """The function that evaluates, where there is one; else the forward."""
    found = event.module.enclosing(event.node, ast.FunctionDef)
    return site_at(event.module, found) if isinstance(found, ast.FunctionDef) else site_of_event(event)


CONDITION = Condition(
    "grad-enabled-in-eval",
    "warning",
    needs=("evaluations", "loss_calls", "graph", "objective"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    explains=("out-of-memory",),
)
