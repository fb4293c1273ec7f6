"""Gradients are cleared between backward and step, so no update ever happens.

## What happens
`loss.backward(); optimizer.zero_grad(); optimizer.step()` throws away each gradient just before it is used. Since
`zero_grad` sets gradients to None (the default from PyTorch 2.0), the optimizer skips every parameter: weights stay
bit-identical, optimizer state stays empty, weight decay does nothing. With `set_to_none=False` the step runs on zeros:
plain SGD and Adam still do not move, but weight decay alone now shrinks the weights (AdamW 2 % and SGD with decay 0.1
18 % in 20 steps at lr 0.1). The loss wanders with the batches around its first value (ln K, Var(y)), no call is missing
from the loop, nothing raises, and no scheduler warns, because step is called.
In an accumulation loop it takes the form of a `zero_grad` inside every micro-batch: only the last one then counts.

## How it is told apart
Decided on the loop signature, backward then zero_grad then step without a backward in between, and on gradients None or
all zero when step is entered although backward had filled them; weights unchanged over all steps.
- `missing-step`: gradients are there, nobody steps. `missing-zero-grad`: the opposite.
- `detached-loss`, `frozen-parameters`, `unused-parameters`: backward never filled the gradients.
- `parameters-not-in-optimizer`: step has other parameters than those that hold gradients.
- `broken-accumulation`: the step does see a gradient, that of the last micro-batch only.
Not this: zero_grad before the forward, before backward or after step, all equivalent; a second optimizer's zero_grad
between the first one's backward and step, over other parameters (GANs); `zero_grad` in a closure before its backward.

## Remedy
Move the call: any place after step and before the next backward will do.

    optimizer.zero_grad()                            # moved up from between backward and step
    loss.backward()
    optimizer.step()

With accumulation put it beside the step, under the same `if`. Two optimizers over shared parameters: clear before each
backward, not between a backward and its step.

## Sources
- PyTorch, Optimizer.zero_grad, https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html
  [None by default; a parameter whose gradient is None is skipped, one with 0 is stepped]
- PyTorch forum, What does the backward() function do?,
  https://discuss.pytorch.org/t/what-does-the-backward-function-do/9944/2 [what each call does to .grad]
- PreDiff issue 32, https://github.com/gaozhihan/PreDiff/issues/32
  [zero_grad outside the `if` erased the accumulated gradients; fixed]
- Pytorch-UNet issue 378, https://github.com/milesial/Pytorch-UNet/issues/378 [placements that are equivalent]
"""

from __future__ import annotations

from ...record import Record, Site
from ...source import Source
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import optimizers_of


def in_run(
    record: Record,
    source: Source,
    *,
    min_share: float = 0.5,  # of steps; clinic: 0 in every healthy run, 1 in every faulty one
    min_steps: int = 3,  # one such step may be a skipped batch
) -> Answer:
    """Gradients are cleared between backward and step."""
    if not record.optimizers:
        yield NotEvaluated("no optimizer was seen")
        return
    for optimizer in record.optimizers:
        cleared = int(optimizer.counters.get("cleared") or 0)
        if cleared < min_steps or cleared < min_share * optimizer.steps:
            continue
        site = record.site(optimizer.counters.get("clear_site"))
        backward = next((o.site for o in record.objectives if optimizer in optimizers_of(record, o)), None)
        yield Finding(
            site or backward,
            (
                Evidence(
                    f"at {cleared} of {optimizer.steps} steps the gradients had been cleared after backward(): "
                    "the step found nothing to apply",
                    "optimizers",
                    cleared / max(1, optimizer.steps),
                    0.0,
                ),
            ),
            0.98,
            subject=backward,
        )


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The same line, moved in front of the backward."""
    site, backward = finding.site, finding.subject
    module = source.module(site.file) if site is not None else None
    title = "move zero_grad() in front of backward()"
    if module is None or site is None or not isinstance(backward, Site) or backward.file != site.file:
        return [Remedy(title, "safe")]
    moved, target = module.statement_with(site.line, "zero_grad"), module.statement_with(backward.line, "backward")
    if moved is None or target is None or moved is target:
        return [Remedy(title, "safe")]
    edits = (module.delete(moved), module.insert_before(target, module.segment(moved)))
    return [Remedy(title, "safe", edits)]


CONDITION = Condition(
    "misplaced-zero-grad",
    "error",
    needs=("optimizers", "loop_windows"),
    in_run=in_run,
    remedies=remedies,
    structural=True,
)
