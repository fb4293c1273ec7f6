"""Experiments: questions that only another run of the script can answer; one experiment, one file, found by walking."""

from .catalogue import experiment, experiments
from .experiment import Experiment, Spec

__all__ = ["Experiment", "Spec", "experiment", "experiments"]
