"""The autograd graph behind one loss as plain facts: layers in forward order, leaves, data doors, activations."""

from __future__ import annotations

from math import gcd
from typing import Any

MAX_NODES = 6000  # a 500-step recurrent net has about 5000; beyond it the walk stops and says so

# Operations that consume data and parameters, with the position of the data edge and the saved tensor that holds it.
DOORS: dict[str, tuple[int, str]] = {
    "AddmmBackward0": (1, "mat1"),
    "MmBackward0": (0, "self"),
    "MvBackward0": (0, "self"),
    "DotBackward0": (0, "self"),
    "BmmBackward0": (0, "self"),
    "LinearBackward0": (0, "input"),
    "BaddbmmBackward0": (1, "batch1"),
    "ConvolutionBackward0": (0, "input"),
    "ConvolutionOverrideableBackward0": (0, "input"),
    "NativeBatchNormBackward0": (0, "input"),
    "CudnnBatchNormBackward0": (0, "input"),
    "NativeLayerNormBackward0": (0, "input"),
    "NativeGroupNormBackward0": (0, "input"),
    "MkldnnRnnLayerBackward0": (0, "input"),
    "CudnnRnnBackward0": (0, "input"),
    "EmbeddingBackward0": (-1, "indices"),
    "EmbeddingBagBackward0": (-1, "indices"),
}
CHANNEL_OPS = ("ConvolutionBackward0", "ConvolutionOverrideableBackward0", "NativeBatchNormBackward0")
# Activation -> (saved tensor, kind). "zero" kinds can die, "flat" kinds can saturate.
ACTIVATIONS: dict[str, tuple[str, str]] = {
    "ReluBackward0": ("result", "relu"),
    "ThresholdBackward0": ("self", "threshold"),
    "HardtanhBackward0": ("self", "hardtanh"),
    "SigmoidBackward0": ("result", "sigmoid"),
    "TanhBackward0": ("result", "tanh"),
    "LeakyReluBackward0": ("self", "leaky_relu"),
    "GeluBackward0": ("self", "gelu"),
    "SiluBackward0": ("self", "silu"),
    "EluBackward0": ("self_or_result", "elu"),
    "SoftmaxBackward0": ("result", "softmax"),
    "LogSoftmaxBackward0": ("result", "log_softmax"),
}
ELEMENTWISE = ("MulBackward0", "AddBackward0", "SubBackward0", "DivBackward0")


class Layer:
    """One operation that mixes data with parameters: op name, its leaves, and its place in forward order."""

    __slots__ = ("bias", "door", "index", "leaves", "node", "op", "weight")

    def __init__(self, index: int, node: Any, op: str, leaves: list[Any]) -> None:
        self.index = index
        self.node = node
        self.op = op
        self.leaves = leaves
        self.weight = max(leaves, key=lambda leaf: (leaf.dim(), leaf.numel()))
        self.door: str | None = None  # the saved tensor that holds what enters, where that is data (needs no gradient)


