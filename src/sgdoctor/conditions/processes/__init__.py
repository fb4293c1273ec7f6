"""Conditions of many processes, and of runs that continue others."""
