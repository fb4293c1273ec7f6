"""No change at all: the arm that shows whether a script repeats itself."""

from __future__ import annotations

from .intervention import Intervention


class Metrics(Intervention):
    """Does nothing."""


INTERVENTION = Metrics
