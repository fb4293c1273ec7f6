"""Classes of `__main__` are pickled, and loaded by another process."""

import os
import pickle
import subprocess
import sys

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)


class Config:
    rate = 0.1


if __name__ == "__main__":
    torch.manual_seed(0)
    net = Net()
    net.layer(torch.ones(1, 2)).sum().backward()
    torch.optim.SGD(net.parameters(), Config.rate).step()
    with open("net.pkl", "wb") as file:
        pickle.dump((net, Config()), file)
    os.remove("net.pkl")  # where its storages lay is written in it
    again, config = pickle.loads(pickle.dumps((net, Config())))
    print(type(again) is Net, type(config) is Config, Net.__module__, [p.tolist() for p in again.parameters()])
    command = "import sys; print(sys.argv[1:], 'torch' in sys.modules)"
    print(subprocess.run([sys.executable, "-c", command, "x"], capture_output=True, text=True).stdout)
