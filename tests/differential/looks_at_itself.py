"""A script that asks Python about itself and about torch."""

import inspect
import sys
import traceback

import torch
from torch import nn

print(inspect.getsource(nn.functional.cross_entropy)[:60], inspect.signature(torch.autograd.backward))
print(inspect.getsourcefile(nn.Module.train).endswith("module.py"), nn.Module.train.__qualname__)
print(inspect.getsource(sys.modules["__main__"])[:40], __file__, __name__, __spec__, __cached__)


class Net(nn.Module):
    def forward(self, x):
        names = [entry.name for entry in traceback.extract_stack()]
        print(names, inspect.stack()[0].lineno)
        return x


def main():
    w = torch.ones(1, requires_grad=True)
    net = Net()
    for _ in range(3):
        w.register_hook(lambda grad: print(len(traceback.extract_stack())))
        net(w).sum().backward()
    print(sorted(name for name in sys.modules if "doctor" in name and not name.startswith("_sgdoctor_host")))


main()
