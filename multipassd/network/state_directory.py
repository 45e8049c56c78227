"""Where the network service keeps its files. Loads nothing: the daemon asks at each start."""

from __future__ import annotations

from collections.abc import Mapping

DIRECTORY = "MULTIPASS_NETWORK_DIRECTORY"  # the variable that names it
DEFAULT_DIRECTORY = "/var/lib/multipass-network"


def of(environ: Mapping[str, str]) -> str:
    return environ.get(DIRECTORY, DEFAULT_DIRECTORY)
