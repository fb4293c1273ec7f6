"""Derivatives of the script's own autograd functions against finite differences, on inputs they really got."""

from __future__ import annotations

from typing import Any

from .intervention import Intervention

CHECKS = 3  # captured calls of one function
COORDINATES = 64  # single inputs that are moved; of larger ones a sample
LARGEST = 2**22  # elements of an input that is gone through again
TINY = 1e-9  # slopes below this share of the largest are flat


class Gradcheck(Intervention):
    """Rows `gradcheck`, one a function and captured call; nothing of the run is changed.

    Not torch.autograd.gradcheck itself: it draws from the global generator, wants every function to keep float64,
    and calls a straight-through estimator wrong. The rule compared is the same.
    """

    def __init__(self, observer: Any, name: str) -> None:
        super().__init__(observer, name)
        self._checked: dict[Any, int] = {}

    def install(self) -> None:
        function, torch = self.torch.autograd.Function, self.torch
        original = function.__dict__["apply"].__func__

        def wrapper(kind: Any, *args: Any, **kwargs: Any) -> Any:
            captured = None
            own = not kind.__module__.startswith("torch")
            if own and self._checked.get(kind, 0) < CHECKS and torch.is_grad_enabled() and self._differentiable(args):
                self._checked[kind] = self._checked.get(kind, 0) + 1
                captured = self.map_tensors(lambda tensor: tensor.detach().clone(), args)
                wanted = [isinstance(a, torch.Tensor) and a.requires_grad for a in args]
            result = original(kind, *args, **kwargs)
            if captured is not None:
                with self.aside(), torch.enable_grad():
                    self._check(kind, lambda *given: original(kind, *given), captured, wanted)
            return result

        placed: Any = classmethod(wrapper)
        self.put(function, "apply", placed)

    def _differentiable(self, args: Any) -> bool:
        tensors = [a for a in args if isinstance(a, self.torch.Tensor)]
        size = sum(tensor.numel() for tensor in tensors)
        return any(tensor.requires_grad for tensor in tensors) and 0 < size <= LARGEST

    def _check(self, kind: Any, call: Any, captured: Any, wanted: list[bool]) -> None:
        torch = self.torch
        row: dict[str, Any] = {"k": "gradcheck", "function": kind.__name__, "step": self.observer.steps}
        code = getattr(getattr(kind, "backward", None), "__code__", None)
        row["site"] = self.observer.sites.intern(code, code.co_firstlineno) if code is not None else None
        state = torch.get_rng_state()

        def evaluate(given: Any) -> Any:
            torch.set_rng_state(state)  # a function that draws draws the same each time
            copies = self.map_tensors(lambda t: t.clone(), given)
            outputs = [t for t in self.tensors(call(*copies)) if t.is_floating_point()]
            return outputs, copies

        inputs = self.map_tensors(lambda t: t.double() if t.is_floating_point() else t, captured)
        try:
            outputs, _ = evaluate(inputs)
        except (RuntimeError, TypeError, ValueError):
            return
        if not outputs or outputs[0].dtype != torch.float64:
            self.reason = f"{kind.__name__} does not compute in float64"
            return
        moved = inputs[wanted.index(True)]
        row["identity"] = outputs[0].shape == moved.shape and bool(torch.equal(outputs[0], moved))
        row["of"] = []
        for position, needed in enumerate(wanted):
            if needed and inputs[position].is_floating_point():
                row["of"].append({"input": position, **self._compare(evaluate, inputs, position, outputs)})
        self.acted += 1
        self.observer.write(row)

    def _compare(self, evaluate: Any, inputs: Any, position: int, outputs: list[Any]) -> dict[str, Any]:
        """Slopes along single coordinates of one input, of a fixed weighted sum of the outputs."""
        torch, data = self.torch, inputs[position]
        generator = torch.Generator().manual_seed(0)
        weights = [(torch.rand(o.shape, generator=generator, dtype=o.dtype) + 0.5).to(o.device) for o in outputs]

        def value(given: Any) -> Any:
            found, _ = evaluate(given)
            return sum((o * w).sum() for o, w in zip(found, weights))

        leaf = data.clone().requires_grad_()
        with_leaf = tuple(leaf if i == position else each for i, each in enumerate(inputs))
        (analytic,) = torch.autograd.grad(value(with_leaf), leaf, allow_unused=True)
        analytic = torch.zeros_like(data) if analytic is None else analytic
        count = data.numel()
        chosen = torch.randperm(count, generator=generator)[:COORDINATES].tolist()
        scale = max(1e-3, float(data.detach().abs().median()))
        slopes, coarse, told = [], [], []
        for index in chosen:
            pair = [self._slope(value, inputs, position, index, scale * step) for step in (1e-6, 1e-5)]
            slopes.append(pair[0])
            coarse.append(pair[1])
            told.append(float(analytic.reshape(-1)[index]))
        return self._judge(slopes, coarse, told)

    def _slope(self, value: Any, inputs: Any, position: int, index: int, step: float) -> float:
        ends = []
        with self.torch.no_grad():
            for sign in (1, -1):
                data = inputs[position].clone()
                data.view(-1)[index] += sign * step
                ends.append(float(value(tuple(data if i == position else each for i, each in enumerate(inputs)))))
        return (ends[0] - ends[1]) / (2 * step)

    @staticmethod
    def _judge(slopes: list[float], coarse: list[float], told: list[float]) -> dict[str, Any]:
        """`bad` of `smooth` coordinates whose slope is clear and not what backward says; `flat` ones have none."""
        largest = max((abs(s) for s in slopes if s == s), default=0.0)
        smooth = flat = bad = passed = 0
        worst = 0.0
        ratios = []
        for slope, other, said in zip(slopes, coarse, told):
            if slope != slope or abs(slope - other) > 1e-3 * (abs(slope) + 1e-6 * largest):
                continue  # a kink or a jump near by
            if abs(slope) <= TINY * max(largest, 1e-30) or slope == 0:
                flat += 1
                passed += abs(said) > 1e-6 * max(largest, 1e-30)
                continue
            smooth += 1
            error = abs(said - slope) / max(abs(slope), abs(said))
            ratios.append(said / slope)
            worst = max(worst, error)
            bad += error > 1e-2
        middle = sorted(ratios)[len(ratios) // 2] if ratios else 0.0
        return {"smooth": smooth, "flat": flat, "bad": bad, "passed": passed, "error": worst, "ratio": middle}

    def closing(self) -> None:
        if not self.acted and not self.reason:
            self.reason = "no autograd function of the script's own took part"


INTERVENTION = Gradcheck
