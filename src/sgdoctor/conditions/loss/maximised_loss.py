"""The loss is driven up instead of down: its sign, or that of the step, is wrong.

## What happens
A minus too many (`(-loss).backward()`, `-F.mse_loss(...)`), a minus too few (the mean log-probability of the right
class without its sign), `maximize=True`, or a hand-written `w += lr * w.grad` turns descent into ascent. The number
that is minimised falls steadily and without bound, below the least value its form can have, and looks like progress;
what the user cares about gets ever worse: a classifier becomes certain of the wrong classes, a regression runs away,
and in the end everything overflows.

## How it is told apart
Decided on the graph and the values together: every term of the loss is minus a square, minus a distance, minus one of
torch's losses, or plus a log-probability of given classes, plus the log-density of given values (minus a square, less a
scale; a mixture of such), plus an overlap (Dice, Jaccard) with the targets; or the step follows the gradient; and the
loss as torch computed it rises, or what is minimised goes on falling below zero.
- `logits-to-probability-loss`: also falls below zero, since what is taken for log-probabilities is none.
- `lr-too-high`, `exploding-gradients`: the loss rises although every step goes downhill.
- `wrong-loss-for-task`: a loss that can be negative for given targets. `nonfinite-loss`: where this often ends.
Not this: losses that are negative by design (densities, cosine, evidence bounds, rewards weighted by returns,
Wasserstein critics, entropy bonuses), one term of several with a minus, adversaries that are trained at another line,
`maximize=True` with a negated loss, a variance that is meant to grow.

## Remedy
Give the loss the sign with which smaller is better.

    loss = F.cross_entropy(logits, y)                              # no minus: it has one inside
    loss = -log_probabilities[torch.arange(len(y)), y].mean()      # by hand it needs one
    w -= lr * w.grad                                               # and a step goes against the gradient

## Sources
- PyTorch, torch.optim, https://docs.pytorch.org/docs/stable/optim.html [steps minimise, unless maximize=True]
- PyTorch, NLLLoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.NLLLoss.html
  [the loss is minus the log-probability of the target]
"""

from __future__ import annotations

import ast

import numpy as np

from ...record import Progress, Record, Row, Site, progress
from ...source import Edit, Module, Source
from ...source.flow import Point
from ...source.terms import addends, backwarded, definitions, returned
from ..condition import Answer, Condition, Evidence, Finding, NotEvaluated, Remedy
from ..questions import MIN_STEPS, loss_site, optimizers_of, site_at, site_of

BOUNDED = (
    "MseLossBackward", "SmoothL1LossBackward", "HuberLossBackward", "NllLoss", "BinaryCrossEntropy", "square", "size",
)  # fmt: skip
FUNCTIONS = (
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "cross_entropy", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "nll_loss", "multi_margin_loss", "soft_margin_loss", "hinge_embedding_loss",
)  # fmt: skip

GOOD = {"overlap": "the overlap of outputs and targets", "likelihood": "the log-density of what is given"}
MAX_HOPS = 8  # names and functions followed back from what is backpropagated


def in_run(
    record: Record,
    source: Source,
    *,
    min_fall: float = 0.05,  # share of the first value by which it must move: less may be noise of a few steps
    min_backwards: int = MIN_STEPS,  # as for every judgement of learning
) -> Answer:
    """What is minimised is the negative of a loss, or the step goes uphill."""
    entries = [entry for entry in progress(record) if entry.count >= min_backwards]
    if not entries or not record.rows("terms"):
        yield NotEvaluated("no loss was backpropagated often enough, or its terms are not known")
        return
    for entry in entries:
        others = [o for o in entries if o is not entry and o.objective.leaves & entry.objective.leaves]
        terms = [t for row in record.rows("terms", site=entry.objective.number) for t in row.get("of", [])]
        terms = [term for term in terms if term.get("op") != "constant"]
        if others or not terms:
            continue  # two losses that pull at the same weights: an adversary may mean its sign
        direction = {_direction(record, term) for term in terms}
        if len(direction) != 1 or 0 in direction:
            continue
        upward = _steps_upward(record, source, entry)
        rises = direction.pop() * (-1 if upward is not None else 1) < 0
        if not rises or not _moved(entry, upward is not None, min_fall):
            continue
        yield _finding(record, source, entry, terms, upward)
        return


