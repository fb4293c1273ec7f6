"""How a network is built, as its graph shows it: what stands between layers, and between the last one and the loss."""

from __future__ import annotations

from typing import Any

from ..graph import Graph, Layer, node_shape

MAX_LINKS = 60  # layers whose way back to the one before is described
MAX_PATH = 24  # operations on one way
MAX_TAILS = 4
LINEAR_OPS = ("AddmmBackward0", "MmBackward0", "LinearBackward0", "ConvolutionBackward0", "BmmBackward0")
SOFTMAX = ("SoftmaxBackward0", "LogSoftmaxBackward0")


class Structure:
    """Rows `structure` (when it changes) and `size` (every sample)."""

    SIGNALS = ("structure", "graph_size")

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._torch = observer.torch
        self._last: dict[int | None, Any] = {}
        self._tailed: set[int | None] = set()  # lines of backward whose loss was once found among the calls

    def on_graph(self, graph: Graph, site: int | None, count: int) -> None:
        """A sampled loss is about to be backpropagated."""
        at = {"site": site, "n": count, "step": self._observer.steps}
        self._observer.write({"k": "size", **at, "nodes": len(graph.nodes), "truncated": graph.truncated})
        ops: dict[str, int] = {}
        for node in graph.nodes:
            if graph.layers_after.get(node, 0):
                name = node.name()
                if _data_children(node) > 1:
                    name += ":2"
                ops[name] = ops.get(name, 0) + 1
        tails = self._tails(graph)
        if tails:
            self._tailed.add(site)
        elif site in self._tailed:  # looked at out of turn (a NaN): nobody noted down the calls
            return
        identity = str([sorted(ops), [tail["ops"] for tail in tails]])
        if self._last.get(site) == identity:
            return
        self._last[site] = identity
        row = {"ops": ops, "tails": tails, "links": self._links(graph), "single": self._single(graph)}
        self._observer.write({"k": "structure", **at, **row})

    def _tails(self, graph: Graph) -> list[dict[str, Any]]:
        """The operations from a call of a loss function back to the last layer, the loss itself first."""
        calls = self._observer.losses.recent() or {}
        found: list[dict[str, Any]] = []
        dropped = self._observer.dropouts.nodes() or ()
        for node in graph.nodes[::-1]:
            call = calls.get((node.name(), node._sequence_nr()))
            if call is None or len(found) >= MAX_TAILS:
                continue
            path, end = self._path(graph, _first_data(node), dropped)
            weight = None if end is None else self._observer.parameters.number(end.weight)
            ops = [[node.name(), node_shape(node)], *path]
            found.append({"call": call, "ops": ops, "param": weight, "layer": None if end is None else end.op})
        return found

    def _path(self, graph: Graph, node: Any, dropped: Any) -> tuple[list[Any], Layer | None]:
        """(operations, the layer they end at), the layer's own left out; it ends where ways join."""
        path: list[Any] = []
        while node is not None and len(path) < MAX_PATH:
            layer = graph.layer_of.get(node)
            if layer is not None and layer.node is node:
                return path, layer
            name = node.name()
            several = _data_children(node) > 1
            drop = (name, node._sequence_nr()) in dropped
            path.append([("Dropout" if drop else name) + (":2" if several else ""), node_shape(node)])
            if several:
                break
            node = _first_data(node)
        return path, None

    def _links(self, graph: Graph) -> list[dict[str, Any]]:
        """For each layer with a matrix: what its input passed since the layer before."""
        number = self._observer.parameters.number
        found: list[dict[str, Any]] = []
        for layer in graph.layers:
            if layer.op not in LINEAR_OPS or layer.weight.dim() < 2 or len(found) >= MAX_LINKS:
                continue
            path, before = self._path(graph, _first_data(layer.node, {id(leaf) for leaf in layer.leaves}), ())
            found.append(
                {
                    "param": number(layer.weight),
                    "op": layer.op,
                    "before": None if before is None else number(before.weight),
                    "kind": None if before is None else before.op,
                    "path": [name for name, _ in path],
                    "shape": node_shape(layer.node),
                }
            )
        return found

    def _single(self, graph: Graph) -> list[dict[str, Any]]:
        """Softmax and layer norms over an axis of length 1: what they put out cannot vary."""
        found = []
        for node in graph.nodes:
            name = node.name()
            if name in SOFTMAX:
                shape, dim = node_shape(node), int(node._saved_dim)
                dim = dim - 2**64 if dim >= 2**63 else dim
                if not shape or not -len(shape) <= dim < len(shape) or shape[dim] != 1:
                    continue
            elif name == "NativeLayerNormBackward0":
                shape = node_shape(node)
                size = 1
                for length in node._saved_normalized_shape:
                    size *= int(length)
                if size != 1:
                    continue
            else:
                continue
            child = _first_data(node)
            layer = graph.layer_of.get(child) if child is not None else None
            found.append(
                {
                    "op": name,
                    "shape": shape,
                    "after": graph.layers_after.get(node, 0),
                    "param": None if layer is None else self._observer.parameters.number(layer.weight),
                    "kind": None if layer is None else layer.op,
                }
            )
        return found[:8]


def _data_children(node: Any) -> int:
    """Inputs that are computed (neither constants nor leaves, which have a `variable`)."""
    return sum(1 for child, _ in node.next_functions if child is not None and not hasattr(child, "variable"))


def _first_data(node: Any, own: set[int] | None = None) -> Any:
    """The first computed input that is not made of parameters alone (the transpose of a weight)."""
    for child, _ in node.next_functions:
        if child is None or hasattr(child, "variable"):
            continue
        if own is not None and _is_weight(child, own):
            continue
        return child
    return None


def _is_weight(node: Any, own: set[int]) -> bool:
    """Whether a chain of single inputs leads to one of the layer's own parameters."""
    for _ in range(6):
        children = [child for child, _ in node.next_functions if child is not None]
        if len(children) != 1:
            return False
        variable = getattr(children[0], "variable", None)
        if variable is not None:
            return id(variable) in own
        node = children[0]
    return False
