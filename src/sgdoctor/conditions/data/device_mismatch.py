"""Tensors that meet in one operation live on different devices.

## What happens
The model was moved and the batch was not, or a tensor was made inside `forward` on the default device, or the module
was
moved but keeps a plain tensor as an attribute, which `.to()` does not see; or a model that was built on the "meta"
device, which holds shapes only, was never given its memory. torch raises: "Expected all tensors to be on the same
device",
"Tensor on device cpu is not on the expected device", "Cannot copy out of meta tensor". The line of the traceback is
where
they meet; the one to change is where the stray one was made. Or the device that the script names is not there at all:
"Torch not compiled with CUDA enabled", "Found no NVIDIA driver on your system", "invalid device ordinal".

## How it is told apart
Decided on the exception and on the devices of the weight and of the tensors in the frames it came through. Where the
device itself is missing: on the one place of the script that names it.
- `dtype-mismatch`: same device, other type of number ("Input type (torch.cuda.FloatTensor) and weight type
  (torch.FloatTensor)" names both: there the device is what differs). `shape-mismatch`: the sizes do not fit.
- `out-of-memory`: the device is right, and full.
Not this: models that are spread over devices on purpose and move activations themselves; scalars of dimension zero on
the CPU, which torch accepts anywhere.

## Remedy
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)                                    # before the optimizer is built
    x, y = x.to(device), y.to(device)                   # .to() returns the copy: assign it
    self.register_buffer("mean", mean)                  # then .to() moves it with the module
    model.to_empty(device=device)                       # for a model built on "meta"; then load or initialise it

Inside `forward`, make new tensors where the input is: `torch.zeros(n, device=x.device)`, `torch.zeros_like(x)`.

## Sources
- PyTorch, Tensor attributes: torch.device, https://docs.pytorch.org/docs/stable/tensor_attributes.html
- PyTorch, Module.register_buffer and Module.to_empty,
  https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
- PyTorch, Meta device, https://docs.pytorch.org/docs/stable/meta.html
"""

from __future__ import annotations

import ast
import re

from ...record import Record, Row, Site
from ...source import Edit, Module, Source
from ...source.loss import trails
from ...source.spelling import spelled
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_at

MESSAGES = re.compile(
    r"Expected all tensors to be on the same device|is not on the expected device|Cannot copy out of meta tensor"
    r"|torch\.cuda\.\w+Tensor\) and \w+ type \(torch\.(Float|Half|Double)Tensor"
    r"|\(torch\.(Float|Half|Double)Tensor\) and \w+ type \(torch\.cuda|on the same device|different devices"
    r"|expected device \S+ but got|should be either on cpu or on the same device|out of meta tensor|meta tensors?"
)
ABSENT = re.compile(
    r"Torch not compiled with CUDA enabled|Found no NVIDIA driver|No CUDA GPUs are available|invalid device ordinal"
    r"|CUDA driver version is insufficient|not linked with support for mps|MPS backend is only available"
    r"|on a CUDA device but torch\.cuda\.is_available\(\) is False"
)
ACCELERATOR = re.compile(r"(cuda|mps)(:\d+)?")
RAISED = ("RuntimeError", "NotImplementedError", "ValueError", "AssertionError", "AcceleratorError")


def in_run(record: Record, source: Source) -> Answer:
    """The script raised because of where a tensor lives."""
    error = record.exception
    if error is None:
        return
    text = str(error.get("text"))
    absent = ABSENT.search(text)
    if error.get("type") not in RAISED or not (MESSAGES.search(text) or absent):
        return
    frames = error.get("frames") or []
    if not frames:
        yield NotEvaluated("the exception came from no line of the script's own")
        return
    crashed = record.site(frames[-1])
    evidence = [Evidence(f"torch raised: {text.strip().splitlines()[0][:200]}", "exception"), *_devices(error)]
    if absent is not None:
        named = _named(source)
        yield Finding(site_at(*named) if named else crashed, tuple(evidence[:1]), 0.96, subject=ABSENT)
        return
    yield Finding(_site(source, crashed, text), tuple(evidence), 0.96, subject=text)


def _named(source: Source) -> tuple[Module, ast.Constant] | None:
    """The one place that names an accelerator, whether there is one or not; None where there are several."""
    found = [
        (module, node)
        for module in source
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and ACCELERATOR.fullmatch(node.value)
        if not isinstance(module.parents.get(node), (ast.IfExp, ast.Compare, ast.Expr))
    ]
    return found[0] if len(found) == 1 else None


