"""Validation samples, or what was learnt from them, are in the training.

## What happens
The validation score is better than the model: samples were copied before the split (oversampling, augmentation on disk,
several rows of one patient), the validation set is a slice of the training set, or a scaler, an imputer or a selection
of
features was fitted to all of the data first. Selecting features by their correlation with the labels, on all the data,
makes a good score out of pure noise. The truth comes with the first new data.

## How it is told apart
Decided on fingerprints of samples that the training loader and an evaluation loader share, bit by bit, where the
training set itself hardly repeats; or on the source, where something is fitted before the split of the same data.
- `inconsistent-preprocessing`: two scalers, each fitted to its own part. `target-leak`: the answer is among the inputs.
- `overfitting`: validation is honest and worse than training.
Not this: an evaluation on the training set itself, beside an honest one; tables of few distinct rows; a mean that is
subtracted from everything by hand, which costs next to nothing.

## Remedy
Split first, then fit, oversample and select on the training part only; split by group where samples belong together.

    x_train, x_val, y_train, y_val = train_test_split(x, y, stratify=y)
    scaler = StandardScaler().fit(x_train)
    x_train, x_val = scaler.transform(x_train), scaler.transform(x_val)

## Sources
- scikit-learn, Common pitfalls: data leakage, https://scikit-learn.org/stable/common_pitfalls.html
- scikit-learn, GroupShuffleSplit,
  https://scikit-learn.org/stable/modules/generated/sklearn.model_selection.GroupShuffleSplit.html
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from ...record import Record, Row, Site
from ...record.feeds import Loader, loaders
from ...source import Module, Source
from ...source.loading import loader_call, loader_calls, parted_at
from ...source.preparation import SPLIT, changed_behind_split, fitted_behind_split
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_at, site_of

FITS = ("fit_transform", "fit")


def in_run(
    record: Record,
    source: Source,
    *,
    min_share: float = 0.03,  # of the evaluation samples; chance makes no two rows of floats equal
    max_repeats: float = 0.5,  # of the training samples among themselves: more are a table of few distinct rows
    min_shared: int = 8,  # samples: fewer may be real duplicates of the data
) -> Answer:
    """Two loaders share samples, or something is fitted to all data before they are split."""
    known = {loader.number: loader for loader in loaders(record)}
    yield from _fitted_before(source)
    rows = record.rows("overlap")
    if not known:
        yield NotEvaluated("no data loader was seen")
        return
    honest = any(row.get("shared") == 0 for row in rows)
    for row in rows:
        trained, held = known.get(row.get("trained", -1)), known.get(row.get("held", -1))
        if trained is None or held is None or not trained.seen or trained.seen < 32:
            continue
        shared, of = int(row.get("shared") or 0), int(row.get("of") or 0)
        repeats = 1 - trained.distinct / trained.seen
        whole = shared >= 0.99 * of
        # The training set, measured again: the same number of samples, or beside an honest evaluation.
        unused = _part_unused(source) if whole and honest else None
        if whole and (honest or trained.samples == held.samples) and unused is None:
            continue
        if (
            shared < min_shared
            or of == 0
            or shared < min_share * of
            or (repeats > max_repeats and whole is False and 1 - held.distinct / max(1, held.seen) > max_repeats)
        ):
            continue
        site = unused.site if unused is not None else _site(source, trained, held)
        yield Finding(site, (_shared(row, trained, held),), 0.9, subject=unused)
        return


class Unused(NamedTuple):
    """A part of a split that is never used, and the dataset of the loader that has the whole in its place."""

    site: Site
    dataset: ast.expr
    part: str


def _part_unused(source: Source) -> Unused | None:
    """The loader over a whole dataset that the script splits, where a part of that split is never used."""
    for module in source:
        used = {node.id for node in ast.walk(module.tree) if isinstance(node, ast.Name) and _is_read(node)}
        for split in module.calls("torch.utils.data.random_split"):
            statement = module.parents.get(split)
            targets = statement.targets if isinstance(statement, ast.Assign) else []
            parts = [part for target in targets if isinstance(target, ast.Tuple) for part in target.elts]
            idle = [part.id for part in parts if isinstance(part, ast.Name) and part.id not in used]
            if len(idle) != 1 or idle[0].startswith("_"):
                continue
            whole = module.segment(split.args[0]) if split.args else ""
            for point in loader_calls(source):
                given = point.node.args[:1] if isinstance(point.node, ast.Call) else []
                if given and point.module is module and module.segment(given[0]) == whole:
                    return Unused(site_of(point), given[0], idle[0])
    return None


def _is_read(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)


def _shared(row: Row, trained: Loader, held: Loader) -> Evidence:
    shared, of = int(row.get("shared") or 0), int(row.get("of") or 1)
    text = (
        f"{shared} of {of} samples of the evaluation loader ({shared / of:.0%}) are, bit by bit, among the "
        f"{row.get('rows')} that were seen of the training loader's"
    )
    return Evidence(text, "loader_overlap", shared / of, 0.0)


def _site(source: Source, trained: Loader, held: Loader) -> Site | None:
    """Where the data are split; else where the evaluation loader is built."""
    for module in source:
        for call in module.calls("sklearn.model_selection.train_test_split", "torch.utils.data.random_split"):
            return site_at(module, call)
    found = [loader_call(source, each.site.file, each.site.line) for each in (trained, held) if each.site is not None]
    if len(found) == 2 and found[0] is not None and found[1] is not None:
        split = parted_at(found[0], found[1])
        if split is not None:
            return site_of(split)
    return site_of(found[-1]) if found and found[-1] is not None else held.site


def _fitted_before(source: Source) -> Answer:
    """`x = scaler.fit_transform(x)`, and a split of `x` after it, in the same function."""
    for module in source:
        for call in module.calls(*(f"?.{name}" for name in FITS)):
            if not isinstance(call.func, ast.Attribute) or not call.args or not _learns(module, call.func.value):
                continue
            statement = module.enclosing(call, ast.Assign)
            names = {node.id for node in ast.walk(call.args[0]) if isinstance(node, ast.Name)}
            if isinstance(statement, ast.Assign):
                names |= {
                    node.id for target in statement.targets for node in ast.walk(target) if isinstance(node, ast.Name)
                }
            scope = module.enclosing(call, ast.FunctionDef, ast.AsyncFunctionDef)
            for split in module.calls("sklearn.model_selection.train_test_split"):
                after = (
                    split.lineno > call.lineno
                    and module.enclosing(split, ast.FunctionDef, ast.AsyncFunctionDef) is scope
                )
                used = {node.id for arg in split.args[:1] for node in ast.walk(arg) if isinstance(node, ast.Name)}
                if after and used & names:
                    text = (
                        f"`{module.segment(call.func)}` learns from all the data at line {call.lineno}, which line "
                        f"{split.lineno} then splits"
                    )
                    yield Finding(site_at(module, call), (Evidence(text),), 0.85)
                    return


def _learns(module: Module, node: ast.expr) -> bool:
    """Whether it is an estimator of scikit-learn that is fitted to data: a scaler, an imputer, a selection."""
    kinds = ("sklearn.preprocessing", "sklearn.feature_selection", "sklearn.decomposition", "sklearn.impute")
    if isinstance(node, ast.Call):
        return module.dotted(node.func).startswith(kinds) and "Encoder" not in module.dotted(node.func)
    text = module.segment(node)
    for found in ast.walk(module.tree):
        if not isinstance(found, ast.Assign) or not isinstance(found.value, ast.Call):
            continue
        if any(module.segment(target) == text for target in found.targets) and _learns(module, found.value):
            return True
    return False


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Split first."""
    title = "split first; then fit, oversample and select on the training part only"
    module = source.module(finding.site.file) if finding.site is not None else None
    statement = module.statement_at(finding.site.line) if module is not None and finding.site is not None else None
    if module is None or statement is None:
        return [Remedy(title, "changes-training")]
    unused = finding.subject
    if isinstance(unused, Unused):
        edit = module.replace(unused.dataset, unused.part)
        return [
            Remedy(f"train on `{unused.part}`, the part of the split that is not used", "changes-training", (edit,))
        ]
    splits = next(module.calls(SPLIT, within=statement), None) is not None
    edits = changed_behind_split(module, statement) if splits else fitted_behind_split(module, statement.lineno)
    return [Remedy(title, "changes-training", tuple(edits))]


def in_source(source: Source) -> Iterator[Finding]:
    """A scaler, or a selection of features, is fitted to what is split afterwards."""
    yield from (answer for answer in _fitted_before(source) if isinstance(answer, Finding))


CONDITION = Condition(
    "data-leakage",
    "warning",
    needs=("loader_overlap", "loader_feeds", "loaders"),
    in_run=in_run,
    in_source=in_source,
    remedies=remedies,
    flatters=True,
)
