"""Inputs beside their targets: are labels the ids that went in, how shifted, padded, or a column of the input?"""

from __future__ import annotations

from typing import Any

from ..graph import Graph, node_shape, saved

MAX_SAMPLES = 24  # described at one line of backward
MAX_HELD = 4  # targets kept from their loss to the backward that follows
MAX_ELEMENTS = 500_000
SHIFTS = (-2, -1, 0, 1, 2, 3)
LENGTHS = (0, -1, -2, 1)  # by how much a target may be longer than the ids that went in
MAX_COLUMNS = 512
MAX_ROWS = 512  # of a batch that are asked for what they end in
MATMULS = ("BmmBackward", "BaddbmmBackward", "MmBackward", "MvBackward", "EinsumBackward")
DATA_EDGE = {"AddmmBackward0": 1, "MmBackward0": 0, "LinearBackward0": 0}
SEVERAL = ("Unbind", "Split", "UnsafeSplit", "Chunk", "MkldnnRnn", "CudnnRnn", "MiopenRnn", "Lstm", "Gru")
OUTSIDE = 2**40  # a start or end that stands for "to the end"


class Pairs:
    """Rows `sequence` (class ids against the ids of an embedding) and `copy` (a target against the input's columns)."""

    SIGNALS = ("sequences", "copied_columns")

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._torch = observer.torch
        self.waiting: dict[int, tuple[Any, Any, Any]] = {}  # call -> target, node of the output, index to be ignored
        self._counts: dict[int | None, int] = {}

    def on_sample(self, call: int, output: Any, target: Any, ignored: Any) -> None:
        """A loss with gradient was looked at closely."""
        if self._torch.is_tensor(target) and len(self.waiting) < MAX_HELD and 4 <= target.numel() <= MAX_ELEMENTS:
            self.waiting[call] = (target.detach(), output.grad_fn, ignored)

    def on_backward(self) -> None:
        """A backward pass is about to begin, and has been described."""
        self.waiting.clear()

    def on_graph(self, graph: Graph, site: int | None, count: int) -> None:
        """A sampled loss is about to be backpropagated."""
        if not self.waiting or self._counts.get(site, 0) >= MAX_SAMPLES:
            return
        self._counts[site] = self._counts.get(site, 0) + 1
        at = {"site": site, "n": count, "step": self._observer.steps}
        mine = self._observer.losses.calls_in(graph.nodes)
        with self._torch.no_grad():
            for call, (target, node, ignored) in list(self.waiting.items()):
                if call not in mine:
                    continue
                if not target.is_floating_point():
                    self._sequences(graph, call, target, node, ignored, at)
                self._columns(graph, call, target, at)

    # -- sequences ---------------------------------------------------------------------------------------------

    def _sequences(self, graph: Graph, call: int, target: Any, node: Any, ignored: Any, at: dict[str, Any]) -> None:
        embeddings = [each for each in graph.nodes if each.name() == "EmbeddingBackward0"]
        seen: set[tuple[int, ...]] = set()
        for embedding in embeddings[:6]:
            ids = saved(embedding, "indices")
            if ids is None or ids.dim() != 2 or ids.numel() > MAX_ELEMENTS or ids.device != target.device:
                continue
            # Several tables may be looked up with the same ids (words and their segments are not the same).
            for axis in (1, 0):
                laid = _laid_out(target, ids, axis)
                if laid is None or ids.shape[axis] < 4:
                    continue
                key = (ids.data_ptr(), *ids.shape, axis)
                if key in seen:
                    continue
                seen.add(key)
                row = self._sequence(graph, embedding, ids if axis == 1 else ids.t(), laid, node, axis, ignored)
                number = self._observer.parameters.number
                leaf = next((layer.weight for layer in graph.layers if layer.node is embedding), None)
                self._observer.write(
                    {"k": "sequence", **at, "call": call, "param": None if leaf is None else number(leaf), **row}
                )

    def _sequence(
        self, graph: Graph, embedding: Any, ids: Any, target: Any, node: Any, axis: int, ignored: Any
    ) -> dict[str, Any]:
        """`ids`, `target`: rows x time."""
        run = _trailing(target)
        valid = (target >= 0) & ~(run & (run.sum(1, keepdim=True) > 1))
        if isinstance(ignored, int):
            valid = valid & (target != ignored)
        start = _start(node, axis)
        length, width = ids.shape[1], target.shape[1]
        shifts: list[Any] = []
        for shift in SHIFTS:
            if start is None:
                break
            first = max(0, -(start + shift))
            last = min(width, length - start - shift)
            if last - first < 2:
                shifts.append(None)
                continue
            mine, theirs = target[:, first:last], ids[:, start + shift + first : start + shift + last]
            mask = valid[:, first:last]
            shifts.append((mask & (mine == theirs)).sum() / mask.sum().clamp_min(1))
        derived = _derived(graph, embedding)
        padded = run & (run.sum(1, keepdim=True) > 1)
        # The filler is what most such rows end in: a row that is not filled up may end in a pair by chance.
        last, ends = target[:MAX_ROWS, -1], padded[:MAX_ROWS, -1]
        filler = last[((last[:, None] == last) & ends[:, None] & ends).sum(1).argmax()]
        padded = padded & (target == filler)
        tail = {
            "share": padded.float().mean(),
            "rows": padded.any(1).float().mean(),
            "value": filler,
            "apart": padded.sum(1).float().std(unbiased=False),
        }
        if width == length:
            # Words end where their labels do; of shifted ids the padding of both is at most one place apart.
            tail["both"] = (padded & _trailing(ids)).sum() / padded.sum().clamp_min(1)
            tail["beyond"] = (_trailing(ids) & (_trailing(ids).sum(1, keepdim=True) > 1)).float().mean()
        if isinstance(ignored, int):
            tail["inner"] = ((target == ignored) & ~run).float().mean()
        return {
            "shape": list(ids.shape),
            "axis": axis,
            "start": start,
            "valid": valid.float().mean(),
            "shifts": shifts,
            "tail": tail,
            "narrow": _narrow(graph, embedding, derived, ids.shape[0], length),
            **self._ahead(graph, derived, length),
        }

    def _ahead(self, graph: Graph, derived: set[Any], length: int) -> dict[str, Any]:
        """The largest share of attention, or of a kernel, that lies on later places of the same sequence."""
        shares: list[Any] = []
        by = None
        for node in graph.nodes:
            if node not in derived:
                continue
            name = node.name()
            share = None
            if name in ("SoftmaxBackward0", "SafeSoftmaxBackward0") and _looks_at_itself(node, derived):
                result = saved(node, "result")
                if result is not None and result.shape[-2:] == (length, length):
                    share = result.float().triu(1).sum(-1).mean()
            elif name.startswith("ScaledDotProduct"):
                share = self._sdpa(node, derived, length)
            elif name == "ConvolutionBackward0":
                data = saved(node, "input")
                shape = node_shape(node)
                if data is not None and data.dim() == 3 and len(shape) == 3 and shape[-1] == data.shape[-1] == length:
                    share = 1.0 if int(node._saved_padding[0]) > 0 and not node._saved_transposed else None
            if share is not None:
                shares.append(share)
                by = by or name
            if len(shares) >= 8:
                break
        return {"ahead": shares, "ahead_by": by}

    def _sdpa(self, node: Any, derived: set[Any], length: int) -> Any:
        edges = [child for child, _ in node.next_functions]
        key = saved(node, "key")
        if edges[0] not in derived or edges[1] not in derived or key is None or key.shape[-2] != length:
            return None
        if getattr(node, "_saved_is_causal", False):
            return 0.0
        mask = saved(node, "attn_mask") if hasattr(node, "_saved_attn_mask") else None
        if mask is None or mask.dim() < 2 or mask.shape[-2:] != (length, length):
            return 0.5 if mask is None else None
        allowed = mask if mask.dtype == self._torch.bool else mask > -1e4
        return allowed.float().triu(1).sum() / allowed.float().sum().clamp_min(1)

    # -- columns -----------------------------------------------------------------------------------------------

    def _columns(self, graph: Graph, call: int, target: Any, at: dict[str, Any]) -> None:
        count = target.shape[0] if target.dim() else 0
        if target.numel() != count or count < 8:
            return
        layer = next((layer for layer in graph.layers if layer.door is not None and layer.door != "indices"), None)
        data = saved(layer.node, layer.door or "") if layer is not None else None
        if layer is None or data is None or not data.is_floating_point() or data.shape[:1] != target.shape[:1]:
            return
        rows = data.reshape(count, -1).float()
        if not 4 <= rows.shape[1] <= MAX_COLUMNS or rows.device != target.device:
            return
        wanted = target.reshape(-1).float()
        rows, wanted = rows - rows.mean(0), wanted - wanted.mean()
        norms = (rows.square().sum(0) * wanted.square().sum()).sqrt()
        alike = ((rows * wanted[:, None]).sum(0).abs() / norms).nan_to_num(0.0)
        top = alike.topk(2)
        self._observer.write(
            {
                "k": "copy",
                **at,
                "call": call,
                "param": self._observer.parameters.number(layer.weight),
                "shape": list(data.shape),
                "columns": top.indices,
                "alike": top.values,
            }
        )


