"""Truck-fuel regression with a loss summed over the batch and a rate divided by the batch size."""

import torch

torch.manual_seed(30)
BATCH = 40

route = torch.randn(1600, 6)
fuel = torch.nn.functional.softplus(route[:, 0] + route[:, 1]) + 0.4 * route[:, 2] * route[:, 3] - 1.0
fuel = (fuel + 0.05 * torch.randn(1600)).unsqueeze(1)
train_x, val_x, train_y, val_y = route[:1280], route[1280:], fuel[:1280], fuel[1280:]

model = torch.nn.Sequential(torch.nn.Linear(6, 32), torch.nn.SiLU(), torch.nn.Linear(32, 1))
criterion = torch.nn.MSELoss(reduction="sum")
optimizer = torch.optim.SGD(model.parameters(), lr=0.04 / BATCH, momentum=0.9)

for epoch in range(25):
    sum_of_squares = 0.0
    for rows in torch.randperm(1280).split(BATCH):
        loss = criterion(model(train_x[rows]), train_y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sum_of_squares += loss.item()
    if epoch % 4 == 0:
        with torch.no_grad():
            val = criterion(model(val_x), val_y).item() / 320
        print(f"epoch {epoch}: train mse {sum_of_squares / 1280:.4f} val mse {val:.4f}")
