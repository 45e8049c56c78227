"""A network cable between two booted hosts, which otherwise have no network but their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from tests.system.host import Host

NETWORK = "192.0.2"  # for documentation (RFC 5737), so nothing else uses it
INTERFACE = "cable"


def connect(hosts: Sequence[Host]) -> None:
    """Each host gets an address and knows the other by its name. It goes with either's end."""
    ends = [f"mpt{os.getpid() % 100_000}{side}" for side in "ab"]
    _ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
    names = [host.run("hostname").stdout.strip() for host in hosts]
    known = "".join(f"{NETWORK}.{number} {name}\n" for number, name in enumerate(names, 1))
    for number, (host, end) in enumerate(zip(hosts, ends, strict=True), 1):
        _ip("link", "set", end, "netns", str(host.leader))
        host.run("ip", "link", "set", end, "name", INTERFACE)
        host.run("ip", "address", "add", f"{NETWORK}.{number}/24", "dev", INTERFACE)
        host.run("ip", "link", "set", INTERFACE, "up")
        host.run("tee", "-a", "/etc/hosts", given=known)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
