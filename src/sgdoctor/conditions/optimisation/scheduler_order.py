"""The learning-rate scheduler is stepped too early, never, or at the wrong beat.

## What happens
A scheduler counts its own calls. Made and never stepped, it leaves the rate where it was, and the script reads as if it
decayed. Stepped before `optimizer.step()`, the first value of the schedule is skipped (torch warns). Stepped every
batch with a period meant in epochs, the rate collapses within the first epoch (StepLR, ExponentialLR), or a cosine
swings up and down many times. Stepped once an epoch with a length meant in batches, as OneCycleLR has it, the rate
never leaves the warm-up: 15 calls of 345 are an lr that is 25 times too small for the whole run.

## How it is told apart
Decided on counts of the run: how often each scheduler and its optimizer stepped, against the length that the scheduler
was told, and on the order of the calls before the first step. A rate that does nothing but rise, stepped once an epoch,
and ends far below the optimizer's own is a warm-up told in batches.
- `scheduler-kills-lr`: the rate falls to nothing for another reason; here it is the beat.
- `wrong-plateau-mode`: ReduceLROnPlateau at the right beat, but fed a quantity that runs the other way.
- `lr-too-low`: the rate is small from the start without a scheduler.
Not this: a run that was stopped or crashed early; schedulers inside SequentialLR; fast-forwarding a scheduler when a
run is resumed; a first step that a gradient scaler skipped; cycles that are meant and told in batches.

## Remedy
Once per batch for OneCycleLR, CyclicLR and warm-up by steps, once per epoch for what is told in epochs, always after
`optimizer.step()`:

    for epoch in range(epochs):
        for batch in loader:
            ...
            optimizer.step()
        scheduler.step()

## Sources
- PyTorch, torch.optim, How to adjust learning rate, https://docs.pytorch.org/docs/stable/optim.html
  [scheduler.step() after optimizer.step(); since 1.1 the other order skips the first value]
- PyTorch, OneCycleLR, https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.OneCycleLR.html
  [changes the rate after every batch]
- SRGAN-PyTorch issue 1, https://github.com/Lornatang/SRGAN-PyTorch/issues/1
  [stepped every batch, the rate is almost zero; moved behind the epoch, training works]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import numpy as np

from ...record import Record, Site
from ...record.loop import windows
from ...record.record import Optimizer
from ...record.schedules import Schedule, schedules
from ...source import Module, Source
from ...source.program import Event, Value
from ...source.program.kinds import constructor, holds, is_optimizer, is_scaler, is_scheduler, settled
from ...source.program.queries import Place, called, entries, owner_of, stepped
from ...source.program.values import Call
from ...source.rhythm import loops_around
from ...source.schedules import stepped as put_behind
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy, Safety
from ..questions import site_of_event

IN_BATCHES = ("OneCycleLR", "CosineAnnealingLR", "PolynomialLR")
PEAKED = ("OneCycleLR", "CyclicLR")  # the optimizer's own rate says nothing of their peak
MIN_RISES = 5  # steps of a warm-up: fewer are a trial of a long run
IN_EPOCHS = ("StepLR", "MultiStepLR", "ExponentialLR", "ReduceLROnPlateau")


def in_run(
    record: Record,
    source: Source,
    *,
    min_steps: int = 20,  # optimizer steps: below it no schedule would have done anything
    max_used: float = 0.34,  # of the schedule at the end of the run; early stopping leaves more
    min_swings: float = 3.0,  # half periods of a cosine; one or two may be meant
    max_rate: float = 0.005,  # of the highest rate: as for `scheduler-kills-lr`
    min_dead: float = 0.5,  # of the run spent below it; a schedule that decays to nothing ends there
) -> Answer:
    """Counts of scheduler steps that do not fit what the scheduler was told."""
    found = schedules(record)
    if not found:
        yield NotEvaluated("no learning-rate scheduler was seen")
        return
    whole = record.end is not None and record.end.get("how") == "completed"
    for schedule in found:
        optimizer = next((each for each in record.optimizers if each.number == schedule.optimizer), None)
        if optimizer is None or optimizer.steps < min_steps or schedule.part:
            continue
        finding = (
            (_never(schedule, optimizer, found) if whole else None)
            or _per_batch(record, source, schedule, optimizer, min_swings, max_rate, min_dead)
            or (_per_epoch(schedule, optimizer, max_used) if whole else None)
            or (_unrisen(schedule, optimizer, max_used) if whole else None)
            or _early(record, schedule, optimizer)
        )
        if finding is not None:
            yield finding
            return


def _never(schedule: Schedule, optimizer: Optimizer, others: list[Schedule]) -> Finding | None:
    if schedule.steps or any(other.steps and other.optimizer == schedule.optimizer for other in others):
        return None
    text = f"{schedule.kind} was made and never stepped, while its optimizer stepped {optimizer.steps} times"
    return Finding(
        schedule.site,
        (Evidence(text, "schedules", 0.0, float(optimizer.steps)),),
        0.93,
        subject=_meant(schedule, optimizer),
    )


def _meant(schedule: Schedule, optimizer: Optimizer) -> str:
    """Whether a scheduler that was never stepped is to be stepped every batch or every epoch, by its length."""
    length = schedule.settings.get("total_steps") or schedule.settings.get("T_max") or 0.0
    if schedule.plateau:
        return "never"
    return "never batch" if schedule.kind in IN_BATCHES and length > 0.5 * optimizer.steps else "never epoch"


def _per_batch(
    record: Record,
    source: Source,
    schedule: Schedule,
    optimizer: Optimizer,
    min_swings: float,
    max_rate: float,
    min_dead: float,
) -> Finding | None:
    """Stepped with every step of the optimizer, and told in epochs."""
    site = schedule.step_site
    if schedule.steps < 0.9 * optimizer.steps or site is None:
        return None
    epochs = _epochs(record, source, site)
    if epochs is None or not 1 < epochs < 0.5 * schedule.steps:
        return None
    each = schedule.steps / epochs
    length = schedule.settings.get("T_max", 0.0)
    if schedule.kind == "CosineAnnealingLR" and 0 < length <= 1.2 * epochs and schedule.steps > min_swings * length:
        text = (
            f"{schedule.kind} with T_max {length:.0f} was stepped every batch, {each:.0f} times an epoch: the rate "
            f"went up and down {schedule.steps / (2 * length):.0f} times in {epochs:.0f} epochs"
        )
        return Finding(site, (Evidence(text, "schedules", float(schedule.steps), epochs),), 0.92, subject="batch")
    rates = schedule.rates
    if schedule.kind not in IN_EPOCHS or not len(rates) or not schedule.lowered < max_rate:
        return None
    dead = float((rates < max_rate * rates.max()).mean())
    if dead < min_dead:
        return None
    text = (
        f"{schedule.kind} was stepped every batch, {each:.0f} times an epoch: the rate fell from {rates.max():.3g} to "
        f"{rates[-1]:.1g}, and for {dead:.0%} of the run it was below 1/{1 / max_rate:.0f} of that"
    )
    return Finding(site, (Evidence(text, "schedules", float(schedule.steps), epochs),), 0.93, subject="batch")


def _per_epoch(schedule: Schedule, optimizer: Optimizer, max_used: float) -> Finding | None:
    """Stepped rarely, and told in batches."""
    length = schedule.settings.get("total_steps") or schedule.settings.get("T_max") or 0.0
    length = schedule.settings.get("total_iters", 0.0) if schedule.kind == "PolynomialLR" else length
    if schedule.kind not in IN_BATCHES or not schedule.steps or length < 10:
        return None
    if schedule.steps > max_used * length or not 0.7 * length <= optimizer.steps <= 1.4 * length:
        return None
    text = (
        f"{schedule.kind} is {length:.0f} steps long, as many as the optimizer took ({optimizer.steps}), and was "
        f"stepped {schedule.steps} times: the run ended after {schedule.steps / length:.0%} of the schedule"
    )
    evidence = (Evidence(text, "schedules", float(schedule.steps), length),)
    return Finding(schedule.step_site, evidence, 0.94, subject="epoch")


def _unrisen(schedule: Schedule, optimizer: Optimizer, max_used: float) -> Finding | None:
    """A warm-up told in batches and stepped once an epoch: the run ends long before it does."""
    rates, full = schedule.rates, max(optimizer.lr, default=float("nan"))
    if schedule.plateau or schedule.kind in PEAKED or schedule.steps < MIN_RISES or len(rates) < MIN_RISES:
        return None
    rising = bool(np.all(np.diff(rates) > 0))
    if optimizer.steps < 10 * schedule.steps or not rising or not rates[-1] < max_used * full:
        return None
    text = (
        f"{schedule.kind} was stepped {schedule.steps} times in {optimizer.steps} steps, and its warm-up had come to "
        f"{rates[-1]:.3g} of {full:.3g} when the run ended: it is told in batches"
    )
    evidence = (Evidence(text, "schedules", float(rates[-1]), full),)
    return Finding(schedule.step_site, evidence, 0.9, subject="epoch")


def _early(record: Record, schedule: Schedule, optimizer: Optimizer) -> Finding | None:
    """Stepped once before any optimizer had stepped, at the line where it is stepped ever after."""
    if schedule.first != 0 or schedule.steps < 2 or record.rows("scaler") or schedule.plateau:
        return None
    first = [window for window in windows(record) if window.first == 0]
    calls = [[record.site(s) for letter, s, _ in window.events if letter == "h"] for window in first]
    once = any(sites.count(schedule.step_site) == 1 for sites in calls)
    if not once or len(schedule.rates) < 2 or schedule.step_site is None:
        return None
    rising = schedule.rates[1] > schedule.rates[0]  # a warm-up from zero is often moved on first, on purpose
    text = (
        f"{schedule.kind} is stepped before the optimizer's first step: the first value of the schedule is skipped, "
        "and every later one comes a step too early"
    )
    evidence = (Evidence(text, "loop_windows", 0.0, 1.0),)
    return Finding(schedule.step_site, evidence, 0.9, severity="info" if rising else None, subject="early")


def _epochs(record: Record, source: Source, site: Site) -> float | None:
    """How many epochs there were: passes of the training loader, else turns of the outer of two loops at a line."""
    passes: dict[object, int] = {}
    for row in record.rows("loader"):
        if (row.get("batches") or 0) > 1:
            passes[row.get("i")] = row.get("passes") or 0
    if passes:
        return float(max(passes.values()))
    module = source.module(site.file)
    loops = loops_around(module, site.line) if module is not None else []
    if module is None or len(loops) < 2 or not isinstance(loops[-1], ast.For):
        return None
    return _turns(module, loops[-1].iter)


def _turns(module: Module, node: ast.expr) -> float | None:
    """The length of `range(n)`, `range(1, n)`, where n is a number or a name that is one."""
    if not isinstance(node, ast.Call) or module.dotted(node.func).rpartition(".")[2] not in ("range", "trange"):
        return None
    ends = [_number(module, argument) for argument in node.args]
    if not ends or any(end is None for end in ends):
        return None
    return float(ends[0] or 0) if len(ends) == 1 else float((ends[1] or 0) - (ends[0] or 0))


def _number(module: Module, node: ast.expr) -> float | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return float(node.value)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _number(module, node.left), _number(module, node.right)
        return None if left is None or right is None else left + right
    if isinstance(node, ast.Attribute):
        return _option(module, node.attr)
    if not isinstance(node, ast.Name):
        return None
    for found in ast.walk(module.tree):
        if isinstance(found, ast.Assign):
            for target in found.targets:
                names = target.elts if isinstance(target, ast.Tuple) else [target]
                values = found.value.elts if isinstance(found.value, ast.Tuple) else [found.value]
                for name, value in zip(names, values):
                    if isinstance(name, ast.Name) and name.id == node.id and isinstance(value, ast.Constant):
                        return float(value.value) if isinstance(value.value, int) else None
        elif isinstance(found, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names_of = found.args.args[len(found.args.args) - len(found.args.defaults) :]
            for argument, default in zip(names_of, found.args.defaults):
                if argument.arg == node.id and isinstance(default, ast.Constant) and isinstance(default.value, int):
                    return float(default.value)
    return None


def _option(module: Module, name: str) -> float | None:
    """The default of a command-line option, a whole number."""
    for call in module.calls("?.add_argument"):
        flags = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        if name not in [flag.lstrip("-").replace("-", "_") for flag in flags]:
            continue
        default = next((k.value for k in call.keywords if k.arg == "default"), None)
        if isinstance(default, ast.Constant) and isinstance(default.value, int):
            return float(default.value)
    return None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The call at the right place."""
    site, subject = finding.site, finding.subject
    module = source.module(site.file) if site is not None else None
    statement = module.statement_at(site.line) if module is not None and site is not None else None
    titles = {
        "never": "step the scheduler: once an epoch, behind the loop over batches (OneCycleLR: after every batch)",
        "batch": "step the scheduler once an epoch, behind the loop over batches",
        "epoch": "step the scheduler after every batch, behind optimizer.step()",
        "early": "step the scheduler after optimizer.step()",
    }
    title = titles.get(str(subject).partition(" ")[0], titles["early"])
    if str(subject).startswith("never ") and site is not None:
        added = put_behind(source, (site.file, site.line), every_batch=subject == "never batch")
        return [Remedy(title, "changes-training", tuple(added))]
    safety: Safety = "safe" if subject == "early" else "changes-training"
    if module is None or not isinstance(statement, ast.Expr) or site is None:
        return [Remedy(title, safety)]
    text = module.segment(statement)
    loops = loops_around(module, site.line)
    target: ast.stmt | None = None
    if subject == "batch" and len(loops) >= 2:
        target = loops[0]
    elif subject in ("epoch", "early") and loops:
        steps = [module.parents.get(call) for call in module.calls("?.step", within=loops[0])]
        others = [s for s in steps if isinstance(s, ast.Expr) and module.segment(s) != text]
        target = others[0] if len(others) == 1 else None
    if target is None:
        return [Remedy(title, safety)]
    return [Remedy(title, safety, (module.delete(statement), module.insert_after(target, text)))]


