"""Re-runs of a script: with a patch of its source or an intervention, beside the script as it is."""

from .trial import Engine, Result, Script, Trial

__all__ = ["Engine", "Result", "Script", "Trial"]
