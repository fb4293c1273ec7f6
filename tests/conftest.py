"""All tests run with our own errors let out, and with property tests that take their time."""

from __future__ import annotations

import os

from hypothesis import settings

os.environ["SGDOCTOR_STRICT"] = "1"

settings.register_profile("patient", deadline=None, max_examples=100)
settings.load_profile("patient")
