"""ReduceLROnPlateau waits for a metric to move the wrong way.

## What happens
`ReduceLROnPlateau` has `mode='min'` by default: it lowers the rate when what it is fed has not fallen for `patience`
steps. Fed an accuracy, an R2 or an F1 score, which rises while the model learns, it sees a failure in every epoch after
the first, and cuts the rate again and again just because training succeeds. After a few dozen epochs nothing moves.
`mode='max'` with a loss is the same fault the other way round.

## How it is told apart
Decided on what the scheduler was fed, its direction over the run against its mode, on the rate it made of it, and on
what the fed expression is computed from in the source.
- `scheduler-kills-lr`: the same end for other reasons (milestones, gamma, a rule by hand).
- `plateau-on-training-loss`: the right direction, but the wrong quantity to watch.
- `overfitting`: a validation loss that rises is a loss none the less; 'min' is right, and cutting the rate is meant.
- `scheduler-order`: stepped at the wrong beat.
Not this: a negated metric (`-accuracy`, `1 - accuracy`) with 'min'.

## Remedy
The mode that fits the metric:

    scheduler = ReduceLROnPlateau(optimizer, mode="max", patience=3)   # fed with an accuracy

## Sources
- PyTorch, ReduceLROnPlateau,
  https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html
  [min: lr is reduced when the quantity has stopped decreasing; max: increasing]
- Lightning, Customize and control optimization, https://lightning.ai/docs/pytorch/stable/common/optimization.html
  [the metric that such a scheduler monitors has to be named]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...record import Record
from ...record.schedules import Schedule, schedules
from ...source import Module, Source
from ...source.program.kinds import constructor
from ...source.program.queries import entries, owner_of
from ...source.program.tensors import metric_kind
from ...source.program.values import Call, Const
from ...source.quantity import kind_of
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import judged, site_of_event


def in_run(
    record: Record,
    source: Source,
    *,
    min_fed: int = 4,  # values: fewer have no direction
    min_trend: float = 0.3,  # rank correlation with time of a quantity that the source names; noise gives up to 0.3
    min_blind_trend: float = 0.7,  # and of one that it does not name; a validation loss that overfits falls first
    max_rate: float = 0.9,  # last rate over the highest: it has been cut at least once
) -> Answer:
    """What is fed moves in the direction of success, and the scheduler takes it for failure."""
    found = [schedule for schedule in schedules(record) if schedule.plateau]
    if not found:
        yield NotEvaluated("no ReduceLROnPlateau was seen")
        return
    for schedule in found:
        wrong = {"min": 1.0, "max": -1.0}.get(schedule.mode or "")
        if wrong is None or not len(schedule.fed) >= min_fed:
            continue
        kind = _kind(source, schedule)
        against = {"min": "rises", "max": "falls"}[schedule.mode or "min"]
        trend = wrong * schedule.trend
        cut = schedule.lowered < max_rate
        named = kind == against and trend > min_trend
        blind = kind is None and cut and trend > min_blind_trend and _succeeds(record)
        if blind and schedule.mode == "min":
            blind = bool(schedule.fed.min() >= 0 and schedule.fed.max() <= 1 and schedule.fed[0] == schedule.fed.min())
        if not named and not blind:
            continue
        what = "an accuracy or a score" if schedule.mode == "min" else "a loss"
        how = "rose" if schedule.mode == "min" else "fell"
        text = (
            f"{schedule.kind} with mode '{schedule.mode}' was fed {what}, which {how} from {schedule.fed[0]:.4g} to "
            f"{schedule.fed[-1]:.4g}: it took the progress for a failure"
        )
        if cut:
            text += f" and cut the rate from {schedule.rates.max():.3g} to {schedule.rates[-1]:.2g}"
        evidence = (Evidence(text, "schedules", schedule.trend, 0.0),)
        confidence = (0.96 if cut else 0.85) if named else 0.75
        yield Finding(schedule.site, evidence, confidence, subject="max" if schedule.mode == "min" else "min")
        return


def _kind(source: Source, schedule: Schedule) -> str | None:
    """Whether the fed quantity rises or falls as training succeeds, by the source."""
    site = schedule.step_site
    module = source.module(site.file) if site is not None else None
    if module is None or site is None:
        return None
    for call in module.calls("?.step"):
        if call.lineno <= site.line <= (call.end_lineno or call.lineno) and (call.args or call.keywords):
            return kind_of(source, module, call.args[0] if call.args else call.keywords[0].value)
    return None


def _succeeds(record: Record) -> bool:
    """Whether the training loss falls: a metric that moves with it is one of success."""
    return any(entry.drop > 0.1 for entry in judged(record))


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The other mode."""
    mode = str(finding.subject)
    title = f"give the scheduler mode='{mode}'"
    site = finding.site
    module = source.module(site.file) if site is not None else None
    call = _made(module, site.line) if module is not None and site is not None else None
    if module is None or call is None:
        return [Remedy(title, "changes-training")]
    given = next((k.value for k in call.keywords if k.arg == "mode"), call.args[1] if len(call.args) > 1 else None)
    if given is not None:
        return [Remedy(title, "changes-training", (module.replace(given, f'"{mode}"'),))]
    if not call.args or isinstance(call.args[0], ast.Starred):
        return [Remedy(title, "changes-training")]
    first = module.replace(call.args[0], f'{module.segment(call.args[0])}, mode="{mode}"')
    return [Remedy(title, "changes-training", (first,))]


def _made(module: Module, line: int) -> ast.Call | None:
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call) or not node.lineno <= line <= (node.end_lineno or node.lineno):
            continue
        if module.dotted(node.func).rpartition(".")[2] == "ReduceLROnPlateau":
            return node
    return None


def in_source(source: Source) -> Iterator[Finding]:
    """What it is fed is a share of right answers, or a loss, and its mode is the other's."""
    for entry in entries(source):
        for place in entry.calls("step"):
            schedule = owner_of(place.event)
            if not isinstance(schedule, Call) or not constructor(schedule).endswith(".ReduceLROnPlateau"):
                continue
            mode = schedule.argument(1, "mode")
            direction = "min" if mode is None else mode.value if isinstance(mode, Const) else None
            fed = metric_kind(place.event.args[0] if place.event.args else place.event.kwargs.get("metrics"))
            if (fed, direction) not in (("loss", "max"), ("accuracy", "min")):
                continue
            other = "min" if fed == "loss" else "max"
            text = f"mode={direction!r}, and fed a {fed} at line {place.event.line}: the rate falls while it improves"
            yield Finding(site_of_event(schedule), (Evidence(text),), 0.95, subject=other)


CONDITION = Condition(
    "wrong-plateau-mode",
    "warning",
    needs=("schedules", "objective"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    explains=("scheduler-kills-lr", "lr-too-low", "uninformative-labels"),
)
