"""Source judged as it stands: files read, put together by their imports, examined, mended."""

from .check import Checked, examine

__all__ = ["Checked", "examine"]
