"""The exclusive-or table learnt in full batches by a three-unit tanh network."""

import torch

torch.manual_seed(1)
inputs = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
truth = torch.tensor([[0.0], [1.0], [1.0], [0.0]])

net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1))
loss_fn = torch.nn.BCEWithLogitsLoss()
opt = torch.optim.SGD(net.parameters(), lr=0.5, momentum=0.8)

for i in range(500):
    loss = loss_fn(net(inputs), truth)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if i % 50 == 0 or i == 499:
        print(i, round(loss.item(), 5))

with torch.no_grad():
    print([round(p, 3) for p in torch.sigmoid(net(inputs)).flatten().tolist()])
