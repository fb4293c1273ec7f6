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

import re

from ...record import Record, Row
from ...source import Source
from ...source.loss import maker, trails
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_of

MESSAGES = re.compile(
    r"expected (scalar type|m1 and m2 to have the same dtype|target dtype|dtype|object of scalar type)"
    r"|must have the same dtype|should be the same( type)?|Found dtype \w+ but expected|can't be cast to"
    r"|result type \w+ can't be cast|not implemented for '\w+'|have the same type|must be .*floating point"
    r"|only Tensors of floating point|Input type \(.*\) and (weight|bias) type|[Ee]xpected .*(Long|Float|Double|Half)"
    r"|can't convert np.ndarray of type|but got (Double|Float|Long|Int|Half)"
)
TYPES = re.compile(r"torch\.\w+|Double|Float|Long|Int\b|Half|Bool|Byte|double|float|long|object_")


def in_run(record: Record, source: Source) -> Answer:
    """The script raised because of the type of a tensor's numbers."""
    error = record.exception
    if error is None:
        return
    text = str(error.get("text"))
    if error.get("type") not in ("RuntimeError", "TypeError", "NotImplementedError", "ValueError"):
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
    site = crashed
    if crashed is not None and not (error.get("loss") or {}).get("target"):
        for objective_line in [crashed, *[record.site(frame) for frame in reversed(frames)]]:
            if objective_line is None:
                continue
            outputs, _ = trails(source, objective_line.file, objective_line.line)
            made = maker(outputs)
            if made is not None:
                site = site_of(made)
                break
    yield Finding(site, tuple(evidence), 0.95, subject=text)


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


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The cast."""
    text = str(finding.subject)
    if re.search(r"Long|long|Int", text) and re.search(r"nll|cross_entropy|target dtype to be Long", text):
        return [Remedy("class ids are integers: target.long()", "safe")]
    return [Remedy("cast where the tensor is made: .float() (or dtype=torch.float32)", "safe")]


CONDITION = Condition(
    "dtype-mismatch",
    "error",
    needs=("exception",),
    in_run=in_run,
    remedies=remedies,
    structural=True,
)
