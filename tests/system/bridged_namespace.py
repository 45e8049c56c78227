"""Network namespaces with a bridge, each with addresses of its own that others may have, too."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools import roots

BRIDGE = "fabric"

_numbers = itertools.count(1)


@contextmanager
def bridged(address: str) -> Iterator[str]:
    """Its name; the bridge in it has this address, of 24 bits. Raises roots.RootError."""
    _remove_leftovers()
    name = f"mpi{os.getpid()}-{next(_numbers)}"
    ip("netns", "add", name)
    try:
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "link", "add", BRIDGE, "type", "bridge")
        ip("-n", name, "address", "add", f"{address}/24", "dev", BRIDGE)
        ip("-n", name, "link", "set", BRIDGE, "up")
        yield name
    finally:
        ip("netns", "delete", name)


def ip(*words: str) -> None:
    """The program of that name. Raises roots.RootError."""
    done = subprocess.run(["ip", *words], check=False, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise roots.RootError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def _remove_leftovers() -> None:
    """Of runs that were killed."""
    for path in Path("/run/netns").glob("mpi*-*"):
        maker = path.name[3:].partition("-")[0]
        if maker.isdecimal() and not Path(f"/proc/{maker}").exists():
            subprocess.run(["ip", "netns", "delete", path.name], check=False, capture_output=True)
