"""Samples are told apart by whole numbers made of their bits: rows that differ get different ones."""

from __future__ import annotations

import torch

from sgdoctor.host.probes.batches import Batches


def test_binary_rows_do_not_collide() -> None:
    probe = Batches.__new__(Batches)
    probe._torch, probe._weights = torch, {}
    kinds = torch.randint(0, 4, (2000, 8), generator=torch.Generator().manual_seed(3))
    rows = torch.nn.functional.one_hot(kinds, 4).float()
    assert len(set(probe.fingerprints(rows))) == len(kinds.unique(dim=0))
