"""What the arguments of a loss are made by, and the terms that a backpropagated loss is the sum of."""

from __future__ import annotations

from typing import Any

from ..graph import Graph, node_shape, saved

MAX_SAMPLES = 4  # of what makes the arguments of one call: it does not change from one step to the next
MAX_KL = 40  # of the moments of KL divergence's arguments, which training does change
MAX_ROWS = 5000  # rows of its arguments looked at
MAX_DEPTH = 14  # operations followed down from a loss or from one of its arguments
MAX_TERMS = 16
MIN_DENSITY = 8  # values of a density: those of fewer may each be weighted by one reward

# Operations that keep values as they are: what stands below one of them is what made the value.
SAME = (
    "ViewBackward", "UnsafeViewBackward", "ReshapeAliasBackward", "SqueezeBackward", "UnsqueezeBackward",
    "SelectBackward", "SliceBackward", "TBackward", "TransposeBackward", "PermuteBackward", "CloneBackward",
    "ToCopyBackward", "ExpandBackward", "AliasBackward", "IndexBackward", "GatherBackward", "MaskedSelectBackward",
    "StackBackward", "CatBackward", "ContiguousBackward", "FlattenBackward", "UnbindBackward", "SplitBackward",
)  # fmt: skip
REDUCED = ("MeanBackward", "SumBackward")
SQUARES = ("AbsBackward", "LinalgVectorNormBackward")
LOGS = ("LogSoftmaxBackward", "LogSigmoidForwardBackward", "LogBackward")


class Arguments:
    """Rows `argument` (for the first samples of a call; for KL divergence all) and `terms` (when they change)."""

    SIGNALS = ("loss_arguments", "loss_terms")

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._torch = observer.torch
        self._seen: dict[int, int] = {}
        self._last: dict[int | None, str] = {}

    def on_sample(self, call: int, name: str, output: Any, target: Any, kwargs: dict[str, Any], result: Any) -> None:
        """A call of a loss function is looked at closely; gradient mode is off here, and was not when it was made."""
        seen = self._seen[call] = self._seen.get(call, 0) + 1
        divergence = name == "kl_div" and self._torch.is_tensor(target)
        if seen > (MAX_KL if divergence else MAX_SAMPLES):
            return
        row: dict[str, Any] = {"k": "argument", "call": call, "step": self._observer.steps, "made": makers(output)}
        if self._torch.is_tensor(target):
            row["target_made"] = makers(target)
            if target.grad_fn is not None:
                row["discount"] = discount(target.grad_fn)
        if divergence:
            row["log_target"] = bool(kwargs.get("log_target"))
            row["kl"] = _distributions(self._torch, output.detach(), target.detach())
        self._observer.write(row)

    def on_graph(self, graph: Graph, site: int | None, count: int) -> None:
        """A sampled loss is about to be backpropagated."""
        root = graph.root.grad_fn
        if root is None:
            return
        found: list[dict[str, Any]] = []
        _split(root, 1.0, found, 0)
        for term in found:
            node = term.pop("node")
            if node is not None:
                term["calls"] = self._observer.losses.calls_in([node])
                term.update(_form(node))
        identity = str([(term["op"], term["weight"] > 0, term.get("form"), term.get("sign")) for term in found])
        if self._last.get(site) != identity:
            self._last[site] = identity
            row = {"k": "terms", "site": site, "n": count, "step": self._observer.steps, "of": found}
            self._observer.write(row)


def makers(tensor: Any) -> list[str]:
    """Names of the operations that made a tensor, the last first, without those that keep its values."""
    found: list[str] = []
    node, depth = tensor.grad_fn, 0
    while node is not None and len(found) < 3 and depth < MAX_DEPTH:
        name = node.name()
        if not name.startswith(SAME):
            found.append(name)
        # Arithmetic with a constant has one way down; where two lead on, what made it is the sum of both.
        ways = [child for child, _ in node.next_functions if child is not None]
        if len(ways) != 1 and not name.startswith(SAME):
            break
        node, depth = (ways[0] if ways else None), depth + 1
    return found


