"""Prints what a script leaves behind: losses, digests of weights, optimizer state and random generators."""

import hashlib
import random

import numpy
import torch

random.seed(0)  # so that two runs of a script that does not seed them can be compared
numpy.random.seed(0)


def show(losses, weights=(), optimizers=()):
    """Print losses in full precision and a digest of everything else that observation could have changed."""
    for loss in losses:
        print(repr(float(loss)))
    states = {
        "weights": list(weights),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "torch": torch.get_rng_state(),
        "python": random.getstate(),
        "numpy": numpy.random.get_state(),
    }
    for name, state in states.items():
        digest = hashlib.sha256()
        _feed(digest, state)
        print(name, digest.hexdigest())


def _feed(digest, value):
    if isinstance(value, torch.Tensor):
        digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
        digest.update(value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    elif isinstance(value, dict):
        for key in value:
            digest.update(repr(key).encode())
            _feed(digest, value[key])
    elif isinstance(value, (list, tuple)):
        for entry in value:
            _feed(digest, entry)
    elif hasattr(value, "tobytes"):
        digest.update(value.tobytes())
    else:
        digest.update(repr(value).encode())
