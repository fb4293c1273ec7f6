"""Trains a form classifier in two sessions; the second goes on from the weights of the first."""

import torch
from torch import nn


def build():
    return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))


def session(model, forms, classes, epochs):
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for epoch in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(forms)).split(50):
            loss = nn.functional.cross_entropy(model(forms[rows]), classes[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows) / len(forms)
        print(f"epoch {epoch} loss {total:.4f}")


def save(model):
    wrapped = nn.DataParallel(model)
    return {"state": {name: tensor.clone() for name, tensor in wrapped.state_dict().items()}}


def resume(checkpoint):
    model = build()
    state = {name.removeprefix("module."): tensor for name, tensor in checkpoint["state"].items()}
    model.load_state_dict(state)
    return model


torch.manual_seed(29)
forms = torch.randn(1500, 20)
classes = (forms[:, :8] @ torch.randn(8, 4) + 0.5 * torch.relu(forms[:, 8:12])).argmax(1)
first = build()
session(first, forms, classes, epochs=6)
print("second session")
session(resume(save(first)), forms, classes, epochs=6)
