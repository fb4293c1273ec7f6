"""Weights that are meant to be one tensor are two.

## What happens
`self.decode.weight = self.embed.weight` makes both modules hold one nn.Parameter: one gradient, one update, half the
size. `nn.Parameter(self.embed.weight.clone())`, `.data.copy_()`, a layer or weight that is replaced afterwards and a
`load_state_dict(..., assign=True)` make two that begin alike and drift apart. `self.decode.weight.data =
self.embed.weight.data` shares memory until the first cast, move or load gives each its own. Nothing raises; the model
is larger than it was meant to be, rare tokens learn one side only, and a checkpoint loaded with either key restores
half of what is thought to be one.

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
from ...source import Module, Source
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..network import assignments
from ..questions import site_at

COPIES = ("copy_", "set_")


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
            if first.shape != second.shape or first.module == second.module:
                continue
            breaks = _breaks(source, statement, left, right) if _is_tie(statement) else None
            text = (
                f"{first.name} is set from {second.name}, but the run trains two parameters of shape "
                f"{list(first.shape)}, each with a gradient and a change of its own"
            )
            text += "; one of them is put in anew here" if breaks is not None else ""
            evidence = Evidence(text, "parameters", 2.0, 1.0)
            site = site_at(*(breaks or (module, statement)))
            subject = (left, right, breaks is not None)
            yield Finding(site, (evidence,), 0.9, layer=first.layer, subject=subject)
            return


def _is_tie(statement: ast.stmt) -> bool:
    """Whether the Parameter itself is assigned: a tie that holds until something replaces it."""
    value = getattr(statement, "value", None)
    return isinstance(value, ast.Attribute) and value.attr != "data" and not _of_data(statement)


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
    """What a Parameter, a clone, a detach or a deepcopy is made of."""
    while isinstance(node, ast.Call):
        last = module.dotted(node.func).rpartition(".")[2]
        if last in ("Parameter", "deepcopy") and node.args:
            node = node.args[0]
        elif last in ("clone", "detach") and isinstance(node.func, ast.Attribute):
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
    left, right, broken = finding.subject
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


CONDITION = Condition(
    "broken-weight-tying",
    "warning",
    needs=("parameters", "optimizers", "graph"),
    in_run=in_run,
    remedies=remedies,
)