def _devices(error: Row) -> list[Evidence]:
    for frame in error.get("inner") or []:
        weight = frame.get("weight") or {}
        found = {name: tensor.get("device") for name, tensor in (frame.get("tensors") or {}).items()}
        places = ", ".join(f"{name} on {device}" for name, device in list(found.items())[:4])
        if weight and found:
            return [
                Evidence(
                    f"{frame.get('module')} has its weight on {weight.get('device')} and got {places}", "exception"
                )
            ]
        if len(set(found.values())) > 1:
            return [Evidence(f"in {frame.get('function')}: {places}", "exception")]
    return []


def _site(source: Source, crashed: Site | None, text: str) -> Site | None:
    """Where a tensor is made without a device inside the failing function; where a meta model is built; the crash."""
    module = source.module(crashed.file) if crashed is not None else None
    if module is None or crashed is None:
        return crashed
    if "meta" in text:
        for other in source:
            for call in other.calls("torch.device"):
                if call.args and isinstance(call.args[0], ast.Constant) and call.args[0].value == "meta":
                    return site_at(other, call)
            for node in ast.walk(other.tree):
                if not isinstance(node, ast.keyword) or not isinstance(node.value, ast.Constant):
                    continue
                if str(node.arg).endswith(("device", "map_location")) and node.value.value == "meta":
                    return site_at(other, node.value)
        for other in source:
            for node in ast.walk(other.tree):
                # A field, a name or a default that holds it: what a device= is then given.
                if isinstance(node, (ast.Assign, ast.AnnAssign)) and _is_meta(node.value):
                    return site_at(other, node)
                if isinstance(node, ast.keyword) and node.arg == "default" and _is_meta(node.value):
                    return site_at(other, node.value)
    outputs, targets = trails(source, crashed.file, crashed.line)
    names = ("zeros", "ones", "rand", "randn", "arange", "tensor", "full", "eye", "empty")
    function = module.function_at(crashed.line)
    for point in [*outputs, *targets]:
        for node in ast.walk(point.node):
            if isinstance(node, ast.Call) and point.module.dotted(node.func) in {f"torch.{name}" for name in names}:
                inside = function is not None and point.module.function_at(node.lineno) is function
                if inside and not any(each.arg == "device" for each in node.keywords):
                    return site_at(point.module, node)
    return crashed


def _is_meta(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value == "meta"


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Bring them together."""
    if finding.subject is ABSENT:
        title = 'take the accelerator where there is one: "cuda" if torch.cuda.is_available() else "cpu"'
        return [Remedy(title, "safe", _where_there_is_one(source))]
    if "meta" in str(finding.subject):
        title = (
            "build the model where it has memory; or model.to_empty(device=...) before use, then load or initialise it"
        )
        return [Remedy(title, "changes-training", tuple(_real(finding, source)))]
    return [Remedy("move both to one device: model.to(device) once, x = x.to(device) for each batch", "safe")]


def _where_there_is_one(source: Source) -> tuple[Edit, ...]:
    """The one place that names the device made conditional."""
    named = _named(source)
    torch = spelled(named[0], "torch") if named is not None else None
    if named is None or torch is None:
        return ()
    module, node = named
    there = {"cuda": f"{torch}.cuda.is_available()", "mps": f"{torch}.backends.mps.is_available()"}.get(str(node.value))
    if there is None:
        return ()
    text = f'{node.value!r} if {there} else "cpu"'.replace("'", '"')
    alone = isinstance(module.parents.get(node), (ast.Assign, ast.AnnAssign, ast.keyword, ast.Call, ast.arguments))
    return (module.replace(node, text if alone else f"({text})"),)


def _real(finding: Finding, source: Source) -> list[Edit]:
    """The device "meta" at the line, which has no memory, written as the one that every machine has."""
    module = source.module(finding.site.file) if finding.site is not None else None
    return [
        module.replace(node, '"cpu"')
        for node in (ast.walk(module.tree) if module is not None else ())
        if module is not None and finding.site is not None
        if isinstance(node, ast.Constant) and node.value == "meta" and node.lineno == finding.site.line
    ]


CONDITION = Condition(
    "device-mismatch",
    "error",
    needs=("exception",),
    in_run=in_run,
    remedies=remedies,
    structural=True,
    explains=("dtype-mismatch", "shape-mismatch"),
)
