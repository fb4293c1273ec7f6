"""A checkpoint is loaded without its names fitting, so that little or nothing of it arrives.

## What happens
`load_state_dict(state, strict=False)` copies what fits by name and keeps quiet about the rest. Saved from a
DataParallel or compiled wrapper (`module.`, `_orig_mod.`), from a model that kept the body under another attribute, or
with the weights one level deeper in the file (`{"model": ...}`), no name fits: the model stays as it was initialised,
and fine-tuning from it is training from scratch. The same by hand: a dict comprehension that keeps the entries whose
names the model has, and keeps none. The result of the call says it all, and is thrown away.

## How it is told apart
Decided on the result of the load: most of the model's parameters were missing from the state dict **and** most of the
dict's entries were unknown to the model. Or, where the script itself drops what does not fit: entries of the file were
left out that have the shapes of those that are missing.
- `aliased-state`: every name fits, and the content is the model's own.
- `resumed-without-optimizer`: the weights arrive, the optimizer's state does not.
- `ineffective-freeze`, `frozen-parameters`: a body that is fixed at random after such a load makes it worse.
Not this: a new head beside a loaded body (few missing); one part taken from a larger checkpoint (nothing missing);
a small checkpoint for a larger model (nothing unexpected).

## Remedy
Make the names fit, and look at what did not:

    state = {key.removeprefix("module."): value for key, value in state.items()}
    result = model.load_state_dict(state, strict=False)
    print(result.missing_keys, result.unexpected_keys)

## Sources
- PyTorch, Module.load_state_dict, https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
  [strict=False; returns missing_keys and unexpected_keys]
- PyTorch tutorials, Saving and loading models,
  https://docs.pytorch.org/tutorials/beginner/saving_loading_models.html
  [partial loads, and keys that are to be renamed]
"""

from __future__ import annotations

import ast

from ...record import Record, Row
from ...record.record import number
from ...source import Source
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy


def in_run(
    record: Record,
    source: Source,
    *,
    min_share: float = 0.5,  # of the model missing, and of the dict unknown: a new head or a spare part gives less
    renamed: float = 0.75,  # of what is missing, with the shape of an entry that is left over: no new head, other names
    own_share: float = 0.99,  # of a merged dict that is the model's own memory: nothing was merged into it
) -> Answer:
    """Loads of which hardly anything arrived."""
    if not record.rows("torch"):
        yield NotEvaluated("no torch was seen")
        return
    for row in record.rows("loading"):
        wanted, given = row.get("wanted", 0), row.get("given", 0)
        missing, unexpected = row.get("missing", 0), row.get("unexpected", 0)
        site = record.site(row.get("site"))
        if site is None or not wanted:
            continue
        if given and missing >= min_share * wanted and unexpected >= min_share * given:
            text = (
                f"of {wanted} parameters of {row.get('class')} {wanted - missing} were found in the state dict; "
                f"{unexpected} of its {given} entries fit nothing"
            )
            names = row.get("examples", [])
            if len(names) == 2:
                text += f" (wanted {names[0]}, given {names[1]})"
            evidence = (Evidence(text, "checkpoints", 1 - missing / wanted, 1.0),)
            yield Finding(site, evidence, 0.95, subject=_prefix(names))
            return
        left, alike = row.get("stored", 0) - row.get("used", 0), row.get("alike", 0)
        if missing >= min_share * wanted and alike >= max(2, renamed * missing):
            text = (
                f"{missing} of {wanted} parameters of {row.get('class')} got nothing, and {left} of the file's "
                f"{row.get('stored')} entries were left out; {alike} of them have the shape of one that is missing: "
                "the same layers under other names"
            )
            yield Finding(site, (Evidence(text, "checkpoints", 1 - missing / wanted, 1.0),), 0.92)
            return
        if _nothing_merged(row, own_share) and _updates(source, site.file):
            text = (
                f"the state dict that is loaded holds nothing but the memory of {row.get('class')} itself: no entry of "
                "a checkpoint was merged into it"
            )
            yield Finding(site, (Evidence(text, "checkpoints", 0.0, 1.0),), 0.88)
            return


def _nothing_merged(row: Row, own_share: float) -> bool:
    at_once = row.get("own") and row.get("taken_step") == row.get("step") == 0
    return bool(at_once and row.get("taken_site") != row.get("site") and number(row.get("aliased")) > own_share)


def _updates(source: Source, file: str) -> bool:
    module = source.module(file)
    return module is not None and next(module.calls("?.update"), None) is not None


def _prefix(names: list[str]) -> tuple[str, str] | None:
    """("strip" or "add", prefix) that makes the one name the other."""
    if len(names) != 2:
        return None
    wanted, given = names
    if given.endswith(wanted) and given != wanted:
        return "strip", given[: -len(wanted)]
    if wanted.endswith(given) and given != wanted:
        return "add", wanted[: -len(given)]
    return None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The names made to fit."""
    site, subject = finding.site, finding.subject
    title = "make the names fit, load with strict=True, or look at missing_keys and unexpected_keys of the result"
    module = source.module(site.file) if site is not None else None
    if module is None or site is None or not isinstance(subject, tuple):
        return [Remedy(title, "changes-training")]
    how, prefix = subject
    title = f"{'strip' if how == 'strip' else 'add'} the prefix {prefix!r} of every name"
    calls = [c for c in module.calls("?.load_state_dict") if c.lineno <= site.line <= (c.end_lineno or 0) and c.args]
    if len(calls) != 1 or isinstance(calls[0].args[0], ast.Starred):
        return [Remedy(title, "changes-training")]
    state = calls[0].args[0]
    key = f'key.removeprefix("{prefix}")' if how == "strip" else f'f"{prefix}{{key}}"'
    text = f"{{{key}: value for key, value in {module.segment(state)}.items()}}"
    return [Remedy(title, "changes-training", (module.replace(state, text),))]


CONDITION = Condition("checkpoint-not-loaded", "error", needs=("checkpoints",), in_run=in_run, remedies=remedies)
