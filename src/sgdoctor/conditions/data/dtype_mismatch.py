"""A tensor reaches the model or the loss with a dtype that does not fit there.

## What happens
NumPy and pandas default to float64, `torch.from_numpy` keeps that, and weights are float32; labels are int64, int32 or
float depending on how the file was read (NumPy before 2.0 makes int32 on Windows). torch 2.13 then says, for instance:
`mat1 and mat2 must have the same dtype, but got Double and Float` (Linear), `Input type (double) and bias type (float)
should be the same` (Conv), `expected target dtype to be Long or Byte, but got Float` (CrossEntropy; older versions:
`expected scalar type Long but found Float`), `result type Float can't be cast to the desired output type Long`
(BCEWithLogits with integer labels). The message names two types, but not whose tensor is at fault.

## How it is told apart
Decided on dtypes at two doors, the first layer with weights and the loss, against the weights' dtype and what that
loss takes (class ids: int64 of shape (N); soft labels, BCE, MSE: the output's float type), with the exception's text.
- `lossy-cast`: no exception; a cast was made and threw information away. Do not mend this condition into that one:
  `.long()` on values in [0, 1] makes them all 0, `.half()` above 65504 gives inf.
- `wrong-loss-for-task`: float targets at CrossEntropyLoss because the task is regression; no cast is right there.
- `shape-mismatch`: sizes, not types. `labels-out-of-range`: an integer type, but illegal values.
- `mixed-precision-misuse`, `half-precision-optimizer`: Half against Float under autocast or after `.half()`.
Not this: a float64 target at `mse_loss`, or an integer one, which torch promotes by itself; uint8 class ids at
CrossEntropyLoss, which are accepted; a model deliberately in float64 with float64 data.

## Remedy
Cast where the data enters, once, to what the receiver needs; do not turn the model into float64 to please the data.

    x = torch.from_numpy(features).float()           # or np.asarray(features, dtype=np.float32) when reading
    y = torch.as_tensor(labels, dtype=torch.long)    # class ids for CrossEntropyLoss, shape (N)
    y = torch.as_tensor(labels, dtype=torch.float32) # for MSELoss, BCELoss, BCEWithLogitsLoss

## Sources
- pytorch issue 105243, https://github.com/pytorch/pytorch/issues/105243 [why the message now prints the two dtypes]
- scMDC issue 8, https://github.com/xianglin226/scMDC/issues/8 [Double data against a Float layer in a user's run]
- Romanian-Transformers pull request 6, https://github.com/dumitrescustefan/Romanian-Transformers/pull/6
  [labels of type Int on Windows where CrossEntropy wants Long]
- PyTorch, CrossEntropyLoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
  [class indices, or probabilities of the input's shape]
"""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from ...record import Record, Row, Site
from ...source import Source
from ...source.casts import cast_array, cast_inputs, cast_targets
from ...source.flow import Trail
from ...source.loss import argument, maker, trails
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_of

MESSAGES = re.compile(
    r"[Ee]xpected (scalar type|m1 and m2 to have the same dtype|target dtype|dtype|object of scalar type)"
    r"|must have the same dtype|should be the same( type)?|Found dtype \w+ but expected|can't be cast to"
    r"|result type \w+ can't be cast|not implemented for '\w+'|have the same type|must be .*floating point"
    r"|only Tensors of floating point|Input type \(.*\) and (weight|bias) type|[Ee]xpected .*(Long|Float|Double|Half)"
    r"|used as indices must be|can't convert np.ndarray of type|but got (Double|Float|Long|Int|Half)"
)
INDEXED = ("gather", "scatter", "scatter_add", "scatter_reduce", "index_select", "index_add", "take_along_dim")
TYPES = re.compile(r"torch\.\w+|Double|Float|Long|Int\b|Half|Bool|Byte|double|float|long|object_|u?int\d+|float\d+")


class Subject(NamedTuple):
    """What the patch needs: the message, the lines it passed, (file, line) of the losses, their function and types."""

    text: str
    sites: tuple[Site, ...]
    places: tuple[tuple[str, int], ...]
    function: str
    output: str
    target: str


