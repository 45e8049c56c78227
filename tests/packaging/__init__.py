"""The packages, installed on real hosts."""
