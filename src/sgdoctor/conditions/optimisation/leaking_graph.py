"""Losses are kept together with their graphs, so that memory grows with every step.

## What happens
`total += loss` adds tensors: the sum holds the graph of every loss that went into it, and with each step there is one
more. A list of losses does the same, and so does a list of outputs for a metric at the end of the epoch. The saved
activations are freed by `backward()`, but nodes, leaves and everything that was computed outside of it stay; a run that
fits at first is out of memory hours later, slows down before, and a `backward()` on the kept sum would go through all
of it. Where a metric or a penalty without backward is kept, its activations stay as well, and memory grows by the size
of a forward pass each time.

## How it is told apart
Decided on the graphs themselves: marks put on the node of a loss at sampled steps, and how many of them are still alive
many backward passes later. Where losses are gone and the outputs behind them are not, it is these that are kept. The
line is the one that keeps either without `.item()` or `.detach()`.
- `undetached-hidden-state`: the graph is carried from batch to batch and grows in depth.
- `grad-enabled-in-eval`: graphs of the validation, which nobody goes through. `out-of-memory`: what this can end in.
Not this: the last loss, kept until the next one takes its name; losses summed up first and backpropagated together; a
sum of `.item()`, `.detach()` or of losses under no_grad.

## Remedy
Keep numbers, or tensors without their history:

    total += loss.item()             # or loss.detach() where a device should not be waited for

## Sources
- PyTorch FAQ, My model reports CUDA out of memory, https://docs.pytorch.org/docs/stable/notes/faq.html
  [do not accumulate history across the training loop: total_loss += loss]
- PyTorch, Tensor.detach, https://docs.pytorch.org/docs/stable/generated/torch.Tensor.detach.html
  [a view without history]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...record import Record, Row, Site
from ...source import Module, Source
from ...source.module import Function
from ...source.program import Event, Loop, Value
from ...source.program.kinds import is_cut, within
from ...source.program.queries import Entry, backward_of, called, entries, owner_of
from ...source.program.values import Either, Op, Sequence
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_at, site_of_event

MOVES = ("to", "cuda", "cpu", "float", "double", "long", "int", "half", "type", "clone", "contiguous")
CHOICES = ("argmax", "argmin", "argsort", "topk", "sign", "round", "shape", "size")  # what no gradient passes
DEEP = 3  # assignments from a loss back to the output: criterion(out, y), squeezed, model(x)
FREE = ("item", "detach", "data", "tolist", "numpy")  # what takes a tensor out of its graph


def in_run(
    record: Record,
    source: Source,
    *,
    min_kept: int = 5,  # marked graphs alive at once, three passes old and more; clinic: healthy 0, faulty from 10
    min_age: int = 10,  # backward passes since the oldest of them: longer than any sum over a few losses
) -> Answer:
    """Graphs of many earlier steps are alive at the same time."""
    latest: dict[object, Row] = {row.get("site"): row for row in record.rows("kept")}
    if not latest:
        yield NotEvaluated("no graph of a loss could be followed")
        return
    for index, row in latest.items():
        kept, age, outputs = row.get("kept", 0), row.get("age", 0), row.get("outputs", 0)
        lost = kept >= min_kept
        if max(kept, outputs) < min_kept or age < min_age:
            continue
        backward = record.site(index)
        keeper = _keeper if lost else _output_keeper
        found = keeper(source, backward) if backward is not None else None
        text = (
            f"of {row.get('marked', 0)} graphs that were marked, {kept if lost else outputs} were alive at once, the "
            f"oldest {age} backward passes after its own: something keeps the {'losses' if lost else 'outputs'} with "
            "their graphs"
        )
        site = site_at(*found) if found is not None else backward
        kept = kept if lost else outputs
        yield Finding(site, (Evidence(text, "kept_graphs", float(kept), 0.0),), 0.95 if found else 0.85, subject=lost)
        return


def _keeper(source: Source, backward: Site) -> tuple[Module, ast.stmt] | None:
    """The statement that adds the loss of a backward() to something, or appends it."""
    home = source.module(backward.file)
    function = home.function_at(backward.line) if home is not None else None
    if home is None:
        return None
    kept = [(module, statement, value) for module in source for statement, value in kept_values(module)]
    own, all_names = _loss_names(home, backward.line)
    for names in (own, all_names):
        for module, statement, value in kept:
            here = module is home and module.function_at(statement.lineno) is function
            called = function is not None and any(
                isinstance(node, ast.Call) and module.dotted(node.func).rpartition(".")[2] == function.name
                for node in ast.walk(value)
            )
            if called or (here and names & {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}):
                return module, statement
        given = _given(source, home, function or home.tree, names)
        if given is not None:
            return given
    return _returner(home, function, all_names) if function is not None else None


def _output_keeper(source: Source, backward: Site) -> tuple[Module, ast.stmt] | None:
    """The statement that keeps what a loss is computed from, or what is computed from that in turn."""
    home = source.module(backward.file)
    if home is None:
        return None
    scope = home.function_at(backward.line) or home.tree
    _, names = _loss_names(home, backward.line)
    makers = [node for node in ast.walk(scope) if isinstance(node, ast.Assign)]
    for _ in range(DEEP):  # loss = criterion(out, y); out = model(x)
        given = {name for node in makers if _named(node.targets) & names for name in _named([node.value])}
        names = {name for node in makers if _computes(home, node) for name in _named(node.targets) & given}
        later = {name for node in makers if _grows(home, node.value, names) for name in _named(node.targets)}
        for statement, value in kept_values(home):
            here = home.function_at(statement.lineno) is home.function_at(backward.line)
            if here and _grows(home, value, names | later):
                return home, statement
    return None


def _computes(module: Module, statement: ast.Assign) -> bool:
    """Whether a name is given what is computed, and not a batch that is only moved or cast."""
    value = statement.value
    return isinstance(value, ast.Call) and module.dotted(value.func).rpartition(".")[2] not in MOVES


def _grows(module: Module, value: ast.expr, names: set[str]) -> bool:
    """Whether a value carries the graph of one of these on: no comparison, no index of the largest."""
    inside = list(ast.walk(value))
    chosen = any(isinstance(n, ast.Compare) or (isinstance(n, ast.Attribute) and n.attr in CHOICES) for n in inside)
    return bool(_named([value]) & names) and not chosen and not _freed(module, value)


def _named(nodes: list[ast.expr]) -> set[str]:
    return {part.id for node in nodes for part in ast.walk(node) if isinstance(part, ast.Name)}


def _given(source: Source, home: Module, scope: ast.AST, names: set[str]) -> tuple[Module, ast.stmt] | None:
    """The call that hands the loss to a function of the script that adds it to something, or appends it."""
    for call in ast.walk(scope):
        if not isinstance(call, ast.Call) or not isinstance(statement := home.parents.get(call), ast.stmt):
            continue
        called = home.dotted(call.func).rpartition(".")[2]
        for index, value in enumerate(call.args):
            if isinstance(value, ast.Name) and value.id in names and _keeps(source, called, index):
                return home, statement
    return None


def _keeps(source: Source, called: str, index: int) -> bool:
    """Whether a function of the script keeps its argument at an index."""
    for module in source:
        for statement, value in kept_values(module):
            function = module.function_at(statement.lineno)
            if function is None or function.name != called:
                continue
            taken = [each.arg for each in function.args.args]
            taken = taken[1:] if isinstance(module.parents.get(function), ast.ClassDef) else taken
            if taken[index : index + 1] and any(
                isinstance(n, ast.Name) and n.id == taken[index] for n in ast.walk(value)
            ):
                return True
    return False


def _returner(module: Module, function: Function, names: set[str]) -> tuple[Module, ast.stmt] | None:
    """The return statement that hands the loss itself to whoever keeps it."""
    for node in ast.walk(function):
        if isinstance(node, ast.Return) and node.value is not None:
            parts = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
            if any(isinstance(part, ast.Name) and part.id in names for part in parts):
                return module, node
    return None


def _loss_names(module: Module, line: int) -> tuple[set[str], set[str]]:
    """The name that is backpropagated at a line; the same with the names that its value is a sum of."""
    statement = module.statement_with(line, "backward")
    names: set[str] = set()
    for node in ast.walk(statement) if statement is not None else ():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "backward":
            parts = [*node.args, node.func.value]
            names |= {n.id for part in parts for n in ast.walk(part) if isinstance(n, ast.Name)}
    own = set(names)
    scope = module.function_at(line) or module.tree
    for node in ast.walk(scope):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.BinOp):
            continue
        if any(isinstance(target, ast.Name) and target.id in names for target in node.targets):
            names |= {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}
    return own, names


def kept_values(module: Module) -> Iterator[tuple[ast.stmt, ast.expr]]:
    """Statements in a loop or a function that add a value to something, or append it, with its graph."""
    for node in ast.walk(module.tree):
        value: ast.expr | None = None
        statement: ast.AST = node
        if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
            value = node.value
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp) and len(node.targets) == 1:
            name, sides = ast.unparse(node.targets[0]), (node.value.left, node.value.right)
            again = [any(ast.unparse(n) == name for n in ast.walk(side) if isinstance(n, ast.expr)) for side in sides]
            value = sides[again.index(False)] if sum(again) == 1 else None  # t = t + x, t = a * t + b * x
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and node.value.args:
            method = node.value.func
            value = node.value.args[0] if isinstance(method, ast.Attribute) and method.attr == "append" else None
        if value is not None and isinstance(statement, ast.stmt) and not _freed(module, value):
            yield statement, value


def _freed(module: Module, value: ast.expr) -> bool:
    return any(
        (isinstance(node, ast.Attribute) and node.attr in FREE)
        or (isinstance(node, ast.Call) and module.dotted(node.func) in ("float", "int"))
        for node in ast.walk(value)
    )


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """.detach() on what is kept."""
    title = "keep the number, not the graph: loss.item(), or loss.detach()"
    site = finding.site
    module = source.module(site.file) if site is not None else None
    if module is None or site is None:
        return [Remedy(title, "safe")]
    values = [value for statement, value in kept_values(module) if statement.lineno == site.line]
    returned = module.statement_at(site.line)
    if isinstance(returned, ast.Return) and returned.value is not None:
        values = list(returned.value.elts) if isinstance(returned.value, ast.Tuple) else [returned.value]
    if isinstance(returned, ast.Expr) and isinstance(returned.value, ast.Call) and not values:
        values = list(returned.value.args)
    for value in values:
        names = [node for node in ast.walk(value) if isinstance(node, ast.Name) and node.id in _tensors(module, site)]
        whole = (ast.Call,) if finding.subject is not False else (ast.Call, ast.Name)
        target = names[0] if names else value if isinstance(value, whole) else None
        if target is not None:
            return [Remedy(title, "safe", (module.replace(target, module.segment(target) + ".detach()"),))]
    return [Remedy(title, "safe")]


def _tensors(module: Module, site: Site) -> set[str]:
    """Names that are backpropagated, or summed into what is, in the function at a site."""
    scope = module.function_at(site.line) or module.tree
    found: set[str] = set()
    for call in module.calls("?.backward", within=scope):
        found |= _loss_names(module, call.lineno)[1]
    return found


def in_source(source: Source) -> Iterator[Finding]:
    """The very value that backward() is called on is added up, or kept in a list, from round to round."""
    for entry in entries(source):
        seen: set[Site] = set()
        for place in entry.calls("backward"):
            loss = backward_of(place.event)
            sure = place.loop is not None and place.around[-1] is place.loop and not place.event.args
            if loss is None or place.loop is None or not sure:
                continue
            for kept in _kept(entry, place.loop, loss):
                site = site_of_event(kept)
                if site not in seen:
                    seen.add(site)
                    text = (
                        "the loss is kept with its graph from round to round: memory grows, and so does each sum of it"
                    )
                    yield Finding(site, (Evidence(text),), 0.93)


def _kept(entry: Entry, loop: Loop, loss: Value) -> Iterator[Value | Event]:
    again = [backward_of(place.event) for place in entry.calls("backward")]
    for place in entry.places:
        event = place.event
        if loop not in place.around or event.grad is not True:
            continue
        if event.name == "call" and called(event) == "append" and event.args and _carries(event.args[0], loss):
            owner = owner_of(event)
            if isinstance(owner, Sequence) and owner.depth < len(place.around):
                yield event
    loops = {id(each): each for place in entry.places for each in place.loops if loop in place.around}
    for each in loops.values():
        for carried in each.carried.values():
            left = carried.left
            summed = (
                isinstance(left, Op) and left.grad and any(part is carried for part in within(left, stop=_may_be_cut))
            )
            if summed and _carries(left, loss) and not any(holds_in(value, left) for value in again):
                yield left


def holds_in(value: Value | None, part: Value) -> bool:
    """Whether a value is made of another."""
    return any(each is part for each in within(value))


def _carries(value: Value, loss: Value) -> bool:
    return any(each is loss for each in within(value, stop=_may_be_cut))


def _may_be_cut(value: Value) -> bool:
    return is_cut(value) or isinstance(value, Either)


CONDITION = Condition(
    "leaking-graph",
    "warning",
    needs=("kept_graphs",),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    explains=("out-of-memory",),
)
