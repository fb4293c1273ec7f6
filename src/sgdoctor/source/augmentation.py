"""A data set whose samples are drawn at random where an argument of its class says so: the same without that."""

from __future__ import annotations

import ast

from .edits import Edit
from .flow import Point
from .loading import model_inputs
from .module import Module, Source
from .spelling import spelled, without_entry
from .training import statement_of

OFF = (False, None, 0, 0.0)
DRAWS = ("torch.", "numpy.random.", "random.")
DRAWN = frozenset(
    ("rand", "randn", "randint", "rand_like", "randn_like", "randperm", "normal", "random", "uniform", "choice",
     "standard_normal", "integers", "gauss", "shuffle", "bernoulli")
)  # fmt: skip

VALUES = frozenset(
    ("rand", "randn", "rand_like", "randn_like", "normal", "uniform", "random", "standard_normal", "gauss", "bernoulli")
)  # of DRAWN, those that change values; the others may choose samples
MADE = DRAWN | {"arange", "full", "zeros", "ones", "repeat", "repeat_interleave", "tile", "linspace"}
Place = tuple[str, int]


def noise_for_both(source: Source, trained: Place, held: Place, target: list[Point]) -> Point | None:
    """Where evaluation calls a function of the script that draws noise onto its inputs, and that training calls too.

    The places are calls of the model. A function that makes the targets as well makes new samples, not new views.
    """
    mine = model_inputs(source, *held)
    shared = _functions(model_inputs(source, *trained)) & _functions(mine)
    for point in mine:
        if not isinstance(point.node, ast.Call):
            continue
        name = point.module.dotted(point.node.func).rpartition(".")[2]
        for module in source:
            for function in ast.walk(module.tree):
                if not isinstance(function, ast.FunctionDef) or function.name != name or id(function) not in shared:
                    continue
                if _draws(module, function, VALUES, (*DRAWS, "?.")) and not _makes(module, function, target):
                    return point
    return None


def _functions(trail: list[Point]) -> set[int]:
    """The functions that a trail goes through, by id."""
    around = (point.module.enclosing(point.node, ast.FunctionDef) for point in trail)
    return {id(function) for function in around if function is not None}


def _makes(module: Module, function: ast.FunctionDef, target: list[Point]) -> bool:
    """Whether the targets are made in a function, not only looked up there."""
    for point in target:
        inside = point.module.enclosing(point.node, ast.FunctionDef) is function
        called = module.dotted(point.node.func) if inside and isinstance(point.node, ast.Call) else ""
        if called.rpartition(".")[2] in MADE:
            return True
    return False


def without_augmentation(source: Source, loader: Point) -> list[Edit]:
    """The evaluation loader's own data set with the switch of its augmentation off; for a split, a second one."""
    module, call = loader
    data = call.args[0] if isinstance(call, ast.Call) and call.args else None
    if data is None:
        return []
    if isinstance(data, ast.Call):
        edit = _off(source, module, data)
        return [] if edit is None else [edit]
    if not isinstance(data, ast.Name):
        return []
    for node in ast.walk(module.tree):
        target = node.targets[0] if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
        made = node.value if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Name) and target.id == data.id and isinstance(made, ast.Call):
            edit = _off(source, module, made)
            return [] if edit is None or _shared(module, data.id) else [edit]
        if isinstance(target, ast.Tuple) and isinstance(made, ast.Call):
            names = [module.segment(each) for each in target.elts]
            if data.id in names and module.dotted(made.func).rpartition(".")[2] == "random_split" and made.args:
                return _second(source, module, data.id, made)
    return []


def _shared(module: Module, name: str) -> bool:
    """Whether more than one loader goes through a data set."""
    loaders = [c for c in ast.walk(module.tree) if isinstance(c, ast.Call) and module.dotted(c.func).endswith("Loader")]
    return sum(bool(c.args) and module.segment(c.args[0]) == name for c in loaders) > 1


