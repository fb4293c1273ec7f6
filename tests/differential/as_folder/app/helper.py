"""Found because the folder of `__main__.py` is first on the path."""

STEPS = 5
