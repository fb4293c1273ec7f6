"""The printed loss or accuracy is not what it says: it is summed, compared or kept the wrong way.

## What happens
Slips of arithmetic around a sound training. A sum of *mean* losses, one a batch, is divided by the number of
samples: the figure is too small by the batch size (0.036 where the loss is 2.3) and changes with it. A count of right
answers is divided by the number of batches, so that an "accuracy" of 58 is printed. And `argmax` runs over the batch
instead of the classes, or over a single output, where it is 0 for every sample and the accuracy is the share of class 0
whatever the model does. Or each batch of an evaluation overwrites the figure, and the last one's is read. People then
tune a model that was fine, or trust one that is not.

## How it is told apart
Decided on the source, with what the run says of the tensors there: the reduction of the loss that is summed, the shape
of the output that is compared.
- `train-mode-in-eval`, `data-leakage`: the arithmetic is right, the model or the data under it are not.
- `constant-output`: one output unit under softmax, in training too. `overfitting`: true figures that worsen.
Not this: a mean of batch means (a short last batch shifts it by a per cent); the last batch's loss printed as a glance
at it while training; sums of a loss with reduction='sum' over the number of samples; a loss multiplied by the batch
size before.

## Remedy
Weight by the number of samples, divide by the number of samples, compare along the classes:

    total += loss.item() * len(x)
    correct += (logits.argmax(dim=1) == y).sum().item()
    print(total / len(dataset), correct / len(dataset))

For one logit: `((logits > 0) == (y > 0.5))`.

## Sources
- PyTorch, CrossEntropyLoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
  [reduction='mean' is the default: the result is already divided by the batch]
- PyTorch, argmax, https://docs.pytorch.org/docs/stable/generated/torch.argmax.html [dim: the axis that is reduced]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...record import Record
from ...record.feeds import Loader, loaders
from ...source import Edit, Module, Source
from ...source.leftover import leftovers
from ...source.loss import argument
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import site_at

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Module)


def in_run(
    record: Record,
    source: Source,
    *,
    min_batches: int = 3,  # in a pass: of a sum over one or two batches nothing is to be seen
) -> Answer:
    """Sums and comparisons whose result cannot be the quantity that is meant."""
    if not record.calls or not source.modules:
        yield NotEvaluated("no call of a loss function was seen")
        return
    for module in source:
        found = _averaged(record, module, min_batches) or _compared(record, module)
        found = found or _last(record, module) or _left(record, module)
        if found is not None:
            yield found
            return


def _averaged(record: Record, module: Module, min_batches: int) -> Finding | None:
    """A sum of batch means over the number of samples, or a count over the number of batches."""
    if not any(len(o.values) >= min_batches for o in record.objectives):
        return None
    for division in _divisions(module):
        scope = module.enclosing(division, *SCOPES) or module.tree
        total, divisor = _total(division) or "", division.right
        for added in _added(scope, total):
            loop = module.enclosing(added, ast.For)
            if not isinstance(loop, ast.For) or _within(loop, division):
                continue
            counts = _counts(module, divisor, loop)
            what = _summed(record, module, added.value)
            if counts == "samples" and what == "mean":
                text = (
                    f"`{total}` adds one mean a batch and is divided by the number of samples "
                    f"(`{ast.unparse(divisor)}`): the figure is too small by about the batch size"
                )
                return Finding(site_at(module, division), (Evidence(text, "loss_calls"),), 0.92, subject="samples")
            if counts == "batches" and what == "count":
                text = (
                    f"`{total}` counts samples and is divided by the number of batches (`{ast.unparse(divisor)}`): "
                    "the figure is too large by about the batch size"
                )
                return Finding(site_at(module, division), (Evidence(text, "loss_calls"),), 0.92, subject="batches")
    return None


def _divisions(module: Module) -> Iterator[ast.BinOp]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and _total(node) is not None:
            yield node


def _total(division: ast.BinOp) -> str | None:
    """The name that is divided: `total / n`, `100 * total / n`."""
    left = division.left
    if isinstance(left, ast.BinOp) and isinstance(left.op, ast.Mult):
        sides = [side for side in (left.left, left.right) if not isinstance(side, ast.Constant)]
        left = sides[0] if len(sides) == 1 else left
    return ast.unparse(left) if isinstance(left, (ast.Name, ast.Attribute)) else None


def _added(scope: ast.AST, total: str) -> list[ast.AugAssign]:
    return [
        node
        for node in ast.walk(scope)
        if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add) and ast.unparse(node.target) == total
    ]


def _within(loop: ast.For, node: ast.expr) -> bool:
    return loop.lineno <= node.lineno <= (loop.end_lineno or loop.lineno)


def _counts(module: Module, divisor: ast.expr, loop: ast.For) -> str | None:
    """Whether `len(...)` counts the batches that a loop goes through, or samples."""
    if not isinstance(divisor, ast.Call) or module.dotted(divisor.func) != "len" or len(divisor.args) != 1:
        return None
    what = divisor.args[0]
    if isinstance(what, ast.Attribute) and what.attr == "dataset":
        return "samples"
    text, over = ast.unparse(what), loop.iter
    if (
        isinstance(over, ast.Call)
        and module.dotted(over.func).rpartition(".")[2] in ("enumerate", "tqdm")
        and over.args
    ):
        over = over.args[0]
    if text == ast.unparse(over):
        return "batches" if _is_loader(module, text) else None
    for call in ast.walk(module.tree):
        if not isinstance(call, ast.Call) or not call.args or ast.unparse(call.args[0]) != text:
            continue
        if module.dotted(call.func).rpartition(".")[2] == "DataLoader":
            return "samples"
    # Rows of it are taken by index in the loop: x[rows].
    for node in ast.walk(loop):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == text:
            return "samples"
    return None


def _is_loader(module: Module, text: str) -> bool:
    """Whether a name is one that gives batches: made by a DataLoader, or a parameter that has to be one."""
    leaf = text.rpartition(".")[2]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Assign):
            names = [ast.unparse(part) for target in node.targets for part in getattr(target, "elts", [target])]
            if text in names and "DataLoader" in ast.unparse(node.value):
                return True
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or "DataLoader" not in module.text:
            continue
        if leaf in [entry.arg for entry in node.args.args]:
            return True
    return False


def _summed(record: Record, module: Module, value: ast.expr) -> str | None:
    """ "mean" of a batch or "count" of samples: what is added up."""
    inner = value
    while isinstance(inner, ast.Call):  # .item(), float(...)
        if module.dotted(inner.func) in ("float", "int") and inner.args:
            inner = inner.args[0]
        elif isinstance(inner.func, ast.Attribute) and inner.func.attr in ("item", "detach", "cpu"):
            inner = inner.func.value
        else:
            break
    if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) and inner.func.attr in ("sum", "mean"):
        compared = any(isinstance(n, ast.Compare) and isinstance(n.ops[0], ast.Eq) for n in ast.walk(inner.func.value))
        return {"sum": "count", "mean": "mean"}[inner.func.attr] if compared else None
    if not isinstance(inner, (ast.Name, ast.Call)):  # `loss.item() * len(x)` is weighted
        return None
    lines = {inner.lineno} if isinstance(inner, ast.Call) else _made_at(module, inner)
    reductions = set()
    for call in record.calls.values():
        site = record.site(call.get("site"))
        if site is not None and site.file == module.file and site.line in lines:
            reductions.add(call.get("reduction"))
    return "mean" if reductions == {"mean"} else None


def _made_at(module: Module, name: ast.Name) -> set[int]:
    """Lines on which a name is given the value of a call, in its own function; none where it is computed further."""
    scope = module.enclosing(name, *SCOPES) or module.tree
    lines: set[int] = set()
    for node in ast.walk(scope):
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id == name.id:
            return set()
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name.id for t in node.targets):
            if not isinstance(node.value, ast.Call):
                return set()
            lines |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def _compared(record: Record, module: Module) -> Finding | None:
    """An argmax over the batch, or over a single output, that is compared with labels."""
    shapes = [tuple(call.get("output", {}).get("shape", ())) for call in record.calls.values()]
    if not shapes or any(len(shape) != 2 or shape[0] < 2 for shape in shapes):
        return None
    single = all(shape[1] == 1 for shape in shapes)
    for call, axis in _argmaxes(module):
        if not _is_compared(module, call):
            continue
        if axis == 0 and not single:
            text = f"argmax runs over the samples of a batch: outputs are {list(shapes[0])}, samples first"
            return Finding(site_at(module, call), (Evidence(text, "loss_calls", 0.0, 1.0),), 0.92, subject="axis")
        if axis in (1, -1) and single:
            text = (
                f"argmax over one output per sample ({list(shapes[0])}) is 0 whatever the model says: the figure is "
                "the share of class 0"
            )
            return Finding(site_at(module, call), (Evidence(text, "loss_calls", 0.0, 1.0),), 0.92, subject="single")
    return None


def _argmaxes(module: Module) -> Iterator[tuple[ast.Call, int]]:
    """Calls of argmax (or max with an axis) on a whole batch of outputs, with their axis."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr not in ("argmax", "max"):
            continue
        whole = module.dotted(node.func).startswith("torch.")
        given = argument(node, 1 if whole else 0, "dim", "axis")
        of = node.args[0] if whole and node.args else node.func.value
        if isinstance(given, ast.UnaryOp) and isinstance(given.operand, ast.Constant):
            value: object = -given.operand.value if isinstance(given.operand.value, int) else None
        else:
            value = given.value if isinstance(given, ast.Constant) else None
        # Of one row, of a mean over models or of a stack the first axis may be the classes.
        direct = isinstance(of, (ast.Name, ast.Call)) and not (
            isinstance(of, ast.Call)
            and module.dotted(of.func).rpartition(".")[2] in ("mean", "sum", "stack", "squeeze")
        )
        if isinstance(value, int) and not isinstance(value, bool) and direct:
            yield node, value


