"""Other ways to watch a training run, to compare the cost with: `python bench/peers.py anomaly|hooks SCRIPT`.

`anomaly`: torch.autograd.set_detect_anomaly. `hooks`: what people write by hand, a forward hook on every module that
reads the mean and spread of its output with `.item()`.
"""

from __future__ import annotations

import runpy
import sys
from typing import Any

PEERS = ("anomaly", "hooks")


def main() -> None:
    """Put the peer on, and run the script as `__main__`."""
    import torch

    peer, script = sys.argv[1:3]
    del sys.argv[:2]
    seen: dict[str, tuple[float, float]] = {}

    def look(module: Any, inputs: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.is_floating_point():
            values = output.detach()
            seen[type(module).__name__] = values.mean().item(), values.std().item()

    if peer == "anomaly":
        torch.autograd.set_detect_anomaly(True)
    else:
        torch.nn.modules.module.register_module_forward_hook(look)
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
