"""Which samples, and which time steps, an output depends on: d output[i] / d input[j] at sampled steps."""

from __future__ import annotations

from typing import Any

from .passes import Pass, Passes

LOOKS = 6  # steps looked at: what mixes once mixes always


class SampleIndependence(Passes):
    """Rows `independence`; nothing of the run is changed."""

    def __init__(self, observer: Any, name: str) -> None:
        super().__init__(observer, name)
        self._first: Any = None
        self._varies = False

    def due(self) -> bool:
        return super().due() and self.acted < LOOKS

    def look(self, kept: Pass) -> None:
        inputs = self.tensors(kept.args, kept.kwargs)
        data = max(inputs, key=lambda tensor: tensor.numel())
        output = self._output(kept)
        if output is None or (data.dim() < 2 and data.is_floating_point()):
            return
        self._varies = self._varies or (self._first is not None and not self._equal(self._first, data))
        self._first = data
        row: dict[str, Any] = {
            "k": "independence",
            "site": kept.site,
            "step": self._count,
            "input": list(data.shape),
            "output": list(output.shape),
            "target": list(kept.target.shape) if kept.target is not None else None,
            "whole": not data.is_floating_point(),
            "inputs": len(inputs),
            "alike": all(tensor.shape[:1] == data.shape[:1] for tensor in inputs),
            "varies": self._varies,
            "of": [],
        }
        for training in (True, False):
            self.set_mode(kept.module, training)
            for axis in range(min(2, data.dim())):
                entry = self._influence(kept, data, axis)
                if entry is not None:
                    row["of"].append({"training": training, "axis": axis, **entry})
        self.acted += 1
        self.observer.write(row)

    def _equal(self, one: Any, other: Any) -> bool:
        return one.shape == other.shape and bool((one == other).all())

    def _output(self, kept: Pass) -> Any:
        """The returned tensor that the loss took, else the largest."""
        outputs = [t for t in self.tensors(kept.result) if t.is_floating_point() and t.dim()]
        count = 1
        for length in kept.shaped or (-1,):
            count *= length
        fitting = [tensor for tensor in outputs if tensor.numel() == count]
        return (fitting or sorted(outputs, key=lambda t: -t.numel()) or [None])[0]

    def _influence(self, kept: Pass, data: Any, axis: int) -> dict[str, Any] | None:
        """How the gradient of one slice of the output is shared among the slices of the input along an axis."""
        torch, length = self.torch, data.shape[axis]
        if length < 2:
            return None
        index = length // 2
        with torch.enable_grad():
            leaf, output = self._forward(kept, data)
            if leaf is None or output is None:
                return None
            if output.dim() > axis and output.shape[axis] == length:
                chosen = output.select(axis, index)
            elif axis == 0 and output.shape[0] % length == 0:
                chosen = output.reshape(length, -1)[index]  # rows of one sample stand together
            else:
                return None
            # Weights against cancelling: the sum of a softmax is 1 whatever its inputs are.
            weights = torch.linspace(0.5, 1.5, chosen.numel(), dtype=chosen.dtype, device=chosen.device)
            (gradient,) = torch.autograd.grad((chosen.reshape(-1) * weights).sum(), leaf, allow_unused=True)
        if gradient is None or gradient.shape[: axis + 1] != data.shape[: axis + 1]:
            return None
        sizes = gradient.detach().double().abs().movedim(axis, 0).reshape(length, -1).sum(1)
        total = float(sizes.sum())
        if not total or total != total:
            return None
        shares = (sizes / total).tolist()
        earlier, later = sum(shares[:index]), sum(shares[index + 1 :])
        touched = sum(1 for i, share in enumerate(shares) if i != index and share > 1e-6)
        return {"index": index, "own": shares[index], "earlier": earlier, "later": later, "touched": touched}

    def _forward(self, kept: Pass, data: Any) -> tuple[Any, Any]:
        """The pass again, with gradient from where data enters: inputs themselves, or the embeddings of ids."""
        found: list[Any] = []
        args, kwargs, handles = kept.args, kept.kwargs, []
        if data.is_floating_point():
            leaf = data.detach().clone().requires_grad_()
            found.append(leaf)
            args, kwargs = self.map_tensors(lambda tensor: leaf if tensor is data else tensor, (args, kwargs))
        else:

            def hook(layer: Any, given: Any, result: Any) -> Any:
                if not found and given[0].shape == data.shape:
                    found.append(result.detach().requires_grad_())
                    return found[0]
                return None

            for layer in kept.module.modules():
                if isinstance(layer, self.torch.nn.Embedding):
                    handles.append(layer.register_forward_hook(hook))
        try:
            output = self._output(kept._replace(result=kept.module(*args, **kwargs)))
        finally:
            for handle in handles:
                handle.remove()
        return (found[0] if found else None), output

    def closing(self) -> None:
        if not self.acted and not self.reason:
            self.reason = "no module was called on a batch of tensors and stepped"


INTERVENTION = SampleIndependence
