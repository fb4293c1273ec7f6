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
run: a loader of that data set with workers, trained on for more than one pass or with more than one worker. Two
more ways to the same: a `worker_init_fn` that seeds all workers with one number, and a stream whose `__iter__` makes
its generator from a constant, so that each of several workers hands over the same samples.
- `augmented-validation`: the draws differ, where they should not. `overfitting`: can be the consequence.
- `repeated-batch`: the samples themselves are the same, not their augmentation.
Not this: workers=0, where the one generator moves on; a `worker_init_fn` that seeds by worker; torch's global generator
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
from ...source import Edit, Module, Source
from ...source.blocks import indentation
from ...source.loading import is_true, keyword, loader_calls
from ...source.rates import append_argument
from ...source.spelling import free_name, spelled
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_at

SEEDS = ("numpy.random.seed", "random.seed", "torch.manual_seed")
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
    if not rows:
        return
    many = [row for row in rows if int(row.get("workers") or 0) >= 2]
    initialised = any(keyword(point.node, "worker_init_fn") is not None for point in loader_calls(source))
    streams = {str(row.get("dataset")) for row in many}
    alike = _seeded_alike(source) if initialised else _streamed_alike(source, streams)
    if many and alike is not None:
        module, call, why = alike
        workers = int(many[0].get("workers") or 0)
        text = f"`{module.segment(call)}` runs in each of {workers} workers, {why}: all of them draw the same numbers"
        yield Finding(site_at(module, call), (Evidence(text, "loaders", float(workers), 0.0),), 0.92)
        return
    if initialised:
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
            evidence = (Evidence(text, "loaders", float(workers), 0.0),)
            subject = (module.file, owner.name, str(most.get("dataset")))
            yield Finding(site_at(module, made), evidence, 0.92, subject=subject)
            return


def _seeded_alike(source: Source) -> tuple[Module, ast.Call, str] | None:
    """The first call of a worker_init_fn that seeds, where nothing in that function tells one worker from another."""
    for point in loader_calls(source):
        given = keyword(point.node, "worker_init_fn")
        for module in source if isinstance(given, ast.Name) else ():
            for function in ast.walk(module.tree):
                if not isinstance(function, ast.FunctionDef) or function.name != getattr(given, "id", ""):
                    continue
                own = {argument.arg for argument in function.args.args}
                seeds = [
                    node
                    for node in ast.walk(function)
                    if isinstance(node, ast.Call) and module.dotted(node.func) in SEEDS
                ]
                seeds = [call for call in seeds if _is_drawn_from(source, module.dotted(call.func).rpartition(".")[0])]
                if seeds and not _tells(function, own):
                    return module, seeds[0], "whichever it is"
    return None


def _is_drawn_from(source: Source, library: str) -> bool:
    """Whether a data set of the script draws from `numpy.random`, `random` or torch."""
    begin = "torch.rand" if library == "torch" else f"{library}."
    for module in source:
        for owner in ast.walk(module.tree):
            if isinstance(owner, ast.ClassDef) and any(
                isinstance(node, ast.FunctionDef) and node.name in ("__getitem__", "__iter__") for node in owner.body
            ):
                calls = [node for node in ast.walk(owner) if isinstance(node, ast.Call)]
                if any(module.dotted(call.func).startswith(begin) for call in calls):
                    return True
    return False


def _streamed_alike(source: Source, datasets: set[str]) -> tuple[Module, ast.Call, str] | None:
    """The generator with a seed of its own that the __iter__ of a stream makes, whichever worker asks."""
    for module in source:
        for owner in ast.walk(module.tree):
            if not isinstance(owner, ast.ClassDef) or owner.name not in datasets or _tells(owner, set()):
                continue
            methods = {node.name: node for node in owner.body if isinstance(node, ast.FunctionDef)}
            for node in ast.walk(methods["__iter__"]) if "__iter__" in methods else ():
                if not isinstance(node, ast.Call) or module.dotted(node.func) not in GENERATORS[:-1]:
                    continue
                if node.args and all(isinstance(each, ast.Constant) for each in node.args):
                    return module, node, "and begins its stream anew"
    return None


def _tells(node: ast.AST, own: set[str]) -> bool:
    """Whether one of these names is read, or torch is asked for what differs by worker."""
    names = own | {"get_worker_info", "initial_seed"}
    return any(
        (isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load) and each.id in names)
        or (isinstance(each, ast.Attribute) and each.attr in names)
        for each in ast.walk(node)
    )


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
    """A function that seeds the copy of each worker, handed to the loaders."""
    title = "seed each worker by its own number (worker_init_fn, get_worker_info().seed), or draw with torch.rand"
    edits = _seeded(source, *finding.subject) if isinstance(finding.subject, tuple) else []
    return [Remedy(title, "changes-training", tuple(edits))]


def _seeded(source: Source, file: str, owner_name: str, dataset: str) -> list[Edit]:
    """worker_init_fn of every loader with workers over the data set, behind its class."""
    module = source.module(file)
    torch = spelled(module, "torch") if module is not None else None
    classes = [n for n in ast.walk(module.tree) if isinstance(n, ast.ClassDef)] if module is not None else []
    owner = next((node for node in classes if node.name == owner_name), None)
    found = _generator(module, owner) if module is not None and owner is not None else None
    if module is None or owner is None or found is None or torch is None or dataset not in (owner_name, "Subset"):
        return []
    again = _again(module, found[0], torch)
    calls = [
        point.node
        for point in loader_calls(source)
        if isinstance(point.node, ast.Call) and is_true(keyword(point.node, "num_workers"))
    ]
    if again is None or not calls or any(point not in ast.walk(module.tree) for point in calls):
        return []
    name = free_name(module.tree, "seed_worker")
    held = "dataset.dataset" if dataset == "Subset" else "dataset"
    body = f"{torch}.utils.data.get_worker_info().{held}.{found[1]} = {again}"
    text = f"\n\ndef {name}(worker_id):\n{indentation(module)}{body}"
    edits = [module.insert_after(owner, text)] if not module.indent(owner.lineno) else []
    return [*edits, *(append_argument(module, call, f"worker_init_fn={name}") for call in calls)] if edits else []


def _again(module: Module, made: ast.stmt, torch: str) -> str | None:
    """The generator as the statement makes it, with the seed that torch gave the worker."""
    seed = f"{torch}.initial_seed()"
    for node in ast.walk(made):
        name = module.dotted(node.func) if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Call) and name in GENERATORS:
            text = module.segment(node.func)
            return {
                "numpy.random.default_rng": f"{text}({seed})",
                "numpy.random.RandomState": f"{text}({seed} % 2**32)",
                "random.Random": f"{text}({seed})",
                "torch.Generator": f"{text}().manual_seed({seed})",
            }.get(name)
    return None


CONDITION = Condition(
    "duplicate-worker-seeds",
    "warning",
    needs=("loaders",),
    in_run=in_run,
    remedies=remedies,
    explains=("overfitting",),
)
