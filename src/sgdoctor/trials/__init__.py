"""Trials: the script run again with a change, to decide between causes and to show that a remedy works."""
