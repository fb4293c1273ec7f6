"""Conditions of the model: how signal and gradient pass through it."""
