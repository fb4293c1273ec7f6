"""Training inside coroutines."""

import asyncio

import torch
from digest import show

torch.manual_seed(0)
queue_of = asyncio.Queue
weights = torch.zeros(3, requires_grad=True)
optimizer = torch.optim.RMSprop([weights], 0.05)


async def produce(queue):
    for _ in range(8):
        await queue.put(torch.randn(4, 3))
        await asyncio.sleep(0)
    await queue.put(None)


async def consume(queue):
    losses = []
    while (batch := await queue.get()) is not None:
        optimizer.zero_grad()
        loss = (batch @ weights - batch.sum(1)).pow(2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


async def main():
    queue = queue_of(2)
    _, losses = await asyncio.gather(produce(queue), consume(queue))
    return losses


show(asyncio.run(main()), [weights], [optimizer])
asyncio.get_event_loop_policy()
