"""Ratings in a web shop, from an embedding of the customer and features of the article."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(4)
CUSTOMERS, FEATURES = 5000, 6
taste = torch.randn(CUSTOMERS, FEATURES)
customer = torch.randint(0, CUSTOMERS, (15000,))
article = torch.randn(15000, FEATURES)
rating = (taste[customer] * article).sum(1) / FEATURES**0.5 + 0.1 * torch.randn(15000)


class Recommender(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.customer = nn.Embedding(CUSTOMERS, width)
        nn.init.normal_(self.customer.weight, std=0.1)
        self.article = nn.Linear(FEATURES, width)

    def forward(self, customer, article):
        return (self.customer(customer) * torch.tanh(self.article(article))).sum(1)


loader = DataLoader(TensorDataset(customer, article, rating), batch_size=250, shuffle=True)
model = Recommender()
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for epoch in range(6):
    total = 0.0
    for who, what, stars in loader:
        optimizer.zero_grad()
        loss = criterion(model(who, what), stars)
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch + 1} loss {total / len(loader):.4f}")
