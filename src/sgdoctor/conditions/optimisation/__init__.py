"""Conditions of optimisation: the training loop, its order and its step sizes."""
