"""Every loss of torch.nn, as modules and as functions, with all reductions."""

import torch
from digest import show
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
w = torch.randn(6, 4, requires_grad=True)
real, label, sign = torch.rand(6, 4), torch.randint(0, 4, (6,)), torch.randint(0, 2, (6,)) * 2 - 1
losses = []
for reduction in ("mean", "sum", "none"):
    for loss in (
        *[F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss, F.binary_cross_entropy_with_logits],
        *[F.poisson_nll_loss, F.soft_margin_loss, F.multilabel_soft_margin_loss],
    ):
        losses.append(loss(w, real, reduction=reduction).sum())
    losses.append(F.cross_entropy(w, label, weight=torch.rand(4), reduction=reduction).sum())
    losses.append(F.nll_loss(w.log_softmax(1), label, reduction=reduction).sum())
    losses.append(F.kl_div(w.log_softmax(1), real.softmax(1), reduction=reduction).sum())
    losses.append(F.binary_cross_entropy(w.sigmoid(), real, reduction=reduction).sum())
    losses.append(F.multi_margin_loss(w, label, reduction=reduction).sum())
    losses.append(F.multilabel_margin_loss(w, label[:, None].repeat(1, 4), reduction=reduction).sum())
    losses.append(F.hinge_embedding_loss(w[:, 0], sign, reduction=reduction).sum())
    losses.append(F.margin_ranking_loss(w[:, 0], w[:, 1], sign, reduction=reduction).sum())
    losses.append(F.cosine_embedding_loss(w, real, sign, reduction=reduction).sum())
    losses.append(F.triplet_margin_loss(w, real, -real, reduction=reduction).sum())
    losses.append(F.gaussian_nll_loss(w, real, w.exp(), reduction=reduction).sum())
    steps = w.log_softmax(1)[:, None].repeat(1, 2, 1)
    losses.append(F.ctc_loss(steps, torch.ones(2, 2, dtype=torch.long), (6, 6), (2, 1), reduction=reduction).sum())
    losses.append(nn.CrossEntropyLoss(ignore_index=1, label_smoothing=0.2, reduction=reduction)(w, label).sum())
total = torch.stack(losses).sum()
total.backward()
optimizer = torch.optim.SGD([w], 0.01)
optimizer.step()
show([loss.item() for loss in losses], [w, w.grad], [optimizer])
