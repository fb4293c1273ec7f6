"""Text that comes from the script (names, paths, messages), made fit to be printed."""

from __future__ import annotations

import re

MAX_TEXT = 2000  # characters of any one text: an exception can carry a whole data set

# Whole escape sequences first (colours, cursor, title, clipboard), then what is left of them.
ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS and their like
    r"|\x1b[ -/]*[0-~]?"
)
# Also marks that turn the direction of writing round, and the line ends that only Unicode knows.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
BREAK = re.compile(r"\s*[\n\t]\s*")


def clean(text: str) -> str:
    """Without control codes and lone surrogates; newlines and tabs stay."""
    text = CONTROL.sub("", ESCAPE.sub("", text)).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + " ..."


def line(text: str) -> str:
    """The same on one line: nothing of the script's can pass for a line of ours."""
    return BREAK.sub(" ", clean(text))
