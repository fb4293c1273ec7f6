"""An in-place change spoils a tensor that backward needs.

## What happens
Many operations keep what they were given or what they gave, to compute their derivative in backward. If it is changed
in place before that, torch sees the version counter and raises `one of the variables needed for gradient computation
has been modified by an inplace operation`. The names are `x += 1`, `x[i] = ...`, `x.add_(...)`, `nn.ReLU(inplace=True)`
on a value that another branch still needs, and `optimizer.step()` between a forward and its backward: a GAN whose two
losses are computed first and whose second backward comes after the first step. A leaf that requires grad may not be
changed in place at all outside no_grad, nor may a view of it: `a leaf Variable that requires grad is being used in an
in-place operation`. The line that torch names is that of the backward, not that of the change.

## How it is told apart
Decided on the exception: the operation whose output was changed and its shape, read from torch's message; the source
gives the in-place statements, of which the one on the value of that operation is meant. A tensor of a parameter's
shape was changed by a step.
- `undetached-hidden-state`: the parameter's version differs because the graph of an earlier batch is gone through.
- `wrong-custom-gradient`: nothing raises, and the derivative is wrong. `shape-mismatch`: another exception.
Not this: in-place operations that torch allows, on results nobody needs again; `torch.no_grad()` updates by hand.

## Remedy
    gate = gate + 0.1                                # a new tensor in place of gate += 0.1
    with torch.no_grad(): layer.bias.fill_(0.05)     # for leaves
    d_opt.step(); g_loss = criterion(critic(fake), ones)     # the forward after the step whose weights it needs

## Sources
- PyTorch, Autograd mechanics: in-place operations, in-place correctness checks,
  https://docs.pytorch.org/docs/stable/notes/autograd.html
- PyTorch, anomaly detection names the forward of the failing operation,
  https://docs.pytorch.org/docs/stable/autograd.html
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ...record import Record, Site
from ...source import Module, Source
from ...source.blocks import under
from ...source.moves import forward_behind
from ...source.spelling import spelled
from ..condition import Answer, Condition, Evidence, Finding, Remedy
from ..network import crash_site
from ..questions import site_at

MODIFIED = "modified by an inplace operation"
LEAF = "leaf Variable that requires grad"
VIEW = "is a view and is being modified inplace"
PRODUCER = re.compile(r"\[torch\.\w+ \[([\d, ]*)\]\],? which is output \d+ of (\w+?)(?:Backward\d*)?,")
IN_PLACE = re.compile(r"^[a-z]\w*[a-z0-9]_$")
HARMLESS = ("requires_grad_", "retain_grad_", "zero_", "manual_seed_", "share_memory_", "load_state_dict_", "detach_")
PARAMETER_OPS = ("AsStrided", "T", "Transpose", "Permute", "AccumulateGrad", "ViewAsAlias")


def in_run(
    record: Record,
    source: Source,
    *,
    min_score: float = 0.0,  # of a statement in the source: any in-place one, as torch has said that there is one
) -> Answer:
    """Torch raised because a tensor that backward needs was changed in place."""
    error = record.exception
    text = str(error.get("text")) if error is not None else ""
    if not any(phrase in text for phrase in (MODIFIED, LEAF, VIEW)):
        return
    crashed = crash_site(record)
    if MODIFIED not in text:
        first = text.strip().splitlines()[0][:110]
        leaf = "leaf" if LEAF in text else None
        yield Finding(crashed, (Evidence(f"torch raised: {first}", "exception"),), 0.97, subject=leaf)
        return
    found = PRODUCER.search(text)
    operation, shape = (found[2], [int(n) for n in found[1].split(",") if n.strip()]) if found else ("", [])
    says = (
        f"the output of {operation}, shape {shape}, was changed in place before backward needed it" if found else text
    )
    by_step = _is_parameter(record, operation, shape)
    if by_step and _steps_between(record, source, crashed) is not None:
        site = _steps_between(record, source, crashed)
        says = f"a weight of shape {shape} was changed by a step after the forward whose backward needs its old value"
        later = crashed.line if crashed is not None else None
        yield Finding(site, (Evidence(says, "exception"),), 0.95, subject=later)
        return
    if by_step:
        return  # the graph of an earlier step, gone through again: a state that is carried on
    best = max(_statements(source, operation), key=lambda entry: entry[0], default=None)
    site = site_at(best[1], best[2]) if best is not None and best[0] > min_score else crashed
    yield Finding(site, (Evidence(says[:300], "exception"),), 0.95 if best is not None else 0.7)


def _is_parameter(record: Record, operation: str, shape: list[int]) -> bool:
    """Whether the tensor is a weight, as it is or transposed."""
    ways = (tuple(shape), tuple(reversed(shape)))
    return operation in ("", *PARAMETER_OPS) and any(p.shape in ways for p in record.parameters.values())


def _steps_between(record: Record, source: Source, crashed: Site | None) -> Site | None:
    """A step of an optimizer above the failing backward, in the same block, with a forward of its loss before it."""
    module = source.module(crashed.file) if crashed is not None else None
    if module is None or crashed is None:
        return None
    loop = module.loop_at(crashed.line)
    scope: ast.AST = loop if loop is not None else module.tree
    steps = [c for c in module.calls("?.step", within=scope) if c.lineno < crashed.line]
    backwards = [c for c in module.calls("?.backward", within=scope) if c.lineno < crashed.line]
    if not steps or not backwards:
        return None
    return site_at(module, steps[-1])


def _statements(source: Source, operation: str) -> Iterator[tuple[float, Module, ast.expr | ast.stmt]]:
    """(how likely, file, node) of what changes tensors in place."""
    word = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
    for module in source:
        for node in ast.walk(module.tree):
            target, base = _changed(module, node)
            if target is None or not isinstance(node, (ast.expr, ast.stmt)):
                continue
            yield base + _closeness(module, node, target, word), module, node


def _changed(module: Module, node: ast.AST) -> tuple[ast.expr | None, float]:
    """(what is changed in place, how likely it is a tensor) for a statement or call that changes something."""
    if isinstance(node, ast.AugAssign) and not isinstance(node.value, ast.Constant):
        return node.target, 1.0
    if isinstance(node, ast.AugAssign):
        return node.target, 0.5 if isinstance(node.target, ast.Name) else 1.0
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        return node.targets[0].value, 1.0
    if isinstance(node, ast.Call):
        last = module.dotted(node.func).rpartition(".")[2]
        flagged = any(k.arg == "inplace" and getattr(k.value, "value", None) is True for k in node.keywords)
        if flagged:
            return (node.args[0] if node.args else node.func), 1.5
        if IN_PLACE.match(last) and last not in HARMLESS and isinstance(node.func, ast.Attribute):
            initialiser = module.dotted(node.func).startswith("torch.nn")
            return node.func.value, 0.2 if initialiser else 1.5
    return None, 0.0


def _closeness(module: Module, node: ast.AST, target: ast.expr, word: str) -> float:
    """Higher in forward and where the same name was made by the operation that torch names."""
    function = module.enclosing(node, ast.FunctionDef)
    score = 1.0 if isinstance(function, ast.FunctionDef) and function.name == "forward" else 0.0
    if not isinstance(function, ast.FunctionDef) and module.enclosing(node, ast.For, ast.While) is None:
        score -= 1.0
    root = target
    while isinstance(root, (ast.Subscript, ast.Attribute)):
        root = root.value
    if not isinstance(root, ast.Name) or not word:
        return score
    scope = function if function is not None else module.tree
    for other in ast.walk(scope):
        if isinstance(other, ast.Assign) and any(isinstance(t, ast.Name) and t.id == root.id for t in other.targets):
            names = {module.dotted(c.func).rpartition(".")[2] for c in ast.walk(other.value) if isinstance(c, ast.Call)}
            score += 3.0 if word in {name.lower().strip("_") for name in names} else 0.5
            break
    return score


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The out-of-place form of a change, no_grad around that of a weight, a forward behind the step it comes after."""
    title = "change a copy: x = x + y in place of x += y, the function without its underscore, inplace=False"
    module = source.module(finding.site.file) if finding.site is not None else None
    statement = module.statement_at(finding.site.line) if module is not None and finding.site is not None else None
    if module is None or finding.site is None or statement is None:
        return [Remedy(title, "changes-training")]
    if finding.subject == "leaf":
        title = "set weights under torch.no_grad()"
        torch, function = spelled(module, "torch"), module.function_at(finding.site.line)
        known = torch is not None and (function is None or function.name != "forward")
        edits = under(module, [statement], f"with {torch}.no_grad():") if known else []
        return [Remedy(title, "changes-training", tuple(edits))]
    if isinstance(finding.subject, int):
        title = "compute the second loss after the first step, so that its graph holds the weights as they are then"
        backward = module.statement_with(finding.subject, "backward")
        edits = forward_behind(module, statement, backward) if backward is not None else []
        return [Remedy(title, "changes-training", tuple(edits))]
    return [_copied(module, finding.site.line, title)]


def _copied(module: Module, line: int, title: str) -> Remedy:
    signs = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
    for node in ast.walk(module.tree):
        if getattr(node, "lineno", 0) != line:
            continue
        if isinstance(node, ast.AugAssign) and type(node.op) in signs and isinstance(node.target, ast.Name):
            name, value = node.target.id, module.segment(node.value)
            value = value if isinstance(node.value, (ast.Name, ast.Constant, ast.Call)) else f"({value})"
            edit = module.replace(node, f"{name} = {name} {signs[type(node.op)]} {value}")
            return Remedy(title, "safe", (edit,))
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg == "inplace":
                    return Remedy(title, "safe", (module.replace(keyword.value, "False"),))
    return Remedy(title, "changes-training")


CONDITION = Condition(
    "inplace-error",
    "error",
    needs=("exception",),
    in_run=in_run,
    remedies=remedies,
    structural=True,
)