def discount(node: Any) -> float | None:
    """The factor of a bootstrapped value: of `reward + factor * value`, the reward a constant; None of another form."""
    node = _below(node)
    if node is None or not node.name().startswith("AddBackward") or node.name().endswith("1"):
        return None
    edges = [child for child, _ in node.next_functions]
    if len(edges) != 2 or (edges[0] is None) == (edges[1] is None):
        return None
    factor, bounded = 1.0, False
    node = _below(edges[0] if edges[1] is None else edges[1])
    for _ in range(4):
        if node is None or not node.name().startswith("MulBackward"):
            break
        constant, child = _constant(node)
        if child is None or constant is None or not constant.is_cpu:
            return None
        low, high = float(constant.min()), float(constant.max())
        if constant.dim() == 0:
            factor, bounded = factor * low, True
        elif low < 0 or high > 1:  # the mask of what has ended is of zeros and ones
            return None
        node = _below(child)
    return factor if bounded and node is not None else None


def _split(node: Any, weight: float, found: list[dict[str, Any]], depth: int) -> None:
    """The terms of a sum of scalars with their factors."""
    name = node.name()
    edges = [child for child, _ in node.next_functions]
    shape = node_shape(node)
    if depth < MAX_DEPTH and len(found) < MAX_TERMS and shape in ([], [1]):
        if name.startswith(("AddBackward0", "SubBackward0")) and all(e is None or _scalar(e) for e in edges):
            alpha = float(getattr(node, "_saved_alpha", 1) or 1) * (-1 if name.startswith("Sub") else 1)
            for child, factor in zip(edges, (1.0, alpha)):
                if child is None:
                    found.append({"op": "constant", "weight": weight * factor, "node": None})
                else:
                    _split(child, weight * factor, found, depth + 1)
            return
        if name.startswith(("NegBackward", "RsubBackward", "SqueezeBackward", "ViewBackward", "ToCopyBackward")):
            child = next((e for e in edges if e is not None), None)
            if child is not None and _scalar(child):
                flips = name.startswith(("Neg", "Rsub"))
                _split(child, -weight if flips else weight, found, depth + 1)
                return
        if name.startswith(("MulBackward0", "DivBackward0")):
            constant, child = _constant(node)
            if child is not None and constant is not None and constant.numel() == 1 and constant.is_cpu:
                value = float(constant)
                if _scalar(child) and value:
                    factor = value if name.startswith("Mul") else 1 / value
                    _split(child, weight * factor, found, depth + 1)
                    return
    found.append({"op": name, "weight": weight, "node": node})


def _scalar(node: Any) -> bool:
    return node_shape(node) in ([], [1])


def _constant(node: Any) -> tuple[Any, Any]:
    """(the constant factor or divisor of a product, the side that carries gradient); (None, None) where both do."""
    edges = [child for child, _ in node.next_functions]
    if len(edges) == 1:
        return None, None
    if edges[0] is not None and edges[1] is None:
        return saved(node, "other"), edges[0]
    if edges[0] is None and edges[1] is not None and node.name().startswith("Mul"):
        return saved(node, "self"), edges[1]
    return None, None


def _below(node: Any) -> Any:
    """The first operation at or below a node that changes values."""
    for _ in range(MAX_DEPTH):
        if node is None or not node.name().startswith((*SAME, "MaxBackward", "AmaxBackward")):
            return node
        node = next((child for child, _ in node.next_functions if child is not None), None)
    return node


