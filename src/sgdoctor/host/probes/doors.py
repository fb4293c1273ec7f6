"""What the model is called on: moments of its inputs, in training and in evaluation, seen at the outermost module."""

from __future__ import annotations

import sys
from typing import Any

MAX_VALUES = 200_000  # of one input that go into its moments
MAX_COLUMNS = 32  # columns described one by one
MAX_INPUTS = 3  # of one call


class Doors:
    """Rows `door` for sampled calls.

    torch's global hook is put on for one call only and takes itself off: standing there, it would cost several percent.
    """

    SIGNALS = ("model_inputs",)

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._torch = observer.torch
        self._register = observer.torch.nn.modules.module.register_module_forward_pre_hook
        self._hook: Any = None
        self._why = ""
        self._called = observer.guarded("doors", self._on_call)

    def expect(self, why: str) -> None:
        """A call of the model may follow: look at it where it is one to be sampled."""
        if self._hook is None and self._observer.look_due(("door", why)):
            self._why = why
            self._hook = self._register(self._pass)

    def on_close(self) -> None:
        """Nothing is observed any more."""
        hook, self._hook = self._hook, None
        if hook is not None:
            hook.remove()

    def _pass(self, module: Any, inputs: Any) -> None:
        hook, self._hook = self._hook, None
        if hook is not None:
            hook.remove()
        if not self._torch.compiler.is_compiling() and not self._torch.jit.is_tracing():
            self._called(module, inputs)

    def _on_call(self, module: Any, inputs: Any) -> None:
        # Not a part of a model: a metric, a loss module, a transform of the data.
        if not any(True for _ in module.parameters()):
            return
        frame = sys._getframe(1)
        site = self._observer.sites.of_frame(frame)
        grad = self._torch.is_grad_enabled()
        name = type(module).__name__
        with self._observer.timed(), self._torch.no_grad():
            for place, value in enumerate(inputs[:MAX_INPUTS]):
                if isinstance(value, self._torch.Tensor) and value.numel() and not value.is_complex():
                    row = {"k": "door", "site": site, "step": self._observer.steps, "place": place, "model": name}
                    self._observer.write({**row, "training": module.training, "grad": grad, **self._describe(value)})

    def _describe(self, value: Any) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "dtype": str(value.dtype).replace("torch.", ""),
            "device": str(value.device),
            "shape": list(value.shape),
        }
        if value.is_sparse or value.device.type == "meta":
            return facts
        value = value.detach()
        flat = value.reshape(-1)
        if flat.numel() > MAX_VALUES:
            flat = flat[:: flat.numel() // MAX_VALUES + 1]
        values = flat.double()
        facts.update(mean=values.mean(), std=values.std(unbiased=False), min=values.min(), max=values.max())
        facts["fraction"] = (values != values.round()).double().mean()
        facts["nonfinite"] = (~values.isfinite()).sum()
        if value.is_floating_point() and value.dim() >= 2 and value.shape[0] > 1:
            # How far samples are from each other, place by place: zero where all of them are the same.
            few = value[:64].reshape(min(64, value.shape[0]), -1)[:, :4096].double()
            facts["apart"] = few.std(0, unbiased=False).square().mean().sqrt()
        if value.is_floating_point() and value.dim() == 2 and value.shape[1] <= MAX_COLUMNS:
            rows = value[:4096].double()
            facts.update(means=rows.mean(0), stds=rows.std(0, unbiased=False))
        return facts