def in_run(record: Record, source: Source) -> Answer:
    """The script raised because of the type of a tensor's numbers."""
    error = record.exception
    if error is None:
        return
    text = str(error.get("text"))
    if error.get("type") not in ("RuntimeError", "TypeError", "NotImplementedError", "ValueError", "IndexError"):
        return
    if not MESSAGES.search(text) or not TYPES.search(text) or _shapes_alone(text) or "device" in text:
        return
    frames = error.get("frames") or []
    if not frames:
        yield NotEvaluated("the exception came from no line of the script's own")
        return
    crashed = record.site(frames[-1])
    evidence = [Evidence(f"torch raised: {text.strip().splitlines()[0][:200]}", "exception")]
    evidence += _types(error)
    # The cast belongs where the tensor is made, when that can be followed; the crash tells only where it hurt.
    site = _index_site(source, crashed) if "index" in text or "indices" in text else None
    if site is None:
        site = crashed
    if site is crashed and crashed is not None and not (error.get("loss") or {}).get("target"):
        for objective_line in [crashed, *[record.site(frame) for frame in reversed(frames)]]:
            if objective_line is None:
                continue
            outputs, _ = trails(source, objective_line.file, objective_line.line)
            made = maker(outputs)
            if made is not None:
                site = site_of(made)
                break
    yield Finding(site, tuple(evidence), 0.95, subject=_subject(record, error, text))


def _index_site(source: Source, crashed: Site | None) -> Site | None:
    """Where the index of a `gather`, or of a subscript, at the crash becomes a tensor."""
    module = source.module(crashed.file) if crashed is not None else None
    statement = module.statement_at(crashed.line) if module is not None and crashed is not None else None
    for node in ast.walk(statement) if statement is not None and module is not None else ():
        index = node.slice if isinstance(node, ast.Subscript) else None
        if isinstance(node, ast.Call) and module is not None:
            dotted = module.dotted(node.func)
            if dotted.rpartition(".")[2].rstrip("_") in INDEXED:
                index = argument(node, 2 if dotted.startswith("torch.") else 1, "index", "indices")
        made = maker(Trail(source).of(module, index)) if index is not None and module is not None else None
        if made is not None:
            return site_of(made)
    return None


def _shapes_alone(text: str) -> bool:
    return "shape" in text and not re.search(r"type|dtype", text)


def _types(error: Row) -> list[Evidence]:
    """Types of the tensors where it happened: the weight and the input of a layer, or the arguments of a loss."""
    found = []
    for frame in error.get("inner") or []:
        weight, tensors = frame.get("weight"), frame.get("tensors") or {}
        if weight and "input" in tensors:
            text = (
                f"{frame.get('module')} has {weight.get('dtype')} weights and was given {tensors['input'].get('dtype')}"
            )
            found.append(Evidence(text, "exception"))
    call = error.get("loss") or {}
    if call.get("output") and call.get("target"):
        output, target = call["output"].get("dtype"), call["target"].get("dtype")
        text = f"{call.get('fn')} was given {output} outputs and {target} targets"
        found.append(Evidence(text, "exception"))
    return found[-2:]


def _subject(record: Record, error: Row, text: str) -> Subject:
    """Where the patch begins: the lines that the exception passed, and the losses whose targets have the wrong type."""
    sites = [site for frame in error.get("frames") or [] if (site := record.site(frame)) is not None]
    call = error.get("loss") or {}
    inner = any("input" in (frame.get("tensors") or {}) and frame.get("weight") for frame in error.get("inner") or [])
    places = [(sites[-1].file, sites[-1].line)] if sites and call.get("target") and not inner else []
    output, target = (call.get("output") or {}).get("dtype"), (call.get("target") or {}).get("dtype")
    if not places and "Found dtype" in text:  # raised by backward: the loss itself took the two types
        for row in record.calls.values():
            site = record.site(row.get("site"))
            if site is not None and row.get("grad") and (row.get("target") or {}).get("dtype") in ("float64", "int64"):
                places.append((site.file, site.line))
    return Subject(text, tuple(sites), tuple(places), str(call.get("fn")), str(output), str(target))


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The cast."""
    subject = finding.subject
    words = "cast where the tensor is made: .float() (or dtype=torch.float32)"
    if not isinstance(subject, Subject):
        return [Remedy(words, "safe")]
    text = subject.text
    if subject.places:
        ids = subject.function in ("cross_entropy", "nll_loss") and subject.target not in ("int64", "uint8")
        cast = "long" if ids else "float"
        title = (
            "class ids are integers: target.long()" if ids else "give the loss targets of its outputs' type: .float()"
        )
        return [Remedy(title, "safe", cast_targets(source, subject.places, cast))]
    crashed = subject.sites[-1] if subject.sites else None
    if crashed is not None and re.search("convert np.ndarray|object_", text):
        return [Remedy(words, "safe", cast_array(source, crashed.file, crashed.line))]
    cast = "long" if re.search("'indices'|indices.*Long|tensors used as indices", text) else "float"
    for site in reversed(subject.sites):
        edits = cast_inputs(source, site.file, [site.line], cast)
        if edits:
            title = words if cast == "float" else "ids that choose rows of an embedding are integers: .long()"
            return [Remedy(title, "safe", edits)]
    return [Remedy(words, "safe")]


CONDITION = Condition(
    "dtype-mismatch",
    "error",
    needs=("exception",),
    in_run=in_run,
    remedies=remedies,
    structural=True,
)
