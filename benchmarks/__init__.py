"""Benchmarks of graphbal against other software: ``python -m benchmarks``."""
