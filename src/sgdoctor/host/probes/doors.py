"""What the model is called on: moments of its inputs, in training and in evaluation, seen at the outermost module."""

from __future__ import annotations

import functools
import sys
from typing import Any

from ..frames import peel, unseen
from ..graph import stride

MAX_VALUES = 10_000  # of one input that go into its moments
MAX_PLACES = 800  # of one sample that are compared with those of others
MAX_COLUMNS = 32  # columns described one by one
MAX_INPUTS = 3  # of one call
CALLS = 3  # looked at in a row


class Doors:
    """Rows `door` for sampled calls.

    The next calls of a module from outside are wrapped, and those only: a wrapper on every call would cost several
    percent, and torch's own global hooks show in its tracebacks. More than one call, as a step may need several.
    """

    SIGNALS = ("model_inputs",)

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._torch = observer.torch
        self._placed: Any = None
        self._open = True
        self._called = observer.guarded("doors", self._on_call)
        self._beats: dict[str, Any] = {}

    def expect(self, why: str) -> None:
        """A call of the model may follow: look at it where it is one to be sampled."""
        if self._placed is None and self._open:
            beat = self._beats.get(why)
            if beat is None:
                beat = self._beats[why] = self._observer.sampler.beat(("door", why))
            if self._observer.looks(beat):
                self._place()

    def _place(self) -> None:
        owner = self._torch.nn.Module
        original = owner.__dict__["_call_impl"]
        left, inside = CALLS, False

        def wrapper(module: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal left, inside
            outermost = bool(left) and not inside
            try:
                if outermost:
                    inside = True
                    left -= 1
                    if not left:
                        self._take_off()
                    if not self._torch.compiler.is_compiling() and not self._torch.jit.is_tracing():
                        self._called(module, args)
                return original(module, *args, **kwargs)
            except BaseException as error:
                peel(error)
                raise
            finally:
                if outermost:
                    inside = False

        self._original, self._placed = original, functools.wraps(original)(unseen(wrapper))
        owner._call_impl = self._placed

    def _take_off(self) -> None:
        placed, self._placed = self._placed, None
        # Whoever wrapped it after us keeps their wrapper, and ours only passes on.
        if placed is not None and self._torch.nn.Module.__dict__.get("_call_impl") is placed:
            self._torch.nn.Module._call_impl = self._original

    def leave(self) -> None:
        """No call is looked at from now on."""
        self._open = False
        self._take_off()

    def on_close(self) -> None:
        """Nothing is observed any more."""
        self._take_off()

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
            flat = flat[:: stride(flat.numel(), MAX_VALUES, value.shape)]
        values = flat.double()
        facts.update(mean=values.mean(), std=values.std(unbiased=False), min=values.min(), max=values.max())
        facts["fraction"] = (values != values.round()).double().mean()
        facts["nonfinite"] = (~values.isfinite()).sum()
        if value.is_floating_point() and value.dim() >= 2 and value.shape[0] > 1:
            # How far samples are from each other, place by place: zero where all of them are the same.
            few = value[:64].reshape(min(64, value.shape[0]), -1)
            few = few[:, :: few.shape[1] // MAX_PLACES + 1].double()
            facts["apart"] = (few - few.mean(0)).square().mean().sqrt()
        if value.is_floating_point() and value.dim() == 2 and value.shape[1] <= MAX_COLUMNS:
            rows = value[:4096].double()
            facts.update(means=rows.mean(0), stds=rows.std(0, unbiased=False))
        return facts
