"""Instances that services of the same people share on one cluster (`local.incus.shared`)."""
