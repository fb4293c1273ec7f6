"""A language model's targets are not shifted by one, or shifted twice.

## What happens
A language model reads tokens up to t and is to say token t + 1. If the targets equal the inputs at the same place it
learns to copy what it was just given: the loss falls to zero in no time, and what it generates repeats its prompt. If
they are shifted twice (once in the data set and once more before the loss, as happens with libraries that shift labels
inside), it learns to say the token after next: it trains, with a loss higher than it need be, and generates text that
skips every other token. Shifted the wrong way it recalls what it has read.

## How it is told apart
Decided on ids: those that went into the embedding against those that the loss is given, place by place, with what was
cut off the outputs in between counted in. One place on is right. At every valid place the same token, or the token two
on, or one back, and never the next one, is this.
- `target-leak`: rightly shifted, but the model can see the next token. `padding-in-loss`: filler is counted.
- `uninformative-labels`: labels that have nothing to do with the inputs. `overfitting`: low loss in training alone.
Not this: masked language models (labels where tokens were hidden), taggers, autoencoders that squeeze the sequence
through one code, copying tasks with an encoder, sequences that repeat so that every shift fits.

## Remedy
Shift once, either in the data set or before the loss.

    logits = model(ids[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())

## Sources
- Hugging Face course, training a causal language model, https://huggingface.co/learn/llm-course/chapter7/6
  [shifting inputs and labels happens inside the model: labels must not be shifted again]
- Karpathy, nanoGPT, https://github.com/karpathy/nanoGPT [x = data[i:i+block], y = data[i+1:i+1+block]]
"""

from __future__ import annotations

import ast

import numpy as np

from ...record import Record, Rows, Site, progress
from ...record.record import numbers
from ...source import Edit, Module, Source
from ...source.flow import Trail
from ...source.loss import argument, loss_call
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import loss_site, site_at

SHIFTS = (-2, -1, 0, 1, 2, 3)  # of host/probes/pairs.py


def in_run(
    record: Record,
    source: Source,
    *,
    min_match: float = 0.985,  # copies are exact; a hidden or replaced token in ten already falls below
    max_next: float = 0.9,  # of the places where the next token fits as well: repeating sequences fit everywhere
    min_samples: int = 3,  # by chance one batch of constant sequences may fit
) -> Answer:
    """Targets are the input's own tokens, one place off from where they should be."""
    rows = Rows(row for row in record.rows("sequence") if len(row.get("shifts") or []) == len(SHIFTS))
    if not len(rows):
        yield NotEvaluated("no loss over class ids beside an embedding of as many ids was seen")
        return
    aligned = {row.get("call") for row in rows if _share(row, 1) > max_next}
    # An encoder's code says nothing of what its decoder is fed with, which is looked up in a table of its own.
    coded = {(row.get("call"), row.get("param")) for row in rows if row.get("narrow")}
    groups: dict[tuple[object, ...], Rows] = {}
    for row in rows:
        groups.setdefault((row.get("call"), row.get("param"), row.get("axis"), row.get("start")), Rows()).append(row)
    for (number, table, _, _), found in groups.items():
        if number in aligned or (number, table) in coded or len(found) < min_samples:
            continue
        fits = [shift for shift in SHIFTS if all(_share(row, shift) >= min_match for row in found)]
        if not fits or 1 in fits:
            continue
        shift = fits[0]
        call = record.calls.get(number) if isinstance(number, int) else None
        if call is None or not _causal(record, source, found, shift):
            continue
        site = record.site(call.get("site"))
        yield _finding(record, source, site, found, shift)
        return


def _share(row: dict[str, object], shift: int) -> float:
    value = float(numbers(row.get("shifts"))[SHIFTS.index(shift)])
    return value if np.isfinite(value) else 0.0


def _causal(record: Record, source: Source, rows: Rows, shift: int) -> bool:
    """Copies of tokens two on (or one back) are made on purpose by no one; those of the same place by autoencoders.

    A model that looks at each place and what is before it is a language model; one that also sees what comes after it
    may be meant to restore its input, unless the script samples from it.
    """
    if shift != 0:
        return True
    ahead = [value for row in rows for value in numbers(row.get("ahead")) if np.isfinite(value)]
    return not any(value > 0.01 for value in ahead) or _generates(source)


def _generates(source: Source) -> bool:
    """Whether the script draws tokens one by one."""
    return any(True for module in source for _ in module.calls("torch.multinomial", "?.multinomial", "?.generate"))


def _finding(record: Record, source: Source, site: Site | None, rows: Rows, shift: int) -> Finding:
    entry = next((e for e in progress(record) if loss_site(record, e) == site), None)
    words = {
        0: "the very token that the model is given at the same place: it only has to copy",
        2: "the token two places on instead of the next: they were shifted twice",
        3: "the token three places on instead of the next",
        -1: "the token before: shifted the wrong way",
        -2: "the token two places before: shifted the wrong way, twice",
    }
    low = min(_share(row, shift) for row in rows)
    text = f"at {low:.1%} of the valid places or more, in {len(rows)} samples, the target is {words[shift]}"
    evidence = [Evidence(text, "sequences", float(shift), 1.0)]
    if entry is not None:
        what = f"the loss went from {entry.first:.4g} to {entry.last:.4g}"
        evidence.append(Evidence(what, "objective", entry.last, entry.first))
    place = (_given_twice(source, site) if shift == 0 else None) or _shifted(source, site) or site
    return Finding(place, tuple(evidence), 0.95, subject=(site, shift))


