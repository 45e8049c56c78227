"""Instances as one file each: `multipass export` and `multipass import`."""
