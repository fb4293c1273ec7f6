"""The learning-rate schedule of a script: rules by hand and schedulers, and the same with a floor or a milder decay."""

from __future__ import annotations

import ast
import math

from .edits import Edit
from .module import Module, Source
from .numbers import calls_of, literal_value, literals
from .rates import append_argument, written
from .training import function_of, method_calls, move_behind, name_at, statement_of, step_calls

PER_EPOCH = ("StepLR", "MultiStepLR", "ExponentialLR", "ReduceLROnPlateau", "CosineAnnealingLR", "LambdaLR",
             "MultiplicativeLR", "PolynomialLR", "LinearLR")  # fmt: skip
FLOORS = {"ReduceLROnPlateau": "min_lr", "CosineAnnealingLR": "eta_min", "CosineAnnealingWarmRestarts": "eta_min"}


def floored(source: Source, file: str, line: int, floor: float) -> list[Edit]:
    """A rule by hand at a line (`group["lr"] *= 0.5`) that does not go below a rate."""
    module = source.module(file)
    statement = module.statement_at(line) if module is not None else None
    if module is None or statement is None:
        return []
    for node in ast.walk(statement):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if not isinstance(target, ast.Subscript) or literal_value(target.slice) is not None:
            continue
        if not isinstance(target.slice, ast.Constant) or target.slice.value != "lr":
            continue
        text = module.segment(target)
        if isinstance(node, ast.AugAssign) and isinstance(node.op, (ast.Mult, ast.Div)):
            sign = "*" if isinstance(node.op, ast.Mult) else "/"
            value = module.segment(node.value)
            value = value if isinstance(node.value, (ast.Name, ast.Constant, ast.Attribute)) else f"({value})"
            return [module.replace(node, f"{text} = max({text} {sign} {value}, {written(floor)})")]
        if isinstance(node, ast.Assign):
            return [module.replace(node.value, f"max({module.segment(node.value)}, {written(floor)})")]
    return []


def compared_alike(source: Source, file: str, line: int) -> list[Edit]:
    """`if total > previous:` where `previous = total / n`: the same quotient on both sides of the comparison."""
    module = source.module(file)
    rule = module.statement_at(line) if module is not None else None
    if module is None or not isinstance(rule, ast.If):
        return []
    names = {node.id: node for node in ast.walk(rule.test) if isinstance(node, ast.Name)}
    for node in ast.walk(module.function_at(line) or module.tree):
        quotient = node.value if isinstance(node, ast.Assign) else None
        if (
            not isinstance(quotient, ast.BinOp)
            or not isinstance(quotient.op, ast.Div)
            or not isinstance(node, ast.Assign)
        ):
            continue
        target, numerator = node.targets[0], quotient.left
        if not isinstance(target, ast.Name) or not isinstance(numerator, ast.Name) or target.id == numerator.id:
            continue
        if target.id in names and numerator.id in names:
            return [module.replace(names[numerator.id], module.segment(quotient))]
    return []


def schedulers(source: Source) -> list[tuple[Module, ast.Call, str]]:
    """(file, call, class) of the schedulers that a script builds."""
    found = []
    for module in source:
        for node in ast.walk(module.tree):
            name = module.dotted(node.func) if isinstance(node, ast.Call) else ""
            leaf = name.rpartition(".")[2]
            if isinstance(node, ast.Call) and (".lr_scheduler." in name or leaf in PER_EPOCH) and leaf[:1].isupper():
                found.append((module, node, leaf))
    return found


def with_floor(source: Source, floor: float) -> list[Edit]:
    """min_lr of ReduceLROnPlateau, eta_min of the cosine."""
    edits = []
    for module, call, name in schedulers(source):
        argument = FLOORS.get(name)
        if argument is None:
            continue
        given = [each.value for each in call.keywords if each.arg == argument]
        text = written(floor)
        edits.append(module.replace(given[0], text) if given else append_argument(module, call, f"{argument}={text}"))
    return edits


