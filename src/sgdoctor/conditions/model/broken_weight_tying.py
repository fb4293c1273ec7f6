"""Weights that are meant to be one tensor are two.

## What happens
`self.decode.weight = self.embed.weight` makes both modules hold one nn.Parameter: one gradient, one update, half the
size. `nn.Parameter(self.embed.weight.clone())`, `.data.copy_()`, a layer or weight that is replaced afterwards and a
`load_state_dict(..., assign=True)` make two that begin alike and drift apart; `.t().contiguous()` is a copy, too.
`self.decode.weight.data = self.embed.weight.data` shares memory until the first cast, move or load gives each its own.
Nothing raises; the model is larger than it was meant to be, rare tokens learn one side only, and a checkpoint loaded
with either key restores half of what is thought to be one.

## How it is told apart
Decided on the sets of the optimizer: the source sets the weight of one layer from that of another, and the run holds
two parameters for the two, each with a gradient and a change of its own.
- `aliased-state`: the opposite, a copy that is not one. `checkpoint-not-loaded`: keys that do not match.
- `parameters-not-in-optimizer`, `unused-parameters`: one of the two does not train at all.
Not this: a target or momentum network, twins that begin equal (ensembles, deep-copied encoder layers), initialising one
layer from another of the same kind, weights that are really shared.

## Remedy
    self.decode.weight = self.embed.weight           # the Parameter itself, after anything that replaces either
    model = model.double()                           # casts keep a tie of Parameters, not one of .data

## Sources
- Press and Wolf, Using the output embedding to improve language models, https://arxiv.org/abs/1608.05859
- PyTorch examples, word_language_model: decoder.weight = encoder.weight,
  https://github.com/pytorch/examples/blob/main/word_language_model/model.py
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...record import Record
from ...record.record import Parameter
from ...source import Edit, Module, Source
from ...source.spelling import spelled
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..network import assignments
from ..questions import site_at

COPIES = ("copy_", "set_")
TURNS = ("t", "T", "mT", "transpose", "swapaxes", "permute")
SAME = ("detach", "contiguous")  # of a transpose: another tensor by the way; .clone() says that two are meant


def in_run(
    record: Record,
    source: Source,
    *,
    min_dimensions: int = 2,  # biases and scales are not tied
) -> Answer:
    """Two parameters train where the source means one."""
    if not record.optimizers or not record.parameters:
        yield NotEvaluated("no optimizer was seen")
        return
    reached = {leaf for objective in record.objectives for leaf in objective.leaves}
    known = [
        [record.parameters[n] for n in sorted(o.parameters & reached & set(record.parameters))]
        for o in record.optimizers
    ]
    for module, statement, left, right in _ties(source):
        for held in known:  # of one optimizer: two models in a run have the same names
            wide = [p for p in held if len(p.shape) >= min_dimensions]
            first, second = _named(wide, left), _named(wide, right)
            if first is None or second is None or first.number == second.number:
                continue
            turned = _turned(_value(statement))
            alike = first.module == second.module and not turned  # one layer is initialised from its twin
            if alike or first.shape != (second.shape[::-1] if turned else second.shape):
                continue
            breaks = _breaks(source, statement, left, right) if _is_tie(statement) else None
            text = (
                f"{first.name} is set from {second.name}, but the run trains two parameters of shape "
                f"{list(first.shape)}, each with a gradient and a change of its own"
            )
            text += "; one of them is put in anew here" if breaks is not None else ""
            evidence = Evidence(text, "parameters", 2.0, 1.0)
            site = site_at(*(breaks or (module, statement)))
            subject = (left, right, breaks is not None, turned)
            yield Finding(site, (evidence,), 0.9, layer=first.layer, subject=subject)
            return


def _is_tie(statement: ast.stmt) -> bool:
    """Whether the Parameter itself is assigned: a tie that holds until something replaces it."""
    value = getattr(statement, "value", None)
    return isinstance(value, ast.Attribute) and value.attr != "data" and not _of_data(statement)


def _value(statement: ast.stmt) -> ast.expr | None:
    """What is assigned, or copied: `self.a.weight.copy_(value)`."""
    value = getattr(statement, "value", None)
    return value.args[0] if isinstance(value, ast.Call) and _copies(value) and value.args else value


def _copies(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in COPIES


def _method(called: ast.expr) -> bool:
    return isinstance(called, ast.Attribute) and called.attr in ("clone", *SAME, *TURNS)


def _turned(node: ast.expr | None) -> bool:
    """Whether a value is the transpose of what it is made of."""
    turns = 0
    while isinstance(node, (ast.Call, ast.Attribute)):
        called = node.func if isinstance(node, ast.Call) else node
        turns += isinstance(called, ast.Attribute) and called.attr in TURNS
        if isinstance(node, ast.Call) and node.args and not _method(called):
            node = node.args[0]  # of nn.Parameter(...), deepcopy(...)
        else:
            node = called.value if isinstance(called, ast.Attribute) else None
    return turns % 2 == 1


def _of_data(statement: ast.stmt) -> bool:
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return any(isinstance(target, ast.Attribute) and target.attr == "data" for target in targets)


def _breaks(
    source: Source, tie: ast.stmt, left: ast.Attribute, right: ast.Attribute
) -> tuple[Module, ast.stmt | ast.expr] | None:
    """What replaces a tied layer or weight behind the tie: another layer, a new Parameter, a load that assigns."""
    owners = {node.value.attr for node in (left, right) if isinstance(node.value, ast.Attribute)}
    anew: list[tuple[Module, ast.stmt | ast.expr]] = []
    for module in source:
        here = module.parents.get(tie) is not None
        for target, value, statement in assignments(module):
            if statement is tie or not isinstance(target, ast.Attribute):
                continue
            same = here and module.function_at(statement.lineno) is module.function_at(tie.lineno)
            function = module.function_at(statement.lineno)
            builds = function is not None and function.name == "__init__"
            if target.attr in owners and (statement.lineno > tie.lineno if same else not builds):
                return module, statement
            made = isinstance(value, ast.Call) and module.dotted(value.func) == "torch.nn.Parameter"
            if made and target.attr in (left.attr, right.attr) and not same:
                anew.append((module, statement))
        for call in module.calls("?.load_state_dict"):
            if any(k.arg == "assign" and getattr(k.value, "value", None) is True for k in call.keywords):
                anew.append((module, call))
    return anew[0] if anew else None


def _ties(source: Source) -> Iterator[tuple[Module, ast.stmt, ast.Attribute, ast.Attribute]]:
    """`a.weight = b.weight` in its forms: of Parameters, of .data, of copies."""
    for module in source:
        for target, value, statement in assignments(module):
            left, right = _weight(target), _weight(_inside(module, value))
            if left is None and right is not None and isinstance(target, ast.Attribute) and right is value:
                left = target  # self.tied = self.encoder.weight
            if left is not None and right is not None and ast.dump(left.value) != ast.dump(right.value):
                yield module, statement, left, right
        for call in module.calls(*(f"?.{name}" for name in COPIES)):
            if isinstance(call.func, ast.Attribute) and len(call.args) == 1:
                left, right = _weight(call.func.value), _weight(_inside(module, call.args[0]))
                outer = module.enclosing(call, ast.stmt)
                if left is not None and right is not None and isinstance(outer, ast.stmt) and _of_one(left, right):
                    yield module, outer, left, right


def _of_one(left: ast.Attribute, right: ast.Attribute) -> bool:
    """Both of the same object (self): not a copy from one model into another."""
    roots = []
    for node in (left, right):
        root: ast.expr = node
        while isinstance(root, ast.Attribute):
            root = root.value
        roots.append(root.id if isinstance(root, ast.Name) else "")
    return roots[0] == roots[1] != ""


def _weight(node: ast.expr | None) -> ast.Attribute | None:
    """`x.y.weight`, `x.y.weight.data` -> the attribute `.weight`."""
    if isinstance(node, ast.Attribute) and node.attr == "data":
        node = node.value
    if isinstance(node, ast.Attribute) and node.attr == "weight" and isinstance(node.value, ast.Attribute):
        return node
    return None


def _inside(module: Module, node: ast.expr) -> ast.expr:
    """What a Parameter, a clone, a detach, a deepcopy or a transpose is made of."""
    same = ("clone", "detach") if not _turned(node) else (*SAME, *TURNS)
    while isinstance(node, ast.Call) or (isinstance(node, ast.Attribute) and node.attr in TURNS):
        if isinstance(node, ast.Attribute):
            node = node.value
            continue
        last = module.dotted(node.func).rpartition(".")[2]
        if last in ("Parameter", "deepcopy") and node.args:
            node = node.args[0]
        elif last in same and isinstance(node.func, ast.Attribute):
            node = node.func.value
        else:
            break
    return node


def _named(held: list[Parameter], weight: ast.Attribute) -> Parameter | None:
    """The parameter of the layer with this attribute."""
    owner = weight.value
    name = f"{owner.attr}.weight" if weight.attr == "weight" and isinstance(owner, ast.Attribute) else weight.attr
    found = [p for p in held if p.name == name or p.name.endswith(f".{name}")]
    return found[0] if len(found) == 1 else None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The Parameter itself."""
    title = "assign the Parameter itself: a.weight = b.weight"
    module = source.module(finding.site.file) if finding.site is not None else None
    statement = module.statement_at(finding.site.line) if module is not None and finding.site is not None else None
    if module is None or statement is None or not isinstance(finding.subject, tuple):
        return [Remedy(title, "changes-training")]
    left, right, broken, turned = finding.subject
    if turned:
        edits = _transposed(module, statement, left, right)
        return [Remedy("use the one weight both ways: F.linear(x, a.weight.t(), b.bias)", "changes-training", edits)]
    if broken:
        text = f"{module.segment(left)} = {module.segment(right)}"
        methods = [module.enclosing(node, ast.ClassDef) for node in (statement, left)]
        home = methods[0] is not None and methods[0] is methods[1]
        edits = (module.insert_after(statement, text),) if home else ()
        return [Remedy("tie the two again, behind what replaces one of them", "changes-training", edits)]
    return [
        Remedy(
            title,
            "changes-training",
            (module.replace(statement, f"{module.segment(left)} = {module.segment(right)}"),),
        )
    ]


