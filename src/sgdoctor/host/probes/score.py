"""How right outputs are, measured the same way whatever loss they are trained on: share correct, and squared error."""

from __future__ import annotations

from typing import Any

DENSE = 400  # calls of each kind that are all measured; then every SPARSE-th
SPARSE = 8
BY_LOGIT = ("binary_cross_entropy_with_logits", "soft_margin_loss", "multilabel_soft_margin_loss")
BY_PROBABILITY = ("binary_cross_entropy",)
CLASSES = ("cross_entropy", "nll_loss", "multi_margin_loss")
MAX_CLASS = 1000  # whole numbers up to here may be class ids that are regressed
IGNORED = -100  # torch's own mark of a target that does not count


class Score:
    """Rows `score`: sums over one call of a loss function, so that shares can be formed over many.

    `right` of `of` samples are classified as the target says; `error` is the sum of squared errors, `spread` the sum of
    squared distances of the targets from their mean. Only attached where asked for: in trials.
    """

    SIGNALS = ("score",)

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._torch = observer.torch
        self._counts: dict[bool, int] = {}

    def on_loss(self, name: str, call: int, args: tuple[Any, ...], kwargs: dict[str, Any], graded: bool) -> None:
        """A loss function returned."""
        output: Any = args[0] if args else kwargs.get("input")
        target: Any = args[1] if len(args) > 1 else kwargs.get("target")
        count = self._counts[graded] = self._counts.get(graded, 0) + 1
        if (count > DENSE and count % SPARSE) or not self._torch.is_tensor(target) or not target.numel():
            return
        if not self._torch.is_tensor(output) or self._observer.torch._C._len_torch_dispatch_stack():
            return
        with self._torch.no_grad():
            output, target = output.detach(), target.detach()
            row = self._as_classes(name, output, target, kwargs) or self._as_values(name, output, target)
            if row is not None:
                base = {"k": "score", "call": call, "n": count - 1, "step": self._observer.steps, "grad": graded}
                self._observer.write({**base, **row})

    def _as_classes(self, name: str, output: Any, target: Any, kwargs: dict[str, Any]) -> dict[str, Any] | None:
        if output.dim() < 1 or not output.is_floating_point():
            return None
        dimension = 1 if output.dim() > 1 else 0
        if name in CLASSES and not target.is_floating_point():
            if output.shape[dimension] < 2:
                return None
            valid = target != kwargs.get("ignore_index", IGNORED)
            hits = (output.argmax(dimension) == target) & valid
            return {"right": hits.sum(), "of": valid.sum()}
        if output.shape == target.shape and output.dim() > 1 and output.shape[1] > 1 and self._one_hot(target):
            return {"right": (output.argmax(1) == target.argmax(1)).sum(), "of": target.numel() // target.shape[1]}
        return None

    def _one_hot(self, target: Any) -> bool:
        """Rows that hold a single one; probabilities of classes count as well."""
        values = target.float()
        return bool((values.min() >= 0) & ((values.sum(1) - 1).abs().max() < 1e-4))

    def _as_values(self, name: str, output: Any, target: Any) -> dict[str, Any] | None:
        if output.numel() != target.numel() or not output.is_floating_point() or target.is_complex():
            return None
        if output.shape == target.shape:
            flat, wanted = output.double(), target.double()
        else:  # (N,) against (N, 1): what is meant, whatever it was broadcast to
            flat, wanted = output.double().reshape(-1), target.double().reshape(-1)
        if flat.dim() == 0:
            return None
        if name in BY_LOGIT or name in BY_PROBABILITY:
            positive = flat > (0.0 if name in BY_LOGIT else 0.5)
            return {"right": (positive == (wanted > 0.5)).sum(), "of": wanted.numel()}
        row: dict[str, Any] = {}
        if wanted.shape[0] > 1:
            row = {"error": (flat - wanted).square().sum(), "spread": (wanted - wanted.mean(0)).square().sum()}
        low, high = float(wanted.min()), float(wanted.max())
        if low >= 0 and high <= MAX_CLASS and bool((wanted == wanted.round()).all()):
            row |= {"right": (flat.round() == wanted).sum(), "of": wanted.numel()}
        return row or None
