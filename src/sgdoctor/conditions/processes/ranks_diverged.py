"""Ranks that are to train one model hold different weights.

## What happens
Data-parallel training keeps one copy of the model in every process, equal to the last bit: equal at the start, and
stepped with equal gradients. Without a wrapper that averages gradients, or an average by hand, every process trains a
model of its own on its share of the data; where gradients are averaged but the copies were initialised from different
seeds (`manual_seed(seed + rank)`), or a checkpoint was loaded on one rank only, the same steps are taken from different
places. Losses fall on every rank. What rank 0 saves has learnt from one share, and validation that is averaged over
ranks describes a model that nobody has.

## How it is told apart
Decided on sums over weights and gradients, taken in every rank at equal counts of optimizer steps: they differ, and
never agree again.
- `ddp-bypassed`: the wrapper is there, and the loop goes around it.
- `ranks-share-data`: weights agree, and so do the batches.
- `parameters-not-in-optimizer`: one process alone would show it.
Not this: gradients averaged by hand with `all_reduce`; weights broadcast by hand; local steps with an average every
now and then (local SGD, DiLoCo), where weights agree after each average; other random numbers in each rank for
dropout and augmentation; ranks that hold stages or shards of one model, or models of their own on purpose.

## Remedy
    model = torch.nn.parallel.DistributedDataParallel(model)    # broadcasts rank 0's weights, averages gradients

or, by hand, `dist.broadcast(p.data, 0)` for every parameter after the model is built, and `dist.all_reduce(p.grad)`
between backward and step, divided by the number of ranks.

## Sources
- PyTorch, DistributedDataParallel,
  https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html
- PyTorch, Distributed Data Parallel (internal design), https://docs.pytorch.org/docs/stable/notes/ddp.html
  [the state of rank 0 is broadcast at construction, so that replicas start equal]
- A. Douillard et al., DiLoCo, https://arxiv.org/abs/2311.08105 [replicas that differ between averages, on purpose]
"""

from __future__ import annotations

import ast

from ...record import Record, Site
from ...source import Edit, Module, Source
from ...source.training import method_calls, model_of, reach
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_at
from ..replicas import Replicas, bypassed, meant_as_one, unjudged

SEEDS = ("torch.manual_seed", "torch.random.manual_seed", "torch.cuda.manual_seed", "torch.cuda.manual_seed_all")
OWN = ("parameters", "named_parameters", "state_dict", "load_state_dict", "train", "eval", "to", "zero_grad", "apply")
OWN_MORE = ("modules", "named_modules", "children", "buffers", "requires_grad_", "cpu", "cuda", "double", "float")


def in_run(
    record: Record,
    source: Source,
    *,
    min_steps: int = 10,  # as everywhere: fewer say nothing
) -> Answer:
    """Weights apart at equal steps, in ranks that are to hold one model."""
    reason = unjudged(record, min_steps=min_steps)
    if reason is not None:
        yield reason
        return
    replicas = Replicas(record)
    if not replicas.apart or bypassed(record) is not None:
        return
    together = meant_as_one(record, source)
    if together is None:
        yield NotEvaluated("weights differ between ranks, and nothing says that these are to train one model")
        return
    last = next(sample for sample in reversed(replicas.steps) if any(each > 0 for each in sample.weights))
    text = (
        f"after {last.step} steps {sum(each > 0 for each in last.weights)} of {len(last.weights)} weights that were "
        f"compared differ between ranks by up to {max(last.weights):.2g} of their size, though {together}"
    )
    averaged = replicas.synchronised and replicas.exchanged
    if averaged:
        words = "gradients agree: the copies take the same steps from different places"
        evidence = Evidence(words, "replicas", 0.0, 0.0)
    else:
        grads = [each for sample in replicas.steps for each in sample.grads]
        words = f"gradients of equal steps differ by up to {max(grads, default=0.0):.2g}: nothing averages them"
        evidence = Evidence(words, "replicas", max(grads, default=0.0), 0.0)
    built = next((entry.site for entry in record.optimizers if entry.number == last.opt), None)
    site = _site(source, built, averaged or not grads_apart(replicas))
    yield Finding(site, (Evidence(text, "replicas", max(last.weights), 0.0), evidence), 0.93, subject=(averaged, built))


