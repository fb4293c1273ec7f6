"""Questions about how a network is built: where a layer is made, which statement set something, what is named where."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..record import Record, Site
from ..record.record import Row
from ..source import Module, Source
from .questions import site_at

SETTINGS = ("json", "yaml", "toml", "tomllib", "configparser")  # libraries whose files hold no weights
LOADS = ("load", "load_state_dict", "from_pretrained", "load_model", "load_checkpoint", "hub.load", "create_model")

# Operations of a graph that leave an output linear in the input
LINEAR = frozenset(
    (
        "AddmmBackward0", "MmBackward0", "LinearBackward0", "ConvolutionBackward0", "MvBackward0", "AddBackward0",
        "AddBackward0:2", "SubBackward0", "SubBackward0:2", "MulBackward0", "DivBackward0", "NegBackward0",
        "NativeDropoutBackward0", "NativeBatchNormBackward0", "TBackward0", "TransposeBackward0", "PermuteBackward0",
        "ViewBackward0", "ReshapeAliasBackward0", "UnsafeViewBackward0", "SqueezeBackward0", "SqueezeBackward1",
        "UnsqueezeBackward0", "SliceBackward0", "SelectBackward0", "CatBackward0", "CatBackward0:2", "StackBackward0",
        "StackBackward0:2", "ExpandBackward0", "CloneBackward0", "AliasBackward0", "MeanBackward0", "MeanBackward1",
        "SumBackward0", "SumBackward1", "AvgPool2DBackward0", "AvgPool3DBackward0", "EmbeddingBackward0",
        "EmbeddingBagBackward0", "ToCopyBackward0", "SplitBackward0", "IndexBackward0", "AddmmBackward0:2",
        "MmBackward0:2", "ConvolutionBackward0:2", "LinearBackward0:2", "NativeBatchNormBackward0:2",
        "SqueezeBackward2", "AsStridedBackward0", "FlattenBackward0", "BmmBackward0", "BaddbmmBackward0",
    )
)  # fmt: skip


def is_linear(record: Record, objective: int | None) -> bool:
    """Whether what is trained at a line is one linear map, of one layer or several."""
    rows = record.rows("structure", site=objective)
    return bool(rows) and all(row.get("links") and not set(row.get("ops") or {}) - LINEAR for row in rows)


def entries(record: Record, kind: str) -> list[Row]:
    """What the last row of a kind lists, at each backward line; rows are looks at all modules there are."""
    last: dict[object, Row] = {}
    for row in record.rows(kind):
        last[row.get("site")] = row
    return [entry for row in last.values() for entry in row.get("of") or [] if isinstance(entry, dict)]


def assignments(module: Module) -> Iterator[tuple[ast.expr, ast.expr, ast.stmt]]:
    """(target, value, statement) of every assignment of a file."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield target, node.value, node
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            yield node.target, node.value, node


def attribute_made(source: Source, attribute: str, owner: str = "") -> tuple[Module, ast.stmt, ast.expr] | None:
    """Where `self.<attribute>` gets its value, in the class `owner` first."""
    found = []
    for module in source:
        for target, value, statement in assignments(module):
            if isinstance(target, ast.Attribute) and target.attr == attribute:
                scope = module.enclosing(statement, ast.ClassDef)
                own = isinstance(scope, ast.ClassDef) and scope.name == owner
                empty = isinstance(value, ast.Constant)
                found.append(((not own, empty), module, statement, value))
    found.sort(key=lambda entry: entry[0])
    return found[0][1:] if found else None


def loads_weights(source: Source) -> bool:
    """Whether the script takes weights from somewhere: a checkpoint, a hub, another model.

    A function or method of the script with such a name loads what its body loads: mostly data.
    """
    own = {node.name for module in source for node in ast.walk(module.tree) if isinstance(node, ast.FunctionDef)}
    for module in source:
        for call in ast.walk(module.tree):
            if not isinstance(call, ast.Call) or (isinstance(call.func, ast.Name) and call.func.id in own):
                continue
            name = module.dotted(call.func)
            last = "" if "Embedding" in name else name.rpartition(".")[2]  # a table's vectors may be random ones
            mere = (last in own and not name.startswith("torch.")) or name.partition(".")[0] in SETTINGS
            if (last in LOADS and not mere) or any(
                keyword.arg in ("weights", "pretrained") for keyword in call.keywords
            ):
                return True
    return False


def freezes(source: Source) -> list[tuple[Module, ast.stmt]]:
    """Statements that set requires_grad to False, or to what a test says, in source order."""
    found: list[tuple[Module, ast.stmt]] = []
    for module in source:
        nodes: list[ast.AST] = []
        for target, value, statement in assignments(module):
            if isinstance(target, ast.Attribute) and target.attr == "requires_grad" and not _true(value):
                nodes.append(statement)
        for call in module.calls("?.requires_grad_"):
            if any(_false(argument) for argument in [*call.args, *(k.value for k in call.keywords)]):
                nodes.append(call)
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and any(k.arg == "requires_grad" and _false(k.value) for k in node.keywords):
                nodes.append(node)
        statements = [node if isinstance(node, ast.stmt) else module.enclosing(node, ast.stmt) for node in nodes]
        kept = {id(statement): statement for statement in statements if isinstance(statement, ast.stmt)}
        found += [(module, statement) for statement in sorted(kept.values(), key=lambda entry: entry.lineno)]
    return found


def _false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def _true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def mentions(module: Module, node: ast.AST) -> set[str]:
    """Names and attributes in a piece of source, and the words of its strings."""
    found: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            found.add(part.id)
        elif isinstance(part, ast.Attribute):
            found.add(part.attr)
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            found.add(part.value)
    return found


def around(module: Module, statement: ast.stmt) -> ast.AST:
    """The loop around a statement where it is one over parameters or modules, else the statement."""
    loop = module.enclosing(statement, ast.For)
    while isinstance(loop, ast.For):
        called = {
            module.dotted(call.func).rpartition(".")[2] for call in ast.walk(loop.iter) if isinstance(call, ast.Call)
        }
        if called & {"parameters", "named_parameters", "modules", "children", "named_modules", "named_children"}:
            return loop
        loop = module.enclosing(loop, ast.For)
    return statement


def crash_site(record: Record) -> Site | None:
    """The innermost line of the script that the exception came through."""
    frames = (record.exception or {}).get("frames") or []
    return record.site(frames[-1]) if frames else None


def statement_of(module: Module, node: ast.AST) -> ast.stmt | None:
    """The statement a node stands in."""
    found = node if isinstance(node, ast.stmt) else module.enclosing(node, ast.stmt)
    return found if isinstance(found, ast.stmt) else None


def place(found: tuple[Module, ast.stmt | ast.expr] | None) -> Site | None:
    """A node of a file as a site, None for none."""
    return None if found is None else site_at(*found)


def listed(names: list[str], most: int = 4) -> str:
    """The first few names of a list."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
