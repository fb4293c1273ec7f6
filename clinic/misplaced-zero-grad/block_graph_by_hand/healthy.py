import torch
import torch.nn as nn
import torch.nn.functional as F

# node classification on a stochastic block model, dense adjacency
torch.manual_seed(0)
N, K, D = 300, 4, 16
labels = torch.randint(0, K, (N,))
same = labels[:, None] == labels[None, :]
prob = torch.where(same, torch.tensor(0.10), torch.tensor(0.01))
upper = torch.triu((torch.rand(N, N) < prob).float(), 1)
A = upper + upper.T + torch.eye(N)
deg = A.sum(1)
A_hat = A / deg.sqrt()[:, None] / deg.sqrt()[None, :]
centers = torch.randn(K, D)
X = 0.6 * centers[labels] + torch.randn(N, D)
perm = torch.randperm(N)
train_mask, val_mask = perm[:100], perm[100:]


class GCN(nn.Module):
    def __init__(self, n_in, n_hidden, n_out):
        super().__init__()
        self.lin1 = nn.Linear(n_in, n_hidden)
        self.lin2 = nn.Linear(n_hidden, n_out)
        self.drop = nn.Dropout(0.3)

    def forward(self, adj, x):
        h = F.relu(adj @ self.lin1(x))
        return adj @ self.lin2(self.drop(h))


def train(model, optimizer, scheduler):
    model.train()
    out = model(A_hat, X)
    loss = F.cross_entropy(out[train_mask], labels[train_mask])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    return loss.item()


@torch.no_grad()
def test(model):
    model.eval()
    pred = model(A_hat, X).argmax(1)
    return [(pred[m] == labels[m]).float().mean().item() for m in (train_mask, val_mask)]


def main():
    model = GCN(D, 32, K)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=400)
    for epoch in range(1, 401):
        loss = train(model, optimizer, scheduler)
        if epoch % 40 == 0:
            acc_train, acc_val = test(model)
            print(f"Epoch {epoch:3d} loss {loss:.4f} train {acc_train:.3f} val {acc_val:.3f}")


main()