class Graph:
    """Nodes of one graph sorted in forward order, and what they are."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.nodes: list[Any] = []  # forward order, leaves excluded
        self.leaves: list[Any] = []  # tensors that receive gradient, each once
        self.layers: list[Layer] = []
        self.layer_of: dict[Any, Layer] = {}  # the nearest layer at or before a node
        self.layers_after: dict[Any, int] = {}  # how many layers stand between a node and the loss
        self.truncated = False
        if root.grad_fn is not None:
            self._collect(root.grad_fn)
            self._find_layers()
            self._measure_depth()
        elif root.requires_grad:
            self.leaves.append(root)

    def _collect(self, start: Any) -> None:
        seen = {start}
        stack = [start]
        leaf_ids: set[int] = set()
        nodes = []
        while stack:
            node = stack.pop()
            variable = getattr(node, "variable", None)
            if variable is not None and node.name().endswith("AccumulateGrad"):
                if id(variable) not in leaf_ids:
                    leaf_ids.add(id(variable))
                    self.leaves.append(variable)
                continue
            nodes.append(node)
            if len(nodes) >= MAX_NODES:
                self.truncated = True
                break
            for child, _ in node.next_functions:
                if child is not None and child not in seen:
                    seen.add(child)
                    stack.append(child)
        nodes.sort(key=lambda node: node._sequence_nr())
        self.nodes = nodes

    def _find_layers(self) -> None:
        pure: dict[Any, list[Any]] = {}  # nodes computed from parameters alone (transposes, weight norm) -> those
        for node in self.nodes:
            name = node.name()
            own: list[Any] = []
            carries_data = False
            for child, _ in node.next_functions:
                if child is None:
                    continue
                variable = getattr(child, "variable", None)
                if variable is not None:
                    own.append(variable)
                elif child in pure:
                    own.extend(pure[child])
                else:
                    carries_data = True
            if not own:
                self._inherit(node)
                continue
            if not carries_data and name not in DOORS and not self._is_data_times_parameter(node, name, own):
                pure[node] = own
                continue
            layer = Layer(len(self.layers), node, name, own)
            layer.door = self._door(node, name)
            self.layers.append(layer)
            self.layer_of[node] = layer

    def _inherit(self, node: Any) -> None:
        for child, _ in node.next_functions:
            layer = self.layer_of.get(child)
            if layer is not None:
                self.layer_of[node] = layer
                return

    @staticmethod
    def _is_data_times_parameter(node: Any, name: str, own: list[Any]) -> bool:
        """Hand-written `w * x + b`: an element-wise operation whose output is larger than its parameters."""
        if name not in ELEMENTWISE or all(child is not None for child, _ in node.next_functions):
            return False
        return node_numel(node) > max(leaf.numel() for leaf in own)

    @staticmethod
    def _door(node: Any, name: str) -> str | None:
        edges = node.next_functions
        if name in DOORS:
            position, saved = DOORS[name]
            return saved if position < 0 or (position < len(edges) and edges[position][0] is None) else None
        if name == "MulBackward0":
            return "self" if edges[0][0] is None else "other" if edges[1][0] is None else None
        return None

    def _measure_depth(self) -> None:
        depth: dict[Any, int] = {}
        for node in reversed(self.nodes):
            here = depth.get(node, 0)
            layer = self.layer_of.get(node)
            below = here + (1 if layer is not None and layer.node is node else 0)
            for child, _ in node.next_functions:
                if child is not None and depth.get(child, -1) < below:
                    depth[child] = below
        self.layers_after = depth

    def head(self, count: int = 28) -> list[Any]:
        """The nodes nearest to the loss, nearest first."""
        return self.nodes[: -count - 1 : -1]


def stride(total: int, wanted: int, shape: Any) -> int:
    """A step through `total` values that leaves about `wanted`, and meets all columns of all axes alike."""
    step = total // wanted + 1
    while step > 1 and any(size and gcd(step, size) > 1 for size in shape[1:]):
        step += 1
    return step


def node_shape(node: Any) -> list[int]:
    """Shape of a node's output; [] for a scalar or where it is unknown."""
    metadata = node._input_metadata
    return [int(size) for size in metadata[0].shape] if metadata else []


def node_numel(node: Any) -> int:
    """Number of elements of a node's output."""
    total = 1
    for size in node_shape(node):
        total *= size
    return total


def saved(node: Any, name: str) -> Any:
    """A saved tensor of a node, or None where reading it could run the user's hooks or raise."""
    raw = getattr(node, "_raw_saved_" + name, None)
    if raw is None or getattr(raw, "unpack_hook", None) is not None:
        return None
    try:
        value = getattr(node, "_saved_" + name)
    except RuntimeError:  # changed in place since, or already freed
        return None
    return value if value is None else value.detach()
