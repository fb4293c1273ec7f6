"""Training goes on from a checkpoint with its weights only: the optimizer starts anew.

## What happens
Adam's moments, a momentum buffer and the position of a schedule are part of where a run stands. A run that is continued
with the weights alone takes its first steps with empty moments: Adam moves every weight by the full learning rate
whatever its gradient, bias correction starts over, and a schedule begins at its first, largest rate, or goes through
its warm-up once more. The loss jumps at the seam and needs a while to come back; a run that is interrupted often never
gets further. Nothing raises, as the weights do fit.

## How it is told apart
Decided on what was read and what was restored: the file says how far the run had come (an epoch, a step), the script
goes on from there, all weights were restored, and an optimizer that had moments to lose was built anew and made its
steps without them. Where the file holds the optimizer's state, that it was left there is seen as well.
- `checkpoint-not-loaded`: the weights do not arrive either. `lr-too-high`: the rate is too large throughout.
- `aliased-state`: the state dict is the live model's own memory.
Not this: fine-tuning, where the weights are a start and the count of epochs begins at zero, or with rates of its own;
the best weights loaded for a test; plain SGD, which keeps nothing; weights put back within a run, whose optimizer
lives on.

## Remedy
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(),
                "scheduler": scheduler.state_dict(), "epoch": epoch}, path)
    ...
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    scheduler.load_state_dict(checkpoint["scheduler"])

## Sources
- PyTorch tutorials, Saving and loading a general checkpoint,
  https://docs.pytorch.org/tutorials/recipes/recipes/saving_and_loading_a_general_checkpoint.html
  [it is important to also save the optimizer's state_dict]
- PyTorch, Optimizer.load_state_dict,
  https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.load_state_dict.html
"""

from __future__ import annotations

import ast
from typing import NamedTuple

import numpy as np

from ...record import Record, Row, Site
from ...record.record import Optimizer, number, numbers
from ...source import Edit, Module, Source
from ...source.numbers import calls_of
from ...source.training import function_of, name_at
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy

PRINTS = ("print", "info", "debug", "warning", "log", "format", "write", "str")
PLAIN = {"params", "elements", "initial_lr", "param_names"}


class Subject(NamedTuple):
    """What a patch needs: where the optimizer is built, and the keys of its and the schedule's state in the file."""

    built: Site | None
    optimizer: tuple[str, ...]
    schedule: Site | None
    scheduler: tuple[str, ...]
    written: Site | None


def in_run(
    record: Record,
    source: Source,
    *,
    min_steps: int = 10,  # with the new optimizer: as everywhere, fewer say nothing
    near: float = 1e-4,  # relative: rates that were meant to be the same are so but for rounding
) -> Answer:
    """Weights out of a file, its count read on, and an optimizer with empty hands."""
    if not record.rows("torch"):
        yield NotEvaluated("no torch was seen")
        return
    for row in record.rows("resuming"):
        site = record.site(row.get("site"))
        if site is None or row.get("missing") or not _read_on(source, row.get("counter") or []):
            continue
        optimizer = _fresh(record, row, min_steps)
        if optimizer is None or not _same_rates(record, row, optimizer, near):
            continue
        evidence = [Evidence(_lost(record, row, optimizer), "resumed", 0.0, 1.0)]
        jump = _jump(record, row.get("step", 0))
        if jump is not None:
            evidence.append(jump)
        schedule = next((record.site(each.get("site")) for each in reversed(record.rows("schedule"))), None)
        writes = [each for each in record.rows("written") if each.get("models") and not each.get("optimizers")]
        subject = Subject(
            optimizer.site,
            tuple(row.get("optimizer") or ()),
            schedule,
            tuple(row.get("scheduler") or ()),
            record.site(writes[-1].get("site")) if writes else None,
        )
        yield Finding(site, tuple(evidence), 0.92 if row.get("optimizer") else 0.85, subject=subject)
        return


def _lost(record: Record, row: Row, optimizer: Optimizer) -> str:
    known = ", ".join(repr(name) for name in (row.get("counter") or [])[:2])
    text = f"the file says how far the run had come ({known}) and its weights were restored, "
    if row.get("optimizer"):
        key = "/".join(row["optimizer"])
        return (
            text + f"but {optimizer.kind} began its {optimizer.steps} steps anew: its state in {key!r} was left there"
        )
    return text + f"but it holds no state of an optimizer: {optimizer.kind} began its {optimizer.steps} steps anew"


