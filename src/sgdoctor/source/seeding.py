"""Where a script seeds its random numbers, and where it would best."""

from __future__ import annotations

import ast

from .edits import Edit
from .module import Module, Source

# Calls that fix what generators give, by the names that torch, numpy, random and the frameworks have for them.
SEEDING = ("manual_seed", "manual_seed_all", "seed", "seed_all", "seed_everything", "set_seed", "set_rng_state",
           "enable_full_determinism", "default_rng", "RandomState", "SeedSequence")  # fmt: skip
NUMPY = "numpy.random."


def seeding(source: Source) -> tuple[Module, ast.Call] | None:
    """The first call that seeds a generator."""
    for module in source:
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call):
                continue
            name = module.dotted(node.func).rpartition(".")[2]
            # A generator of numpy's that is given nothing is seeded by chance; torch's own `seed()` is meant.
            if name in SEEDING and (node.args or node.keywords or name in ("seed", "seed_all")):
                return module, node
    return None


def imports(module: Module) -> ast.stmt | None:
    """The last statement of the block of imports that a file begins with; the one of torch where that stands below."""
    last: ast.stmt | None = None
    for statement in module.tree.body:
        text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            last = statement
        elif not text and last is not None:
            break
    found = import_of_torch(module)
    if found is not None and (last is None or found.lineno > last.lineno):
        return found
    return last


def import_of_torch(module: Module) -> ast.stmt | None:
    """The top-level statement that imports torch first."""
    for statement in module.tree.body:
        for node in ast.walk(statement) if not hasattr(statement, "name") else ():
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            if any(name.partition(".")[0] == "torch" for name in names):
                return statement
    return None


def seeded(source: Source) -> list[Edit]:
    """Seeds behind the imports of the script: torch's, and numpy's and random's where their state is drawn from."""
    module = next(iter(source), None)
    after = imports(module) if module is not None else None
    if module is None or after is None:
        return []
    bound = {path: local for local, path in module.names.items()}
    lines = [] if "torch" in bound else ["import torch"]
    lines.append(f"{bound.get('torch', 'torch')}.manual_seed(0)")
    for path, text in (("numpy", "{}.random.seed(0)"), ("random", "{}.seed(0)")):
        if path in bound and _draws(module, NUMPY if path == "numpy" else "random."):
            lines.append(text.format(bound[path]))
    indent = module.indent(after.end_lineno or after.lineno) if not hasattr(after, "body") else ""
    blank = "\n" if _followed_by_code(module, after) else ""
    return [module.insert_after(after, blank + f"\n{indent}".join(lines))]


def _followed_by_code(module: Module, statement: ast.stmt) -> bool:
    body = module.tree.body
    index = body.index(statement)
    return index + 1 < len(body) and body[index + 1].lineno > (statement.end_lineno or statement.lineno)


def _draws(module: Module, prefix: str) -> bool:
    """Whether the shared generator of a library is drawn from: `np.random.randn`, `random.shuffle`."""
    for node in ast.walk(module.tree):
        name = module.dotted(node.func) if isinstance(node, ast.Call) else ""
        if name.startswith(prefix) and name[len(prefix) :].islower():
            return True
    return False