def _is_compared(module: Module, call: ast.Call) -> bool:
    """Whether an argmax stands in a comparison with ==, itself or by the name it is given."""
    if isinstance(module.enclosing(call, ast.Compare), ast.Compare):
        return True
    statement = module.enclosing(call, ast.stmt)
    if not isinstance(statement, ast.Assign):
        return False
    names = {n.id for target in statement.targets for n in ast.walk(target) if isinstance(n, ast.Name)}
    scope = module.enclosing(call, *SCOPES) or module.tree
    for node in ast.walk(scope):
        equal = isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq)
        if equal and names & {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}:
            return True
    return False


def _last(record: Record, module: Module) -> Finding | None:
    """A figure that each batch of an evaluation writes anew, so that the last batch's is given as the whole's."""
    passes: dict[object, int] = {}
    for row in record.rows("validation"):
        passes[row.get("site")] = passes.get(row.get("site"), 0) + len(row.get("steps") or [])
    for index, times in passes.items():
        site = record.site(index)
        calls = {n for n, call in record.calls.items() if call.get("site") == index and not call.get("grad")}
        seen = max(
            (row.get("n", 0) + 1 for row in record.rows("loss", grad=False) if row.get("call") in calls), default=0
        )
        if site is None or site.file != module.file or seen < 2 * times:
            continue
        statement, loop = module.statement_at(site.line), module.loop_at(site.line)
        if isinstance(statement, ast.Assign) and isinstance(loop, ast.For) and _rewritten(module, statement, loop):
            text = (
                f"`{ast.unparse(statement.targets[0])}` is set anew by each of about {seen // times} batches of an "
                "evaluation and read after the loop: the figure is the last batch's, not that of all"
            )
            return Finding(site_at(module, statement), (Evidence(text, "loss_calls"),), 0.9, subject="last")
    return None


