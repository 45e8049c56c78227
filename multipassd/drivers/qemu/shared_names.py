"""Names that QEMU's driver and the helper programs agree on. Imports nothing: a helper sits beside
each QEMU."""

UNIT_PREFIX = "multipass-instance-"  # of the units and runtime directories of instances
RUNTIME = "/run"  # where the latter are
AT_SIGTERM = "--at-sigterm"  # wait for it, or for the end of stdin, which QEMU holds open
