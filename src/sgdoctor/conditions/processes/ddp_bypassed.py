"""The forward pass goes around DistributedDataParallel: gradients are never averaged.

## What happens
`DistributedDataParallel(model)` averages gradients while backward runs, and gets ready for that in its own `forward`.
Where the loop calls the model inside instead (`ddp.module(x)`, a method of `ddp.module`, or the variable from before
the wrapping), the reducer stays idle: every rank steps with the gradients of its own batches. The replicas start equal,
as the wrapper has broadcast them, and drift apart from the first step. Nothing raises. What is saved by rank 0 has seen
one part of the data, and is no better than a run on one device with that part.

## How it is told apart
Decided on the record of the ranks: the wrapper holds what is trained, was never called with gradient, and weights
differ between ranks at equal steps.
- `ranks-diverged`: no wrapper holds what is trained, or the wrapper is called and weights differ all the same.
- `ranks-share-data`: replicas agree, and every rank is fed with the same samples.
- `unused-parameters`: gradients are missing altogether, which makes the wrapper wait or raise.
Not this: `ddp.module` in validation, for `state_dict()` or to read an attribute; gradients averaged by hand; steps
under `no_sync()` whose last one goes through the wrapper.

## Remedy
Call the wrapper. What the loop needs of the model belongs into its `forward`:

    loss = criterion(ddp(x), y)              # not ddp.module(x), not model(x)
    torch.save(ddp.module.state_dict(), path)

## Sources
- PyTorch, Distributed Data Parallel (internal design), https://docs.pytorch.org/docs/stable/notes/ddp.html
  [the forward pass prepares the reducer; hooks average the gradients]
- PyTorch, DistributedDataParallel,
  https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html
- intel/e2eAIOK, pull request 198, https://github.com/intel/e2eAIOK/pull/198
  [parts of a wrapped model called directly: every node trains a model of its own]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...record import Record, Site
from ...source import Edit, Module, Source
from ...source.rhythm import calls_of
from ..condition import Answer, Condition, Evidence, Finding, Remedy
from ..questions import site_at
from ..replicas import Replicas, bypassed, unjudged

WRAPPERS = ("torch.nn.parallel.DistributedDataParallel", "torch.nn.parallel.distributed.DistributedDataParallel")


def in_run(
    record: Record,
    source: Source,
    *,
    min_steps: int = 10,  # as everywhere: fewer say nothing
) -> Answer:
    """A wrapper that is there, and that the loop goes around."""
    reason = unjudged(record, min_steps=min_steps)
    if reason is not None:
        yield reason
        return
    wrapper, replicas = bypassed(record), Replicas(record)
    if wrapper is None or not replicas.apart:
        return
    last = replicas.steps[-1]
    share = sum(each > 0 for each in last.weights)
    text = (
        f"DistributedDataParallel around {wrapper.get('class')} was never called with gradient in {record.steps} "
        f"steps, and after {last.step} of them {share} of {len(last.weights)} compared weights differ between ranks "
        f"by up to {max(last.weights):.2g} of their size"
    )
    evidence = [Evidence(text, "replicas", max(last.weights), 0.0)]
    grads = [each for sample in replicas.steps[:3] for each in sample.grads]
    if grads:
        words = f"gradients of the same step differ by up to {max(grads):.2g}: nothing averages them"
        evidence.append(Evidence(words, "replicas", max(grads), 0.0))
    site = _site(record, source, str(wrapper.get("class")))
    yield Finding(site, tuple(evidence), 0.96, subject=record.site(wrapper.get("site")))


def _site(record: Record, source: Source, kind: str) -> Site | None:
    """The line that calls the model inside; else that of the backward pass."""
    for row in record.rows("door", grad=True):
        site = record.site(row.get("site"))
        if site is not None and row.get("model") == kind:
            return _outside(record, source, site, kind)
    objectives = record.objectives
    backward = objectives[0].site if objectives else None
    module = source.module(backward.file) if backward is not None else None
    if module is not None and backward is not None:
        function = module.function_at(backward.line)
        for call in _inner_calls(module, function or module.tree):
            return Site(module.file, call.lineno, backward.function)
    return backward


def _outside(record: Record, source: Source, site: Site, kind: str) -> Site:
    """The call of the model's own method (`core.loss(...)`), where it is that one which calls the model."""
    module = source.module(site.file)
    function = module.function_at(site.line) if module is not None else None
    owner = module.parents.get(function) if module is not None and function is not None else None
    if module is None or function is None or not isinstance(owner, ast.ClassDef) or owner.name != kind:
        return site
    lines = [each.site for each in record.objectives if each.site is not None]
    for home, call in calls_of(source, function):
        trains = any(
            each.file == home.file and home.function_at(each.line) is home.function_at(call.lineno) for each in lines
        )
        if trains and home.enclosing(call, ast.ClassDef) is not owner:
            return site_at(home, call)
    return site


def _inner_calls(module: Module, scope: ast.AST) -> Iterator[ast.Call]:
    """`x.module(...)` and `x.module.method(...)`."""
    for node in ast.walk(scope):
        if isinstance(node, ast.Call):
            inner = node.func
            if isinstance(inner, ast.Attribute) and "module" in (inner.attr, getattr(inner.value, "attr", "")):
                yield node


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The wrapper called."""
    title = "call the DistributedDataParallel wrapper, not the model inside it"
    site = finding.site
    module = source.module(site.file) if site is not None else None
    edit = _through(module, site.line, finding.subject) if module is not None and site is not None else None
    return [Remedy(title, "changes-training", () if edit is None else (edit,))]


def _through(module: Module, line: int, built: object) -> Edit | None:
    calls = [
        node
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    for call in calls:
        if isinstance(call.func, ast.Attribute) and call.func.attr == "module":
            return module.replace(call.func, module.segment(call.func.value))
    wrappers = _wrappers(module)
    for call in calls:
        text = module.segment(call.func)
        if text in wrappers:
            return module.replace(call.func, wrappers[text])
    for call in calls:  # a name that was given to `ddp.module`
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Assign) and module.segment(node.targets[0]) == name and name:
                value = node.value
                if isinstance(value, ast.Attribute) and value.attr == "module":
                    return module.replace(call.func, module.segment(value.value))
    return None


def _wrappers(module: Module) -> dict[str, str]:
    """What is wrapped -> what the wrapper is called, where that is a name of its own."""
    found = {}
    for call in module.calls(*WRAPPERS, "?.DistributedDataParallel"):
        outer = module.parents.get(call)
        if isinstance(outer, ast.Assign) and call.args:
            inner, target = module.segment(call.args[0]), module.segment(outer.targets[0])
            if inner != target:
                found[inner] = target
    return found


CONDITION = Condition(
    "ddp-bypassed",
    "error",
    needs=("ranks", "replicas", "wrappers", "model_inputs", "objective", "optimizers"),
    in_run=in_run,
    remedies=remedies,
    explains=("ranks-diverged",),
)
