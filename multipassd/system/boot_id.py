"""The host's boot id: distinguishes what ended by itself from what ended with the host."""

from __future__ import annotations

import os

# Where the service manager says it, as the daemon's sandbox hides /proc/sys.
VARIABLE = "MULTIPASS_BOOT_ID"
FILE = "/proc/sys/kernel/random/boot_id"


def current() -> str:
    """32 hexadecimal digits."""
    if told := os.environ.get(VARIABLE):
        return told
    with open(FILE, encoding="ascii") as file:
        return file.read().strip().replace("-", "")
