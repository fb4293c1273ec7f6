"""Full-batch network fit of a smooth surface with L-BFGS and a strong-Wolfe line search."""

import torch
import torch.nn as nn

torch.manual_seed(15)
grid = torch.linspace(-1, 1, 15)
points = torch.cartesian_prod(grid, grid)
surface = torch.sin(3 * points[:, :1]) * torch.cos(2 * points[:, 1:])

network = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 1))
solver = torch.optim.LBFGS(network.parameters(), lr=1, max_iter=8, history_size=20, line_search_fn="strong_wolfe")
calls = 0


def closure():
    global calls
    calls += 1
    solver.zero_grad()
    misfit = nn.functional.mse_loss(network(points), surface)
    misfit.backward()
    return misfit


for outer in range(60):
    value = solver.step(closure)
    if outer % 10 == 0 or outer == 59:
        print(f"outer {outer}: misfit before step {value.item():.3e} after {calls} evaluations")
