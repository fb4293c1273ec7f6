"""Conditions of the data: what reaches the model and the loss."""
