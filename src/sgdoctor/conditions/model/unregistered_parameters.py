"""Layers or tensors take part in the forward but no module has registered them.

## What happens
`nn.Module` registers what is assigned to an attribute as a Module or an nn.Parameter, and nothing else: layers in a
plain list, tuple or dict, a layer made anew in forward, a bare tensor with `requires_grad=True` and an nn.Parameter
that was multiplied or moved on the same line (the result is an ordinary tensor) are in no `parameters()`, no
`state_dict()`, and do not follow `.to(device)`, `.train()` or `.eval()`. The optimizer never sees them, so they stay at
their random start, get gradients that nobody uses, and the rest of the network learns around them: the loss falls a
little and stops. If everything is unregistered the optimizer raises `optimizer got an empty parameter list`; on a GPU
the layers stay behind on the CPU. A layer made in forward is another random one at every step.

## How it is told apart
Decided on a walk through the plain attributes of all modules: trained tensors found there that get a gradient in the
loss's graph, are registered nowhere, are in no optimizer, and keep their value.
- `parameters-not-in-optimizer`: they are registered, the optimizer was built without them; it follows from this one.
- `unused-parameters`: registered and held, but never reached. `frozen-parameters`: reached, but need no gradient.
- `device-mismatch`: the exception this leads to on an accelerator.
Not this: a list of layers that are registered as well (`add_module`, a ModuleList beside it) or whose parameters were
given to the optimizer by hand; a teacher hidden in a list so that it is not trained; fixed random features and
buffers; raw tensors that the script steps itself.

## Remedy
Let the module know them.

    self.layers = nn.ModuleList([nn.Linear(w, w) for _ in range(depth)])    # nn.ModuleDict for a dict
    self.scale = nn.Parameter(torch.ones(width))                            # nothing behind the closing bracket
    self.proj = nn.Linear(width, width)                                     # in __init__, and only used in forward

## Sources
- PyTorch, Module: parameters and submodules are registered by assignment,
  https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
- PyTorch, ModuleList: a list whose modules are registered,
  https://docs.pytorch.org/docs/stable/generated/torch.nn.ModuleList.html
- PyTorch, Parameter: what is added to the list of parameters,
  https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.Parameter.html
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import numpy as np

from ...record import Record
from ...record.record import Row, number
from ...source import Edit, Module, Source
from ...source.program import Value
from ...source.program.kinds import WEIGHTED, constructor, inner, is_fresh, is_module, options, settled, within
from ...source.program.queries import Entry, Place, called
from ...source.program.queries import entries as program_entries
from ...source.program.training import held
from ...source.program.values import Call, Instance, Mapping, Sequence
from ...source.spelling import free_name
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..network import assignments, attribute_made, entries
from ..questions import site_at, site_of_event

EMPTY = "empty parameter list"
AGAIN = "backward through the graph a second time"
CONTAINERS = {"list": "ModuleList", "tuple": "ModuleList", "dict": "ModuleDict"}
LAYERS = (
    "Linear", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "Embedding", "EmbeddingBag",
    "BatchNorm1d", "BatchNorm2d", "LayerNorm", "GroupNorm", "LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell",
    "Bilinear", "MultiheadAttention", "TransformerEncoderLayer", "Sequential", "Parameter",
)  # fmt: skip


def in_run(
    record: Record,
    source: Source,
    *,
    min_samples: int = 2,  # a layer made in forward is a new one in the second graph, a kept one is the same
    still: float = 1e-6,  # relative change of a weight's norm that is float32 rounding, not training
) -> Answer:
    """Something in the forward is trained by nobody because no module knows it."""
    error = record.exception
    if error is not None and (EMPTY in str(error.get("text")) or AGAIN in str(error.get("text"))):
        found = next(_made_wrong(source, EMPTY in str(error.get("text"))), None)
        if found is not None:
            text = f"torch raised: {str(error.get('text')).splitlines()[0][:90]}"
            yield Finding(site_at(*found), (Evidence(text, "exception"),), 0.93, subject=(None, found[1].lineno))
            return
    if not record.rows("gradients"):
        yield NotEvaluated("no gradients were seen")
        return
    stray = _made_in_forward(record, source, min_samples)
    if stray is not None:
        yield stray
        return
    for entry in entries(record, "unregistered"):
        numbers = [n for n in entry.get("params") or [] if n in record.parameters]
        if entry.get("made") or not numbers or any(not _still(record, n, min_samples, still) for n in numbers):
            continue
        made = attribute_made(source, str(entry.get("attribute")), str(entry.get("owner")))
        kind = str(entry.get("container"))
        what = f"self.{entry.get('attribute')} of {entry.get('owner')}, a plain {kind}, holds"
        yield Finding(
            site_at(made[0], made[1]) if made is not None else None,
            (
                Evidence(
                    f"{what} {entry.get('elements', 0):,} trained elements that no module has registered: they get a "
                    f"gradient at every step, are in no optimizer and never change",
                    "unregistered",
                    number(entry.get("elements")),
                    0.0,
                ),
            ),
            0.96,
            layer=str(entry.get("attribute")),
            subject=(kind, made[1].lineno if made is not None else None),
        )
        return


def _still(record: Record, parameter: int, min_samples: int, still: float) -> bool:
    """Gradients come, and the weight stays as it is."""
    weights, grads = [], []
    for row in record.rows("gradients"):
        for n, weight, grad in zip(row.get("params") or [], row.get("weight") or [], row.get("grad") or []):
            if n == parameter:
                weights.append(number(weight))
                grads.append(number(grad))
    known = np.array([w for w in weights if np.isfinite(w)])
    if len(known) < min_samples or not any(g > 0 for g in grads):
        return False
    return bool(np.ptp(known) <= still * max(float(known.max()), 1e-30))


def _made_in_forward(record: Record, source: Source, min_samples: int) -> Finding | None:
    """Every sampled graph has nn.Parameters of its own that none before it had."""
    seen: set[int] = set()
    fresh: list[Row] = []
    for row in record.rows("unregistered"):
        for entry in row.get("of") or []:
            numbers = set(entry.get("params") or [])
            if entry.get("made") and numbers and not numbers & seen:
                fresh.append(entry)
                seen |= numbers
    if len(fresh) < min_samples:
        return None
    known = [record.parameters[n] for n in sorted(seen) if n in record.parameters]
    shapes = [list(p.shape) for p in known[: len(fresh[0].get("params") or [])]]
    found = next(_layers_in_forward(source), None)
    text = (
        f"in each of {len(fresh)} graphs looked at, parameters of shapes {shapes[:4]} are new ones: a layer is made "
        "anew in every forward pass, and starts at random each time"
    )
    evidence = Evidence(text, "unregistered", float(len(fresh)), 1.0)
    if found is None:
        return None
    return Finding(site_at(*found), (evidence,), 0.95, subject=("made", None))


def _layers_in_forward(source: Source) -> Iterator[tuple[Module, ast.expr]]:
    """Layers that are made where they are used: in a method that is not __init__, or in a loop."""
    names = tuple(f"torch.nn.{name}" for name in LAYERS)
    for module in source:
        for call in module.calls(*names):
            function = module.enclosing(call, ast.FunctionDef)
            owner = module.enclosing(call, ast.ClassDef)
            if owner is not None and isinstance(function, ast.FunctionDef) and function.name != "__init__":
                called = {module.dotted(c.func).rpartition(".")[2] for c in module.calls(f"?.{function.name}")}
                if function.name == "forward" or not called:
                    yield module, call
    for module in source:
        for call in module.calls(*names):
            outer = module.parents.get(call)
            if isinstance(outer, ast.Call) and outer.func is call:  # nn.Linear(8, 8)(x)
                yield module, call


def _made_wrong(source: Source, empty: bool) -> Iterator[tuple[Module, ast.stmt]]:
    """`self.layers = [nn.Linear(...), ...]`, `self.w = torch.randn(...)`, `self.w = nn.Parameter(...) * 0.1`."""
    layers = tuple(f"torch.nn.{name}" for name in LAYERS)
    for module in source:
        for target, value, statement in assignments(module):
            if not isinstance(target, ast.Attribute) or module.enclosing(statement, ast.ClassDef) is None:
                continue
            inside = list(module.calls(*layers, within=value))
            if isinstance(value, (ast.List, ast.ListComp, ast.Dict, ast.DictComp, ast.Tuple)) and inside and empty:
                yield module, statement
            parameters = [c for c in inside if module.dotted(c.func) == "torch.nn.Parameter" and c is not value]
            if (parameters and not isinstance(value, ast.Call)) or (parameters and _changes(module, value)):
                yield module, statement
        if empty:
            yield from _appended(module, layers)
            yield from _bare(module)


def _changes(module: Module, value: ast.expr) -> bool:
    """A method behind a Parameter: `.to(device)`, `.mul(0.1)`."""
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and module.dotted(value.func)[0] == "?"


def _appended(module: Module, layers: tuple[str, ...]) -> Iterator[tuple[Module, ast.stmt]]:
    """`self.layers = []`, filled by append: the empty list is the line to change."""
    filled = set()
    for call in module.calls("?.append", "?.extend", "?.insert"):
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        if isinstance(owner, ast.Attribute) and any(any(module.calls(*layers, within=a)) for a in call.args):
            filled.add(owner.attr)
    for target, value, statement in assignments(module):
        if isinstance(target, ast.Attribute) and target.attr in filled and isinstance(value, (ast.List, ast.Dict)):
            yield module, statement


def _bare(module: Module) -> Iterator[tuple[Module, ast.stmt]]:
    """Random tensors kept on a module."""
    for target, value, statement in assignments(module):
        inside = module.calls("torch.randn", "torch.rand", "torch.normal", within=value)
        if isinstance(target, ast.Attribute) and module.enclosing(statement, ast.ClassDef) and any(inside):
            yield module, statement


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Wrap the container, or the tensor."""
    kind, line = finding.subject if isinstance(finding.subject, tuple) else (None, None)
    title = "register it: nn.ModuleList / nn.ModuleDict for layers, nn.Parameter for tensors, made once in __init__"
    module = source.module(finding.site.file) if finding.site is not None else None
    if module is not None and finding.site is not None and kind == "made":
        return [Remedy(title, "changes-training", tuple(_made_once(module, finding.site.line)))]
    if module is None or not isinstance(line, int):
        return [Remedy(title, "changes-training")]
    for _, value, statement in assignments(module):
        if statement.lineno == line:
            edit = _wrap(module, value, str(kind))
            if edit is not None:
                return [Remedy(title, "changes-training", (edit,))]
    return [Remedy(title, "changes-training")]


