"""Conditions of the loss: what is computed from outputs and targets, and what reaches backward."""
