"""What one graph shows: what reaches the first layers, activations by depth, the operations next to the loss."""

from __future__ import annotations

from typing import Any

from ..graph import ACTIVATIONS, CHANNEL_OPS, Graph, Layer, node_numel, node_shape, saved

MAX_DOORS = 6  # data inputs described in one sample
MAX_FEATURES = 64  # columns described one by one; of more, the widest and an even selection
MAX_ACTIVATIONS = 40  # activations described in one sample, evenly by depth
MAX_LAYERS = 120  # layers named in one `graph` row
MAX_ELEMENTS = 2_000_000  # larger tensors are thinned along their first axis
MAX_ACTIVE = 131_072  # values of an activation
MIN_ROWS = 512  # a unit that is never active among fewer may well be alive
MIN_SAMPLES = 16
FLAT = 0.99  # |tanh| beyond this has less than 2 % of its slope left
MAX_MASKED = 4  # masked softmaxes that are looked at
HAZARDS = {"LogBackward0": "self", "SqrtBackward0": "result", "DivBackward0": "other", "ExpBackward0": "result"}


class Network:
    """Rows `graph` (when it changes), `features`, `activations` and `hazard` for sampled backward passes."""

    SIGNALS = ("graph", "features", "activations", "hazards")

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._torch = observer.torch
        self._last: dict[int | None, Any] = {}
        self._rnn_like: dict[int, bool] = {}

    def on_graph(self, graph: Graph, site: int | None, count: int) -> None:
        """A sampled loss is about to be backpropagated."""
        with self._torch.no_grad():
            self._describe_graph(graph, site, count)
            doors = [layer for layer in graph.layers if layer.door is not None]
            for layer in doors[:MAX_DOORS]:
                self._describe_features(layer, site, count)
            self._describe_activations(graph, site, count)
            self._look_for_hazards(graph, site, count)

    def entered(self, graph: Graph) -> list[Any]:
        """The data that enter a graph at its first layers, ids included."""
        found = [saved(layer.node, layer.door) for layer in graph.layers if layer.door is not None]
        return [value for value in found if value is not None]

    def _describe_graph(self, graph: Graph, site: int | None, count: int) -> None:
        number = self._observer.parameters.number
        described = {
            "root": graph.root.grad_fn.name() if graph.root.grad_fn is not None else None,
            "leaf_root": graph.root.grad_fn is None,
            "leaves": [number(leaf) for leaf in graph.leaves[:MAX_LAYERS]],
            "layers": [
                [layer.op, number(layer.weight), node_shape(layer.node)] for layer in _once(graph.layers)[:MAX_LAYERS]
            ],
            "head": [
                [node.name(), node_shape(node), [None if c is None else node_shape(c) for c, _ in node.next_functions]]
                for node in graph.head()
            ],
            "calls": self._observer.losses.calls_in(graph.nodes),
            "nodes": len(graph.nodes),
            "truncated": graph.truncated,
            # Names of torch's own nodes end in a digit; those of the user's autograd.Function do not.
            "custom": sorted({node.name() for node in graph.nodes if not node.name()[-1].isdigit()})[:8],
            "opaque": any(node.name().startswith("CompiledFunction") for node in graph.nodes[:50]),
        }
        # The size of the batch changes from one to the next: it alone does not make another graph.
        identity = str([described["root"], described["leaves"], [entry[:2] for entry in described["layers"]]])
        if self._last.get(site) != identity:
            self._last[site] = identity
            self._observer.write({"k": "graph", "site": site, "n": count, "step": self._observer.steps, **described})

    def _describe_features(self, layer: Layer, site: int | None, count: int) -> None:
        data = saved(layer.node, layer.door or "")
        if data is None or data.numel() == 0:
            return
        row: dict[str, Any] = {
            "k": "features",
            "site": site,
            "n": count,
            "step": self._observer.steps,
            "param": self._observer.parameters.number(layer.weight),
            "op": layer.op,
            "shape": list(data.shape),
            "dtype": str(data.dtype).replace("torch.", ""),
        }
        if layer.door == "indices" or not data.is_floating_point():
            row["indices"] = True
            self._observer.write(row)
            return
        rows = _rows(data, 1 if layer.op in CHANNEL_OPS and data.dim() > 2 else -1)
        mean, low, high = rows.mean(0), rows.amin(0), rows.amax(0)
        std = (rows - mean).square().mean(0).sqrt()
        width = rows.shape[1]
        row["width"] = width
        row["nonfinite"] = (~rows.isfinite()).sum()
        if width > MAX_FEATURES:
            even = self._torch.arange(0, width, max(1, width // (MAX_FEATURES // 2)), device=rows.device)
            widest = (std + mean.abs()).nan_to_num(0.0).topk(MAX_FEATURES // 2).indices
            chosen = self._torch.cat([even[: MAX_FEATURES // 2], widest])
            row["columns"] = chosen
            mean, std, low, high = mean[chosen], std[chosen], low[chosen], high[chosen]
        row.update(mean=mean, std=std, min=low, max=high)
        self._observer.write(row)

    def _describe_activations(self, graph: Graph, site: int | None, count: int) -> None:
        found = [node for node in graph.nodes if node.name() in ACTIVATIONS]
        step = max(1, len(found) // MAX_ACTIVATIONS)
        entries = []
        for node in found[::step][:MAX_ACTIVATIONS]:
            entry = self._describe_activation(graph, node)
            if entry is not None:
                entries.append(entry)
        if entries:
            self._observer.write(
                {"k": "activations", "site": site, "n": count, "step": self._observer.steps, "of": entries}
            )

    def _describe_activation(self, graph: Graph, node: Any) -> dict[str, Any] | None:
        name, kind = ACTIVATIONS[node.name()]
        value = saved(node, name)
        if value is None or value.numel() == 0 or not value.is_floating_point():
            return None
        layer = graph.layer_of.get(node)
        entry: dict[str, Any] = {
            "kind": kind,
            "param": None if layer is None else self._observer.parameters.number(layer.weight),
            "after": graph.layers_after.get(node, 0),
            "shape": list(value.shape),
        }
        channels = value.dim() > 2 and layer is not None and layer.op in CHANNEL_OPS
        rows = _rows(_fewer(value) if channels else value, 1 if channels else -1, MAX_ACTIVE)
        mean = rows.mean(0)
        within = (rows - mean).square().mean()  # thrice as fast as std(0)
        entry["std"] = (within + mean.var(unbiased=False)).sqrt()
        entry["spread"] = within.sqrt()
        if kind in ("relu", "threshold"):
            active = rows > 0
            entry["zero"] = 1 - active.float().mean()
            entry["dead"] = 1 - active.any(0).float().mean()
        elif kind in ("softmax", "log_softmax"):
            entry["dim"] = _axis(node, value.dim())
        elif kind == "tanh":
            entry["flat"] = (rows.abs() > FLAT).float().mean()
        elif kind == "sigmoid":
            entry["flat"] = ((2 * rows - 1).abs() > FLAT).float().mean()
        return entry

    def _look_for_hazards(self, graph: Graph, site: int | None, count: int) -> None:
        """Operations whose result or derivative is not finite at the values they were given."""
        seen = empty = 0
        for node in graph.nodes:
            name = HAZARDS.get(node.name())
            if name is None:
                empty += self._look_for_empty_rows(graph, node, site, count) if empty < MAX_MASKED else 0
                continue
            seen += 1
            if seen > 12:
                return
            value = saved(node, name)
            if value is None or not value.numel():
                continue
            bad = ~value.isfinite() if name == "result" else ~value.isfinite() | (value == 0)
            if node.name() == "SqrtBackward0":
                bad = bad | (value == 0)
            if node.name() == "LogBackward0":
                bad = bad | (value < 0)
            self._observer.write(
                {
                    "k": "hazard",
                    "site": site,
                    "n": count,
                    "step": self._observer.steps,
                    "op": node.name(),
                    "after": graph.layers_after.get(node, 0),
                    "shape": node_shape(node),
                    "bad": bad.sum(),
                    "of": node_numel(node),
                    "nonfinite": (~value.isfinite()).sum(),
                }
            )

    def _look_for_empty_rows(self, graph: Graph, node: Any, site: int | None, count: int) -> bool:
        """A softmax behind a mask: NaN where the mask covers a whole row of minus infinities. True if it is one."""
        below = next((child for child, _ in node.next_functions), None)
        if node.name() != "SoftmaxBackward0" or below is None or below.name() != "MaskedFillBackward0":
            return False
        value, mask = saved(node, "result"), saved(below, "mask")
        axis = _axis(node, len(node_shape(node) or ()))
        if value is None or mask is None or axis is None or not value.numel():
            return False
        bad = ~value.isfinite()
        covered = mask.expand_as(value).all(axis, keepdim=True)
        self._observer.write(
            {
                "k": "hazard",
                "site": site,
                "n": count,
                "step": self._observer.steps,
                "op": node.name(),
                "after": graph.layers_after.get(node, 0),
                "shape": node_shape(node),
                "bad": bad.sum(),
                "of": node_numel(node),
                "nonfinite": (bad & ~covered).sum(),
            }
        )
        return True


def _once(layers: list[Layer]) -> list[Layer]:
    """Layers by distinct weight, in forward order (a recurrent net meets the same one at every time step)."""
    seen: dict[int, Layer] = {}
    for layer in layers:
        seen.setdefault(id(layer.weight), layer)
    return list(seen.values())


def _axis(node: Any, dims: int) -> int | None:
    """The axis that a softmax sums over; negative ones are saved as the unsigned number with their bits."""
    saved_dim = getattr(node, "_saved_dim", None)
    if not isinstance(saved_dim, int) or not dims:
        return None
    signed = saved_dim - 2**64 if saved_dim >= 2**63 else saved_dim
    return signed % dims


def _fewer(tensor: Any) -> Any:
    """Some of the samples of a large tensor, as its rows are to be copied: no fewer than MIN_SAMPLES."""
    step = min(tensor.numel() // MAX_ACTIVE, tensor.shape[0] // MIN_SAMPLES)
    return tensor[::step] if step > 1 else tensor


def _rows(tensor: Any, axis: int, most: int = MAX_ELEMENTS) -> Any:
    """`tensor` as float32 rows x columns, columns along `axis`; thinned when large, to no fewer than MIN_ROWS."""
    if tensor.dim() == 0:
        return tensor.reshape(1, 1).float()
    if tensor.dim() == 1:
        return tensor.reshape(-1, 1).float()
    rows = tensor.movedim(axis, -1).reshape(-1, tensor.shape[axis])
    if rows.numel() > most:
        rows = rows[:: min(rows.numel() // most + 1, max(rows.numel() // MAX_ELEMENTS + 1, len(rows) // MIN_ROWS))]
    return rows.float()
