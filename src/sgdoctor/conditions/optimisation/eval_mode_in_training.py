"""The model stays in eval mode while it is trained.

## What happens
`model.eval()` is called for a validation and nobody calls `model.train()` again: `train()` stands before the epoch
loop, validation happens every few hundred steps, or inside a function that does not restore. Others start there:
Hugging Face's `from_pretrained` returns models in eval mode. From then on dropout does nothing, and batch norm uses its
stored statistics, which no longer follow the weights; in a model trained from scratch they may still be mean 0 and
variance 1, so that each batch norm layer is an identity with a learnt scale. Gradients flow and the training loss
falls, so the fault shows only as overfitting, instability in deep nets, or a training loss that jumps up when a new
epoch calls `train()` again. On CUDA an RNN tells: `cudnn RNN backward can only be called in training mode`.

## How it is told apart
Decided on the mode at forwards that are followed by backward: which modules with a mode-dependent behaviour (dropout
p > 0, batch norm) ran in eval, from which step on, and the line of the last `eval()`.
- `train-mode-in-eval`: the opposite. `overfitting`, `no-regularisation`: the mode is right, regularisation too weak.
- `batch-norm-eval-gap`: statistics are updated but do not match. `ineffective-freeze`: wanted eval, got train.
- `vanishing-gradients`, `exploding-gradients`: in a net from scratch these can follow from batch norm as identity.
Not this: batch norm kept in eval on purpose for fine-tuning or small batches (only norm layers in eval, the rest in
train); frozen teachers, encoders and critics in eval; models without dropout and batch norm, where the mode changes
nothing (then it is no more than a note); adversarial example generation.

## Remedy
Set the mode where it is needed, at the start of every training pass, and let evaluation restore what it found.

    for epoch in range(epochs):
        for x, y in loader:
            model.train()                            # cheap; safe if validation runs inside the loop
            ...
    was_training = model.training; model.eval(); ...; model.train(was_training)      # inside validate()

Expect the training loss to look worse and validation to improve; a published result may have been tuned with the fault
in, so compare before and after.

## Sources
- pytorch-fcn issue 57, https://github.com/wkentaro/pytorch-fcn/issues/57 [loss jumps when the next epoch calls train()]
- ethics issue 5, https://github.com/hendrycks/ethics/issues/5 [eval mode from the second epoch on]
- vsepp issue 4, https://github.com/fartashf/vsepp/issues/4 [mending it changed tuned results; kept behind a flag]
- pytorch-lightning issue 19820, https://github.com/Lightning-AI/pytorch-lightning/issues/19820
  [models loaded in eval mode: silent, a warning asked for]
"""

from __future__ import annotations

from collections.abc import Iterator

from ...record import Record, Row, Site
from ...source import Source
from ...source.modes import trained, uncalled
from ...source.program.modes import modes_of, sent_back
from ...source.program.modes import trained as steps_of
from ...source.program.queries import entries
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_at, site_of_event
from .train_mode_in_eval import LAYERS, latest


def in_run(
    record: Record,
    source: Source,
    *,
    min_passes: int = 5,  # fewer may be a look at the model before training
    min_share: float = 0.3,  # of the training passes from one line; a last validation batch is 1 in many
    min_backed: float = 0.8,  # share of those passes that a backward followed: they train
) -> Answer:
    """The model is in eval mode while it is trained."""
    rows = [row for row in latest(record) if isinstance(row.get("count"), int)]
    if not rows:
        yield NotEvaluated("the model has neither dropout nor batch norm, or none that was seen")
        return
    for row in rows:
        if row.get("active") or not row.get("graded") or not row.get("trains") or row["count"] < min_passes:
            continue
        if (row.get("backed") or 0) < min_backed * row["count"]:
            continue
        site, layer = row.get("site"), row.get("layer")
        active = sum(r["count"] for r in rows if r.get("site") == site and r.get("layer") == layer and r.get("active"))
        share = row["count"] / (row["count"] + active)
        # Another kind of layer that is active at the same line says: only a part was frozen, on purpose.
        others = sum(
            r["count"]
            for r in rows
            if r.get("site") == site and r.get("active") and r.get("first", 0) >= row.get("first", 0)
        )
        if share < min_share or others > 0.1 * row["count"] or _switched_alone(record, row):
            continue
        switch = _culprit(record, row)
        if switch is None:
            continue
        name = LAYERS.get(str(layer), str(layer))
        since = f"from step {row.get('first')} on" if row.get("first") else "from the start"
        text = f"{row['count']} training passes ({share:.0%}), {since}, ran with {name} in eval mode"
        where = record.site(switch.get("site"))
        evidence = [Evidence(text, "modes", share, 0.0)]
        if where is not None:
            after = "and no train() came after it" if _last_train(record) < int(switch.get("last") or 0) else ""
            seen = record.shown(where)
            evidence.append(Evidence(f"eval() was called at {seen.file}:{seen.line} {after}".rstrip(), "mode_switches"))
        place = _place(record, source, row, switch)
        yield Finding(place or where, tuple(evidence), 0.93, subject=(record.site(site), where))
        return


