"""A sequence model that looks ahead, made causal: its attention masked, its convolutions padded on the left."""

from __future__ import annotations

import ast

from .edits import Edit
from .loss import argument
from .module import Module, Source
from .numbers import literal_value
from .rates import append_argument
from .spelling import after, bracketed, calls_of, free_name, spelled
from .training import function_of, statement_of

MASKED = {"TransformerEncoder": "mask", "TransformerEncoderLayer": "src_mask", "MultiheadAttention": "attn_mask"}


def masked_softmax(module: Module, call: ast.Call) -> list[Edit]:
    """Scores of attention written by hand: later places at -inf in front of their softmax over the last axis."""
    torch, function = spelled(module, "torch"), function_of(module, call)
    method = isinstance(call.func, ast.Attribute) and module.dotted(call.func).startswith("?.")
    scores = call.func.value if method and isinstance(call.func, ast.Attribute) else argument(call, 0, "input")
    axis = argument(call, 0 if method else 1, "dim")
    statement = statement_of(module, call)
    if torch is None or function is None or scores is None or axis is None or statement is None:
        return []
    if literal_value(axis) not in (-1.0, 2.0, 3.0) or not isinstance(scores, ast.Name):
        return []
    later, name = free_name(function, "later", "later_places"), scores.id
    made = f"{later} = {torch}.ones({name}.shape[-2:], dtype={torch}.bool, device={name}.device).triu(1)"
    hidden = f'{name}.masked_fill({later}, float("-inf"))'
    return [module.insert_before(statement, made), module.replace(scores, hidden)]


def masked_attention(module: Module, call: ast.Call, made: ast.Call) -> list[Edit]:
    """torch's own attention, held as an attribute and given no mask: a square one of the length of its input."""
    kind = next((n for n in MASKED if any(True for _ in module.calls(f"torch.nn.{n}", within=made))), None)
    torch = spelled(module, "torch")
    nn = spelled(module, "torch.nn")
    first = call.args[0] if call.args else None
    if module.dotted(made.func).rpartition(".")[2] in MASKED:
        kind = module.dotted(made.func).rpartition(".")[2]
    if kind is None or torch is None or nn is None or not isinstance(first, ast.Name):
        return []
    batch_first = any(
        k.arg == "batch_first" and isinstance(k.value, ast.Constant) and k.value.value is True
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and module.dotted(node.func).rpartition(".")[2] in MASKED
        for k in node.keywords
    )
    mask = f"{nn}.Transformer.generate_square_subsequent_mask({first.id}.size({int(batch_first)}))"
    return [append_argument(module, call, f"{MASKED[kind]}={mask}.to({first.id}.device)")]


def padded_left(source: Source) -> list[Edit]:
    """Every one-dimensional convolution that is padded on both sides: all of it in front, the overhang cut off.

    Padded by (kernel - 1) * dilation on both sides, and cut to the length of its input, a convolution sees no later
    place. Nothing where one of them is not an attribute that is called once.
    """
    edits: list[Edit] = []
    for module in source:
        for made in module.calls("torch.nn.Conv1d"):
            padding = argument(made, 4, "padding")
            if padding is None or literal_value(padding) == 0:
                continue
            edit = _padded(module, made, padding)
            if not edit:
                return []
            edits += edit
    return edits


def _padded(module: Module, made: ast.Call, padding: ast.expr) -> list[Edit]:
    kernel, dilation = argument(made, 2, "kernel_size"), argument(made, 5, "dilation")
    stride, statement = argument(made, 3, "stride"), module.parents.get(made)
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    owner = module.enclosing(made, ast.ClassDef)
    if kernel is None or owner is None or not isinstance(target, ast.Attribute):
        return []
    if stride is not None and literal_value(stride) != 1:
        return []
    size = literal_value(kernel)
    reach = f"({bracketed(module, kernel)} - 1)" if size is None else str(int(size) - 1)
    if dilation is not None and literal_value(dilation) != 1:
        reach = f"{reach} * {bracketed(module, dilation)}"
    calls = list(calls_of(module, owner, module.segment(target)))
    if len(calls) != 1 or len(calls[0].args) != 1 or not isinstance(calls[0].args[0], ast.Name):
        return []
    if isinstance(module.parents.get(calls[0]), ast.Subscript):
        return []  # it is cut already
    name = calls[0].args[0].id
    return [module.replace(padding, reach), after(module, calls[0], f"[..., : {name}.shape[-1]]")]