def _form(node: Any, depth: int = 0) -> dict[str, Any]:
    """What a term is at heart: the first square, logarithm or loss below it, and with which sign it stands there.

    Sign 0: multiplied by something of either sign, or by something that carries gradient itself.
    """
    sign = 1
    path: list[str] = []
    discounted = None
    weighted = False
    for _ in range(MAX_DEPTH):
        if node is None:
            break
        name = node.name()
        path.append(name)
        edges = [child for child, _ in node.next_functions]
        ways = [child for child in edges if child is not None]
        if name.startswith("PowBackward") or (
            name.startswith("MulBackward0") and len(ways) == 2 and ways[0] is ways[1]
        ):
            below = _below(ways[0]) if ways else None
            difference = below is not None and below.name().startswith(("SubBackward", "RsubBackward"))
            inner = [child for child, _ in below.next_functions] if below is not None and difference else []
            if len(inner) == 2 and None not in inner:
                discounted = next((d for d in map(discount, inner) if d is not None), None)
            even = not name.startswith("Pow") or getattr(node, "_saved_exponent", 0) in (2, 4)
            form = "square" if even and difference and None in inner else "square of its own" if even else "power"
            return {"form": form, "sign": sign, "path": path, "discount": discounted, "weighted": weighted}
        if name.startswith(SQUARES):
            return {"form": "size", "sign": sign, "path": path}
        if name.startswith(LOGS):
            below = _below(ways[0]) if ways else None
            inner_name = "" if below is None else below.name()
            form = "log" if name.startswith("LogBackward") else "log-probability"
            if name.startswith("LogBackward") and inner_name.startswith(("Softmax", "Sigmoid")):
                form = "log-probability"
            return {"form": form, "sign": sign, "path": path, "weighted": weighted}
        if name.startswith(("NegBackward", "RsubBackward")) or (
            name.startswith("SubBackward") and len(edges) == 2 and edges[0] is None
        ):
            sign = -sign
        elif name.startswith(("MulBackward0", "DivBackward0")):
            constant, child = _constant(node)
            if child is None or constant is None or not constant.is_cpu or not constant.numel():
                if name.startswith("Div") and _overlap(edges):
                    return {"form": "overlap", "sign": sign, "path": path, "weighted": weighted}
                return {"form": "product", "sign": 0, "path": path}
            single = constant.numel() == 1
            # One factor a sample may be a reward or a cost; a row of them may be a one-hot row.
            weighted = weighted or (not single and (constant.dim() < 2 or constant.shape[-1] == 1))
            low, high = float(constant.min()), float(constant.max())
            sign = sign if low >= 0 else -sign if single and high <= 0 else 0
            ways = [child]
        elif name.startswith("AddBackward") and len(ways) == 2 and depth < 2:
            one, other = _form(ways[0], depth + 1), _form(ways[1], depth + 1)
            alike = one["form"].startswith("log") and other["form"].startswith("log") and one["sign"] == other["sign"]
            form = "log-probability" if alike else "several"
            return {"form": form, "sign": sign * one["sign"] if alike else 0, "path": path}
        elif (name.startswith(("SubBackward", "AddBackward")) and (way := _likelihood(node))) or (
            name.startswith("LogsumexpBackward") and (way := _mixture(ways))
        ):
            return {"form": "likelihood", "sign": sign * way, "path": path, "weighted": weighted}
        elif not name.startswith((*SAME, *REDUCED)):
            return {"form": name, "sign": sign, "path": path, "weighted": weighted}
        if len(ways) != 1:
            return {"form": "several", "sign": 0, "path": path}
        node = ways[0]
    return {"form": "", "sign": 0, "path": path}


def _overlap(edges: list[Any]) -> bool:
    """Whether a quotient is an overlap (Dice, Jaccard): outputs where the target is, summed, over a sum of outputs."""
    over, under = (_plain_sums(edge) for edge in edges)
    if len(over) != 1 or not under or None in over + under:
        return False
    inside, constant = _masked(over[0])
    if inside is None or constant is None or not constant.is_cpu or float(constant.min()) < 0:
        return False
    # Only a sum that the outputs themselves are in makes the quotient a share.
    return any(inside is node or inside is _masked(node)[0] for node in under)


def _plain_sums(node: Any, depth: int = 0) -> list[Any]:
    """What is summed up in a sum of sums, without constants and factors; None for what is not a sum."""
    node = _below(node)
    if node is None:
        return []
    name = node.name()
    edges = [child for child, _ in node.next_functions]
    ways = [child for child in edges if child is not None]
    if depth < 6 and name.startswith(("AddBackward", "SubBackward")):
        return [found for way in ways for found in _plain_sums(way, depth + 1)]
    if name.startswith(("MulBackward0", "DivBackward0", "ClampBackward", "ClampMinBackward")) and len(ways) == 1:
        constant = None if name.startswith("Clamp") else _constant(node)[0]
        if constant is None or constant.numel() == 1:
            return _plain_sums(ways[0], depth + 1)
    return [_below(ways[0])] if name.startswith(REDUCED) and ways else [None]


def _masked(node: Any) -> tuple[Any, Any]:
    """(the outputs in a product with a constant of their own size, that constant), else (the node, None)."""
    if node is not None and node.name().startswith("MulBackward0"):
        constant, child = _constant(node)
        if child is not None and constant is not None and constant.numel() > 1:
            return _below(child), constant
    return node, None