def _transposed(module: Module, statement: ast.stmt, left: ast.Attribute, right: ast.Attribute) -> tuple[Edit, ...]:
    """The second layer keeps its bias alone and takes the transpose of the first one's weight where it is applied."""
    torch, layer = spelled(module, "torch"), module.segment(left.value)
    owner = module.enclosing(statement, ast.ClassDef)
    calls = [
        node
        for node in ast.walk(owner or statement)
        if isinstance(node, ast.Call) and module.segment(node.func) == layer and len(node.args) == 1
    ]
    made = [value for target, value, _ in assignments(module) if module.segment(target) == layer]
    linear = all(isinstance(v, ast.Call) and module.dotted(v.func) == "torch.nn.Linear" for v in made)
    if torch is None or not calls or len(made) != 1 or not linear or not isinstance(statement, ast.Assign):
        return ()
    text = f"{torch}.nn.functional.linear({{}}, {module.segment(right)}.t(), {layer}.bias)"
    edits = [module.replace(call, text.format(module.segment(call.args[0]))) for call in calls]
    return (module.replace(statement, f"{module.segment(left)} = None"), *edits)


CONDITION = Condition(
    "broken-weight-tying",
    "warning",
    needs=("parameters", "optimizers", "graph"),
    in_run=in_run,
    remedies=remedies,
)
