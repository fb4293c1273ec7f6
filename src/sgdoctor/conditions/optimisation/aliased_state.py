"""A kept state dict shares its memory with the live model, and changes with it.

## What happens
`state_dict()` returns references. `best = model.state_dict()` remembers nothing: every later step writes into it, and
`model.load_state_dict(best)` at the end copies the last weights onto themselves. The script reports the best epoch and
delivers the last one. The same when such a dict is saved later, loaded into another model, or was meant to reset the
model for the next fold, which then starts from trained weights. A target network that is assigned instead of copied is
one network with two names: synchronising it does nothing, and the targets move with every step. A new dict of the
same tensors is no copy either: `{k: v.cpu() for k, v in model.state_dict().items()}` copies on a GPU and not on a CPU,
and an average of the weights that starts from `p.data` shrinks the weights themselves at every update.

## How it is told apart
Decided on the memory: at the moment of the load (or the save) every tensor of the dict lies where the model's own lies,
and optimizer steps were taken between taking it and using it; for other dicts of the same tensors the source says where
they are made, and what is written into them. Or several dicts of one model, taken at different steps, are held at once
(a snapshot ensemble).
- `checkpoint-not-loaded`: the load finds other names; here it finds all of them, with the wrong content.
- `overfitting`: why the best epoch was to be kept at all. `undetached-target`: another fault of target networks.
Not this: a dict that is saved or loaded at once; a copy (deepcopy, clone); one live view made at the start and saved
every epoch; loading with assign=True; tied weights.

## Remedy
Copy what is to be remembered:

    best = copy.deepcopy(model.state_dict())
    target = copy.deepcopy(online)

## Sources
- PyTorch tutorials, Saving and loading models,
  https://docs.pytorch.org/tutorials/beginner/saving_loading_models.html
  [best_model_state = model.state_dict() returns a reference; it keeps getting updated: use deepcopy]
- PyTorch, Module.state_dict, https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
  [the returned object is a shallow copy that contains references to the module's tensors]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...record import Record, Row, Site
from ...record.record import number
from ...source import Edit, Source
from ...source.program import Value
from ...source.program.kinds import is_module, modules_of, options, settled
from ...source.program.queries import Entry, Place, entries, owner_of, stepped
from ...source.program.values import Attr, Call
from ...source.shadows import apart, shallow, written
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_at, site_of_event

ALL = 0.9  # share of the parameters that lie in one memory; a tied or a shared layer alone gives far less


def in_run(
    record: Record,
    source: Source,
    *,
    min_steps: int = 1,  # optimizer steps between taking the dict and using it: one is enough to make it another
) -> Answer:
    """A state dict is used after the model, and it with the model, has moved on."""
    rows = [*record.rows("loading"), *record.rows("saving")]
    if not record.rows("torch"):
        yield NotEvaluated("no torch was seen")
        return
    for row in rows:
        steps = row.get("step", 0) - row.get("taken_step", row.get("step", 0))
        found = _loaded(record, row, steps, min_steps) if row.get("k") == "loading" else _saved(record, row, steps)
        found = found or _shallow(record, source, row, min_steps)
        if found is not None:
            yield found
            return
    for row in record.rows("holding")[-1:]:
        if number(row.get("aliased")) > ALL:
            text = (
                f"{row.get('count')} state dicts taken here at different steps are held at once, and all are views of "
                "the live model: each has the weights of the last step, not of its own"
            )
            yield Finding(record.site(row.get("site")), (Evidence(text, "checkpoints", row.get("count"), 1.0),), 0.93)
            return
    yield from _averaged(source)


def _shallow(record: Record, source: Source, row: Row, min_steps: int) -> Finding | None:
    """Another dict that holds the model's own tensors is loaded back."""
    here = record.site(row.get("site"))
    if row.get("k") != "loading" or "taken_step" in row or here is None or row.get("step", 0) < min_steps:
        return None
    home = source.module(here.file)
    load = home.statement_at(here.line) if home is not None else None
    if not number(row.get("aliased")) > ALL or load is None:
        return None
    for module in source:
        for statement, _ in shallow(module):
            if module is home and not apart(module, statement, load):
                continue
            text = (
                f"what is kept here is a new dict with the model's own tensors: loaded back{_at(record, here)}, it "
                "held the weights of that moment, and the load changed nothing"
            )
            evidence = Evidence(text, "checkpoints", number(row.get("aliased")), 0.0)
            return Finding(site_at(module, statement), (evidence,), 0.93, subject="shallow")
    return None


def _averaged(source: Source) -> Iterator[Finding]:
    """An average of the weights, or another copy that is written to, which lies where the weights lie."""
    for module in source:
        for statement, call in written(module):
            text = (
                f"the tensors that are kept here are the model's own, no copies: line {call.lineno} writes into them, "
                "and so into the model"
            )
            yield Finding(site_at(module, statement), (Evidence(text),), 0.9, subject="shallow")
            return