def _given_twice(source: Source, site: Site | None) -> Site | None:
    """The line that hands the same ids over as inputs and as targets: `return chunk, chunk`."""
    found = _target(source, site)
    for point in Trail(source).of(*found) if found is not None else ():
        parts = [_names(p) for p in point.node.elts if not _cut(p)] if isinstance(point.node, ast.Tuple) else []
        if len(parts) == 2 and parts[0] & parts[1]:
            return site_at(point.module, point.node)
    return None


def _cut(node: ast.expr) -> bool:
    return any(isinstance(part, ast.Subscript) and _slices(part) for part in ast.walk(node))


def _names(node: ast.expr) -> set[str]:
    """Names in an expression that stand for themselves: `self` in `self.ids` does not."""
    owners = {id(part.value) for part in ast.walk(node) if isinstance(part, ast.Attribute)}
    called = {id(part.func) for part in ast.walk(node) if isinstance(part, ast.Call)}
    names = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
    return {name.id for name in names if id(name) not in owners | called}


def _shifted(source: Source, site: Site | None) -> Site | None:
    """The line where the targets are cut out of the ids."""
    found = _target(source, site)
    for point in Trail(source).of(*found) if found is not None else ():
        if isinstance(point.node, ast.Subscript) and _slices(point.node):
            return site_at(point.module, point.node)
    return None


def _target(source: Source, site: Site | None) -> tuple[Module, ast.expr] | None:
    found = loss_call(source, site.file, site.line) if site is not None else None
    target = argument(found[1], 1, "target") if found is not None else None
    return (found[0], target) if found is not None and target is not None else None


def _slices(node: ast.Subscript) -> bool:
    return any(isinstance(part, ast.Slice) for part in ast.walk(node.slice))


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Shift once more, or once less."""
    site, shift = finding.subject if isinstance(finding.subject, tuple) else (None, 0)
    if shift == 0:
        title = "shift the targets by one: logits[:, :-1] against ids[:, 1:]"
    else:
        title = "shift the targets once only: in the data set or before the loss, not in both"
    found = loss_call(source, site.file, site.line) if site is not None else None
    edits: list[Edit] = []
    if found is not None and shift == 2:
        edits = _unshifted(found)
    elif found is not None and shift == 0:
        edits = _next(source, found) or _shortened(found)
    return [Remedy(title, "safe", tuple(edits))]


def _unshifted(found: tuple[Module, ast.Call]) -> list[Edit]:
    """Where both slices stand in the loss's own call, take them away."""
    module, call = found
    output, target = argument(call, 0, "input"), argument(call, 1, "target")
    edits = []
    for part in (output, target):
        cuts = [n for n in ast.walk(part) if isinstance(n, ast.Subscript) and _slices(n)] if part is not None else []
        if len(cuts) != 1:
            return []
        edits.append(module.replace(cuts[0], module.segment(cuts[0].value)))
    return edits


def _next(source: Source, found: tuple[Module, ast.Call]) -> list[Edit]:
    """`ids[:, :-1], ids[:, :-1]`: the cut of the targets begins one later, where the inputs are cut the same way."""
    target = argument(found[1], 1, "target")
    for point in Trail(source).of(found[0], target) if target is not None else ():
        node, module = point.node, point.module
        if not isinstance(node, ast.Subscript):
            continue
        scope = module.enclosing(node, ast.FunctionDef, ast.Module) or module.tree
        same = [
            n for n in ast.walk(scope) if isinstance(n, ast.Subscript) and module.segment(n) == module.segment(node)
        ]
        last = node.slice.elts[-1] if isinstance(node.slice, ast.Tuple) else node.slice
        if isinstance(last, ast.Slice) and len(same) == 2 and module.segment(last) == ":-1":
            return [module.replace(last, "1:")]
    return []


def _shortened(found: tuple[Module, ast.Call]) -> list[Edit]:
    """`criterion(logits.view(-1, n), ids.view(-1))`: the last place of the one and the first of the other cut off."""
    module, call = found
    edits: list[Edit] = []
    for part, cut in ((argument(call, 0, "input"), ":-1"), (argument(call, 1, "target"), "1:")):
        method = part.func if isinstance(part, ast.Call) else None
        if not isinstance(method, ast.Attribute) or method.attr not in ("view", "reshape", "flatten"):
            return []
        if not isinstance(method.value, (ast.Name, ast.Attribute)):
            return []
        name = "reshape" if method.attr == "view" else method.attr
        edits.append(module.replace(method, f"{module.segment(method.value)}[:, {cut}].{name}"))
    return edits


CONDITION = Condition(
    "label-shift",
    "error",
    needs=("sequences", "loss_calls", "objective"),
    in_run=in_run,
    remedies=remedies,
    flatters=True,
    structural=True,
    explains=("uninformative-labels", "target-leak"),
)
