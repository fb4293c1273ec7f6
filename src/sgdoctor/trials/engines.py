"""The engines by name."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import TrialError, UsageError
from .trial import Engine, Script

NAMES = ("local", "ray")


def engine_named(name: str) -> Callable[[Script, int | None, str], Engine]:
    """What makes the engine of this name. Raises UsageError, and TrialError where its package is not installed."""
    if name == "local":
        from .local import Local

        return Local
    if name == "ray":
        try:
            from .ray import Ray
        except ImportError:
            raise TrialError("--engine ray needs the package: pip install 'sgdoctor[ray]'") from None
        return Ray
    raise UsageError(f"--engine {name}: there is no such engine; one of {', '.join(NAMES)}")
