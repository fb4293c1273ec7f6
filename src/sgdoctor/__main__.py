"""`python -m sgdoctor`."""

from .cli import main

main()
