"""Learning to adapt: one inner gradient step on a few points of a new sine wave, trained end to end."""

import torch
import torch.nn.functional as F


def new_weights(sizes=(1, 40, 40, 1)):
    weights = []
    for a, b in zip(sizes[:-1], sizes[1:]):
        weights.append((torch.randn(b, a) * (2 / a) ** 0.5).requires_grad_())
        weights.append(torch.zeros(b).requires_grad_())
    return weights


def predict(weights, x):
    for i in range(0, len(weights) - 2, 2):
        x = F.leaky_relu(F.linear(x, weights[i], weights[i + 1]), 0.01)
    return F.linear(x, weights[-2], weights[-1])


def sample_task():
    amplitude, phase = 0.5 + 1.5 * torch.rand(1), torch.pi * torch.rand(1)

    def draw(n):
        x = 6 * torch.rand(n, 1) - 3
        return x / 1.7, amplitude * torch.sin(x + phase)

    return draw


def adapt(weights, x, y, rate=0.06, steps=1, create_graph=True):
    for _ in range(steps):
        loss = F.mse_loss(predict(weights, x), y)
        grads = torch.autograd.grad(loss, weights, create_graph=create_graph)
        weights = [w - rate * g for w, g in zip(weights, grads)]
    return weights


def evaluate(weights, tasks):
    before = after = 0.0
    for (x, y), (x_query, y_query) in tasks:
        tuned = adapt(weights, x, y, create_graph=False)
        with torch.no_grad():
            before += F.mse_loss(predict(weights, x_query), y_query).item() / len(tasks)
            after += F.mse_loss(predict(tuned, x_query), y_query).item() / len(tasks)
    return before, after


torch.manual_seed(22)
weights = new_weights()
optimizer = torch.optim.Adam(weights, lr=4e-3)
drawers = [sample_task() for _ in range(60)]
test_tasks = [(draw(10), draw(40)) for draw in drawers]

for it in range(1, 321):
    meta_loss = 0.0
    for _ in range(4):
        draw = sample_task()
        tuned = adapt(weights, *draw(10))
        x, y = draw(20)
        meta_loss = meta_loss + F.mse_loss(predict(tuned, x), y) / 4
    optimizer.zero_grad()
    meta_loss.backward()
    optimizer.step()
    if it % 40 == 0:
        before, after = evaluate(weights, test_tasks)
        print(
            f"iteration {it}: meta loss {meta_loss.item():.3f} new tasks before {before:.3f} after one step {after:.3f}"
        )
