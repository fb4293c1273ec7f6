"""Two-layer graph convolution on one community graph, full batch, with labels on a fifth of the nodes."""

import torch
import torch.nn as nn
import torch.nn.functional as F


def community_graph(per_group=60, groups=4, p_in=0.12, p_out=0.015):
    label = torch.arange(groups).repeat_interleave(per_group)
    chance = torch.where(label[:, None] == label[None, :], p_in, p_out)
    upper = (torch.rand_like(chance) < chance).float().triu(1)
    adjacency = upper + upper.T
    features = 0.6 * F.one_hot(label, groups) + torch.randn(len(label), groups)
    extra = torch.randn(len(label), 6)
    return adjacency, torch.cat([features, extra], 1), label


def normalised(adjacency):
    looped = adjacency + torch.eye(len(adjacency))
    scale = looped.sum(1).rsqrt()
    return scale[:, None] * looped * scale[None, :]


class GCN(nn.Module):
    def __init__(self, n_features, hidden, classes):
        super().__init__()
        self.w1 = nn.Linear(n_features, hidden)
        self.w2 = nn.Linear(hidden, classes)

    def forward(self, x, a):
        h = F.dropout(F.relu(a @ self.w1(x)), 0.4, training=self.training)
        return a @ self.w2(h)


torch.manual_seed(34)
adjacency, features, label = community_graph()
a = normalised(adjacency)
order = torch.randperm(len(label))
train_nodes, val_nodes = order[:72], order[72:]
gcn = GCN(features.shape[1], 16, 4)
optimizer = torch.optim.Adam(gcn.parameters(), lr=0.01, weight_decay=5e-3)

for epoch in range(1, 161):
    gcn.train()
    optimizer.zero_grad()
    out = gcn(features, a)
    loss = F.cross_entropy(out[train_nodes], label[train_nodes])
    loss.backward()
    optimizer.step()
    if epoch % 20 == 0:
        gcn.eval()
        with torch.no_grad():
            out = gcn(features, a)
            val_loss = F.cross_entropy(out[val_nodes], label[val_nodes]).item()
            val_acc = (out[val_nodes].argmax(1) == label[val_nodes]).float().mean().item()
        print(f"epoch {epoch}: train {loss.item():.4f} val {val_loss:.4f} val accuracy {val_acc:.3f}")
