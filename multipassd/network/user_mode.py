"""QEMU's user networking, which needs no rights: every guest is 10.0.2.15 behind address
translation, and a port of the loopback interface is forwarded to its SSH server."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Mapping

from multipassd.drivers.interface import DriverError, Link
from multipassd.network import interfaces
from multipassd.network.interface import Cards
from multipassd.network.interfaces import Interface
from multipassd.system.installation import Installation

LOOPBACK = "127.0.0.1"
UNKNOWN = "N/A"  # shown instead of a guest's address, which can't be reached from the host
ATTEMPTS = 50  # at a port that no other instance has

# Why instances have no addresses, and what to do.
CHOSEN = "multipassd was started with --network=user. With --network=bridge they have."
IN_SNAP = "the snap has no right to make a bridge. The deb's service has."
BY_HAND = (
    "multipassd was started by hand, and touches nothing of the host's network unasked. With "
    "`--network=bridge` it makes a bridge for them: stop them, restart it so, and start them again."
)
NOT_ROOT = (
    "multipassd does not run as root, who alone may make a bridge for them. As root, "
    "`multipassd --network=bridge` does so."
)


class UserNetworking:
    """Networking by QEMU itself, without a bridge."""

    reaches_host_networks = is_outside = False

    def __init__(self, taken: Callable[[], set[int]], why: str = "") -> None:
        """`why` there is no bridge, and what to do: the end of a sentence, or empty."""
        self._why = why
        self._taken = taken  # the ports that other instances keep

    async def available(self) -> list[Interface]:
        return interfaces.read()

    def ssh_port(self, cards: Cards) -> int:
        """The same over restarts, unless another program listens there."""
        if cards.ssh_port and _free(cards.ssh_port):
            return cards.ssh_port
        return self._choose()

    async def attach(self, cards: Cards) -> tuple[Link, ...]:
        return self.links(cards)

    async def detach(self, cards: Cards) -> None:
        return

    async def release(self, cards: Cards) -> None:
        return

    async def reconcile(self, every: Iterable[Cards]) -> None:
        return

    async def bridge(self, device: str) -> str:
        raise DriverError("User networking has no bridges.")

    async def clean_up(self) -> None:
        return

    def links(self, cards: Cards) -> tuple[Link, ...]:
        return (Link(cards.mac, ssh_port=cards.ssh_port),)

    def endpoint(self, cards: Cards) -> tuple[str, int]:
        return LOOPBACK, cards.ssh_port

    def addresses(self, cards: Cards) -> list[str]:
        return [UNKNOWN]

    def troubles(self) -> list[str]:
        if not self._why:
            return []
        return [f"Instances have no addresses ({UNKNOWN}), as {self._why}"]

    def _choose(self) -> int:
        taken = self._taken()
        for _ in range(ATTEMPTS):
            with socket.socket() as probe:
                probe.bind((LOOPBACK, 0))
                port = int(probe.getsockname()[1])
            if port not in taken:
                return port
        raise DriverError("No free TCP port on the loopback interface was found.")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def why_no_bridge(environ: Mapping[str, str]) -> str:
    """The end of a sentence. `environ`: the daemon's."""
    if Installation.of(environ).confined:
        return IN_SNAP
    return BY_HAND if os.geteuid() == 0 else NOT_ROOT
