# ci
"""torch is imported in a function, under another name, after the environment is set."""

import os
import sys

os.environ["OMP_NUM_THREADS"] = "2"
os.environ["MARK"] = "set before"
print("torch" in sys.modules, sorted(set(sys.modules) & {"json", "numpy", "signal"}) >= [])


def main():
    import torch as t

    print(t.get_num_threads(), t.__spec__.name, type(t.__loader__).__name__, t.__spec__.loader is t.__loader__)
    from digest import show

    t.manual_seed(0)
    layer = t.nn.Bilinear(2, 2, 1)
    optimizer = t.optim.ASGD(layer.parameters(), 0.1)
    losses = []
    for _ in range(4):
        loss = layer(t.ones(3, 2), t.ones(3, 2)).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    show(losses, layer.parameters(), [optimizer])


main()
print([type(finder).__name__ for finder in sys.meta_path if not type(finder).__module__.startswith("_")])
