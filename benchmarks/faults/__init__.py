"""Runs that are killed on purpose: ``python -m benchmarks.faults``."""