def _made_once(module: Module, line: int) -> list[Edit]:
    """A layer that a method makes at every call, made at the end of __init__; sizes must not come from the method."""
    names = tuple(f"torch.nn.{name}" for name in LAYERS)
    call = next((each for each in module.calls(*names) if each.lineno == line), None)
    owner = module.enclosing(call, ast.ClassDef) if call is not None else None
    function = module.enclosing(call, ast.FunctionDef) if call is not None else None
    if call is None or not isinstance(owner, ast.ClassDef) or not isinstance(function, ast.FunctionDef):
        return []
    start = next((f for f in owner.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"), None)
    local = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    local |= {each.arg for each in function.args.args} - {"self"}
    used = {n.id for part in [*call.args, *call.keywords] for n in ast.walk(part) if isinstance(n, ast.Name)}
    if start is None or used & local:
        return []
    statement = module.parents.get(call)
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    called = isinstance(statement, ast.Call) and statement.func is call
    if not called and not isinstance(target, ast.Name):
        return []
    attribute = free_name(owner, target.id if isinstance(target, ast.Name) else "layer", "made_layer")
    if isinstance(target, ast.Name):
        taken = {n.attr for n in ast.walk(owner) if isinstance(n, ast.Attribute)}
        attribute = target.id if target.id not in taken else attribute
    edits = [module.insert_after(start.body[-1], f"self.{attribute} = {module.segment(call)}")]
    if called:
        return [*edits, module.replace(call, f"self.{attribute}")]
    uses = [
        n for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(target, ast.Name) and n.id == target.id
    ]
    edits += [module.replace(n, f"self.{attribute}") for n in uses if isinstance(n.ctx, ast.Load)]
    return [*edits, module.delete(statement)] if isinstance(statement, ast.Assign) else []


def _wrap(module: Module, value: ast.expr, kind: str) -> Edit | None:
    """The edit that puts nn.ModuleList(...) and the like around a value; None where the script's `nn` is not known."""
    nn = next((name for name, path in module.names.items() if path == "torch.nn"), None)
    nn = nn or ("torch.nn" if "torch" in module.names else None)
    if nn is None:
        return None
    layers = any(module.calls(*(f"torch.nn.{name}" for name in LAYERS if name != "Parameter"), within=value))
    if isinstance(value, (ast.List, ast.ListComp, ast.Tuple)):
        has_tensors = not layers and any(module.calls("torch.nn.Parameter", within=value))
        wrapper = f"{nn}.ParameterList" if has_tensors else f"{nn}.ModuleList"
    elif isinstance(value, (ast.Dict, ast.DictComp)):
        wrapper = f"{nn}.ModuleDict"
    elif kind in ("Tensor", "Parameter") or (isinstance(value, ast.Call) and not layers and kind == "None"):
        wrapper = f"{nn}.Parameter"
    else:
        return None
    return module.replace(value, f"{wrapper}({module.segment(value)})")


def in_source(source: Source) -> Iterator[Finding]:
    """Layers in a plain list or dict of a model whose parameters() an optimizer is given; layers made in forward."""
    every = program_entries(source)
    known, _ = held(every)
    for entry in every:
        for place in entry.places:
            event = place.event
            owner, kept = settled(event.fn), settled(event.args[0]) if event.args else None
            if event.name == "set" and isinstance(owner, Instance) and id(owner) in known and isinstance(kept, PLAIN):
                parts = [each for each in kept.parts() if _has_weights(each)]
                if parts and not any(_is_elsewhere(e, owner, kept, parts) for e in every) and _is_used(every, parts):
                    line = getattr(event.node, "lineno", None)
                    text = "a plain list or dict does not register what is in it: no optimizer gets these parameters"
                    yield Finding(site_of_event(event), (Evidence(text),), 0.94, subject=(None, line))
            made = event.result
            if event.name == "call" and isinstance(made, Call) and _is_made_in_forward(entry, place, made, known):
                text = "this layer is made anew at each forward: what it learns is thrown away"
                yield Finding(site_of_event(event), (Evidence(text),), 0.94, subject=("made", None))


PLAIN = (Sequence, Mapping)


def _has_weights(value: Value) -> bool:
    if constructor(value) == "torch.nn.Parameter":
        return True
    fresh = is_module(value) and is_fresh(value)
    return fresh


def _is_elsewhere(entry: Entry, owner: Instance, kept: Value, parts: list[Value]) -> bool:
    """Whether the same layers are registered, or given to an optimizer, in another way."""
    mine = {id(kept), *map(id, parts)}
    for name, value in owner.attributes.items():
        if value is not kept and is_module(value) and inner(value) & mine:
            return bool(name)
    for place in entry.places:
        event = place.event
        if event.name != "call" or event.fn is owner:
            continue
        taken = called(event) in REGISTERING or constructor(event.result).startswith(("torch.nn.", "torch.optim."))
        given = [part for each in (*event.args, *event.kwargs.values()) for part in within(each, _is_model, 200)]
        if taken and any(id(each) in mine for each in given):
            return True
    return False


def _is_model(value: Value) -> bool:
    return isinstance(value, Instance)


def _is_used(every: list[Entry], parts: list[Value]) -> bool:
    """Whether they are called, or are tensors, with gradients on."""
    if all(constructor(each) == "torch.nn.Parameter" for each in parts):
        return True
    mine = set(map(id, parts))
    return any(
        place.event.grad is True and any(id(each) in mine for each in options(place.event.fn))
        for entry in every
        for place in entry.places
        if place.event.name == "call"
    )


REGISTERING = ("add_module", "register_module", "register_parameter", "setattr", "add_param_group", "extend", "append")


def _is_made_in_forward(entry: Entry, place: Place, made: Call, known: set[int]) -> bool:
    kind = constructor(made)
    home = place.event.module.enclosing(place.event.node, ast.FunctionDef)
    if not kind.startswith("torch.nn.") or kind.rpartition(".")[2] not in WEIGHTED or place.loop is None:
        return False
    if not isinstance(home, ast.FunctionDef) or home.name != "forward" or not known or place.event.grad is not True:
        return False
    stored = any(p.event.name == "set" and p.event.args and p.event.args[0] is made for p in entry.places)
    used = any(p.event.name == "call" and p.event.fn is made for p in entry.places)
    return used and not stored


CONDITION = Condition(
    "unregistered-parameters",
    "error",
    needs=("unregistered", "gradients", "parameters", "exception"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    structural=True,
    explains=("parameters-not-in-optimizer", "missing-step"),
)