def in_source(source: Source) -> Iterator[Finding]:
    """A scheduler that nothing steps, one stepped before its optimizer, a one-cycle stepped by epochs."""
    every = entries(source)
    places = [(entry, place) for entry in every for place in entry.places]
    for _, made in places:
        schedule = made.event.result
        if not isinstance(schedule, Call) or not is_scheduler(schedule) or made.event.name != "call":
            continue
        optimizer = settled(schedule.argument(0, "optimizer"))
        own = [(e, p) for e in every for p in e.calls("step") if owner_of(p.event) is schedule]
        trained = [
            (e, p) for e in every for p in e.calls("step") if stepped(p.event) is optimizer and p.loop is not None
        ]
        if schedule is not made.event.result or not trained or not is_optimizer(optimizer):
            continue
        if not own:
            used = any(_uses(place.event, schedule) for _, place in places)
            unknown = any(not _known(owner_of(p.event)) for e in every for p in e.calls("step"))
            if not used and not unknown:
                text = "this scheduler is made and never stepped: the learning rate stays where it is"
                yield Finding(site_of_event(schedule), (Evidence(text),), 0.95, subject="never")
        elif len(own) == 1 and len(trained) == 1 and own[0][0] is trained[0][0]:
            yield from _misplaced(constructor(schedule).rpartition(".")[2], schedule, own[0][1], trained[0][1])


