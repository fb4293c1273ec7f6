"""What values are to torch: optimizers, layers, losses, and the operation that made a tensor."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from .calls import is_layer as is_layer
from .calls import is_module as is_module
from .values import (
    Attr,
    Call,
    Carried,
    Const,
    Either,
    External,
    Instance,
    Item,
    Mapping,
    Op,
    Sequence,
    Value,
)

# Methods that give the same numbers in another form; a softmax or a sigmoid before them is still one behind them
FORMS = frozenset(
    (
        "to",
        "cuda",
        "cpu",
        "float",
        "double",
        "half",
        "bfloat16",
        "contiguous",
        "clone",
        "view",
        "reshape",
        "squeeze",
        "unsqueeze",
        "flatten",
        "permute",
        "transpose",
        "view_as",
        "reshape_as",
        "type",
        "type_as",
        "ravel",
        "mT",
        "requires_grad_",
        "retain_grad",
    )
)
CUTS = frozenset(("detach", "detach_", "item", "numpy", "tolist", "data"))
LOSSES = {
    "CrossEntropyLoss": "cross_entropy",
    "BCEWithLogitsLoss": "binary_cross_entropy_with_logits",
    "BCELoss": "binary_cross_entropy",
    "NLLLoss": "nll_loss",
    "MSELoss": "mse_loss",
    "L1Loss": "l1_loss",
    "SmoothL1Loss": "smooth_l1_loss",
    "HuberLoss": "huber_loss",
    "KLDivLoss": "kl_div",
}
CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
# Libraries that do not train: what they are given comes back as it was
FRAMES_OUTSIDE = frozenset(
    (
        "torch",
        "numpy",
        "math",
        "random",
        "time",
        "os",
        "sys",
        "tqdm",
        "logging",
        "json",
        "copy",
        "itertools",
        "sklearn",
        "matplotlib",
        "pandas",
        "collections",
        "functools",
        "pathlib",
        "argparse",
        "torchvision",
        "contextlib",
        "wandb",
        "typing",
        "dataclasses",
        "datetime",
        "pickle",
        "warnings",
        "re",
        "csv",
        "string",
        "statistics",
        "scipy",
        "PIL",
    )
)
WEIGHTED = frozenset(
    (
        "Linear",
        "Conv1d",
        "Conv2d",
        "Conv3d",
        "ConvTranspose1d",
        "ConvTranspose2d",
        "ConvTranspose3d",
        "Bilinear",
        "LSTM",
        "GRU",
        "RNN",
        "Embedding",
        "EmbeddingBag",
        "LSTMCell",
        "GRUCell",
        "RNNCell",
        "MultiheadAttention",
        "TransformerEncoderLayer",
        "TransformerDecoderLayer",
        "Transformer",
    )
)
MODAL = frozenset(
    (
        "Dropout",
        "Dropout1d",
        "Dropout2d",
        "Dropout3d",
        "AlphaDropout",
        "FeatureAlphaDropout",
        "SyncBatchNorm",
        "BatchNorm1d",
        "BatchNorm2d",
        "BatchNorm3d",
        "InstanceNorm1d",
        "InstanceNorm2d",
        "InstanceNorm3d",
    )
)


def settled(value: Value | None) -> Value | None:
    """A value without what only a loop makes uncertain."""
    for _ in range(20):
        if not isinstance(value, Carried):
            return value
        same = value.left is value or (isinstance(value.left, Carried) and value.left.loop is value.loop)
        value = value.left if isinstance(value.before, Const) and not same else value.before
    return None


def constructor(value: Value | None) -> str:
    """The dotted name of what made a value, "" where nothing outside the program did."""
    value = settled(value)
    return value.fn.name if isinstance(value, Call) and isinstance(value.fn, External) else ""


def is_optimizer(value: Value | None) -> bool:
    """Whether it is one of torch's own optimizers."""
    name = constructor(value)
    return name.startswith("torch.optim.") and "lr_scheduler" not in name and "swa_utils" not in name and _class(name)


def is_scheduler(value: Value | None) -> bool:
    """Whether it is one of torch's own schedulers."""
    name = constructor(value)
    return name.startswith("torch.optim.lr_scheduler.") and _class(name)


def is_scaler(value: Value | None) -> bool:
    """Whether it is a GradScaler that is switched on."""
    value = settled(value)
    if not isinstance(value, Call) or not constructor(value).endswith(".GradScaler"):
        return False
    enabled = value.argument(4, "enabled")
    return enabled is None or (isinstance(enabled, Const) and bool(enabled.value))


def is_loader(value: Value | None) -> bool:
    """Whether it is a DataLoader of torch."""
    return constructor(value) == "torch.utils.data.DataLoader" or constructor(value).endswith(".DataLoader")


def _class(name: str) -> bool:
    return name.rpartition(".")[2][:1].isupper()


def operation(value: Value | None) -> tuple[str, Value | None]:
    """(name, input) of what made a tensor: `softmax` for the function, the method and the layer alike."""
    value = settled(value)
    if not isinstance(value, Call):
        return (value.operator, value.operands[0]) if isinstance(value, Op) and value.operands else ("", None)
    fn = settled(value.fn)
    given = value.argument(0, "input", "x")
    if isinstance(fn, External) and fn.name.startswith("torch."):
        return fn.name.rpartition(".")[2], given
    if isinstance(fn, Attr):
        return fn.name, fn.of
    if isinstance(fn, Call) and is_layer(fn):
        return layer_name(fn), given
    return "", None


