"""The targets carry no signal that the inputs could explain.

## What happens
The pairing of inputs and labels is broken: one array was shuffled without the other, a directory listing came in
another order than the label file, a join went wrong, or the labels are random. The loss settles at the best constant
predictor (ln K for K balanced classes: 0.693 for 2, 2.303 for 10; the target's variance for squared error) and accuracy
stays at the majority share. No learning rate, optimiser or architecture helps, yet that is what one tunes for a week.
A wide net on a small fixed data set hides it: 512 shuffled labels were memorised to 99.8 % training accuracy.
Then the training loss looks fine, and only held-out data shows that nothing was learnt.

## How it is told apart
Three answers must agree. Skill against the constant predictor is about 0; permuting the targets within a batch of
samples not yet seen changes the loss by nothing (permutation gap 0); and one repeated batch can be memorised, so
graph, optimiser and capacity work. After several epochs over few samples only validation batches count.
- `missing-step`, `detached-loss`, `vanishing-gradients`, `lr-too-low`: the single batch is not memorised.
- `constant-loss`, `constant-output`, `constant-feature`: the gradient or the output does not vary at all.
- `underfitting`: the model is linear, and the answer is not; then this is not said.
- `noisy-labels`: skill and gap are small but clearly above zero. `class-imbalance`: the common classes show a gap.
Not this: `at-the-floor`, a sound pairing in a problem that is mostly noise. Numbers alone cannot tell these two apart;
the source (two shuffles, an unsorted listing) or a look at twenty decoded pairs can.

## Remedy
Look at decoded pairs as they enter the model. Then make one permutation serve both sides, and sort what the disk gives.

    order = torch.randperm(len(x))
    x, y = x[order], y[order]                        # never x[randperm(n)], y[randperm(n)]
    files = sorted(os.listdir(folder))               # before pairing with a label file; better: pair by name

If the pairs are right, the inputs do not contain the answer: change the data, not the optimiser.

## Sources
- Explaining-In-Style issue 9, https://github.com/NoahVl/Explaining-In-Style-Reproducibility-Study/issues/9
  [images and labels loaded in different order; sorting the listing mended it]
- Targeted-Transfer issue 4, https://github.com/ZhengyuZhao/Targeted-Transfer/issues/4
  [an unsorted listing paired with a label list; fixed by the author]
- Zhang et al., Understanding deep learning requires rethinking generalization, overview,
  https://www.alphaxiv.org/overview/1611.03530 [networks fit random labels completely]
- Hugging Face course 8.4, https://github.com/huggingface/course/blob/main/chapters/en/chapter8/4.mdx
  [random labels: no training to expect; compare with a random answer; overfit one batch]
"""

from __future__ import annotations

import ast

import numpy as np

from ...record import Progress, Record, Site
from ...source import Source
from ...source.flow import Point
from ...source.loss import maker, trails
from ...source.pairing import paired
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Outcome, Remedy
from ..doubts import asks, shown, weighed
from ..network import is_linear
from ..questions import function_name, judged, loss_site, middle, site_of, steps_of

SHUFFLES = ("permutation", "randperm", "shuffle", "sample", "listdir", "glob", "iterdir", "scandir", "sorted", "walk")
PERMUTATIONS = ("permutation", "randperm")
CLASSES = ("randint", "integers", "choice", "bernoulli")
RANDOM = (*CLASSES, "rand", "random", "randn", "normal")