def _likelihood(node: Any) -> int:
    """-1 for minus a square less something, as a Gaussian log-density is written: 0 where it is nothing of the kind.

    The square is of the distance to a constant, which is what is given, and what is taken away is no square itself.
    """
    edges = [child for child, _ in node.next_functions]
    for _ in range(2):  # constants of the density
        if len(edges) == 2 and edges[1] is None and edges[0].name().startswith("SubBackward"):
            node = edges[0]
            edges = [child for child, _ in node.next_functions]
    if not node.name().startswith("SubBackward") or len(edges) != 2 or None in edges or _size(node) < MIN_DENSITY:
        return 0
    if _residual(edges[1], 0)[0]:
        return 0
    found, sign = _residual(edges[0], 0)
    return -1 if found and sign < 0 else 0


def _mixture(ways: list[Any]) -> int:
    """As `_likelihood`, of the densities that a mixture sums up, each perhaps times its weight."""
    node = _below(ways[0]) if len(ways) == 1 else None
    if node is None:
        return 0
    parts = [_below(child) for child, _ in node.next_functions] if node.name().startswith("AddBackward") else []
    return next((way for part in (node, *parts) if part is not None and (way := _likelihood(part))), 0)


def _residual(node: Any, depth: int) -> tuple[bool, int]:
    """(whether it is a square of a distance to something given, perhaps over a scale and less a scale; its sign)."""
    sign = 1
    for _ in range(MAX_DEPTH):
        node = _below(node)
        if node is None:
            return False, 0
        name = node.name()
        edges = [child for child, _ in node.next_functions]
        ways = [child for child in edges if child is not None]
        if name.startswith("PowBackward") and getattr(node, "_saved_exponent", 0) == 2:
            return _distance(ways[0] if ways else None), sign
        if name.startswith("MulBackward0") and len(ways) == 2 and ways[0] is ways[1]:
            return _distance(ways[0]), sign
        if name.startswith("NegBackward"):
            sign = -sign
        elif name.startswith(("MulBackward0", "DivBackward0")) and len(ways) == 1:
            constant = _constant(node)[0]
            if constant is None or constant.numel() != 1 or not constant.is_cpu:
                return False, 0
            sign = sign if float(constant) > 0 else -sign
        elif name.startswith("SubBackward") and len(ways) == 2 and depth < 2:  # less a scale's logarithm
            found, inner = _residual(ways[0], depth + 1)
            return found, sign * inner
        elif not name.startswith("DivBackward0") and not (
            name.startswith(("AddBackward", "SubBackward")) and len(ways) == 1 and edges[0] is not None
        ):
            return False, 0
        if not ways:
            return False, 0
        node = ways[0]
    return False, 0


def _distance(node: Any) -> bool:
    """`target - output`, perhaps over a scale."""
    node = _below(node)
    if node is not None and node.name().startswith("DivBackward0"):
        node = _below(node.next_functions[0][0])
    if node is None or not node.name().startswith(("SubBackward0", "RsubBackward")):
        return False
    return any(child is None for child, _ in node.next_functions)


def _size(node: Any) -> int:
    size = 1
    for each in node_shape(node):
        size *= each
    return size


def _distributions(torch: Any, output: Any, target: Any) -> dict[str, Any] | None:
    """Sums of the rows of both arguments as they are and of their exponentials, over the axis that fits best."""
    if output.dim() < 1 or output.shape != target.shape or not output.numel() or not target.is_floating_point():
        return None
    axis = 1 if output.dim() == 4 else -1
    ours = output.float().movedim(axis, -1).reshape(-1, output.shape[axis])[:MAX_ROWS]
    theirs = target.float().movedim(axis, -1).reshape(-1, output.shape[axis])[:MAX_ROWS]
    found: dict[str, Any] = {"width": output.shape[axis]}
    for name, rows in (("input", ours), ("target", theirs)):
        sums, logs = rows.sum(1), rows.logsumexp(1)
        found[f"{name}_min"], found[f"{name}_max"] = rows.min(), rows.max()
        found[f"{name}_sum_min"], found[f"{name}_sum_max"] = sums.min(), sums.max()
        found[f"{name}_lse_min"], found[f"{name}_lse_max"] = logs.min(), logs.max()
    return found
