"""Owners of instances, and their quotas."""
