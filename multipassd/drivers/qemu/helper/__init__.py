"""Programs of root's that run QEMU in a fixed sandbox and power it down."""