def grads_apart(replicas: Replicas) -> bool:
    """Whether gradients ever differ."""
    return any(each > 1e-5 for sample in replicas.steps for each in sample.grads)


def _site(source: Source, built: Site | None, averaged: bool) -> Site | None:
    """The seed that differs where only the start does; else where the model is built, or the optimizer."""
    if built is None:
        return None
    seeds = [(module, call) for module in source for call in module.calls(*SEEDS) if call.args] if averaged else []
    for test in (_computed, _handed):
        for module, call in seeds:
            if test(module, call.args[0]):
                return site_at(module, call)
    found = model_of(source, built.file, built.line)
    if found is not None:
        module, statement, name = found
        made = _made(module, statement, name)
        if made is not None:
            return site_at(module, made)
    return built


def _computed(module: Module, seed: ast.expr) -> bool:
    """`seed + rank`"""
    return isinstance(seed, ast.BinOp) and any(isinstance(each, ast.Name) for each in ast.walk(seed))


def _handed(module: Module, seed: ast.expr) -> bool:
    """What a function was given, or a call returned: `rank`, `dist.get_rank()`."""
    function = module.enclosing(seed, ast.FunctionDef, ast.AsyncFunctionDef)
    if not isinstance(seed, ast.Name):
        return isinstance(seed, ast.Call)
    if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) and seed.id in {a.arg for a in function.args.args}:
        return True
    made = [node for node in ast.walk(module.tree) if isinstance(node, ast.Assign)]
    return any(isinstance(n.value, ast.Call) and module.segment(n.targets[0]) == seed.id for n in made)


def _made(module: Module, statement: ast.stmt, name: str) -> ast.stmt | None:
    """The last assignment to the model's name before its optimizer is built, in the same function."""
    scope = module.enclosing(statement, ast.FunctionDef, ast.AsyncFunctionDef, ast.Module) or module.tree
    found = [
        node
        for node in ast.walk(scope)
        if isinstance(node, ast.Assign)
        and node.lineno < statement.lineno
        and any(module.segment(target) == name for target in node.targets)
    ]
    return max(found, key=lambda node: node.lineno) if found else None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """A wrapper; or, where gradients are averaged by hand, rank 0's weights for all."""
    averaged, built = finding.subject if isinstance(finding.subject, tuple) else (False, None)
    found = model_of(source, built.file, built.line) if isinstance(built, Site) else None
    if averaged:
        edits = _broadcast(*found) if found is not None else ()
        return [Remedy("start every rank from the weights of rank 0: broadcast them", "changes-training", edits)]
    title = "wrap the model in DistributedDataParallel before its optimizer is built"
    edits = _wrap(*found) if found is not None else ()
    return [Remedy(title, "changes-training", edits)]


def _wrap(module: Module, statement: ast.stmt, name: str) -> tuple[Edit, ...]:
    known = {*OWN, *OWN_MORE}
    for node in ast.walk(module.tree):  # methods of its own are not those of a wrapper
        if isinstance(node, ast.Attribute) and module.segment(node.value) == name and node.attr not in known:
            return ()
    return (module.insert_before(statement, f"{name} = {reach(module, 'parallel.DistributedDataParallel')}({name})"),)


def _broadcast(module: Module, statement: ast.stmt, name: str) -> tuple[Edit, ...]:
    bound = {path: local for local, path in module.names.items()}
    if "torch.distributed" not in bound and "torch" not in bound:
        return ()
    alias = bound.get("torch.distributed", f"{bound.get('torch', 'torch')}.distributed")
    if method_calls(module, statement, "broadcast"):
        return ()
    line = statement.lineno
    text = f"for parameter in {name}.parameters():\n{module.indent(line)}    {alias}.broadcast(parameter.data, src=0)"
    return (module.insert_before(statement, text),)


CONDITION = Condition(
    "ranks-diverged",
    "error",
    needs=("ranks", "replicas", "wrappers", "portions", "optimizers", "loaders"),
    in_run=in_run,
    remedies=remedies,
)
