"""Gradient accumulation that loses, repeats or mis-scales part of its batches.

## What happens
A window of several backward passes is meant to act as one large batch: scale each loss by the size of the window, let
the gradients add up, then step and clear once. Four ways to get it wrong, none of which raises an error:
`zero_grad()` at every micro-batch while `step()` comes at every N-th, so that N - 1 of N batches are thrown
away; `step()` at every micro-batch while `zero_grad()` comes at every N-th, so that each gradient is applied up to N
times; the tail of an epoch, which is shorter than a window, cleared at the start of the next epoch (61 batches in
windows of 32 lose 29 of them: half of the data never reaches the weights); and a loss that is not divided by N, or is
divided by something else, under SGD, where the step is then N times as long as the learning rate says.

## How it is told apart
Decided on counts of the run: how many backward passes each step used, and how many were cleared before any optimizer
stepped, together with the test in the source that lets step() or zero_grad() run only now and then.
- `missing-zero-grad`: nothing accumulates on purpose; here a periodic test shows that it is meant.
- `misplaced-zero-grad`: cleared between the last backward and the step, every time. `missing-step`: no step at all.
- `lr-too-high`: the same overshoot without a window. `ineffective-clipping`: caps what has been accumulated.
Not this: a GAN whose generator pass leaves gradients in the discriminator that are cleared there; sharpness-aware
steps; a window that is not divided under Adam, which divides the size out; a short last window that is stepped with.

## Remedy
One test for both calls, true at the end of an epoch too, and the loss divided by the window:

    (loss / window).backward()
    if (i + 1) % window == 0 or i + 1 == len(loader):
        optimizer.step()
        optimizer.zero_grad()

## Sources
- ultralytics pull request 11217, https://github.com/ultralytics/ultralytics/pull/11217
  [the last batches of an epoch that never reach the weights]
- PyTorch, Automatic mixed precision examples, Gradient accumulation,
  https://docs.pytorch.org/docs/stable/notes/amp_examples.html [divide, step and clear once a window]
- Hugging Face, Fixing gradient accumulation, https://huggingface.co/blog/gradient_accumulation
  [what a mean of means does to the scale]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...record import Progress, Record, Site, progress
from ...record.loop import Accumulated, accumulated, lines_of
from ...record.record import Optimizer
from ...record.steps import Steps
from ...source import Edit, Module, Source
from ...source.program import Branch, Loop
from ...source.program.kinds import within
from ...source.program.queries import Place, called, entries
from ...source.program.queries import clears as clears_gradients
from ...source.program.training import is_handed_on, is_made_in, is_of, rounds
from ...source.program.values import Op
from ...source.rhythm import period
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import fails, middle, optimizers_of, site_at, site_of_event, standing


def in_run(
    record: Record,
    source: Source,
    *,
    min_lost: float = 0.1,  # of all backward passes; a tail of a few in a hundred costs nobody anything
    min_stale: float = 0.4,  # of the steps: a window of two that is cleared every other step gives a half
    max_divisor: float = 3.0,  # how many times too small the loss may be made; tails and mixed weights give up to 2
    min_jump: float = 0.1,  # |change| / |weight| of one step; clinic: healthy runs stay below
    min_overshoot: float = 1.2,  # beyond the minimum along the step
) -> Answer:
    """Backward passes that no step used, or used several times, or with the wrong weight."""
    if not record.rows("accumulation"):
        yield NotEvaluated("no backward pass was followed by a step of an optimizer")
        return
    for optimizer in record.optimizers[:6]:
        found = (
            _dropped(record, source, optimizer, min_lost)
            or _stale(record, source, optimizer, min_stale)
            or _scaled(record, source, optimizer, max_divisor, min_jump, min_overshoot)
        )
        if found is not None:
            yield found
            return


def _tests(record: Record, source: Source, letter: str, optimizer: Optimizer) -> list[tuple[Module, ast.If] | None]:
    """For each line where an optimizer steps (S) or is cleared (z): the periodic test that it stands under."""
    lines = lines_of(record, letter, optimizer.number)
    # What comes once, before the loop begins, is no part of its rhythm.
    often = [
        site for site, count in lines if count > 0.05 * lines[0][1] and not _outside(record, source, site, optimizer)
    ]
    return [period(source, site.file, site.line) for site in often]


def _outside(record: Record, source: Source, site: Site, optimizer: Optimizer) -> bool:
    """Whether a line stands around the loop in which an optimizer steps: cleared once before an epoch begins."""
    module = source.module(site.file)
    for step, _ in lines_of(record, "S", optimizer.number):
        loop = module.loop_at(step.line) if module is not None and step.file == site.file else None
        same = module is not None and module.function_at(step.line) is module.function_at(site.line)
        if loop is None or not same or loop.lineno <= site.line <= (loop.end_lineno or loop.lineno):
            return False
    return bool(lines_of(record, "S", optimizer.number))


def _dropped(record: Record, source: Source, optimizer: Optimizer, min_lost: float) -> Finding | None:
    mine = {o.number for o in record.objectives if optimizers_of(record, o) == [optimizer]}
    found = [entry for entry in accumulated(record, optimizer.number) if entry.site in mine or entry.site is None]
    lost = [entry for entry in found if entry.dropped and record.site(entry.clear_site) is not None]
    used = sum(entry.passes for entry in found if not entry.dropped)
    gone = sum(entry.passes for entry in lost)
    tests = [test for test in _tests(record, source, "S", optimizer) if test is not None]
    if not used or not tests or gone < min_lost * (gone + used):
        return None
    worst = max(lost, key=lambda entry: entry.passes)
    module, test = tests[0]
    share = gone / (gone + used)
    each = _inside(source, record.site(worst.clear_site), module, test)
    what = (
        "zero_grad() runs at every micro-batch, step() only now and then"
        if each
        else "the last, shorter window of an epoch is cleared and never stepped with"
    )
    site = record.site(worst.clear_site) if each else site_at(module, test)
    text = f"{gone} of {gone + used} backward passes ({share:.0%}) were cleared before any step used them: {what}"
    return Finding(site, (Evidence(text, "accumulation", share, 0.0),), 0.96, subject=("each" if each else "tail"))


def _inside(source: Source, clear: Site | None, module: Module, test: ast.If) -> bool:
    """Whether the clearing stands in the same loop as the test, outside of it."""
    loop = module.enclosing(test, ast.For, ast.While)
    if loop is None and clear is not None:  # a function that handles one micro-batch
        return source.module(clear.file) is module and module.function_at(clear.line) is module.function_at(test.lineno)
    if clear is None or source.module(clear.file) is not module:
        return False
    return isinstance(loop, (ast.For, ast.While)) and loop.lineno <= clear.line <= (loop.end_lineno or 0)


def _stale(record: Record, source: Source, optimizer: Optimizer, min_stale: float) -> Finding | None:
    norms = Steps(record, optimizer).stale.column("norm")
    carried = norms > 0
    if carried.sum() < 3 or carried.mean() < min_stale:
        return None
    steps, clears = _tests(record, source, "S", optimizer), _tests(record, source, "z", optimizer)
    lines = lines_of(record, "S", optimizer.number)
    if not steps or not lines:
        return None
    share = f"at {int(carried.sum())} of {len(norms)} sampled steps the gradient already stepped with was still there: "
    if clears and all(test is not None for test in clears) and steps[0] is None:
        text = share + "step() runs at every micro-batch, zero_grad() only at the end of a window"
        return Finding(
            lines[0][0], (Evidence(text, "stale_gradients", float(carried.mean()), 0.0),), 0.96, subject="step"
        )
    if not clears and steps[0] is not None and not lines_of(record, "m"):
        text = share + "windows are accumulated and stepped with, and never cleared"
        return Finding(
            lines[0][0], (Evidence(text, "stale_gradients", float(carried.mean()), 0.0),), 0.96, subject="zero"
        )
    return None


def _scaled(
    record: Record, source: Source, optimizer: Optimizer, max_divisor: float, min_jump: float, min_overshoot: float
) -> Finding | None:
    """A window whose loss is not divided by its size, or by much more, under a rule whose steps follow the size."""
    if optimizer.adaptive or not any(_tests(record, source, "S", optimizer)):
        return None
    for entry in progress(record):
        size = _window(record, optimizer, entry)
        call = record.calls.get(entry.call, {}) if entry.call is not None else {}
        if size < 2 or call.get("reduction") != "mean" or len(entry.objective.calls) != 1:
            continue
        weight = entry.scale * size  # 1 where it is divided by the size of the window
        site = entry.objective.site
        steps = Steps(record, optimizer)
        jump, overshoot = middle(steps.ratios[:8]), middle(steps.overshoot)
        if weight > 0.7 * size and size >= 3:
            wild = entry.nonfinite or (fails(entry) and (jump > min_jump or overshoot > min_overshoot))
            text = (
                f"each step sums {size} backward passes of a mean loss that is not divided by {size}: under "
                f"{optimizer.kind} the step is {size} times as long as the learning rate says"
            )
            evidence = (Evidence(text, "accumulation", weight, 1.0), Evidence(standing(entry), "objective", entry.last))
            return Finding(site, evidence, 0.9, severity=None if wild else "info", subject=("divide", size))
        if 0 < weight < 1 / max_divisor and fails(entry, 0.7):
            text = (
                f"each step sums {size} backward passes, and each loss is divided by {1 / entry.scale:.3g}: under "
                f"{optimizer.kind} the step is {1 / weight:.3g} times shorter than the learning rate says"
            )
            evidence = (Evidence(text, "accumulation", weight, 1.0), Evidence(standing(entry), "objective", entry.last))
            return Finding(site, evidence, 0.85, subject=("divide", size))
    return None


def _window(record: Record, optimizer: Optimizer, entry: Progress) -> int:
    found = [a for a in accumulated(record, optimizer.number) if not a.dropped and a.site == entry.objective.number]
    return found[0].usual if found and isinstance(found[0], Accumulated) else 0


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The call moved, or the test completed."""
    site, subject = finding.site, finding.subject
    module = source.module(site.file) if site is not None else None
    statement = module.statement_at(site.line) if module is not None and site is not None else None
    if subject == "tail":
        title = "step with the last, shorter window too: make the test true at the last batch of an epoch"
        if module is None or not isinstance(statement, ast.If):
            return [Remedy(title, "safe")]
        last = _last_batch(module, statement)
        edits = (
            () if last is None else (module.replace(statement.test, f"{_grouped(module, statement.test)} or {last}"),)
        )
        return [Remedy(title, "safe", edits)]
    if subject == "each":
        title = "clear once a window: move zero_grad() behind step(), under the same test"
        if module is None or statement is None:
            return [Remedy(title, "safe")]
        step = next(iter(_steps_in(module, statement)), None)
        if step is None or not isinstance(statement, ast.Expr):
            return [Remedy(title, "safe")]
        return [Remedy(title, "safe", (module.delete(statement), module.insert_after(step, module.segment(statement))))]
    if subject == "zero":
        title = "clear once a window: zero_grad() behind step(), under the same test"
        if module is None or not isinstance(statement, ast.Expr):
            return [Remedy(title, "safe")]
        name = module.segment(statement).partition(".step")[0]
        return [Remedy(title, "safe", (module.insert_after(statement, f"{name}.zero_grad()"),))]
    if subject == "step":
        title = "step once a window: move step() in front of zero_grad(), under the same test"
        if module is None or not isinstance(statement, ast.Expr):
            return [Remedy(title, "safe")]
        name = module.segment(statement).partition(".step")[0]
        around = module.enclosing(statement, ast.For, ast.While)  # not the clearing in front of an epoch
        clears = [
            c for c in module.calls("?.zero_grad", within=around) if module.segment(c.func) == f"{name}.zero_grad"
        ]
        clears = [c for c in clears if isinstance(module.enclosing(c, ast.If, ast.For, ast.While), ast.If)] or clears
        clear = module.enclosing(clears[0], ast.stmt) if len(clears) == 1 else None
        if not isinstance(clear, ast.stmt):
            return [Remedy(title, "safe")]
        return [
            Remedy(title, "safe", (module.delete(statement), module.insert_before(clear, module.segment(statement))))
        ]
    title = "divide each loss by the number of backward passes in a window"
    weight = finding.evidence[0].value
    large = weight is not None and weight > 1
    divided = _divided(source, module, site.line) if large and module is not None and site is not None else []
    return [Remedy(title, "changes-training", tuple(divided))]


