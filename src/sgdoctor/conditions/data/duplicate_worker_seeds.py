"""Every loader worker, or every epoch, draws the same random numbers.

## What happens
A data set that keeps a random generator of its own (`self.rng = np.random.default_rng(0)`) is copied into each worker
with the generator's state: all of them draw the same crops, flips and noise, sample by sample. As the workers are
started anew for each pass from the copy in the main process, which never draws, the next epoch repeats the first. Ten
epochs of augmentation are then one fixed set of augmented samples, with a few of them in several copies, and the
network
overfits as if there were no augmentation. Nothing in the loss curve says so.

## How it is told apart
Decided on the source (a generator made in the data set's `__init__` and drawn from in `__getitem__`) together with the
run: a loader of that data set with workers, trained on for more than one pass or with more than one worker.
- `augmented-validation`: the draws differ, where they should not. `overfitting`: can be the consequence.
- `repeated-batch`: the samples themselves are the same, not their augmentation.
Not this: workers=0, where the one generator moves on; a `worker_init_fn` that seeds the copy; torch's global generator
and Python's and NumPy's, which torch seeds for each worker and pass; a generator made from the index, so that a sample
is always drawn the same on purpose.

## Remedy
Draw from torch's generator, which each worker has its own seed of, or seed the copy when the worker starts.

    def seed_worker(worker_id):
        info = torch.utils.data.get_worker_info()
        info.dataset.rng = np.random.default_rng(info.seed)

    DataLoader(data, num_workers=4, worker_init_fn=seed_worker)

## Sources
- PyTorch, torch.utils.data: Randomness in multi-process data loading, https://docs.pytorch.org/docs/stable/data.html
  [base_seed + worker_id; worker_init_fn]
- PyTorch, Frequently asked questions: my data loader workers return identical random numbers,
  https://docs.pytorch.org/docs/stable/notes/faq.html
"""

from __future__ import annotations

import ast

from ...record import Record
from ...source import Module, Source
from ...source.loading import keyword, loader_calls
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_at

GENERATORS = (
    *("numpy.random.default_rng", "numpy.random.RandomState", "numpy.random.Generator"),
    *("random.Random", "torch.Generator"),
)


def in_run(record: Record, source: Source) -> Answer:
    """A loader with workers over a data set whose own generator is drawn from for each sample."""
    rows = [row for row in record.rows("loader") if row.get("workers")]
    if not record.rows("loader"):
        yield NotEvaluated("no data loader was seen")
        return
    guarded = any(keyword(point.node, "worker_init_fn") is not None for point in loader_calls(source))
    if not rows or guarded:
        return
    for module in source:
        for owner in [node for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)]:
            found = _generator(module, owner)
            used = [row for row in rows if row.get("dataset") in (owner.name, "Subset", "ConcatDataset")]
            most = max(used, key=lambda row: row.get("passes") or 0, default=None)
            if found is None or most is None:
                continue
            workers, passes = int(most.get("workers") or 0), int(most.get("passes") or 0)
            if workers < 2 and passes < 2:
                continue
            made, name = found
            text = (
                f"`self.{name}` is copied with its state into each of {workers} workers, at each of {passes} passes: "
                "all of them draw the same numbers"
            )
            yield Finding(site_at(module, made), (Evidence(text, "loaders", float(workers), 0.0),), 0.92)
            return


def _generator(module: Module, owner: ast.ClassDef) -> tuple[ast.stmt, str] | None:
    """The statement of `__init__` that makes a generator from which `__getitem__` draws."""
    methods = {node.name: node for node in owner.body if isinstance(node, ast.FunctionDef)}
    start, item = methods.get("__init__"), methods.get("__getitem__")
    if start is None or item is None:
        return None
    reached = [item, *[other for name, other in methods.items() if _calls(item, name)]]
    for statement in ast.walk(start):
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Attribute):
            continue
        made = [module.dotted(node.func) for node in ast.walk(statement.value) if isinstance(node, ast.Call)]
        name = statement.targets[0].attr
        if any(call in GENERATORS for call in made) and any(_draws(method, name) for method in reached):
            return statement, name
    return None


def _calls(item: ast.FunctionDef, name: str) -> bool:
    return any(isinstance(node, ast.Attribute) and node.attr == name for node in ast.walk(item))


def _draws(method: ast.FunctionDef, name: str) -> bool:
    """Whether it reads the generator, and makes none there itself."""
    uses = [node for node in ast.walk(method) if isinstance(node, ast.Attribute) and node.attr == name]
    return any(isinstance(node.ctx, ast.Load) for node in uses) and not any(
        isinstance(node.ctx, ast.Store) for node in uses
    )


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Seed the copy of each worker."""
    title = "seed the copy in each worker: worker_init_fn, or draw with torch.rand, which torch seeds by worker"
    return [Remedy(title, "changes-training")]


CONDITION = Condition(
    "duplicate-worker-seeds",
    "warning",
    needs=("loaders",),
    in_run=in_run,
    remedies=remedies,
    explains=("overfitting",),
)
