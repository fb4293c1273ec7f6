"""Stochastic weight averaging over the last epochs, with batch-norm statistics refreshed for the average."""

import torch
from torch import nn
from torch.optim.swa_utils import SWALR, AveragedModel, update_bn
from torch.utils.data import DataLoader, TensorDataset


def shells(n):
    x = torch.randn(n, 8)
    y = (x[:, :4].norm(dim=1) > x[:, 4:].norm(dim=1)).long()
    return x, y


@torch.no_grad()
def accuracy(net, loader):
    net.eval()
    right = sum((net(x).argmax(1) == y).sum().item() for x, y in loader)
    return right / len(loader.dataset)


def main():
    torch.manual_seed(80)
    train_loader = DataLoader(TensorDataset(*shells(3000)), batch_size=60, shuffle=True)
    test_loader = DataLoader(TensorDataset(*shells(800)), batch_size=400)
    net = nn.Sequential(
        nn.Linear(8, 64, bias=False), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 2)
    )
    averaged = AveragedModel(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=8)
    constant = SWALR(optimizer, swa_lr=0.02, anneal_epochs=2)
    for epoch in range(12):
        net.train()
        loss_sum = 0.0
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            loss_sum += loss.item() * len(y)
        if epoch >= 8:
            averaged.update_parameters(net)
            constant.step()
        else:
            cosine.step()
        print(f"epoch {epoch} loss {loss_sum / 3000:.4f} test accuracy {accuracy(net, test_loader):.4f}")
    update_bn(train_loader, averaged)
    print(f"averaged test accuracy {accuracy(averaged, test_loader):.4f}")


if __name__ == "__main__":
    main()