def _divided(source: Source, module: Module, line: int) -> list[Edit]:
    """`(loss / n).backward()`, with the n of the modulo that the step of the same loop stands under."""
    statement = module.statement_with(line, "backward")
    calls = list(module.calls("?.backward", within=statement)) if statement is not None else []
    loop = module.enclosing(calls[0], ast.For, ast.While) if len(calls) == 1 else None
    if loop is None or not isinstance(calls[0].func, ast.Attribute) or not isinstance(calls[0].func.value, ast.Name):
        return []
    tests = [
        node.right
        for step in module.calls("?.step", within=loop)
        if (found := period(source, module.file, step.lineno)) is not None and found[0] is module
        for node in ast.walk(found[1].test)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod)
    ]
    counts = {module.segment(node) for node in tests if isinstance(node, (ast.Name, ast.Attribute, ast.Constant))}
    value = calls[0].func.value
    return [module.replace(value, f"({value.id} / {counts.pop()})")] if len(counts) == 1 else []


def _steps_in(module: Module, statement: ast.stmt) -> list[ast.Expr]:
    """Statements `<same optimizer>.step()` in the loop around a zero_grad()."""
    name = module.segment(statement).partition(".zero_grad")[0]
    loop = module.enclosing(statement, ast.For, ast.While)
    found = []
    for call in module.calls("?.step", within=loop):
        outer = module.parents.get(call)
        if isinstance(outer, ast.Expr) and module.segment(call.func) == f"{name}.step":
            found.append(outer)
    return found


