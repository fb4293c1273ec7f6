"""A kept state dict shares its memory with the live model, and changes with it.

## What happens
`state_dict()` returns references. `best = model.state_dict()` remembers nothing: every later step writes into it, and
`model.load_state_dict(best)` at the end copies the last weights onto themselves. The script reports the best epoch and
delivers the last one. The same when such a dict is saved later, loaded into another model, or was meant to reset the
model for the next fold, which then starts from trained weights. A target network that is assigned instead of copied is
one network with two names: synchronising it does nothing, and the targets move with every step.

## How it is told apart
Decided on the memory: at the moment of the load (or the save) every tensor of the dict lies where the model's own lies,
and optimizer steps were taken between taking it and using it. Or several dicts of one model, taken at different steps,
are held at once (a snapshot ensemble).
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

from ...record import Record, Row, Site
from ...record.record import number
from ...source import Source
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy

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


def _loaded(record: Record, row: Row, steps: int, min_steps: int) -> Finding | None:
    here, taken = record.site(row.get("site")), record.site(row.get("taken_site"))
    aliased, live = number(row.get("aliased")), number(row.get("live"))
    if row.get("own") and steps >= min_steps and aliased > ALL:
        text = (
            f"the state dict taken here was loaded back {steps} optimizer steps later{_at(here)}: its tensors are the "
            "model's own, so that the load changed nothing and nothing had been kept"
        )
        return Finding(taken, (Evidence(text, "checkpoints", aliased, 0.0),), 0.97)
    if row.get("own") is False and steps >= min_steps and live > ALL:
        text = (
            f"the state dict taken here was loaded into another model {steps} optimizer steps later{_at(here)}: it "
            "is a view of the live model and gave its latest weights"
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
        f"{_at(record.site(row.get('site')))}: the file holds the weights of that moment, not of this one"
    )
    return Finding(record.site(row.get("taken_site")), (Evidence(text, "checkpoints", float(steps), 0.0),), 0.93)


def _at(site: Site | None) -> str:
    return f" (line {site.line})" if site is not None else ""


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """A copy of each tensor."""
    if finding.subject == "same":
        return [Remedy("make the second network a copy: copy.deepcopy(network)", "changes-training")]
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


CONDITION = Condition("aliased-state", "error", needs=("checkpoints",), in_run=in_run, remedies=remedies)
