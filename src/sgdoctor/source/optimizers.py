"""The optimizer of a script: another setting, another class, groups of its own for some of the parameters."""

from __future__ import annotations

import ast

from .edits import Edit
from .module import Module, Source
from .rates import append_argument, optimizer_call
from .training import function_of, statement_of, step_calls


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


def scheduled(source: Source, file: str, line: int, scheduler: str) -> tuple[Edit, ...]:
    """A scheduler for the optimizer built at a line, stepped with it. `scheduler`: "LinearLR({}, ...)", {} is that.

    Where the step is not to be seen from there, as the optimizer is handed on, a hook of the optimizer steps it.
    """
    found = optimizer_call(source, file, line)
    statement = statement_of(found[0], found[1]) if found is not None else None
    if found is None or not isinstance(statement, ast.Assign) or statement.value is not found[1]:
        return ()
    module, target = found[0], statement.targets[0]
    if len(statement.targets) != 1 or not isinstance(target, (ast.Name, ast.Attribute)):
        return ()
    optimizer = module.segment(target)
    path = reached(module, f"lr_scheduler.{scheduler.partition('(')[0]}")
    if path is None:
        return ()
    own = _unused(module, optimizer.rpartition(".")[0])
    built = f"{own} = {path}({scheduler.partition('(')[2].format(optimizer)}"
    steps = [call for call, name in step_calls(module, module.tree, optimizer) if name == optimizer]
    scopes = [_scope(module, call, optimizer) for call in steps]
    stepped = statement_of(module, steps[0]) if steps else None
    if len(steps) == 1 and stepped is not None and scopes[0] is _scope(module, statement, optimizer):
        return (module.insert_after(statement, built), module.insert_after(stepped, f"{own}.step()"))
    hook = f"{optimizer}.register_step_post_hook(lambda *_: {own}.step())"
    return (module.insert_after(statement, f"{built}\n{module.indent(statement.lineno)}{hook}"),)


def _scope(module: Module, node: ast.AST, name: str) -> ast.AST | None:
    """Where a name means the same: the class for `self.optimizer`, else the function."""
    return module.enclosing(node, ast.ClassDef) if "." in name else function_of(module, node)


def _unused(module: Module, owner: str) -> str:
    """`scheduler`, or `self.scheduler`, where that is not taken."""
    taken = {node.id for node in ast.walk(module.tree) if isinstance(node, ast.Name)}
    taken |= {node.attr for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)}
    name = next(each for each in ("scheduler", "lr_scheduler", "rate_scheduler", "_rates") if each not in taken)
    return f"{owner}.{name}" if owner else name


def grouped(source: Source, file: str, line: int, names: tuple[str, ...], rate: str) -> tuple[Edit, ...]:
    """`model.parameters()` at a line as two groups: tensors with these names at a rate of their own, and the rest."""
    found = optimizer_call(source, file, line)
    if found is None or not names or not found[1].args:
        return ()
    module, call = found
    given = call.args[0]
    if not isinstance(given, ast.Call) or not isinstance(given.func, ast.Attribute) or given.func.attr != "parameters":
        return ()
    model = module.segment(given.func.value)
    heads = {name.partition(".")[0] for name in names}
    if len(names) == 1 and all(part.isidentifier() for part in names[0].split(".")):
        rest, own = f'n != "{names[0]}"', f"[{model}.{names[0]}]"
    else:
        prefixes = ", ".join(f'"{head}."' for head in sorted(heads))
        prefixes = f"({prefixes})" if len(heads) > 1 else prefixes
        rest = f"not n.startswith({prefixes})"
        own = f"[p for n, p in {model}.named_parameters() if n.startswith({prefixes})]"
    rest = f"[p for n, p in {model}.named_parameters() if {rest}]"
    indent = module.indent(given.lineno)
    entries = (f'{{"params": {rest}}}', f'{{"params": {own}, "lr": {rate}}}')
    return (module.replace(given, "[\n" + "".join(f"{indent}    {entry},\n" for entry in entries) + f"{indent}]"),)
