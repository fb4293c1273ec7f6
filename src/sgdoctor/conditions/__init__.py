"""The catalogue: one condition, one file; found by walking, no list to edit."""

from .catalogue import catalogue, condition
from .condition import Condition, Evidence, Finding, NotEvaluated, Outcome, Remedy

__all__ = ["Condition", "Evidence", "Finding", "NotEvaluated", "Outcome", "Remedy", "catalogue", "condition"]
