"""From a record to what is wrong with the run: conditions run, causes ordered before consequences, a verdict."""

from .diagnosis import Diagnosis, Offer, Placed, diagnose
from .proof import Proof

__all__ = ["Diagnosis", "Offer", "Placed", "Proof", "diagnose"]
