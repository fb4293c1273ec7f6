"""The optimizer of a script: another setting, another class, groups of its own for some of the parameters."""

from __future__ import annotations

import ast

from .edits import Edit
from .module import Module, Source
from .rates import append_argument, optimizer_call


def with_setting(source: Source, file: str, line: int, name: str, text: str, kind: str = "") -> tuple[Edit, ...]:
    """A keyword of the optimizer built at a line set to `text`; `kind`: the class to take in its place."""
    found = optimizer_call(source, file, line)
    if found is None or any(keyword.arg is None for keyword in found[1].keywords):
        return ()
    module, call = found
    edits = renamed(module, call, kind) if kind else []
    if edits is None:
        return ()
    given = [keyword.value for keyword in call.keywords if keyword.arg == name]
    return (*edits, module.replace(given[0], text) if given else append_argument(module, call, f"{name}={text}"))


def renamed(module: Module, call: ast.Call, kind: str) -> list[Edit] | None:
    """`torch.optim.Adam(...)` as another class of torch.optim; None where the call does not show torch's module."""
    path = module.dotted(call.func)
    if not path.startswith("torch.optim.") and path.rpartition(".")[0] != "torch.optim":
        return None
    if path.rpartition(".")[2] == kind:
        return []
    name = reached(module, kind) if isinstance(call.func, ast.Name) else _sibling(module, call, kind)
    return None if name is None else [module.replace(call.func, name)]


def _sibling(module: Module, call: ast.Call, kind: str) -> str:
    return f"{module.segment(call.func).rpartition('.')[0]}.{kind}"


def reached(module: Module, kind: str) -> str | None:
    """How a file reaches a class of torch.optim by what it imports; None where it imports nothing that leads there."""
    bound = {path: local for local, path in module.names.items()}
    if f"torch.optim.{kind}" in bound:
        return bound[f"torch.optim.{kind}"]
    if "torch.optim" in bound:
        return f"{bound['torch.optim']}.{kind}"
    return f"{bound['torch']}.optim.{kind}" if "torch" in bound else None


def replaced(source: Source, file: str, line: int, kind: str, settings: str) -> tuple[Edit, ...]:
    """The whole call at a line as `kind(<the parameters it was given>, <settings>)`."""
    found = optimizer_call(source, file, line)
    if found is None:
        return ()
    module, call = found
    path = module.dotted(call.func)
    given = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "params"), None)
    if given is None or isinstance(given, ast.Starred) or not path.startswith("torch.optim."):
        return ()
    name = reached(module, kind) if isinstance(call.func, ast.Name) else _sibling(module, call, kind)
    return () if name is None else (module.replace(call, f"{name}({module.segment(given)}, {settings})"),)