def _left(record: Record, module: Module) -> Finding | None:
    """Right answers that are counted behind the loop over batches, of those that its last round has left."""
    for loop, compared in leftovers(module):
        batches = max((each.batches // max(1, each.passes) for each in _gone_through(record, module, loop)), default=0)
        if batches >= 2:
            text = (
                f"`{ast.unparse(compared)[:80]}` stands behind the loop: of its {batches} batches it counts the right "
                "answers of the last one alone"
            )
            return Finding(site_at(module, compared), (Evidence(text, "loader_feeds"),), 0.9, subject="last")
    return None


def _gone_through(record: Record, module: Module, loop: ast.For) -> list[Loader]:
    """The loaders that are gone through by a loop and never trained on."""
    lines = (loop.lineno, loop.iter.lineno)
    found = [each for each in loaders(record) if each.site is not None and not each.backed]
    return [e for e in found if e.site is not None and e.site.file == module.file and e.site.line in lines]


def _rewritten(module: Module, statement: ast.Assign, loop: ast.For) -> bool:
    """Whether a name that a loop sets from what it goes through is read behind the loop only."""
    target = statement.targets[0]
    leaves = (ast.Break, ast.Return, ast.Yield, ast.YieldFrom)
    if not isinstance(target, ast.Name) or module.parents.get(statement) is not _block_of(module, loop):
        return False
    if any(isinstance(node, leaves) for node in ast.walk(loop)) or any(module.calls("?.backward", within=loop)):
        return False
    bound = {node.id for node in ast.walk(loop.target) if isinstance(node, ast.Name)}
    for each in loop.body:  # what follows from a batch, line by line
        if isinstance(each, ast.Assign) and bound & {n.id for n in ast.walk(each.value) if isinstance(n, ast.Name)}:
            bound |= {n.id for part in each.targets for n in ast.walk(part) if isinstance(n, ast.Name)}
    if target.id not in bound:
        return False
    scope = module.enclosing(loop, *SCOPES) or module.tree
    named = [node for node in ast.walk(scope) if isinstance(node, ast.Name) and node.id == target.id]
    inside = [node for node in named if _within(loop, node)]
    after = sorted((n for n in named if n.lineno > (loop.end_lineno or 0)), key=lambda n: (n.lineno, n.col_offset))
    return len(inside) == 1 and bool(after) and isinstance(after[0].ctx, ast.Load)


def _block_of(module: Module, loop: ast.For) -> ast.AST:
    """What holds the statements of a loop: itself, or a `with` that is all of its body."""
    only = loop.body[0] if len(loop.body) == 1 else None
    return only if isinstance(only, ast.With) else loop


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """The right divisor, or the right axis."""
    title = {
        "samples": "divide by the number of batches, or multiply each loss by its batch size before it is added",
        "batches": "divide by the number of samples",
        "axis": "take the argmax over the classes: dim=1",
        "last": "add each batch's figure up, weighted by its size, and divide by the number of samples",
        "single": "compare the sign of the one logit with the label: (logits > 0)",
    }[str(finding.subject)]
    edits = _edits(finding, source)
    return [Remedy(title, "safe", tuple(edits))]


def _edits(finding: Finding, source: Source) -> list[Edit]:
    site = finding.site
    module = source.module(site.file) if site is not None else None
    if module is None or site is None:
        return []
    if finding.subject == "samples":
        for division in _divisions(module):
            scope = module.enclosing(division, *SCOPES) or module.tree
            if division.lineno != site.line:
                continue
            for added in _added(scope, _total(division) or ""):
                loop = module.enclosing(added, ast.For)
                over = loop.iter if isinstance(loop, ast.For) else None
                if isinstance(over, ast.Call) and module.dotted(over.func) == "enumerate" and over.args:
                    over = over.args[0]
                # Columns inside an f-string are not to be trusted before Python 3.12.
                right = module.segment(division.right) == ast.unparse(division.right)
                if isinstance(over, (ast.Name, ast.Attribute)) and right:
                    return [module.replace(division.right, f"len({ast.unparse(over)})")]
    if finding.subject == "batches":
        for division in _divisions(module):
            loader = division.right.args[0] if isinstance(division.right, ast.Call) and division.right.args else None
            right = module.segment(division.right) == ast.unparse(division.right)
            if division.lineno == site.line and loader is not None and right:
                return [module.replace(loader, f"{module.segment(loader)}.dataset")]
    if finding.subject == "single":
        for call, _ in _argmaxes(module):
            whole = module.dotted(call.func).startswith("torch.")
            of = call.args[0] if whole and call.args else getattr(call.func, "value", call)
            plain = module.dotted(call.func).endswith("argmax") and not any(k.arg == "keepdim" for k in call.keywords)
            if call.lineno == site.line and plain and module.segment(of) == ast.unparse(of):
                border = "0.5" if "sigmoid" in ast.unparse(of) else "0"
                return [module.replace(call, f"({module.segment(of)} > {border}).long().squeeze(1)")]
    if finding.subject == "axis":
        for call, axis in _argmaxes(module):
            if call.lineno == site.line and axis == 0:
                given = argument(call, 1 if module.dotted(call.func).startswith("torch.") else 0, "dim", "axis")
                return [module.replace(given, "1")] if given is not None else []
    return []


CONDITION = Condition(
    "wrong-metric",
    "warning",
    needs=("loss_calls", "objective", "loaders", "loader_feeds"),
    in_run=in_run,
    remedies=remedies,
)