def _direction(record: Record, term: Row) -> int:
    """1: a loss that is to be small; -1: the negative of one; 0: neither is known."""
    weight, sign = float(term.get("weight") or 0), int(term.get("sign") or 0)
    outer = 1 if weight > 0 else -1
    if any(str(record.calls.get(call, {}).get("fn")) in FUNCTIONS for call in term.get("calls", [])):
        return outer
    form = str(term.get("form") or "")
    if form.startswith(BOUNDED) and not form.startswith("square of") and not term.get("weighted"):
        return outer * sign
    if form == "log-probability" and not term.get("weighted"):
        return -outer * sign
    if form == "overlap" and not term.get("weighted"):
        return -outer * sign  # a share of the target that is covered is to be large
    if form == "likelihood" and not term.get("weighted"):
        return outer * sign
    return 0


def _steps_upward(record: Record, source: Source, entry: Progress) -> Site | None:
    """The line of a step that follows the gradient."""
    for optimizer in optimizers_of(record, entry.objective):
        if any(group.get("maximize") is True for group in optimizer.groups):
            return optimizer.site or entry.objective.site
        return None
    return _by_hand(source)


def _by_hand(source: Source) -> Site | None:
    for module in source:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add) and _plain_gradient(node.value):
                buffer = isinstance(node.target, ast.Name) and not _owns_gradient(node.value, node.target.id)
                if not buffer:  # a velocity takes the gradient as it is
                    return site_at(module, node)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_":
                signs = [a for a in [*node.args, *(k.value for k in node.keywords)] if isinstance(a, ast.UnaryOp)]
                own = node.args and _owns_gradient(node.args[0], _root(node.func.value))
                if own and _plain_gradient(node.args[0]) and not signs:
                    return site_at(module, node)
    return None


def _plain_gradient(value: ast.expr) -> bool:
    """Whether an expression is a gradient times something, without a minus."""
    minus = any(isinstance(part, (ast.USub, ast.Sub)) for part in ast.walk(value))
    return not minus and any(isinstance(part, ast.Attribute) and part.attr == "grad" for part in ast.walk(value))


