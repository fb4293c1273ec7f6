"""Gradients and weights by parameter, and the gradient signal by depth, after a sampled backward."""

from __future__ import annotations

from typing import Any

from ..graph import ACTIVATIONS, Graph

MAX_PARAMETERS = 96  # parameters described in one sample, evenly by depth
MAX_SIGNALS = 48  # places in the graph where the passing gradient is measured, evenly by depth
MATRIX_OPS = ("AddmmBackward0", "MmBackward0", "ConvolutionBackward0", "LinearBackward0")


class Gradients:
    """Rows `gradients` (by parameter), `rows` (are all units of a layer alike?) and `signal` (by depth)."""

    SIGNALS = ("gradients", "weights", "unit_symmetry", "gradient_by_depth")

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._torch = observer.torch
        self._signal: list[Any] = []
        self._places: list[Any] = []
        self._hooks: list[Any] = []

    def on_graph(self, graph: Graph, site: int | None, count: int) -> None:
        """Ask the nodes of this one graph to say how large the gradient is that passes them."""
        places = [n for n in graph.nodes if n.name() in ACTIVATIONS or n.name() in MATRIX_OPS]
        places = [n for n in places if graph.layers_after.get(n, 0) or n.name() in MATRIX_OPS]
        step = max(1, -(-len(places) // MAX_SIGNALS))
        chosen = places[::step]
        if len(places) > 1 and chosen and chosen[-1] is not places[-1]:
            chosen.append(places[-1])
        self._places = [
            (n.name(), graph.layer_of[n].weight if n in graph.layer_of else None, graph.layers_after.get(n, 0))
            for n in chosen
        ]
        self._signal = [None] * len(chosen)
        signal = self._signal
        torch = self._torch
        for index, node in enumerate(chosen):

            def measure(gradients: Any, index: int = index) -> None:
                try:
                    first = gradients[0]
                    if first is not None:
                        with torch.no_grad():
                            signal[index] = torch.linalg.vector_norm(first.detach().float())
                except Exception:
                    signal[index] = None

            self._hooks.append(node.register_prehook(measure))

    def after_backward(self, graph: Graph, site: int | None, count: int) -> None:
        """The gradients are there."""
        while self._hooks:  # a graph that is kept may be gone through again
            self._hooks.pop().remove()
        number = self._observer.parameters.number
        torch = self._torch
        with torch.no_grad():
            leaves = [leaf for leaf in graph.leaves if leaf.is_floating_point()]
            step = max(1, -(-len(leaves) // MAX_PARAMETERS))
            chosen = leaves[::step]
            grads = [None if leaf.grad is None else _dense(leaf.grad) for leaf in chosen]
            present = [grad for grad in grads if grad is not None]
            norms = iter(torch._foreach_norm(present) if present else [])
            weights = torch._foreach_norm([leaf.detach() for leaf in chosen]) if chosen else []
            self._observer.write(
                {
                    "k": "gradients",
                    "site": site,
                    "n": count,
                    "step": self._observer.steps,
                    "params": [number(leaf) for leaf in chosen],
                    "grad": [None if grad is None else next(norms) for grad in grads],
                    "weight": list(weights),
                }
            )
            if any(value is not None for value in self._signal):
                self._observer.write(
                    {
                        "k": "signal",
                        "site": site,
                        "n": count,
                        "step": self._observer.steps,
                        "ops": [name for name, _, _ in self._places],
                        "params": [None if leaf is None else number(leaf) for _, leaf, _ in self._places],
                        "after": [after for _, _, after in self._places],
                        "norm": list(self._signal),
                    }
                )
            self._signal, self._places = [], []
            if count & (count - 1) == 0:  # 0, 1, 2, 4, 8, ...: symmetry that breaks does so early
                self._compare_units(graph, site, count)

    def _compare_units(self, graph: Graph, site: int | None, count: int) -> None:
        entries = []
        seen: set[int] = set()
        for layer in graph.layers:
            weight = layer.weight
            if id(weight) in seen or weight.dim() < 2 or weight.shape[0] < 2 or len(seen) >= MAX_PARAMETERS:
                continue
            if layer.op in ("EmbeddingBackward0", "EmbeddingBagBackward0"):
                continue
            seen.add(id(weight))
            units = weight.detach().reshape(weight.shape[0], -1)
            entries.append(
                {
                    "param": self._observer.parameters.number(weight),
                    "after": graph.layers_after.get(layer.node, 0),
                    "norm": units.norm(),
                    "apart": (units - units[:1]).norm(),
                    "grad": None if weight.grad is None else _dense(weight.grad).norm(),
                }
            )
        if entries:
            self._observer.write({"k": "units", "site": site, "n": count, "step": self._observer.steps, "of": entries})


def _dense(gradient: Any) -> Any:
    return gradient.coalesce().values() if gradient.is_sparse else gradient.detach()