def _fresh(record: Record, row: Row, min_steps: int) -> Optimizer | None:
    """An optimizer with something to lose whose first step came after the load, and that was given no state."""
    restored = {each.get("opt") for each in record.rows("restored", what="optimizer")}
    for optimizer in record.optimizers:
        if optimizer.number in restored or optimizer.steps < min_steps or not _keeps(optimizer):
            continue
        held = sum(len(group.get("params", [])) for group in optimizer.groups)
        first = [number(each.get("step")) for each in optimizer.updates if each.get("n") == 0]
        if not first or first[0] < row.get("step", 0):
            continue
        if row.get("optimizer") is not None and (held != row.get("held") or not row.get("entries")):
            continue
        if row.get("settings") and not _alike(optimizer, row["settings"]):
            continue
        return optimizer
    return None


def _keeps(optimizer: Optimizer) -> bool:
    """Whether its steps depend on earlier ones."""
    return optimizer.adaptive or any(number(group.get("momentum")) > 0 for group in optimizer.groups)


def _alike(optimizer: Optimizer, settings: list[str]) -> bool:
    """Whether the saved state is of the same kind of optimizer, as the names of its settings tell."""
    own = {name for group in optimizer.groups for name in group} - PLAIN
    return own <= set(settings)


def _same_rates(record: Record, row: Row, optimizer: Optimizer, near: float) -> bool:
    """Whether it begins at a rate that the run it continues had: another one is another plan."""
    mine = [rate for rate in optimizer.lr if np.isfinite(rate)]
    known = list(numbers(row.get("rates")))
    if not known:  # nothing in the file: the optimizer of the same run, where there was one
        before = [entry for entry in record.optimizers if entry.number < optimizer.number and entry.steps]
        known = [rate for entry in before for rate in (*entry.lr, *entry.rates[1])]
    if not known or not mine:
        return True
    return all(any(abs(rate - other) <= near * abs(other) for other in known) for rate in mine)


def _jump(record: Record, step: int) -> Evidence | None:
    """The loss before and after the seam, where both are of this run."""
    for objective in record.objectives:
        ends = np.cumsum(objective.weights)
        after = int(np.searchsorted(ends, step, side="right"))
        width = max(3, len(ends) // 50)
        before, behind = objective.values[max(0, after - width) : after], objective.values[after : after + width]
        if len(before) >= 3 and len(behind) >= 3 and np.isfinite(before).all() and np.isfinite(behind).all():
            old, new = float(before.mean()), float(behind.mean())
            if new > old:
                return Evidence(f"at the seam the loss goes {old:.4g} -> {new:.4g}", "objective", new, old)
    return None


def _read_on(source: Source, counters: list[str]) -> bool:
    """Whether the script takes the count out of the file to go on from it, not only to print it."""
    for module in source:
        for node in ast.walk(module.tree):
            key = _key(node)
            if key not in counters or not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
                continue
            around = module.enclosing(node, ast.Call, ast.FormattedValue, ast.stmt)
            while isinstance(around, ast.Call) and module.dotted(around.func).rpartition(".")[2] in ("int", "range"):
                if module.dotted(around.func) == "range":
                    return True
                around = module.enclosing(around, ast.Call, ast.FormattedValue, ast.stmt)
            if isinstance(around, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return)):
                return True
            if isinstance(around, ast.Call) and module.dotted(around.func).rpartition(".")[2] not in PRINTS:
                return True
    return False


def _key(node: ast.AST) -> str | None:
    """`epoch` of `checkpoint["epoch"]` and of `checkpoint.get("epoch", 0)`."""
    part: ast.expr | None = None
    if isinstance(node, ast.Subscript):
        part = node.slice
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "pop"):
        part = node.args[0] if node.args else None
    return part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """All states restored, behind the line that restores the weights; saved first, where they are not."""
    subject, site = finding.subject, finding.site
    words = "restore the optimizer's state (and the scheduler's) with the weights"
    module = source.module(site.file) if site is not None else None
    if module is None or site is None or not isinstance(subject, Subject) or subject.built is None:
        return [Remedy(words, "changes-training")]
    statement = module.statement_with(site.line, "load_state_dict")
    file = _file(module, statement)
    if statement is None or file is None:
        return [Remedy(words, "changes-training")]
    edits = _restore(source, module, statement, file, subject)
    if edits and not subject.optimizer:
        saved = _save(source, subject)
        edits = (*edits, *saved) if saved else ()
        words = "save the optimizer's state with the weights, and restore both"
    return [Remedy(words, "changes-training", edits)]


