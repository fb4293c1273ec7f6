"""Nothing is seeded, so that no two runs are the same.

## What happens
Initial weights, the order of the batches, dropout and augmentation are drawn from generators that start from whatever
the system gives them. Every run is then another one: a change of the rate that seems to help may have been a luckier
start, a failure in the night cannot be looked at again, and a figure in a report cannot be got a second time. Training
itself is sound: this is worth knowing, not a fault of the run.

## How it is told apart
Decided on the run: the seed that torch's generator started from is still the same once training goes on, so that
neither the script nor a library has called `manual_seed`, and numbers were drawn from it. The source must not seed any
other generator either (a `torch.Generator`, numpy's `default_rng(0)`, `random.seed`): whoever does has thought of it.
A `random_state` of scikit-learn is a split's own and says nothing about the weights.
- `duplicate-worker-seeds`: seeded, but alike in every worker. `unshuffled-data`: an order that never changes.
Not this: a script that draws nothing from torch, as its weights are given; one that seeds through
`lightning.seed_everything` or `transformers.set_seed`; a generator whose state was restored from a checkpoint.

## Remedy
Seed at the top, before the model and the loaders are made, and print the seed:

    torch.manual_seed(0)                 # all devices
    np.random.seed(0); random.seed(0)    # where their shared generators are drawn from

Then repeat with other seeds before believing that a change helps. Bitwise equality on a GPU asks for more:
`torch.use_deterministic_algorithms(True)`.

## Sources
- PyTorch, torch.manual_seed, https://docs.pytorch.org/docs/2.8/generated/torch.manual_seed.html
  [seeds the generators of all devices]
- PyTorch, Reproducibility, https://docs.pytorch.org/docs/stable/notes/randomness.html
- Novartis/scar issue 97, https://github.com/Novartis/scar/issues/97
  [results not reproducible until torch and numpy are both seeded]
- huawei-noah/vega issue 53, https://github.com/huawei-noah/vega/issues/53
  [only the CUDA generator seeded: the same model's accuracy differs from run to run]
"""

from __future__ import annotations

from ...record import Record, Site
from ...source import Source
from ...source.seeding import import_of_torch, seeded, seeding
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy


def in_run(
    record: Record,
    source: Source,
    *,
    min_steps: int = 10,  # below this nothing is said about learning either, see questions.MIN_STEPS
) -> Answer:
    """torch's generator was drawn from and never seeded, and no other was seeded."""
    rows = record.rows("seeding")
    if not rows:
        yield NotEvaluated("the generator was not looked at")
        return
    last = rows[-1]
    if last.get("seeded") is not False or last.get("drawn") is not True or record.steps < min_steps:
        return
    if seeding(source) is not None:
        return
    text = (
        "numbers were drawn from torch's generator and nothing has seeded it: initial weights, the order of batches "
        "and dropout differ from run to run, and this run cannot be repeated"
    )
    yield Finding(_site(source), (Evidence(text, "seeding", 0.0, 1.0),), 0.95)


def _site(source: Source) -> Site | None:
    module = next(iter(source), None)
    found = import_of_torch(module) if module is not None else None
    return Site(module.file, found.lineno, "<module>") if module is not None and found is not None else None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Seeds behind the imports."""
    return [Remedy("seed the generators at the top of the script", "changes-training", tuple(seeded(source)))]


CONDITION = Condition("unset-seed", "info", needs=("seeding",), in_run=in_run, remedies=remedies)