def _second(source: Source, module: Module, name: str, split: ast.Call) -> list[Edit]:
    """`val = Subset(Data(augment=False), val.indices)` behind the split."""
    whole, statement = split.args[0], statement_of(module, split)
    if isinstance(whole, ast.Name):
        values = [
            node.value
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Assign) and module.segment(node.targets[0]) == whole.id
        ]
        whole = values[0] if len(values) == 1 else whole
    subset = spelled(module, "torch.utils.data.Subset")
    if not isinstance(whole, ast.Call) or statement is None or subset is None:
        return []
    edit = _off(source, module, whole)
    if edit is None or edit.line != whole.lineno or edit.end_line != whole.lineno != whole.end_lineno:
        return []
    _, column, _, end = module.span(whole)
    line = module.lines[whole.lineno - 1]
    text = line[column : edit.column] + edit.text + line[edit.end_column : end]
    return [module.insert_after(statement, f"{name} = {subset}({text}, {name}.indices)")]


def _off(source: Source, module: Module, made: ast.Call) -> Edit | None:
    """The argument that switches the augmentation on, dropped where off is the default, else set to off."""
    owner = next(
        (
            (home, node)
            for home in source
            for node in ast.walk(home.tree)
            if isinstance(node, ast.ClassDef) and node.name == module.dotted(made.func).rpartition(".")[2]
        ),
        None,
    )
    if owner is None:
        return None
    methods = {node.name: node for node in owner[1].body if isinstance(node, ast.FunctionDef)}
    start, item = methods.get("__init__"), methods.get("__getitem__")
    if start is None or item is None or _draws(owner[0], start):
        return None
    switches = [(name, off) for name, off in _switches(owner[0], start, item) if _given(made, start, name) is not None]
    if len(switches) != 1:
        return None
    name, off = switches[0]
    given = _given(made, start, name)
    words = {each.value: each for each in made.keywords}
    if given is None:
        return None
    if _default(start, name) in OFF and _default(start, name) is not ... and given in words:
        entries: list[ast.expr] = [*made.args, *(each.value for each in made.keywords)]
        edit = without_entry(module, given, entries)
        word = words[given]
        if edit.line == word.lineno and entries.index(given) > 0 and edit.column < word.col_offset:
            return edit
        return module.replace(given, off)
    return module.replace(given, off)


def _switches(module: Module, start: ast.FunctionDef, item: ast.FunctionDef) -> list[tuple[str, str]]:
    """(argument of the class, what it is when off): it is tested in front of a draw, or multiplies one."""
    stored: dict[str, str] = {}
    for node in ast.walk(start):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
            for target in node.targets:
                if isinstance(target, ast.Attribute):
                    stored[target.attr] = node.value.id
    found: dict[str, str] = {}
    for node in ast.walk(item):
        inside = isinstance(node, (ast.If, ast.IfExp)) and not isinstance(node.test, ast.Compare)
        if inside and isinstance(node, (ast.If, ast.IfExp)) and _draws(module, node):
            found |= {stored[each]: "False" for each in _attributes(node.test) if each in stored}
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            for one, other in ((node.left, node.right), (node.right, node.left)):
                if _draws(module, other) and isinstance(one, ast.Attribute) and one.attr in stored:
                    found[stored[one.attr]] = "0.0"
    return list(found.items())


def _attributes(node: ast.expr) -> set[str]:
    return {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}


def _draws(module: Module, node: ast.AST, drawn: frozenset[str] = DRAWN, owners: tuple[str, ...] = DRAWS) -> bool:
    """Whether something random is drawn from a generator that is not seeded there."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and not any(k.arg == "generator" for k in call.keywords):
            name = module.dotted(call.func)
            if name.startswith(owners) and name.rpartition(".")[2] in drawn:
                return True
    return False


def _given(made: ast.Call, start: ast.FunctionDef, name: str) -> ast.expr | None:
    """What a call of the class passes for an argument."""
    for word in made.keywords:
        if word.arg == name:
            return word.value
    names = [each.arg for each in start.args.args][1:]
    index = names.index(name) if name in names else len(made.args)
    return made.args[index] if index < len(made.args) else None


def _default(start: ast.FunctionDef, name: str) -> object:
    """The default of an argument, `...` where it has none or is no constant."""
    names = [each.arg for each in start.args.args]
    known = dict(zip(reversed(names), reversed(start.args.defaults)))
    known |= {
        each.arg: value for each, value in zip(start.args.kwonlyargs, start.args.kw_defaults) if value is not None
    }
    value = known.get(name)
    return value.value if isinstance(value, ast.Constant) else ...