def layer_name(layer: Value | None) -> str:
    """`Linear` of `nn.Linear(...)`; those that are a function as well by the name of the function: `log_softmax`."""
    name = constructor(layer).rpartition(".")[2]
    return (
        CAMEL.sub("_", name).lower() if name in ("Softmax", "LogSoftmax", "Sigmoid", "LogSigmoid", "Flatten") else name
    )


def loss_of(value: Value | None) -> tuple[str, Call] | None:
    """(name of the function, call) where a value is what one of torch's losses gives."""
    value = settled(value)
    if not isinstance(value, Call):
        return None
    fn = settled(value.fn)
    if isinstance(fn, External) and fn.name.startswith("torch.nn.functional."):
        name = fn.name.rpartition(".")[2]
        known = name.endswith("_loss") or name in ("cross_entropy", "kl_div") or name.startswith("binary_cross_entropy")
        return (name, value) if known else None
    kind = constructor(fn).rpartition(".")[2]
    if constructor(fn).startswith("torch.nn.") and kind.endswith("Loss"):
        return LOSSES.get(kind, kind), value
    return None


def reformed(value: Value | None) -> Value | None:
    """A tensor without the changes of form behind it."""
    for _ in range(30):
        value = settled(value)
        name, given = operation(value)
        if isinstance(value, Call) and name in FORMS and given is not None:
            value = given
        elif isinstance(value, Attr) and value.name in ("T", "mT"):
            value = value.of
        else:
            return value
    return value


def picked(value: Value | None) -> Value | None:
    """The same, and without the choice of columns or rows."""
    for _ in range(10):
        value = reformed(value)
        if not isinstance(value, Item) or not isinstance(value.index, (Sequence, Const)):
            return value
        value = value.of
    return value


def options(value: Value | None) -> list[Value]:
    """The values that one of may be meant."""
    found, waiting, seen = [], [value], set()
    while waiting:
        each = settled(waiting.pop(0))
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, Either):
            waiting += each.options
        else:
            found.append(each)
    return found


def within(value: Value | None, stop: Callable[[Value], bool] | None = None, limit: int = 4000) -> Iterator[Value]:
    """A value and all that it is made of. `stop`: values that are not looked into."""
    waiting = [value] if value is not None else []
    seen: set[int] = set()
    while waiting and len(seen) < limit:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        if stop is None or not stop(each):
            waiting += each.parts()


def holds(value: Value, wanted: Value, depth: int = 3) -> bool:
    """Whether a value is, contains or is bound to another: what a callee that is given it could reach."""
    if value is wanted:
        return True
    if depth == 0:
        return False
    if isinstance(value, (Sequence, Mapping, Either, Carried)):
        return any(holds(each, wanted, depth - 1) for each in value.parts() if each is not value)
    if isinstance(value, Instance):
        return any(holds(each, wanted, depth - 1) for each in value.attributes.values())
    bound = getattr(value, "bound", None)
    return isinstance(bound, Value) and holds(bound, wanted, depth - 1)


def is_cut(value: Value) -> bool:
    """Whether no gradient passes: `.detach()`, `.item()`, made with gradients off."""
    if isinstance(value, (Call, Op)) and value.grad is False:
        return True
    if isinstance(value, Call):
        fn = value.fn
        if isinstance(fn, Attr):
            return fn.name in CUTS
        if isinstance(fn, External):
            plain = fn.name in ("float", "int", "len", "round") or fn.name.startswith(("numpy.", "math."))
            return plain or fn.name in ("torch.tensor", "torch.as_tensor", "torch.from_numpy", "torch.argmax")
        return False
    return isinstance(value, Attr) and value.name in ("data", "shape", "dtype", "device", "grad")


def layers(module: Value | None, depth: int = 8) -> Iterator[Call]:
    """torch's own layers inside a module, as far as they are to be seen."""
    module = settled(module)
    if depth == 0 or module is None:
        return
    if isinstance(module, Instance):
        for each in module.attributes.values():
            yield from layers(each, depth - 1)
    elif isinstance(module, (Sequence, Mapping, Either, Op)):
        for each in module.parts():
            yield from layers(each, depth - 1)
    elif isinstance(module, Call) and is_layer(module):
        yield module
        for each in (*module.args, *module.kwargs.values()):
            yield from layers(each, depth - 1)


def modules_of(value: Value | None) -> Iterator[Value]:
    """The modules whose parameters a value holds: of `net.parameters()`, of groups, lists and sums of such."""
    for each in within(value, stop=lambda v: isinstance(v, Instance) or is_layer(v)):
        if isinstance(each, Attr) and each.name in ("parameters", "named_parameters"):
            for option in options(each.of):
                if is_module(option):
                    yield option


def inner(module: Value) -> set[int]:
    """Identities of a module and the modules inside it."""
    found, waiting = set(), [module]
    while waiting:
        each = settled(waiting.pop())
        if each is None or id(each) in found:
            continue
        if isinstance(each, Instance):
            found.add(id(each))
            waiting += each.attributes.values()
        elif isinstance(each, (Sequence, Mapping, Either, Op)):
            waiting += each.parts()
        elif is_layer(each):
            found.add(id(each))
            assert isinstance(each, Call)
            waiting += (*each.args, *each.kwargs.values())
    return found


def applied(value: Value | None, stop: Callable[[Value], bool] | None = None) -> Iterator[Call]:
    """The layers' outputs that a value is made of."""
    for each in within(value, stop):
        applies = isinstance(each, Call) and isinstance(each.fn, (Call, Carried, Either))
        if applies and isinstance(each, Call) and is_layer(settled(each.fn) or each):
            yield each


def is_fresh(module: Value) -> bool:
    """Whether it holds weights, and none but those that torch's layers are made with in the program."""
    found = list(layers(module))
    return any(constructor(each).rpartition(".")[2] in WEIGHTED for each in found)