def _root(node: ast.expr) -> str:
    """The name that a chain of attributes and calls begins with: a velocity takes the gradient of another."""
    while isinstance(node, (ast.Attribute, ast.Call, ast.Subscript)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _owns_gradient(value: ast.expr, name: str) -> bool:
    return any(
        isinstance(part, ast.Attribute)
        and part.attr == "grad"
        and isinstance(part.value, ast.Name)
        and part.value.id == name
        for part in ast.walk(value)
    )


def _moved(entry: Progress, upward: bool, min_fall: float) -> bool:
    """Whether what is minimised falls (uphill: rises), and with it the loss gets worse."""
    if entry.nonfinite and not np.isfinite(entry.last):
        return True
    change = (entry.last - entry.first) * (1 if upward else -1)
    return bool(change > min_fall * abs(entry.first))


def _finding(record: Record, source: Source, entry: Progress, terms: list[Row], upward: Site | None) -> Finding:
    objective = entry.objective
    written = str(terms[0].get("form"))
    what = str(entry.fn) if entry.fn else written
    text = f"what is minimised is minus a loss ({what}): it fell from {entry.first:.4g} to {entry.last:.4g}"
    if upward is not None:
        text = f"the steps follow the gradient: the loss ({what}) rose from {entry.first:.4g} to {entry.last:.4g}"
    elif written == "log-probability" and not entry.fn:
        text = f"the log-probability of the targets is minimised: it fell from {entry.first:.4g} to {entry.last:.4g}"
    elif written in GOOD and not entry.fn:
        text = f"{GOOD[written]} is minimised: it fell from {entry.first:.4g} to {entry.last:.4g}"
    evidence = [Evidence(f"{text} in {entry.count} steps", "loss_terms", entry.last, entry.first)]
    samples = entry.samples.column("value")
    known = samples[np.isfinite(samples)]
    if len(known) > 1 and upward is None:
        words = f"the loss itself rose from {known[0]:.4g} to {known[-1]:.4g}"
        evidence.append(Evidence(words, "loss_values", float(known[-1]), float(known[0])))
    # A density has a minus of its own.
    minus = _minus(source, objective.site) if upward is None and written not in GOOD else None
    fallback = loss_site(record, entry) if entry.call is not None else _term(source, objective.site)
    fallback = fallback or objective.site
    return Finding(upward or (site_of(minus) if minus else fallback), tuple(evidence), 0.95, subject=minus)


def _term(source: Source, site: Site | None) -> Site | None:
    """Where the one term of a loss that is written by hand stands."""
    found = backwarded(source, site.file, site.line) if site is not None else None
    reduced = _reduction(source, *found) if found is not None else None
    if reduced is not None:
        return site_at(*reduced)
    terms = addends(source, *found) if found is not None else []
    return site_at(terms[0].module, terms[0].node) if len(terms) == 1 else None


def _reduction(source: Source, module: Module, node: ast.expr) -> tuple[Module, ast.expr] | None:
    """Where what is backpropagated becomes one number: a mean, a sum."""
    for _ in range(MAX_HOPS):
        if isinstance(node, ast.Call) and module.dotted(node.func).rpartition(".")[2] in ("mean", "sum"):
            return module, node
        if isinstance(node, ast.Call):
            ways = returned(source, module, node)
        else:
            ways = [(module, value) for value, _ in definitions(module, node)] if isinstance(node, ast.Name) else []
        if len(ways) != 1:
            return None
        module, node = ways[0]
    return None


def _minus(source: Source, site: Site | None) -> Point | None:
    """The expression with the minus in front of the loss that is backpropagated at a line."""
    found = backwarded(source, site.file, site.line) if site is not None else None
    for addend in addends(source, *found) if found is not None else ():
        if addend.sign < 0 and addend.turned is not None:
            return Point(addend.module, addend.turned)
    return None


def remedies(finding: Finding, source: Source) -> list[Remedy]:
    """Take the minus away, or step the other way."""
    title = "turn the sign: a loss is minimised, and steps go against the gradient"
    minus, site = finding.subject, finding.site
    if isinstance(minus, Point) and isinstance(minus.node, ast.UnaryOp):
        return [Remedy(title, "safe", (minus.module.replace(minus.node, minus.module.segment(minus.node.operand)),))]
    module = source.module(site.file) if site is not None else None
    statement = module.statement_at(site.line) if module is not None and site is not None else None
    if module is None or statement is None:
        return [Remedy(title, "safe")]
    return [Remedy(title, "safe", tuple(_turned(module, statement)))]


def _turned(module: Module, statement: ast.stmt) -> list[Edit]:
    if isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.Add) and _plain_gradient(statement.value):
        text = f"{module.segment(statement.target)} -= {module.segment(statement.value)}"
        return [module.replace(statement, text)]
    for node in ast.walk(statement):
        if isinstance(node, ast.keyword) and node.arg == "maximize":
            return [module.replace(node.value, "False")]
    if isinstance(statement, (ast.Assign, ast.Return)) and statement.value is not None:
        return [module.replace(statement.value, f"-({module.segment(statement.value)})")]
    return []


CONDITION = Condition(
    "maximised-loss",
    "error",
    needs=("loss_terms", "objective", "loss_values", "optimizers"),
    in_run=in_run,
    remedies=remedies,
    structural=True,
    explains=(
        "nonfinite-loss", "exploding-gradients", "lr-too-high", "dead-relu", "saturated-activations",
        "vanishing-gradients", "uninformative-labels",
    ),
)  # fmt: skip
