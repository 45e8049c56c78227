"""Instances: which exist, what they do, and how they come and go."""
