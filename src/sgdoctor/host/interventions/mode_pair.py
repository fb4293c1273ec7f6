"""One training batch in train mode and in eval mode: the loss of both, at sampled steps."""

from __future__ import annotations

from typing import Any

from .passes import Pass, Passes


class ModePair(Passes):
    """Rows `mode_pair`; nothing of the run is changed."""

    def look(self, kept: Pass) -> None:
        if kept.compute is None or not kept.module.training:
            return
        row: dict[str, Any] = {"k": "mode_pair", "site": kept.site, "step": self._count}
        for name, training in (("train", True), ("eval", False), ("again", False)):
            self.set_mode(kept.module, training)
            row[name] = self._loss(kept)
            if row[name] is None:
                self.reason = "what the module returns is not what its loss takes"
                return
        row["norms"] = sum(1 for layer in kept.module.modules() if hasattr(layer, "running_var"))
        # Attributes, not classes: a dropout of the script's own is one too.
        row["drops"] = sum(1 for layer in kept.module.modules() if "Dropout" in type(layer).__name__)
        row.update(self._statistics(kept))
        self.acted += 1
        self.observer.write(row)

    def _loss(self, kept: Pass) -> float | None:
        with self.torch.no_grad():
            outputs = self.tensors(kept.module(*kept.args, **kept.kwargs))
            count = 1
            for length in kept.shaped:
                count *= length
            found = next((output for output in outputs if output.numel() == count), None)
            if found is None:
                return None
            return float(kept.compute(found.reshape(kept.shaped)).float().mean())

    def _statistics(self, kept: Pass) -> dict[str, float]:
        """How far the statistics of this batch are from the running ones: the worst layer, in running deviations."""
        torch, worst, ratios = self.torch, [0.0], [1.0]
        handles = []

        def hook(layer: Any, args: Any) -> None:
            data = args[0].detach()
            dims = [0, *range(2, data.dim())]
            mean, var = data.double().mean(dims), data.double().var(dims, unbiased=False)
            running, spread = layer.running_mean.double(), layer.running_var.double() + 1e-12
            worst.append(float(((mean - running).abs() / (spread + var).sqrt()).median()))
            ratios.append(float((var / spread).median()))

        self.set_mode(kept.module, True)
        for layer in kept.module.modules():
            if getattr(layer, "running_var", None) is not None and getattr(layer, "running_mean", None) is not None:
                handles.append(layer.register_forward_pre_hook(hook))
        try:
            with torch.no_grad():
                # Twice in train mode moves the running statistics: they are put back by the caller.
                kept.module(*kept.args, **kept.kwargs)
        finally:
            for handle in handles:
                handle.remove()
        momenta = [
            layer.momentum
            for layer in kept.module.modules()
            if getattr(layer, "running_var", None) is not None and isinstance(getattr(layer, "momentum", None), float)
        ]
        known = {"momentum": min(momenta)} if momenta else {}
        return {"shift": max(worst), "ratio": max(ratios, key=lambda value: abs(value - 1)), **known}

    def closing(self) -> None:
        if not self.acted and not self.reason:
            self.reason = "no loss of torch's was taken of what a module in train mode returned"


INTERVENTION = ModePair