def in_run(
    record: Record,
    source: Source,
    *,
    max_skill: float = 0.1,  # best tenth of the run; clinic: healthy from 0.39 on, random labels up to 0.05
    max_gap: float = 0.15,  # baselines lost by permuting targets; clinic: healthy from 0.38 on, random labels to 0.10
    min_steps: int = 60,  # fewer steps without progress may be a slow start
    min_travel: float = 0.02,  # sum of relative updates; below it the weights have hardly moved: `lr-too-low`
    max_slope: float = 0.03,  # of the baseline, lost over the second half: more is a run that still learns
) -> Answer:
    """The loss sits at the best constant predictor's, and targets of other samples would do as well."""
    entries = [entry for entry in judged(record) if np.isfinite(entry.skill) and np.isfinite(entry.gap)]
    if not entries:
        yield NotEvaluated("the loss of a constant predictor, or that on permuted targets, is not known")
        return
    for entry in entries:
        if entry.nonfinite or entry.skill < -0.5 or entry.best_skill > max_skill or abs(entry.gap) > max_gap:
            continue
        if entry.count < min_steps:
            yield NotEvaluated(f"{entry.count} steps are too few to tell a slow start from labels without signal")
            continue
        ratio = max((middle(steps.ratios) for steps in steps_of(record, entry.objective)), default=float("nan"))
        if not ratio * entry.count > min_travel:
            yield NotEvaluated("the weights have hardly moved")
            continue
        own = sorted({name for row in entry.objective.graphs for name in row.get("custom") or [] if "::" not in name})
        if own:
            yield NotEvaluated(
                f"{own[0].removesuffix('Backward')} has a derivative of its own, which may be what is wrong"
            )
            continue
        if _mute(entry):
            yield NotEvaluated(
                "the outputs are the same for every input, from the first step on: labels do not do that"
            )
            continue
        if is_linear(record, entry.objective.number) and not _drawn(record, source, entry):
            yield NotEvaluated("the model is linear: what the labels say may be no matter of single inputs")
            continue
        slope, _ = entry.trend
        if np.isfinite(slope) and -slope * entry.count / 2 > max_slope * entry.baseline * entry.scale:
            yield NotEvaluated("the loss still falls")
            continue
        yield _finding(record, source, entry)


def _mute(entry: Progress, same: float = 1e-6) -> bool:
    """Whether the outputs never differed between samples by more than rounding, untrained or trained."""
    spread, size = entry.samples.column("output.spread"), entry.samples.column("output.rms")
    return len(spread) > 1 and bool(np.all(spread <= same * size))


def _finding(record: Record, source: Source, entry: Progress) -> Finding:
    name = _constant_name(entry)
    return Finding(
        _site(record, source, entry),
        (
            Evidence(
                f"after {entry.count} steps the loss is {entry.last / entry.scale:.4g}, and the best constant output "
                f"has "
                f"{entry.baseline:.4g}{name}: nothing was learnt, and no setting of the optimiser will change that",
                "constant_loss",
                entry.last / entry.scale,
                entry.baseline,
            ),
            Evidence(
                f"with the targets of other samples the loss is the same (the difference is {entry.gap:+.3f} of the "
                "baseline): the outputs say nothing about the targets",
                "permuted_loss",
                entry.gap,
                0.0,
            ),
        ),
        0.8,
        subject=loss_site(record, entry),
    )


def _constant_name(entry: Progress) -> str:
    """ " = ln 2" where the baseline is that."""
    for classes in (2, 3, 4, 5, 6, 8, 10, 20, 100, 1000):
        if abs(entry.baseline - np.log(classes)) < 0.01 * np.log(classes):
            return f" (ln {classes} = {np.log(classes):.4g}: a fair {'coin' if classes == 2 else 'die'})"
    return ""


def _site(record: Record, source: Source, entry: Progress) -> Site | None:
    """Where targets (or inputs) are drawn, shuffled or listed on their own; else where the targets are made."""
    loss = loss_site(record, entry)
    if loss is None:
        return None
    outputs, target = trails(source, loss.file, loss.line)
    mixed = _mixed_alone(outputs, target)
    if mixed is not None:
        return site_of(mixed)
    for trail, names in ((target, RANDOM), (target, SHUFFLES), (outputs, SHUFFLES)):
        found = _call_on(trail, names)
        if found is not None:
            return site_of(found)
    made = maker(target)
    return site_of(made) if made is not None else loss


def _drawn(record: Record, source: Source, entry: Progress) -> bool:
    """Whether the source shows the targets drawn, or mixed, without regard to the inputs."""
    loss = loss_site(record, entry)
    if loss is None:
        return False
    outputs, target = trails(source, loss.file, loss.line)
    shared = {id(point.node) for point in outputs}
    found = _mixed_alone(outputs, target) or _call_on(target, CLASSES)
    return found is not None and id(found.node) not in shared