def _laid_out(target: Any, ids: Any, axis: int) -> Any:
    """The target as rows x time, where it has one place for each id (or one or two fewer, or one more)."""
    rows, length = ids.shape[1 - axis], ids.shape[axis]
    for more in LENGTHS:
        width = length + more
        if target.numel() != rows * width or width < 3:
            continue
        if target.dim() == 1:
            return target.view(rows, width) if axis == 1 else target.view(width, rows).t()
        if target.dim() == 2 and tuple(target.shape) in ((rows, width), (width, rows)):
            first = tuple(target.shape) == (rows, width) and (rows != width or axis == 1)
            return target if first else target.t()
    return None


def _trailing(rows: Any) -> Any:
    """Where each row has reached the value that it then keeps to its end."""
    return (rows == rows[:, -1:]).flip(1).cumprod(1).flip(1).bool()


def _start(node: Any, axis: int) -> int | None:
    """How many places at the front were cut off on the way from the head to the loss; None where it is not plain."""
    start = 0
    for _ in range(14):
        if node is None:
            break
        name = node.name()
        if name == "SliceBackward0" and int(node._saved_dim) == axis:
            cut = int(node._saved_start)
            if cut > OUTSIDE or int(getattr(node, "_saved_step", 1)) != 1:
                return None
            start += cut
        edges = [child for child, _ in node.next_functions]
        position = DATA_EDGE.get(name)
        node = edges[position] if position is not None else next((child for child in edges if child is not None), None)
    return start