def _misplaced(kind: str, schedule: Call, own: Place, step: Place) -> Iterator[Finding]:
    """`own`: the scheduler's step. Only steps without an argument: an epoch that is given may be any."""
    if own.event.args or own.event.kwargs or own.loop is None or kind == "ReduceLROnPlateau":
        return
    if kind == "OneCycleLR" and "steps_per_epoch" in schedule.kwargs:
        if own.loop in step.around and own.loop is not step.loop and not step.event.args:
            text = (
                "made for one step a batch (steps_per_epoch), and stepped once an epoch: the cycle never gets anywhere"
            )
            yield Finding(site_of_event(own.event), (Evidence(text),), 0.95, subject="epoch")
    elif kind in FALLING and own.order < step.order and own.around[-1] is own.loop and own.loop in step.around:
        text = "stepped before the optimizer in each round: the first value of the schedule is never used"
        yield Finding(site_of_event(own.event), (Evidence(text),), 0.9, subject="early")


def _known(value: Value | None) -> bool:
    return is_optimizer(value) or is_scheduler(value) or is_scaler(value)


def _uses(event: Event, schedule: Call) -> bool:
    """Whether anything is done with a scheduler but asking it for its rate."""
    if any(holds(each, schedule) for each in (*event.args, *event.kwargs.values())):
        return event.name == "call"
    return owner_of(event) is schedule and called(event) not in ("get_last_lr", "state_dict")


FALLING = {"StepLR", "MultiStepLR", "ExponentialLR", "CosineAnnealingLR", "PolynomialLR", "CosineAnnealingWarmRestarts"}


CONDITION = Condition(
    "scheduler-order",
    "warning",
    needs=("schedules", "loop_windows", "optimizers", "loaders"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    explains=("scheduler-kills-lr", "lr-too-low", "uninformative-labels"),
)
