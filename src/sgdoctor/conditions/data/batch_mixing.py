"""Samples of a batch leak into each other, or an axis is normalised that should not be.

## What happens
What comes out for one sample depends on who else is in the batch. A softmax runs over the batch instead of the classes
(`dim=0`, or no `dim` on a tensor of three axes). A recurrent layer without `batch_first=True` takes samples for time
steps. A `view` or `reshape` re-cuts memory where `permute` or `transpose` was meant. Training goes on, the loss falls
somewhat, since batches are alike on average; predictions change with batch size and order, and a single sample at
prediction time meets a function that was never trained.

## How it is told apart
By the axis that a softmax in the graph sums over, where that axis is as long as the batch and no other is; by the
number of time steps that a recurrent layer goes through, where that is the number of samples of the loss, and what the
layer takes for its batch is not; by a re-cut in the source that puts the first length of a tensor behind another, in a
run that does not learn. For the rest by an experiment (`sgdoctor prove`): in eval mode, the gradient of one sample's
output with respect to the other samples' inputs is not zero. In train mode batch norm mixes by design, and so is not
asked.
- `constant-output`: the reduced axis has length 1. `double-softmax`: the right axis, but twice.
- `target-leak`: the leak is along time, from later steps, inside one sample.
Not this: graph networks (nodes are the batch; they get other inputs beside), contrastive losses (they mix after the
model), a batch that is the same at every step, similarity matrices of batch by batch, sequences laid out time first.

## Remedy
Normalise over the axis of the classes, tell the layer which axis is the batch, and move axes, do not re-cut.

    F.softmax(scores, dim=-1)
    nn.LSTM(8, 32, batch_first=True)          # for input of (batch, time, features)
    x.permute(0, 2, 1)                        # not x.view(batch, features, time)

## Sources
- LSTM, https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html [(time, batch, features) unless batch_first]
- softmax, https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.softmax.html [dim: what sums to one]
- Tensor views, https://docs.pytorch.org/docs/stable/tensor_view.html [view keeps the order in memory, permute does not]
- Karpathy, A Recipe for Training Neural Networks, https://karpathy.github.io/2019/04/25/recipe/
  [use backprop to chart dependencies: view where transpose was meant mixes the batch]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from ...record import Progress, Record, Row, Site
from ...source import Module, Source
from ...source.recuts import moved_axes, puts_samples_behind
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Outcome, Remedy
from ..questions import fails, judged, layer_site, loss_site, site_at, standing

SOFTMAX = ("softmax", "log_softmax")
RECURRENT = ("torch.nn.LSTM", "torch.nn.GRU", "torch.nn.RNN")
RECURRENT_NAMES = ("LSTM", "GRU", "RNN")
ATTENTION = ("torch.nn.MultiheadAttention", "torch.nn.TransformerEncoderLayer", "torch.nn.TransformerDecoderLayer")
CUTS = ("view", "reshape")


def in_run(record: Record, source: Source) -> Answer:
    """A softmax sums over the axis of the samples, or a recurrent layer goes through it as if it were time."""
    entries = judged(record)
    if not entries:
        yield NotEvaluated("learning cannot be judged")
        return
    for entry in entries:
        batch = _batch(record, entry)
        found = (_summed(record, source, entry, batch) or _stepped(record, source, entry, batch)) if batch else None
        if found is None and fails(entry):
            found = _cut(source, entry)
        if found is not None:
            yield found
            return
    yield NotEvaluated("other ways of mixing samples are shown by an experiment only: `sgdoctor prove`")


def _summed(record: Record, source: Source, entry: Progress, batch: int) -> Finding | None:
    """A softmax over the axis of the samples."""
    shapes = [
        activation["shape"]
        for row in record.rows("activations", site=entry.objective.number)
        for activation in row.get("of", [])
        if activation.get("kind") in SOFTMAX and activation.get("dim") == 0 and _samples(activation, batch)
    ]
    if not shapes:
        return None
    text = f"a softmax over a tensor of shape {shapes[0]} sums over axis 0, which holds the {batch} samples"
    evidence = Evidence(text, "activations", 0.0, 1.0)
    return Finding(_softmax(source) or loss_site(record, entry), (evidence,), 0.9, subject="softmax")


def _stepped(record: Record, source: Source, entry: Progress, batch: int) -> Finding | None:
    """A recurrent layer makes as many time steps as there are samples, for a batch of another size."""
    call = record.calls.get(entry.call) if entry.call is not None else None
    output = ((call or {}).get("output") or {}).get("shape") or []
    for row in entry.objective.graphs:
        if call is None or row.get("step") != call.get("step"):
            continue
        for number, (steps, taken) in _recurrent(record, row).items():
            # Where the loss keeps the other axis too, the output may well be laid out time first.
            if steps != batch or taken in (1, batch) or taken in output[1:]:
                continue
            name = record.parameters[number].module
            text = (
                f"{name} goes through {steps} time steps with a batch of {taken}, and the loss is taken of {batch} "
                f"samples: it reads the samples as time, (time, batch, features) without batch_first=True"
            )
            site = layer_site(record, source, number) or loss_site(record, entry)
            return Finding(site, (Evidence(text, "graph", float(steps), float(taken)),), 0.9, subject="recurrent")
    return None


def _recurrent(record: Record, row: Row) -> dict[int, tuple[int, int]]:
    """(time steps, batch) as a recurrent layer takes them, by a parameter of it, from the shapes in a graph.

    Fused, a layer's output is (time, batch, units). Unfused, one product is of all time steps at once, with the input,
    and the others are of one step each, with the state before it.
    """
    found: dict[int, tuple[int, int]] = {}
    rows: dict[str, dict[int, int]] = {}
    for _, number, shape in row.get("layers") or []:
        known = record.parameters.get(number)
        if known is None or known.module not in RECURRENT_NAMES or not shape:
            continue
        if len(shape) == 3:
            found[number] = (shape[0], shape[1])
        elif len(shape) == 2:
            rows.setdefault(known.layer, {})[number] = shape[0]
    for sizes in rows.values():
        least, most = min(sizes.values()), max(sizes.values())
        if least and len(sizes) > 1 and most % least == 0:
            found[min(sizes)] = (most // least, least)
    return found


def _cut(source: Source, entry: Progress) -> Finding | None:
    """A `view` or `reshape` puts the first length of its own tensor behind another one."""
    for module in source:
        for call in module.calls(*(f"?.{name}" for name in CUTS)):
            if puts_samples_behind(module, call):
                text = (
                    f"`{module.segment(call)}` re-cuts memory so that the samples, axis 0, are spread over others; "
                    f"{standing(entry)}"
                )
                evidence = Evidence(text, "objective", entry.last, entry.baseline)
                return Finding(site_at(module, call), (evidence,), 0.8, subject="cut")
    return None


def _batch(record: Record, entry: Progress) -> int | None:
    """How many samples the loss is taken of, where outputs and targets agree on it."""
    call = record.calls.get(entry.call) if entry.call is not None else None
    output = ((call or {}).get("output") or {}).get("shape") or []
    target = ((call or {}).get("target") or {}).get("shape") or []
    return int(output[0]) if output and target and output[0] == target[0] and output[0] > 1 else None


def _samples(activation: Mapping[str, object], batch: int) -> bool:
    """Whether axis 0, and no other one, is as long as the batch; similarities are (batch, batch), and meant."""
    shape = activation.get("shape")
    return isinstance(shape, list) and len(shape) >= 2 and shape[0] == batch and batch not in shape[1:]


def suspects(record: Record, source: Source) -> tuple[str, ...]:
    """The gradient between samples, where the script holds something that can mix them."""
    return ("sample_independence",) if any(True for _ in _candidates(source)) and record.steps else ()


def in_experiment(
    record: Record,
    source: Source,
    outcomes: Mapping[str, Outcome],
    *,
    min_share: float = 0.05,  # of the gradient, from other samples; where nothing mixes it is exactly 0
) -> Answer:
    """In eval mode the output for one sample depends on others."""
    found = [answer for answer in in_run(record, source) if isinstance(answer, Finding)]
    outcome = outcomes.get("sample_independence")
    if found or outcome is None or not outcome.figures:
        yield from found or in_run(record, source)
        return
    others = outcome.figure("others")
    if others != others:
        yield NotEvaluated(outcome.answer)
        return
    meant = outcome.figure("inputs") != 1 or outcome.figure("varies") != 1
    if others < min_share or meant:
        return
    node = _mixer(source, outcome)
    site = site_at(*node) if node is not None else record.objectives[0].site if record.objectives else None
    yield Finding(site, (Evidence(outcome.answer + ", in eval mode", None, others, 0.0),), 0.9, subject="experiment")


def _candidates(source: Source) -> Iterator[tuple[Module, ast.Call]]:
    """Calls that can mix samples."""
    for module in source:
        for call in module.calls(*RECURRENT, *ATTENTION):
            if not _batch_first(call):
                yield module, call
        for call in module.calls(*(f"?.{name}" for name in (*CUTS, "flatten", *SOFTMAX))):
            yield module, call
        yield from ((module, call) for call in module.calls(*_softmaxes()))


def _batch_first(call: ast.Call) -> bool:
    return any(keyword.arg in ("batch_first", None) for keyword in call.keywords)


def _softmaxes() -> tuple[str, ...]:
    return (
        "torch.softmax",
        "torch.log_softmax",
        "torch.nn.functional.softmax",
        "torch.nn.functional.log_softmax",
        "torch.nn.Softmax",
        "torch.nn.LogSoftmax",
    )


def _softmax(source: Source) -> Site | None:
    """The softmax that is told to sum over axis 0, or is told no axis."""
    for module in source:
        calls = [*module.calls(*_softmaxes()), *module.calls("?.softmax", "?.log_softmax")]
        for call in calls:
            if _axis(module, call) in (0, None):
                return site_at(module, call)
    return None


def _axis(module: Module, call: ast.Call) -> object:
    """The axis as written: a number, None where none is given, else the node."""
    name = module.dotted(call.func)
    skipped = 0 if name.startswith("?.") or name.endswith(("Softmax",)) else 1
    named = [keyword.value for keyword in call.keywords if keyword.arg == "dim"]
    given = named or call.args[skipped : skipped + 1]
    if not given:
        return None
    try:
        return ast.literal_eval(given[0])
    except ValueError:
        return given[0]


def _mixer(source: Source, outcome: Outcome) -> tuple[Module, ast.Call] | None:
    """What mixes: a recurrent layer hands on to later samples only, attention and a re-cut to both sides."""
    forward_only = outcome.figure("earlier_samples") > 0 and not outcome.figure("later_samples") > 1e-9
    found = list(_candidates(source))
    recurrent = [pair for pair in found if pair[0].dotted(pair[1].func) in RECURRENT]
    attention = [pair for pair in found if pair[0].dotted(pair[1].func) in ATTENTION]
    cuts = [pair for pair in found if pair[0].dotted(pair[1].func) in tuple(f"?.{name}" for name in CUTS)]
    softmax = [
        pair for pair in found if "softmax" in pair[0].dotted(pair[1].func).lower() and _axis(*pair) in (0, None)
    ]
    recut = [pair for pair in cuts if not _keeps_batch(*pair)]
    order = (recurrent, softmax, attention, recut) if forward_only else (softmax, attention, recut, recurrent)
    return next((group[0] for group in order if group), None)


def _keeps_batch(module: Module, call: ast.Call) -> bool:
    """Whether the first length is asked of the tensor itself, and only one other is named: a flattening."""
    args = call.args[0].elts if len(call.args) == 1 and isinstance(call.args[0], (ast.Tuple, ast.List)) else call.args
    return len(args) <= 2


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The right axis; for a recurrent or attention layer that is told nothing, the keyword."""
    site = finding.site
    module = source.module(site.file) if site is not None else None
    if module is None or site is None:
        return [Remedy("keep samples apart: right axis, permute instead of view, batch_first=True", "advice")]
    statement = module.statement_at(site.line)
    for node in ast.walk(statement) if statement is not None else ():
        if not isinstance(node, ast.Call) or node.lineno != site.line:
            continue
        name = module.dotted(node.func)
        if name in RECURRENT + ATTENTION and not _batch_first(node):
            text = module.segment(node).rstrip()
            edit = module.replace(node, text[:-1].rstrip().rstrip(",") + ", batch_first=True)")
            return [Remedy("tell the layer that the batch comes first: batch_first=True", "changes-training", (edit,))]
        edit_of_cut = moved_axes(module, node) if name.rpartition(".")[2] in CUTS else None
        if edit_of_cut is not None:
            title = "move the axes instead; view and reshape re-cut memory across samples"
            return [Remedy(title, "changes-training", (edit_of_cut,))]
        if "softmax" in name.lower() and isinstance(_axis(module, node), int):
            old = next((k.value for k in node.keywords if k.arg == "dim"), node.args[-1] if node.args else None)
            if old is not None:
                return [Remedy("sum over the classes: dim=-1", "changes-training", (module.replace(old, "-1"),))]
    return [Remedy("move axes with permute or transpose; view and reshape re-cut memory across samples", "advice")]


CONDITION = Condition(
    "batch-mixing",
    "error",
    needs=("activations", "loss_calls"),
    in_run=in_run,
    by_experiment=True,
    suspects=suspects,
    in_experiment=in_experiment,
    remedies=remedies,
    explains=("uninformative-labels", "vanishing-gradients", "lr-too-low", "double-softmax"),
)
