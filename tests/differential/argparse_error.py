# run: argparse_error.py --learning-rate
"""A usage error: printed by argparse on standard error, exit status 2."""

import argparse

import torch

parser = argparse.ArgumentParser(description="trains on " + torch.__name__)
parser.add_argument("--learning-rate", type=float, default=0.1)
parser.parse_args()
