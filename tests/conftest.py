"""All tests run with our own errors let out, and with property tests that take their time."""

from __future__ import annotations

import os
import signal

from hypothesis import settings

os.environ["SGDOCTOR_STRICT"] = "1"

settings.register_profile("patient", deadline=None, max_examples=100)
settings.load_profile("patient")

# A shell without job control starts what runs in the background with SIGINT ignored, and that is handed on.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