def once_an_epoch(source: Source) -> list[Edit]:
    """scheduler.step() in the loop over batches, moved behind that loop; only for schedulers meant by epochs."""
    names = {name for _, _, name in schedulers(source)}
    if not names or not names <= set(PER_EPOCH):
        return []
    edits: list[Edit] = []
    for module in source:
        for call in method_calls(module, module.tree, "backward"):
            loop = module.enclosing(call, ast.For, ast.While)
            if not isinstance(loop, (ast.For, ast.While)) or not _is_inner(source, module, loop):
                continue
            for step in method_calls(module, loop, "step"):
                statement = statement_of(module, step)
                built = _is_scheduler(module, step)
                if (
                    built
                    and isinstance(statement, ast.Expr)
                    and module.enclosing(statement, ast.For, ast.While) is loop
                ):
                    edits += move_behind(module, [statement], loop)
    return list(dict.fromkeys(edits))


def _is_inner(source: Source, module: Module, loop: ast.For | ast.While) -> bool:
    """Whether a loop is run in each round of another: inside one, or in a function that one calls."""
    if module.enclosing(loop, ast.For, ast.While) is not None:
        return True
    function = function_of(module, loop)
    for other in source:
        for node in ast.walk(other.tree):
            named = isinstance(node, ast.Call) and function is not None
            if named and isinstance(node, ast.Call) and other.dotted(node.func).rpartition(".")[2] == function.name:  # type: ignore
                return other.enclosing(node, ast.For, ast.While) is not None
    return False


def _is_scheduler(module: Module, step: ast.Call) -> bool:
    """Whether what steps was built as a scheduler, as far as its name tells."""
    name = module.segment(step.func).removesuffix(".step").rpartition(".")[2]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            made = module.dotted(node.value.func)
            targets = [module.segment(target).rpartition(".")[2] for target in node.targets]
            if name in targets and (".lr_scheduler." in made or made.rpartition(".")[2] in PER_EPOCH):
                return True
    return "sched" in name.lower()  # handed over as an argument: only chooses which line is moved


def milder(source: Source, fall: float, keep: float) -> list[Edit]:
    """The decay of a scheduler raised so that the rate ends at `keep` of its start where it ended at `fall`."""
    for module, call, name in schedulers(source):
        gammas = [each.value for each in call.keywords if each.arg == "gamma"]
        position = 1 if name == "ExponentialLR" else 2
        gammas = gammas or call.args[position : position + 1]
        known = [each for gamma in gammas for each in literals(source, module, gamma)]
        if not known or not 0 < known[0].value < 1 or not 0 < fall < keep:
            continue
        rounds = math.log(fall) / math.log(known[0].value)
        return [known[0].module.replace(known[0].node, f"{keep ** (1 / max(1.0, rounds)):.4g}")]
    return []


def stepped(source: Source, built: tuple[str, int], *, every_batch: bool) -> list[Edit]:
    """The scheduler built at a line stepped: behind the optimizer's step, or behind the loop over batches around it.

    Nothing where the loop, or the scheduler's name in it, is not plain to see.
    """
    places = [place for module in source for place in _places(source, module, every_batch)]
    if len(places) != 1:
        return []
    module, target = places[0]
    name = name_at(source, *built, module, target)
    return [module.insert_after(target, f"{name}.step()")] if name is not None else []


def _places(source: Source, module: Module, every_batch: bool) -> list[tuple[Module, ast.stmt]]:
    """Behind which statements a step belongs, for each loop with a backward."""
    found: dict[int, tuple[Module, ast.stmt]] = {}
    for backward in method_calls(module, module.tree, "backward"):
        loop = module.enclosing(backward, ast.For, ast.While)
        function = function_of(module, backward)
        if not isinstance(loop, (ast.For, ast.While)) or function_of(module, loop) is not function:
            return []
        steps = [statement_of(module, call) for call, _ in step_calls(module, loop)]
        last = steps[-1] if steps else None
        outer = module.enclosing(loop, ast.For, ast.While)
        callers = list(calls_of(source, module, function)) if function is not None else []
        if last is None:
            return []
        if every_batch or (outer is None and not callers):
            found[id(last)] = (module, last)
        elif outer is not None and function_of(module, outer) is function:
            found[id(loop)] = (module, loop)
        for caller, call in callers if outer is None and not every_batch else ():
            statement = statement_of(caller, call)
            if statement is None or caller.enclosing(call, ast.For, ast.While) is None:
                return []
            found[id(statement)] = (caller, statement)
    return list(found.values())
