"""A package that is run with -m."""

RATE = 0.1