def _derived(graph: Graph, origin: Any) -> set[Any]:
    """The nodes that a node's result goes into, itself included."""
    found = {origin}
    for node in graph.nodes:
        if node not in found and any(child in found for child, _ in node.next_functions):
            found.add(node)
    return found


def _looks_at_itself(node: Any, derived: set[Any]) -> bool:
    """Whether both sides of the product below a softmax stem from the same ids."""
    for _ in range(10):
        edges = [child for child, _ in node.next_functions if child is not None]
        if node.name().startswith(MATMULS):
            return len(edges) == 2 and all(edge in derived for edge in edges)
        if not edges:
            return False
        node = edges[0]
    return False


def _narrow(graph: Graph, embedding: Any, derived: set[Any], rows: int, length: int) -> bool:
    """Whether everything that the ids say passes through one tensor that has no time axis (an autoencoder's code)."""
    order = {node: index for index, node in enumerate(graph.nodes)}
    last = dict.fromkeys(derived, 0)
    for node in derived:
        for child, _ in node.next_functions:
            if child in last:
                last[child] = max(last[child], order.get(node, 0))
    sizes = {width * many for width in (length, length - 1, length - 2, length + 1) for many in (1, rows)}
    reach = 0
    for node in graph.nodes:
        if node not in derived:
            continue
        index = order[node]
        shape = node_shape(node)
        total = 1
        for size in shape:
            total *= size
        whole = not node.name().startswith(SEVERAL)  # the shape of one of several results says nothing of them all
        if reach <= index and whole and node is not embedding and total > rows and not sizes & set(shape):
            return True
        reach = max(reach, last[node])
    return False