def _loaded(record: Record, row: Row, steps: int, min_steps: int) -> Finding | None:
    here, taken = record.site(row.get("site")), record.site(row.get("taken_site"))
    aliased, live = number(row.get("aliased")), number(row.get("live"))
    if row.get("own") and steps >= min_steps and aliased > ALL:
        text = (
            f"the state dict taken here was loaded back {steps} optimizer steps later{_at(record, here)}: "
            "its tensors are the model's own, so that the load changed nothing and nothing had been kept"
        )
        return Finding(taken, (Evidence(text, "checkpoints", aliased, 0.0),), 0.97)
    if row.get("own") is False and steps >= min_steps and live > ALL:
        text = (
            f"the state dict taken here was loaded into another model {steps} optimizer steps "
            f"later{_at(record, here)}: it is a view of the live model and gave its latest weights"
        )
        return Finding(taken, (Evidence(text, "checkpoints", live, 0.0),), 0.93)
    if row.get("own") and not steps and aliased > ALL and here == taken and row.get("step", 0):
        times = sum(r.get("site") == row.get("site") and bool(r.get("own")) for r in record.rows("loading"))
        text = (
            f"a module loads its own state ({times} times at this line): the two names stand for one module, and the "
            "copy that is meant does not exist"
        )
        return Finding(here, (Evidence(text, "checkpoints", aliased, 0.0),), 0.95, subject="same")
    return None


def _saved(record: Record, row: Row, steps: int) -> Finding | None:
    # One that was taken before the first step and is saved again and again is a view, and meant as one.
    if steps < 1 or not row.get("taken_step") or not number(row.get("aliased")) > ALL:
        return None
    text = (
        f"the state dict taken here was written to a file {steps} optimizer steps later"
        f"{_at(record, record.site(row.get('site')))}: the file holds the weights of that moment, not of this one"
    )
    return Finding(record.site(row.get("taken_site")), (Evidence(text, "checkpoints", float(steps), 0.0),), 0.93)


def _at(record: Record, site: Site | None) -> str:
    return f" (line {record.shown(site).line})" if site is not None else ""


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """A copy of each tensor."""
    if finding.subject == "same":
        return [Remedy("make the second network a copy: copy.deepcopy(network)", "changes-training")]
    if finding.subject == "shallow":
        return [Remedy("clone what is kept: value.detach().clone()", "safe", _cloned(source, finding.site))]
    title = "copy the state dict: copy.deepcopy(model.state_dict())"
    site = finding.site
    module = source.module(site.file) if site is not None else None
    if module is None or site is None:
        return [Remedy(title, "safe")]
    calls = [call for call in module.calls("?.state_dict") if call.lineno <= site.line <= (call.end_lineno or 0)]
    if len(calls) != 1 or isinstance(module.parents.get(calls[0]), ast.Attribute):
        return [Remedy(title, "safe")]
    text = module.segment(calls[0])
    edit = module.replace(calls[0], f"{{key: value.detach().clone() for key, value in {text}.items()}}")
    return [Remedy(title, "safe", (edit,))]


def _cloned(source: Source, site: Site | None) -> tuple[Edit, ...]:
    module = source.module(site.file) if site is not None else None
    statement = module.statement_at(site.line) if module is not None and site is not None else None
    made = statement.value if isinstance(statement, ast.Assign) else None
    value = made.value if isinstance(made, ast.DictComp) else made.elt if isinstance(made, ast.ListComp) else None
    if module is None or value is None:
        return ()
    return (module.replace(value, f"{module.segment(value)}.clone()"),)


def in_source(source: Source) -> Iterator[Finding]:
    """A model gets back what its own state_dict() gave, without a copy, and it was trained in between."""
    yield from _averaged(source)
    for entry in entries(source):
        for load in entry.calls("load_state_dict"):
            model = owner_of(load.event)
            if not load.event.args or model is None or not is_module(model):
                continue
            for state in options(load.event.args[0]):
                if not isinstance(state, Call) or not isinstance(state.fn, Attr) or state.fn.name != "state_dict":
                    continue
                taken = next((place for place in entry.places if place.event.result is state), None)
                if taken is None or settled(state.fn.of) is not model or not _trained(entry, model, taken, load):
                    continue
                text = f"state_dict() gives the live weights, no copy: what line {load.event.line} puts back is "
                text += "what the model has by then"
                yield Finding(site_of_event(taken.event), (Evidence(text),), 0.95, subject="same")


def _trained(entry: Entry, model: Value, taken: Place, load: Place) -> bool:
    """Whether an optimizer of the model steps between the two, or in a loop around one of them."""
    if taken.loop is not None and taken.loop is load.loop and taken.order > load.order:
        return False
    for step in entry.calls("step"):
        optimizer = stepped(step.event)
        if optimizer is None or not any(each is model for part in optimizer.parts() for each in modules_of(part)):
            continue
        if taken.order < step.order < load.order:
            return True
        around = set(map(id, taken.loops)) ^ set(map(id, load.loops))
        if around & set(map(id, step.loops)):
            return True
    return False


CONDITION = Condition(
    "aliased-state",
    "error",
    needs=("checkpoints",),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    flatters=True,
)