def _mixed_alone(outputs: list[Point], target: list[Point]) -> Point | None:
    """Where targets are put in a new order of their own: `y[torch.randperm(n)]`, `rng.shuffle(y)`, a function of that.

    A permutation drawn inside the index serves that one array alone.
    """
    for point in target:
        if isinstance(point.node, ast.Subscript):
            drawn = _call_on([Point(point.module, point.node.slice)], PERMUTATIONS)
            if drawn is not None:
                return drawn
    shared = {id(point.node) for point in outputs}
    caller: Point | None = None
    for point in target:
        if isinstance(point.node, ast.Call) and id(point.node) not in shared:
            caller = point
        if isinstance(point.node, ast.Name) and (call := _shuffled_in_place(point)) is not None:
            home = function_name(point.module, call)
            if caller is not None and isinstance(caller.node, ast.Call):
                called = caller.module.dotted(caller.node.func).rpartition(".")[2]
                return caller if called == home else Point(point.module, call)
            return Point(point.module, call)
    return None


def _shuffled_in_place(point: Point) -> ast.Call | None:
    """The call `rng.shuffle(a)` of a name, in the function where the name stands."""
    module, name = point
    scope = module.enclosing(name, ast.FunctionDef, ast.Module)
    for node in ast.walk(scope) if scope is not None else ():
        if not isinstance(node, ast.Call) or not node.args or not isinstance(module.parents.get(node), ast.Expr):
            continue
        given = node.args[0]
        shuffles = module.dotted(node.func).rpartition(".")[2] == "shuffle"
        if shuffles and isinstance(given, ast.Name) and isinstance(name, ast.Name) and given.id == name.id:
            return node
    return None


def _call_on(trail: list[Point], names: tuple[str, ...]) -> Point | None:
    for point in trail:
        for node in ast.walk(point.node):
            if isinstance(node, ast.Call):
                dotted = point.module.dotted(node.func).rpartition(".")[2]
                if dotted in names and (dotted not in ("rand", "randn", "normal", "random") or node is point.node):
                    return Point(point.module, node)
    return None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """One shuffle where the source shows two; else look at the pairing."""
    title = "check that each label belongs to its input (one shuffle for both, one order of files and rows)"
    loss = finding.subject
    edits = paired(source, loss.file, loss.line) if isinstance(loss, Site) else ()
    found = [Remedy("shuffle inputs and labels together, with one permutation", "changes-training", edits)]
    return [*(found if edits else []), Remedy(title, "advice")]


PLUMBING = 0.97  # share of one batch's loss left at every rate: then not even plumbing or capacity is sound


def _memorised(answer: Finding, outcome: Outcome) -> Finding | NotEvaluated:
    """A batch that is memorised shows that all but the labels works; one that is not, that something does not."""
    if outcome.figure("share") > PLUMBING:
        return NotEvaluated("not even one batch can be memorised: something else is wrong than the labels")
    return shown(answer, outcome, outcome.figure("share"), 1.0, sure=outcome.word("memorised") == "yes")


def _alike(answer: Finding, outcome: Outcome) -> Finding | NotEvaluated:
    """Without the pairing, or without the inputs, it does as well: nothing is learnt from them."""
    if not outcome.figure("alike"):
        return NotEvaluated(f"{outcome.question} {outcome.answer}")
    return shown(answer, outcome, outcome.figure("changed"), outcome.figure("plain"), sure=False)


CONDITION = Condition(
    "uninformative-labels",
    "error",
    needs=("loss_values", "constant_loss", "permuted_loss", "updates", "structure"),
    in_run=in_run,
    suspects=asks(in_run, "memorises_one_batch", "permuted_targets", "zeroed_inputs"),
    in_experiment=weighed(in_run, memorises_one_batch=_memorised, permuted_targets=_alike, zeroed_inputs=_alike),
    remedies=remedies,
    by_learning=True,
    by_exclusion=True,
)
