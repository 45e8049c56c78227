"""Benchmarks of ./dev bench: each goal and its reference are measured in the same run."""
