"""Calls of torch's loss functions: their arguments, the constant predictor's loss, the loss on permuted targets."""

from __future__ import annotations

from typing import Any

MAX_CALLS = 200  # distinct (line, function, shapes) kept
MAX_RECENT = 64  # calls between two backward passes that are matched with the graph
MAX_CLASSES = 1000  # label counts are written up to this many classes
MAX_ROWS = 20_000  # rows of outputs looked at in one sample

WITH_TARGET = (
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "cross_entropy",
    "nll_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "kl_div",
    "poisson_nll_loss",
    "gaussian_nll_loss",
    "soft_margin_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "hinge_embedding_loss",
)
WITHOUT_TARGET = ("triplet_margin_loss", "cosine_embedding_loss", "margin_ranking_loss", "ctc_loss")
CLASS_INDEX = ("cross_entropy", "nll_loss", "multi_margin_loss")
ELEMENTWISE = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
BINARY = ("binary_cross_entropy", "binary_cross_entropy_with_logits")


class Losses:
    """One `call` row for each distinct call, one `loss` row for each sampled one."""

    SIGNALS = ("loss_calls", "loss_values", "label_counts", "permuted_loss", "constant_loss")

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._torch = observer.torch
        self._calls: dict[tuple[Any, ...], int] = {}
        self._marginals: dict[int | None, Marginal] = {}
        self._numbers: dict[tuple[Any, ...], int] = {}  # of calls, by everything that is cheap to ask
        # Calls since the last backward with name and number of their node: to hold the node would hold its whole graph.
        self._recent: list[tuple[int, str, int]] = []
        self._since = 0  # backward passes before the first of them
        self._beats: dict[tuple[int | None, bool], Any] = {}
        self._scored = "score" in (observer.signals or ())
        self.failed: dict[str, Any] | None = None  # the call that raised, until another succeeds

    def on_failure(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A loss function raised: what it was given, described now, as a script that goes on needs its memory back."""
        output, target = _arguments(args, kwargs)
        is_tensor = self._torch.is_tensor
        row: dict[str, Any] = {"fn": name, "output": None, "target": None}
        if is_tensor(output):
            described = row["output"] = {**_tensor(output), "grad": output.requires_grad}
            if output.is_cpu and output.numel() and output.is_floating_point():
                described["min"], described["max"] = float(output.detach().min()), float(output.detach().max())
        if is_tensor(target):
            described = row["target"] = {**_tensor(target), "grad": target.requires_grad}
            # The extremes of labels are what decides; a device that has just failed cannot be asked any more.
            if target.is_cpu and target.numel() and not target.is_complex():
                described["min"], described["max"] = float(target.min()), float(target.max())
        self.failed = row

    def recent(self) -> dict[tuple[str, int], int]:
        """The calls since the last backward pass, by the node of their result."""
        fresh = self._since == self._observer.backwards
        return {(name, number): call for call, name, number in self._recent} if fresh else {}

    def calls_in(self, nodes: list[Any]) -> list[int]:
        """Numbers of the calls whose result is one of these nodes of a graph."""
        recent = self.recent()
        return sorted({recent[key] for n in nodes if (key := (n.name(), n._sequence_nr())) in recent}) if recent else []

    def on_loss(
        self,
        name: str,
        original: Any,
        place: tuple[int | None, bool],
        output: Any,
        target: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Any,
    ) -> None:
        """A loss function returned; `place`: its line, and whether the result has a gradient."""
        self.failed = None
        tensor = self._torch.Tensor
        if not isinstance(output, tensor):
            return
        site, graded = place
        shapes = (target.shape, target.dtype) if isinstance(target, tensor) else None
        key = (place, name, output.shape, output.dtype, shapes)
        call = self._numbers.get(key)
        if call is None:
            if len(self._numbers) >= MAX_CALLS:
                self._numbers.clear()
            call = self._numbers[key] = self._call(name, site, output, target, args, kwargs, graded)
        if graded and self._observer.near:
            if self._since != self._observer.backwards:
                self._since = self._observer.backwards
                self._recent.clear()
            if len(self._recent) < MAX_RECENT:
                node = result.grad_fn
                self._recent.append((call, node.name(), node._sequence_nr()))
        if self._scored:
            self._observer.score.on_loss(name, call, args, kwargs, graded)
        beat = self._beats.get(place)
        if beat is None:
            beat = self._beats[place] = self._observer.sampler.beat(("loss", site, graded))
        if self._observer.looks(beat) and not self._transformed(output, result) and not output.is_meta:
            with self._observer.timed(), self._torch.no_grad():
                self._sample(call, site, name, original, args, kwargs, result)

    def _sample(
        self, call: int, site: Any, name: str, original: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        graded = result.requires_grad
        row: dict[str, Any] = {
            "k": "loss",
            "call": call,
            "n": self._observer.sampler.count(("loss", site, graded)) - 1,
            "step": self._observer.steps,
            "grad": graded,
            "value": result.detach().float().mean(),
        }
        output, target = _arguments(args, kwargs)
        self._describe_output(row, name, output.detach())
        if self._torch.is_tensor(target) and name in WITH_TARGET:
            self._describe_target(row, name, output.detach(), target.detach())
            self._compare(row, name, original, args, kwargs, output.detach(), target.detach(), site)
        self._observer.write(row)
        self._observer.arguments.on_sample(call, name, output, target, kwargs, result)
        if graded:
            self._observer.pairs.on_sample(call, output, target, kwargs.get("ignore_index"))

    def _call(self, name: str, site: int | None, output: Any, target: Any, args: Any, kwargs: Any, graded: bool) -> int:
        tensors = self._torch.is_tensor(target)
        key = (
            site,
            name,
            output.shape[1:],
            output.dtype,
            target.shape[1:] if tensors else None,
            target.dtype if tensors else None,
            output.dim(),
            target.dim() if tensors else None,
            graded,
        )
        known = self._calls.get(key)
        if known is not None:
            return known
        if len(self._calls) >= MAX_CALLS:
            return -1
        number = self._calls[key] = len(self._calls)
        self._observer.write(
            {
                "k": "call",
                "i": number,
                "site": site,
                "fn": name,
                "output": _tensor(output),
                "target": _tensor(target) if tensors else None,
                "target_grad": bool(target.requires_grad) if tensors else False,
                "grad": graded,
                "reduction": _reduction(args, kwargs),
                "ignore_index": kwargs.get("ignore_index"),
                "weighted": kwargs.get("weight") is not None or kwargs.get("pos_weight") is not None,
                "smoothing": kwargs.get("label_smoothing") or 0.0,
                "enabled": self._torch.is_grad_enabled(),
                "step": self._observer.steps,
            }
        )
        return number

    def _transformed(self, output: Any, result: Any) -> bool:
        """Inside torch.func transforms values belong to an inner level: only the shapes may be looked at."""
        functorch = getattr(self._torch._C, "_functorch", None)
        return functorch is not None and (
            functorch.is_functorch_wrapped_tensor(output) or functorch.is_functorch_wrapped_tensor(result)
        )

    def _describe_output(self, row: dict[str, Any], name: str, output: Any) -> None:
        if output.numel() == 0 or not output.is_floating_point():
            return
        values = output.float()
        row["output"] = {
            "mean": values.mean(),
            "rms": values.square().mean().sqrt(),
            "min": values.min(),
            "max": values.max(),
            "spread": values.std(0, unbiased=False).square().mean().sqrt() if values.dim() else values * 0,
        }
        if name in ("cross_entropy", "nll_loss", "kl_div") and values.dim() >= 2 and values.shape[1] > 1:
            rows = values.movedim(1, -1).reshape(-1, values.shape[1])[:MAX_ROWS]
            sums = rows.sum(1)
            logs = rows.logsumexp(1)
            row["rows"] = {"sum_min": sums.min(), "sum_max": sums.max(), "lse_min": logs.min(), "lse_max": logs.max()}

    def _describe_target(self, row: dict[str, Any], name: str, output: Any, target: Any) -> None:
        if target.numel() == 0:
            return
        values = target.double() if target.is_floating_point() else target
        flat = values.reshape(-1)[:MAX_ROWS]
        as_float = flat.double()
        described: dict[str, Any] = {
            "mean": as_float.mean(),
            "std": as_float.std(unbiased=False),
            "min": as_float.min(),
            "max": as_float.max(),
            "whole": (as_float == as_float.round()).double().mean(),
            "distinct": int(flat[:4096].unique().numel()),
        }
        if target.dim() == 2 and target.shape[1] > 1:
            sums = as_float.reshape(-1)[: flat.numel() // target.shape[1] * target.shape[1]].view(-1, target.shape[1])
            described["row_sum_min"] = sums.sum(1).min()
            described["row_sum_max"] = sums.sum(1).max()
            described["row_max_min"] = sums.max(1).values.min()
        row["target"] = described
        if name in CLASS_INDEX and output.dim() >= 2 and not target.is_floating_point():
            classes = output.shape[1]
            if classes <= MAX_CLASSES:
                valid = flat[(flat >= 0) & (flat < classes)]
                row["counts"] = self._torch.bincount(valid.long(), minlength=classes)
            hits = output.argmax(1).reshape(-1)[:MAX_ROWS] == flat
            row["accuracy"] = hits[flat >= 0].double().mean()

    def _compare(
        self, row: dict[str, Any], name: str, original: Any, args: Any, kwargs: Any, output: Any, target: Any, site: Any
    ) -> None:
        """The same loss for the best constant output seen so far, and for targets of other samples."""
        if kwargs.get("size_average") is not None or kwargs.get("reduce") is not None:
            return  # torch warns of them at each call
        marginal = self._marginals.setdefault(site, Marginal(self._torch))
        constant = marginal.constant(name, output, target)
        if constant is not None:
            row["constant"] = _again(original, args, kwargs, constant, target).float().mean()
        count = target.shape[0] if target.dim() else 0
        # Unequal shapes under an element-wise loss would make torch warn, and the warning would be ours.
        comparable = name not in ELEMENTWISE or output.shape == target.shape
        if comparable and count >= 4 and output.dim() and output.shape[0] == count:
            shifts = {max(1, count // 2), max(1, count // 3)}
            losses = [_again(original, args, kwargs, output, target.roll(shift, 0)).float().mean() for shift in shifts]
            row["permuted"] = sum(losses) / len(losses)


class Marginal:
    """Running marginal distribution of the targets at one line, and the output that is best knowing only that."""

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self._count = 0.0
        self._sum: Any = None

    def constant(self, name: str, output: Any, target: Any) -> Any:
        """The best constant output, shaped like `output`; None where no such thing is known for the function."""
        torch = self._torch
        if name in CLASS_INDEX and not target.is_floating_point():
            classes = output.shape[1] if output.dim() >= 2 else 0
            flat = target.reshape(-1)
            flat = flat[(flat >= 0) & (flat < classes)]
            if classes < 2 or classes > 50_000 or not flat.numel():
                return None
            share = self._update(torch.bincount(flat.long(), minlength=classes).double(), float(flat.numel()))
            if share is None:
                return None
            logits = (share + 1e-9).log().to(output.dtype)
            return logits.view(1, -1, *([1] * (output.dim() - 2))).expand_as(output).contiguous()
        if not target.is_floating_point() or target.dim() == 0 or target.shape != output.shape:
            return None
        if name not in ELEMENTWISE + BINARY + ("soft_margin_loss",):
            return None
        mean = self._update(target.double().sum(0), float(target.shape[0]))
        if mean is None:
            return None
        if name in BINARY:
            mean = mean.clamp(1e-6, 1 - 1e-6)
            mean = mean if name == "binary_cross_entropy" else mean.logit()
        return mean.to(output.dtype).expand_as(output).contiguous()

    def _update(self, total: Any, count: float) -> Any:
        if self._sum is not None and self._sum.shape != total.shape:
            return None
        self._sum = total if self._sum is None else self._sum + total
        self._count += count
        return self._sum / self._count


def _arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    output = args[0] if args else kwargs.get("input")
    target = args[1] if len(args) > 1 else kwargs.get("target")
    return output, target


def _again(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any, target: Any) -> Any:
    rest = {key: value for key, value in kwargs.items() if key not in ("input", "target")}
    if original.__name__ == "kl_div" and rest.get("reduction", "mean") == "mean":
        rest["reduction"] = "none"  # whose mean it is; torch warns of the other, and the warning would be ours
    return original(output, target, *args[2:], **rest)


def _reduction(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    return str(kwargs.get("reduction", "mean"))


def _tensor(tensor: Any) -> dict[str, Any]:
    return {"shape": list(tensor.shape), "dtype": str(tensor.dtype).replace("torch.", ""), "device": str(tensor.device)}
