"""A script that asks Python about itself and about torch."""

import inspect
import sys
import traceback

import torch
from torch import nn

print(inspect.getsource(nn.functional.cross_entropy)[:60], inspect.signature(torch.autograd.backward))
print(nn.Module.train.__qualname__, nn.Module.train.__doc__ == inspect.getdoc(nn.Module.train))
print(inspect.getsource(sys.modules["__main__"])[:40], __file__, __name__, __spec__, __cached__)


def main():
    """What stands above the script is the interpreter's, or the launcher's."""
    w = torch.ones(1, requires_grad=True)

    def hook(grad):
        names = [entry.name for entry in traceback.extract_stack()]
        print([name for name in names[names.index("main") :] if name != "wrapper"])

    w.register_hook(hook)
    for _ in range(2):
        (w * 2).sum().backward()
    print(w.grad, vars(w), len(vars(nn.Module.train)) <= 2)
    print(sorted(name for name in sys.modules if "doctor" in name and not name.startswith("_sgdoctor_host")))


main()
