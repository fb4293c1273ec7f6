"""How far the running statistics of batch norm layers are from those of the batch that was just normalised."""

from __future__ import annotations

from typing import Any

from ..graph import Graph, saved

MAX_LAYERS = 16  # of one look, evenly among those there are
NORMS = ("NativeBatchNormBackward0", "CudnnBatchNormBackward0", "MiopenBatchNormBackward0")


def statistics(graph: Graph, owners: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    """Entries of a row `statistics`: a layer each, with its momentum and the batches it has seen.

    The middle channel counts, not the worst: a few channels are always odd. What autograd keeps of a batch are its mean
    and one over its deviation; nothing is computed anew.
    """
    norms = {id(layer.weight): layer.node for layer in graph.layers if layer.op in NORMS}
    known = [(prefix, module) for prefix, module in owners if id(module._parameters.get("weight")) in norms]
    found = []
    for prefix, module in known[:: len(known) // MAX_LAYERS + 1]:
        node = norms[id(module._parameters["weight"])]
        mean, inverse = saved(node, "result1"), saved(node, "result2")
        running, spread = getattr(module, "running_mean", None), getattr(module, "running_var", None)
        seen = getattr(module, "num_batches_tracked", None)
        if mean is None or inverse is None or running is None or spread is None or seen is None:
            continue
        if not module.training or mean.shape != running.shape or not isinstance(module.momentum, float):
            continue
        variance, spread = inverse.double() ** -2, spread.detach().double()
        apart = (mean.double() - running.detach().double()).abs() / (variance + spread).sqrt()
        found.append(
            {
                "name": prefix,
                "momentum": module.momentum,
                "seen": int(seen),
                "shift": float(apart.median()),
                "ratio": float((variance / spread).median()),
            }
        )
    return found
