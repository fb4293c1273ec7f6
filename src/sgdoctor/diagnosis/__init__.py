"""From a record to what is wrong with the run: conditions run, causes ordered before consequences, a verdict."""

from .diagnosis import Diagnosis, Placed, diagnose

__all__ = ["Diagnosis", "Placed", "diagnose"]