def _file(module: Module, statement: ast.stmt | None) -> str | None:
    """`checkpoint` of `model.load_state_dict(checkpoint["model"])`."""
    for node in ast.walk(statement) if statement is not None else ():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "load_state_dict":
            part = node.args[0] if node.args else None
            if isinstance(part, ast.Subscript) and isinstance(part.value, ast.Name):
                return module.segment(part.value)
    return None


def _restore(source: Source, module: Module, statement: ast.stmt, file: str, subject: Subject) -> tuple[Edit, ...]:
    assert subject.built is not None
    wanted = [(subject.built, subject.optimizer or ("optimizer",))]
    if subject.schedule is not None and subject.scheduler:
        wanted.append((subject.schedule, subject.scheduler))
    edits = []
    for built, path in wanted:
        name = _called(source, built, module, statement)
        made = source.module(built.file)
        target = made.statement_at(built.line) if made is not None else None
        if name is None or target is None or made is None:
            continue
        text = f"{name}.load_state_dict({file}{''.join(f'[{key!r}]' for key in path)})".replace("'", '"')
        # Where the optimizer is built further down in the same block, its state follows it there.
        later = made is module and target.lineno > statement.lineno and _together(module, target, statement)
        edits.append(module.insert_after(target if later else statement, text))
    return tuple(edits) if edits and _called(source, subject.built, module, statement) else ()


def _together(module: Module, first: ast.stmt, second: ast.stmt) -> bool:
    return function_of(module, first) is function_of(module, second)


def _called(source: Source, built: Site, module: Module, statement: ast.stmt) -> str | None:
    """What the object that is built at a line is called there, or where the weights are restored."""
    made = source.module(built.file)
    target = made.statement_at(built.line) if made is not None else None
    if isinstance(target, ast.Assign) and made is module and isinstance(target.targets[0], (ast.Name, ast.Attribute)):
        scopes = [module.enclosing(each, ast.FunctionDef, ast.AsyncFunctionDef) for each in (target, statement)]
        if scopes[0] is scopes[1]:
            return module.segment(target.targets[0])
    if isinstance(target, ast.Assign) and made is not None:
        found = _handed_out(source, made, target, module, statement)
        if found is not None:
            return found
    return name_at(source, built.file, built.line, module, statement)


def _handed_out(source: Source, made: Module, target: ast.Assign, module: Module, statement: ast.stmt) -> str | None:
    """`optimizer` of `model, optimizer = build()`, before the statement, where `build` returns what it has made."""
    maker = function_of(made, target)
    name = made.segment(target.targets[0])
    for node in ast.walk(maker) if maker is not None else ():
        if not isinstance(node, ast.Return) or maker is None:
            continue
        parts = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value] if node.value else []
        index = next((i for i, part in enumerate(parts) if made.segment(part) == name), None)
        for at, call in calls_of(source, made, maker) if index is not None else ():
            outer = at.parents.get(call)
            same = at is module and function_of(at, call) is function_of(module, statement)
            if not same or not isinstance(outer, ast.Assign) or index is None:
                continue
            targets = outer.targets[0]
            if isinstance(targets, ast.Tuple) and len(targets.elts) == len(parts):
                return at.segment(targets.elts[index])
    return None


def _save(source: Source, subject: Subject) -> tuple[Edit, ...]:
    """`"optimizer": optimizer.state_dict()` in the dict that is saved."""
    written = subject.written
    module = source.module(written.file) if written is not None else None
    if module is None or written is None or subject.built is None:
        return ()
    for call in module.calls("torch.save"):
        if not call.lineno <= written.line <= (call.end_lineno or call.lineno) or not call.args:
            continue
        saved = call.args[0]
        if isinstance(saved, ast.Dict) and saved.values:
            name = _called(source, subject.built, module, module.statement_at(call.lineno) or module.tree.body[0])
            if name is not None:
                _, _, line, column = module.span(saved.values[-1])
                return (Edit(module.file, line, column, line, column, f', "optimizer": {name}.state_dict()'),)
    return ()


CONDITION = Condition(
    "resumed-without-optimizer",
    "warning",
    needs=("resumed", "optimizers", "updates", "learning_rates", "schedules", "objective", "checkpoints"),
    in_run=in_run,
    remedies=remedies,
)