def _place(record: Record, source: Source, row: Row, switch: Row) -> Site | None:
    """Where the change belongs; eval() itself only where no evaluation comes back to it.

    An evaluation is right to call eval(): then it is the train() that is not called, or that is missing at the loop
    over batches. One inside that loop has to come back from it.
    """
    if int(switch.get("last") or 0) <= int(row.get("first") or 0):
        return record.site(switch.get("site"))
    for module, statement in uncalled(source):
        return site_at(module, statement)
    forward = record.site(row.get("site"))
    home = source.module(forward.file) if forward is not None else None
    loop = home.loop_at(forward.line) if home is not None and forward is not None else None
    inside = record.site(switch.get("site"))
    here = home is not None and inside is not None and inside.file == home.file
    if here and loop is not None and inside is not None and loop.lineno < inside.line <= (loop.end_lineno or 0):
        return inside
    return site_at(home, loop) if home is not None and loop is not None else forward


def _switched_alone(record: Record, row: Row) -> bool:
    """Whether the script puts layers of this kind into eval mode by themselves: it means to."""
    kind = str(row.get("layer")).replace("_", "")
    return any(
        entry.get("partial")
        and kind in str(entry.get("class")).lower()
        and int(entry.get("first") or 0) <= int(row.get("last") or 0)
        for entry in record.rows("switch", training=False)
    )


def _culprit(record: Record, row: Row) -> Row | None:
    """The eval() of a whole model that the passes came after; None where only layers were switched."""
    found: dict[object, Row] = {}
    for entry in record.rows("switch"):
        found[entry.get("i")] = entry
    whole = [e for e in found.values() if not e.get("training") and not e.get("partial")]
    before = [e for e in whole if int(e.get("first") or 0) <= int(row.get("last") or 0)]
    trained = [e for e in found.values() if e.get("training") and not e.get("partial")]
    # The script switches layers of this kind themselves: they are frozen on purpose, whatever came before.
    kind = str(row.get("layer")).replace("_", "")
    if any(e.get("partial") and not e.get("training") and kind in str(e.get("class")).lower() for e in found.values()):
        return None
    for entry in before:
        # The same class is put back to train mode after every eval(): then a part of the model was meant.
        back = [
            t
            for t in trained
            if t.get("class") == entry.get("class") and (t.get("count") or 0) >= (entry.get("count") or 0) > 1
        ]
        other = [t for t in trained if t.get("class") != entry.get("class")]
        if not back and not other:
            return entry
    return None


def _last_train(record: Record) -> int:
    return max((int(row.get("last") or 0) for row in record.rows("switch", training=True)), default=-1)


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """model.train() in front of the loop over batches."""
    title = "call model.train() at the start of every training epoch"
    forward, switch = finding.subject if isinstance(finding.subject, tuple) else (None, None)
    named = [
        module.replace(statement.value, module.segment(statement.value) + "()")
        for module, statement in uncalled(source)
        if finding.site == site_at(module, statement)
    ]
    if named:
        return [Remedy("train is named there, not called: train()", "safe", tuple(named))]
    if not isinstance(forward, Site):
        return [Remedy(title, "safe")]
    evaluations = [(switch.file, switch.line)] if isinstance(switch, Site) else []
    return [Remedy(title, "safe", tuple(trained(source, (forward.file, forward.line), evaluations)))]


def in_source(source: Source) -> Iterator[Finding]:
    """A model with dropout or batch norm is in eval mode at the forward whose loss its optimizer steps on."""
    every = entries(source)
    back: set[int] | None = None
    for entry in every:
        for forward in modes_of(entry).forwards():
            event, loop = forward.place.event, forward.place.loop
            if (
                event.grad is False
                or forward.last != "eval"
                or "" in forward.modes
                or forward.switch is None
                or loop is None
            ):
                continue
            back = sent_back(every) if back is None else back
            steps = [step for step in steps_of(every, forward.model) if step.loop in forward.place.around]
            if not steps or id(event.result) not in back:
                continue
            again = "from the second round on " if "train" in forward.modes else ""
            text = f"{again}the model trains at line {event.line} in eval mode: nothing calls train() in between"
            switch = site_of_event(forward.switch)
            yield Finding(switch, (Evidence(text),), 0.93, subject=(site_of_event(event), switch))
            return


CONDITION = Condition(
    "eval-mode-in-training",
    "warning",
    needs=("modes", "mode_switches"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    explains=("overfitting", "no-regularisation", "vanishing-gradients", "exploding-gradients", "lr-too-low"),
)
