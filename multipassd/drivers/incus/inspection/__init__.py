"""What keeps instances on the Incus cluster from being made, or reached: each thing by its name."""
