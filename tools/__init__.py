"""Shared by ./dev, tests and benchmarks: sandboxes, socket activation, terminals, builds."""
