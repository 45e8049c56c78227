"""How guests reach the world and are reached: a bridge of the host's, or QEMU's own networking."""