def _last_batch(module: Module, test: ast.If) -> str | None:
    """`i + 1 == len(loader)` for the loop `for i, batch in enumerate(loader)` around a test."""
    loop = module.enclosing(test, ast.For)
    if not isinstance(loop, ast.For) or not isinstance(loop.iter, ast.Call) or not isinstance(loop.target, ast.Tuple):
        return None
    call = loop.iter
    if module.dotted(call.func) != "enumerate" or not call.args or not isinstance(loop.target.elts[0], ast.Name):
        return None
    if not isinstance(call.args[0], (ast.Name, ast.Attribute)):
        return None
    start = next((k.value for k in call.keywords if k.arg == "start"), call.args[1] if len(call.args) > 1 else None)
    counter = loop.target.elts[0].id
    first = "" if isinstance(start, ast.Constant) and start.value == 1 else " + 1"
    return f"{counter}{first} == len({module.segment(call.args[0])})" if start is None or not first else None


def _grouped(module: Module, test: ast.expr) -> str:
    text = module.segment(test)
    return f"({text})" if isinstance(test, (ast.BoolOp, ast.IfExp, ast.NamedExpr)) else text


def in_source(source: Source) -> Iterator[Finding]:
    """Clearing and stepping in one loop, of which only one stands under a test of the batch's number."""
    for entry in entries(source):
        for loop, optimizer, step, backwards in rounds(entry):
            clears = [p for p in entry.calls("zero_grad") if loop in p.around and is_of(p.event, optimizer)]
            others = [p for p in entry.places if loop in p.around and clears_gradients(p.event) and p not in clears]
            direct = [p for p in backwards if p.around[-1] is loop]
            if others or not direct or is_handed_on(entry, optimizer, loop) or is_made_in(entry, optimizer, loop):
                continue
            site, subject = None, ""
            periodic, every = _periodic(step, loop), step.around[-1] is loop
            if periodic and clears and all(p.around[-1] is loop and p.order < direct[0].order for p in clears):
                text = "zero_grad() runs at every micro-batch, step() only now and then: what came between is lost"
                site, subject = site_of_event(clears[0].event), "each"
            elif every and clears and all(_periodic(p, loop) for p in clears):
                text = "step() runs at every micro-batch, zero_grad() only once a window: gradients are reused"
                site, subject = site_of_event(step.event), "step"
            elif periodic and not any(
                called(p.event) == "zero_grad" or p.event.attribute == "grad" for p in entry.places
            ):
                text = "windows of gradients are accumulated and stepped with, and never cleared"
                site, subject = site_of_event(step.event), "zero"
            if site is not None:
                yield Finding(site, (Evidence(text),), 0.95, subject=subject)


def _periodic(place: Place, loop: Loop) -> bool:
    """Whether it happens in some rounds of the loop, by a remainder."""
    tests = [each.test for each in place.around[place.around.index(loop) :] if isinstance(each, Branch)]
    return any(isinstance(part, Op) and part.operator == "Mod" for test in tests for part in within(test, limit=30))


CONDITION = Condition(
    "broken-accumulation",
    "error",
    needs=("accumulation", "stale_gradients", "loop_windows", "objective", "updates"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    structural=True,
    explains=(
        "missing-zero-grad",
        "lr-too-high",
        "lr-too-low",
        "exploding-gradients",
        "nonfinite-loss",
        "dead-relu",
        "saturated-activations",
        "uninformative-labels",
    ),
)
