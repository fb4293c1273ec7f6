"""Which errors are left: as frequent among sure outputs as among unsure ones, in whatever part of the outputs."""

from __future__ import annotations

from typing import Any

PARTS = 5  # samples are divided into as many by how sure, or how large, their outputs are
DENSE = 8  # calls of a line that are all looked at
SPACING = 1.06  # then each look is at least this factor later than the last: 40 of each tenfold of calls
MAX_PLACES = 40  # lines followed
MIN_ROWS = 10  # samples of one call: fewer cannot be divided
MAX_ROWS = 5000  # samples of one call that are looked at
MAX_CLASSES = 20
CLASS_INDEX = ("cross_entropy", "nll_loss")
BINARY = ("binary_cross_entropy", "binary_cross_entropy_with_logits")
FAR = 6.0  # robust standard deviations: of a normal error, one in 500 million is larger
NORMAL = 1.4826  # standard deviation over median absolute deviation, of normal errors


class Errors:
    """Rows `sureness` of outputs that name a class, and `tails` of outputs that are one number."""

    SIGNALS = ("errors_by_sureness",)

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._torch = observer.torch
        self._schedules: dict[tuple[int | None, bool], list[int]] = {}  # calls, calls to go beyond

    def on_loss(self, name: str, place: tuple[int | None, bool], output: Any, target: Any) -> None:
        """A loss function returned."""
        schedule = self._schedules.get(place)
        if schedule is None:
            if len(self._schedules) >= MAX_PLACES:
                return
            schedule = self._schedules[place] = [0, 0]
        schedule[0] += 1
        if schedule[0] <= schedule[1]:
            return
        schedule[1] = int(schedule[0] * SPACING) if schedule[0] > DENSE else schedule[0]
        tensor = self._torch.Tensor
        if not (isinstance(output, tensor) and isinstance(target, tensor)) or self._unseen():
            return
        if not target.dim() or target.shape[0] < MIN_ROWS or output.shape[:1] != target.shape[:1]:
            return
        with self._observer.timed(), self._torch.no_grad():
            found = self._of(name, output.detach()[:MAX_ROWS], target.detach()[:MAX_ROWS])
            if found is not None:
                kind, facts = found
                at = {"site": place[0], "n": schedule[0] - 1, "step": self._observer.steps, "grad": place[1]}
                self._observer.write({"k": kind, **at, **facts})

    def _unseen(self) -> bool:
        """Under a mode of the script's own, or inside torch.func transforms, values are not for us."""
        functorch = getattr(self._torch._C, "_functorch", None)
        inner = functorch is not None and functorch.peek_interpreter_stack() is not None
        return inner or bool(self._torch._C._len_torch_dispatch_stack())

    def _of(self, name: str, output: Any, target: Any) -> tuple[str, dict[str, Any]] | None:
        if name in CLASS_INDEX:
            if output.dim() != 2 or target.dim() != 1 or target.is_floating_point():
                return None
            if not 2 <= output.shape[1] <= MAX_CLASSES:
                return None
            best = output.float().topk(2, 1)
            width, guess = output.shape[1], best.indices[:, 0]
            return "sureness", self._sureness(best.values[:, 0] - best.values[:, 1], guess, target, width)
        if output.shape != target.shape or target.numel() != target.shape[0] or not target.is_floating_point():
            return None
        output, target = output.reshape(-1).float(), target.reshape(-1).float()
        if name in BINARY:
            middle = 0.5 if name == "binary_cross_entropy" else 0.0
            # A label that is neither 0 nor 1 counts as none: the rule asks for labels that are.
            label = self._torch.where((target == 0) | (target == 1), target, -1.0).long()
            return "sureness", self._sureness((output - middle).abs(), (output > middle).long(), label, 2)
        return ("tails", self._tails(output, target)) if name == "mse_loss" else None

    def _sureness(self, margin: Any, guess: Any, label: Any, width: int) -> dict[str, Any]:
        """Hits by fifths of the samples, unsure ones first; and of the upper three fifths, by predicted class."""
        torch = self._torch
        valid = (label >= 0) & (label < width)
        margin, guess, label = margin[valid], guess[valid], label[valid]
        order = margin.argsort()
        hits = (guess == label)[order]
        parts = [part for part in hits.tensor_split(PARTS)]
        sure = order[len(order) * 2 // PARTS :]
        return {
            "of": [part.numel() for part in parts],
            "right": torch.stack([part.sum() for part in parts]),
            "counts": torch.bincount(label, minlength=width),
            "sure": torch.bincount(guess[sure], minlength=width),
            "sure_right": torch.bincount(guess[sure][guess[sure] == label[sure]], minlength=width),
        }

    def _tails(self, output: Any, target: Any) -> dict[str, Any]:
        """How many errors are far outside the bulk of them, by fifths of the outputs, low ones first."""
        torch = self._torch
        error = output - target
        error = error - error.median()
        scale = error.abs().median() * NORMAL
        spread = (target - target.median()).abs().median() * NORMAL
        far = error.abs() > FAR * scale
        parts = far[output.argsort()].tensor_split(PARTS)
        square = error.square()
        return {
            "of": [part.numel() for part in parts],
            "far": torch.stack([part.sum() for part in parts]),
            "scale": scale,
            "spread": spread,
            "carried": torch.where(far, square, square * 0).sum() / square.sum(),
        }
