"""Snapshots of an instance: which there are, and how they are taken, restored and dropped."""
