"""Instances: which exist, what they do, and how they come and go."""

from multipassd.instances.old import Instances

__all__ = ["Instances"]
