"""Dropout or batch norm is active while the model is evaluated.

## What happens
Modules are born in train mode, and `no_grad()` does not change it: dropout keeps dropping, batch norm normalises with
the statistics of the validation batch and, worse, writes them into its running averages, so validation data leaks into
the model even without gradients. The validation loss is too high and noisy, changes when it is computed twice, depends
on the evaluation batch size, and a batch of one may raise `Expected more than 1 value per channel when training`.
Four forms survive `model.eval()`: `F.dropout(x)`, whose `training` defaults to True; `nn.Dropout(0.5)(x)` made inside
forward; `scaled_dot_product_attention(..., dropout_p=p)`, which always applies it; and a `model.train()` that comes
after the `model.eval()`. It is easy to overlook, since numbers come out and look like a model that generalises poorly.

## How it is told apart
Decided on the mode of forwards without gradient (flags of modules, and the mode batch norm and dropout really used),
and on an experiment: two evaluation forwards of one batch differ, or running statistics move during validation.
- `batch-norm-eval-gap`: the mode is right, and eval is what scores worse. `batch-of-one-norm`: a training matter.
- `overfitting`: the gap remains in eval mode. `inconsistent-preprocessing`, `augmented-validation`: the inputs differ.
- `grad-enabled-in-eval`: costs memory, not correctness. `eval-mode-in-training`: the opposite.
Not this: Monte Carlo dropout, ensembles by dropout, test-time adaptation, recalibrating batch norm, samplers that are
random by design, models without such layers (LayerNorm and GroupNorm behave alike in both modes), training loss
logged in train mode.

## Remedy
Switch for the evaluation and switch back; use both calls, they do different things.

    model.eval()
    with torch.no_grad():
        score = validate(model, val_loader)
    model.train()
    x = F.dropout(x, p=0.5, training=self.training)  # and dropout_p=self.p if self.training else 0.0

Call it on the model that runs, submodules included, not on a wrapper or a copy. Past checkpoints whose batch norm saw
validation batches are slightly contaminated.

## Sources
- PyTorch, Autograd mechanics, Evaluation mode, https://docs.pytorch.org/docs/stable/notes/autograd.html
  [eval() is orthogonal to no_grad; running statistics on validation data]
- NTS-Net issue 14, https://github.com/yangze0930/NTS-Net/issues/14 [dropout made in forward ignores eval()]
- MultiBench issue 26, https://github.com/pliang279/MultiBench/issues/26 [train() called again inside the validation]
- PyTorch, scaled_dot_product_attention,
  https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html
  [always applies dropout according to dropout_p]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...record import Record, Row, Site
from ...source import Module, Source
from ...source.modes import deaf_dropouts, evaluated
from ...source.program import Event
from ...source.program.modes import compared, modes_of, sent_back, trained
from ...source.program.queries import Entry, called, entries
from ...source.program.tensors import from_loop
from ...source.program.values import External
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Outcome, Remedy
from ..doubts import asks, shown, weighed
from ..questions import site_of_event

LAYERS = {"dropout": "dropout", "batch_norm": "batch norm"}
METRICS = ("argmax", "eq", "topk", "max", "accuracy_score", "roc_auc_score", "round", "f1_score", "r2_score")
LOSSES = ("loss", "entropy", "criterion", "MSE", "error")


def in_run(
    record: Record,
    source: Source,
    *,
    min_passes: int = 2,  # one forward pass without gradient may be a look at shapes
    max_share: float = 0.8,  # of the steps: passes that come with every step belong to training (a GAN, a teacher)
) -> Answer:
    """Dropout or batch norm is in train mode while the model is evaluated."""
    rows = [row for row in latest(record) if isinstance(row.get("count"), int)]
    if not rows:
        yield NotEvaluated("the model has neither dropout nor batch norm, or none that was seen")
        return
    objective = record.objectives[0] if record.objectives else None
    if objective is None:
        yield NotEvaluated("no training was seen")
        return
    calm = {row.get("site") for row in rows if not row.get("active") and row["count"] >= min_passes}
    switched = [r for r in record.rows("switch") if not r.get("training")]
    deaf = _deaf(record, source) if switched else None
    for row in rows:
        if not row.get("active") or row.get("graded") or row["count"] < min_passes:
            continue
        ignored = deaf if row.get("layer") == "dropout" else None
        if row.get("site") in calm and ignored is None:
            continue
        site = record.site(row.get("site"))
        measured = _measures(source, site, len(record.objectives) > 1)
        with_steps = row["count"] > max_share * objective.count and (row.get("run") or 0) < 2
        if site is None or not measured or (with_steps and not _loss_without_gradient(record)):
            continue
        layer = LAYERS.get(str(row.get("layer")), str(row.get("layer")))
        why = "no model.eval() was in force there" if switched else "model.eval() was never called"
        why = why if ignored is None else f"the call in line {record.shown(ignored).line} ignores model.eval()"
        text = f"{row['count']} forward passes without gradient ran with {layer} in train mode; {why}"
        trains = [record.site(r.get("site")) for r in rows if r.get("graded") and (r.get("trains") or r.get("backed"))]
        subject = trains[0] if trains else objective.site
        evidence = Evidence(text, "modes", float(row["count"]), 0.0)
        yield Finding(ignored or site, (evidence,), 0.92, subject=(site, subject))
        return


def latest(record: Record) -> list[Row]:
    """The last count of each place."""
    found: dict[object, Row] = {}
    for row in record.rows("mode"):
        found[row.get("i")] = row
    return list(found.values())


def _deaf(record: Record, source: Source) -> Site | None:
    """The first dropout that ignores the mode, where all that dropped without gradient are of that kind."""
    calls = {
        (module.file, line)
        for module, call in deaf_dropouts(source)
        for line in range(call.lineno, (call.end_lineno or call.lineno) + 1)
    }
    ran = [record.site(row.get("site")) for row in record.rows("dropout", active=True, graded=False)]
    found = [site for site in ran if site is not None and (site.file, site.line) in calls]
    return min(found) if found and len(found) == len(ran) else None


def _loss_without_gradient(record: Record) -> bool:
    return any(not row.get("grad") for row in record.rows("loss"))


def _measures(source: Source, site: Site | None, strictly: bool) -> bool:
    """Whether the code around a forward pass takes a metric or a loss of it: an evaluation, not sampling."""
    module = source.module(site.file) if site is not None else None
    if module is None or site is None:
        return False
    scope = module.function_at(site.line) or _block(module, site.line) or module.tree
    for node in ast.walk(scope):
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq) for op in node.ops):
            return True
        if isinstance(node, ast.Call):
            name = module.dotted(node.func).rpartition(".")[2] or module.segment(node.func)
            if name in METRICS or any(word in name for word in LOSSES) or (len(node.args) == 2 and name.endswith("fn")):
                return True
        # A difference may be an error by hand; where nets are trained against each other it need not be.
        if not strictly and isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
            return True
    return False


def _block(module: Module, line: int) -> ast.With | None:
    statement = module.statement_at(line)
    found = module.enclosing(statement, ast.With) if statement is not None else None
    return found if isinstance(found, ast.With) else None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """model.eval() in front of the evaluation, model.train() in front of the next epoch where nothing calls it."""
    title = "call model.eval() before evaluating, and model.train() before training goes on"
    site, training = finding.subject if isinstance(finding.subject, tuple) else (finding.site, None)
    back = (training.file, training.line) if isinstance(training, Site) else None
    edits = evaluated(source, (site.file, site.line), back) if site is not None else []
    return [Remedy(title, "safe", tuple(edits))]


def _weigh(answer: Finding, outcome: Outcome) -> Finding:
    """The loss of one batch in both modes, and whether two passes in eval mode differ, as further evidence."""
    return shown(answer, outcome, outcome.figure("train"), outcome.figure("eval"), sure=False)


def in_source(source: Source) -> Iterator[Finding]:
    """A model with dropout or batch norm is trained, and held against targets without gradients in train mode."""
    every = entries(source)
    yield from _always_on(every)
    back: set[int] | None = None
    for entry in every:
        for forward in modes_of(entry).forwards():
            event, place = forward.place.event, forward.place
            if event.grad is not False or forward.modes != {"train"} or isinstance(_statement(event), ast.Expr):
                continue
            steps = trained(every, forward.model)
            inside = place.loop
            repeated = inside is not None and not any(inside in step.around for step in steps)
            fed = inside is not None and any(from_loop(each, inside) for each in event.args)
            if not steps or (repeated and not fed):
                continue  # not trained; or many passes over one input: dropout is meant to act
            back = sent_back(every) if back is None else back
            behind = any(step.order < place.order or set(step.loops) & set(place.loops) for step in steps)
            if not behind or id(event.result) in back or not compared(entry, event.result):
                continue
            text = (
                "held against targets without gradients while in train mode: dropout and batch norm act as in training"
            )
            forth = next(
                (f.place.event for f in modes_of(entry).forwards() if f.model is forward.model and f.place.event.grad),
                None,
            )
            subject = (site_of_event(event), site_of_event(forth) if forth is not None else None)
            yield Finding(site_of_event(event), (Evidence(text),), 0.92, subject=subject)
            return


def _statement(event: Event) -> ast.AST | None:
    return event.module.parents.get(event.node)


def _always_on(every: list[Entry]) -> Iterator[Finding]:
    """Functional dropout that does not ask for the mode, in a program that switches to eval mode and evaluates."""
    switched = any(called(p.event) == "eval" and not p.event.args for e in every for p in e.places)
    seen = set()
    for entry in every:
        for place in entry.calls(
            "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"
        ):
            event = place.event
            function = isinstance(event.fn, External) and event.fn.name.startswith("torch.nn.functional.")
            told = len(event.args) > 2 or "training" in event.kwargs
            method = isinstance(event.module.enclosing(event.node, ast.FunctionDef, ast.ClassDef), ast.FunctionDef)
            if not function or told or not method or event.grad is not False or not switched or event.node in seen:
                continue
            seen.add(event.node)
            text = "functional dropout without training=self.training: eval() does not switch it off"
            yield Finding(site_of_event(event), (Evidence(text),), 0.93)


CONDITION = Condition(
    "train-mode-in-eval",
    "warning",
    needs=("modes", "mode_switches", "loss_calls"),
    in_run=in_run,
    suspects=asks(in_run, "train_against_eval"),
    in_experiment=weighed(in_run, train_against_eval=_weigh),
    in_source=in_source,
    remedies=remedies,
)
