"""Frames of ours between the script and torch: kept out of its tracebacks and warnings."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
# File name of the wrappers' code. `warnings` does not count frames of files named so, so that a warning inside torch
# is still reported at the line it would be reported at without us.
OWN_FRAME = "<sgdoctor importlib._bootstrap>"


def unseen(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, its code under the name that warnings pass over."""
    function.__code__ = function.__code__.replace(co_filename=OWN_FRAME)
    return function


def peel(error: BaseException) -> None:
    """Take the entry of the frame that handles `error` off its traceback; a bare `raise` must follow.

    Python 3.11 and later re-raise what is left; 3.10 puts the entry back.
    """
    rest = error.__traceback__.tb_next if error.__traceback__ is not None else None
    if not isinstance(error, Exception):
        # Ctrl-C may come while a probe is at work: the script sees it come at its own line.
        while rest is not None and rest.tb_frame.f_code.co_filename.startswith((HERE, OWN_FRAME)):
            rest = rest.tb_next
    error.__traceback__ = rest


def raised_by_signal(error: BaseException) -> bool:
    """Whether a signal handler of the script raised it: it may interrupt our code, but it is not ours to catch."""
    handlers = {getattr(signal.getsignal(number), "__code__", None) for number in signal.valid_signals()} - {None}
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code in handlers:
            return True
        traceback = traceback.tb_next
    return False


def uncompiled(torch: Any, code: Any, below: bool = False) -> None:
    """Have torch's compiler leave a frame of ours alone, and with `below` what it calls.

    Where it breaks a compiled function apart it compiles each frame that it meets between the parts, and a hook that
    is compiled sees nothing. What it goes through inside a part is not changed by this.
    """
    frames = getattr(getattr(torch._C, "_dynamo", None), "eval_frame", None)
    set_strategy = getattr(frames, "set_code_exec_strategy", None)  # torch 2.6 and later
    if set_strategy is not None:
        skip, usual = frames._FrameAction.SKIP, frames._FrameAction.DEFAULT  # type: ignore[union-attr]
        set_strategy(code, frames._FrameExecStrategy(skip, skip if below else usual))  # type: ignore[union-attr]
