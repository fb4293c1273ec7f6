"""A spawned process trains; results come back through a queue and shared memory."""

import multiprocessing as mp

import torch
from digest import show


def work(shared, queue):
    torch.manual_seed(3)
    w = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.SGD([w], 0.1)
    for _ in range(4):
        optimizer.zero_grad()
        loss = ((w - torch.randn(2)) ** 2).sum()
        loss.backward()
        optimizer.step()
    shared.copy_(w.detach())
    queue.put((__name__, mp.current_process().name, loss.item()))


if __name__ == "__main__":
    context = mp.get_context("spawn")
    shared, queue = torch.zeros(2).share_memory_(), context.Queue()
    process = context.Process(target=work, args=(shared, queue))
    process.start()
    print(queue.get())
    process.join()
    print(process.exitcode)
    show([], [shared])
