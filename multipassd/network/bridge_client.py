"""The daemon's side of the network helper, which keeps a bridge on the host for instances.

The daemon itself has no right to change the host's network. MULTIPASS_NETWORK_SOCKET is the path of
the helper's socket.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from multipassd.drivers.interface import Link
from multipassd.network import interfaces, reservations, troubles
from multipassd.network.bridge import tap_name
from multipassd.network.interface import Cards, NoAddressYet
from multipassd.network.interfaces import Interface
from multipassd.network.reservations import BRIDGES
from multipassd.system.files import read_regular
from multipassd.system.json_request import CutOff, RequestFailed, TooSlow
from multipassd.system.json_request_async import ask_at
from protocol.errors import RpcError
from protocol.status import Status

SOCKET = "MULTIPASS_NETWORK_SOCKET"
# Of each attempt. Setting up takes a second. A device that gets no address on its bridge is given
# half a minute, and then as much to get it back; other requests wait for that.
SECONDS = 150.0
MAX_ANSWER = 1 << 20
# An upgrade, or an administrator, may restart the service during a request. It undoes its changes
# then, and every request may be repeated.
ATTEMPTS = 2
SSH = 22

ENDED = (
    "The network service ended in the middle of its work; `journalctl -u multipass-network` tells "
    "why."
)


class NetworkError(RpcError):
    """The network can't be set up; the sentence says why and how to repair it."""

    status = Status.FAILED_PRECONDITION


class BridgedNetworking:
    """Networking by a bridge on the host."""

    reaches_host_networks = True
    is_outside = False

    def __init__(self, socket: Path, directory: Path, user: str) -> None:
        """`directory` has the helper's files; `user` runs the hypervisor and opens guests' taps."""
        self._socket = socket
        self._directory = directory
        self._user = user
        self._stamp: tuple[int, int] | None = None
        self._known: dict[str, str] = {}

    async def available(self) -> list[Interface]:
        return interfaces.read()

    def ssh_port(self, cards: Cards) -> int:
        return 0

    async def attach(self, cards: Cards) -> tuple[Link, ...]:
        guest = {"mac": cards.mac, "name": cards.name, "user": self._user}
        await self._ask("attach", **guest)
        for card in cards.others:
            await self._ask("attach_to", to=card.network, mac=card.mac, user=self._user)
        return self.links(cards)

    async def detach(self, cards: Cards) -> None:
        for mac in cards.macs:
            await self._ask("detach", mac=mac)

    async def release(self, cards: Cards) -> None:
        for mac in cards.macs:
            await self._ask("forget", mac=mac)

    async def reconcile(self, every: Iterable[Cards]) -> None:
        known = {mac for cards in every for mac in cards.macs}
        for mac in (self._addresses().keys() | self._on_wires()) - known:
            await self._ask("forget", mac=mac)

    async def bridge(self, device: str) -> str:
        return str(await self._ask("bridge", device=device))

    async def clean_up(self) -> None:
        await self._ask("tidy")

    def links(self, cards: Cards) -> tuple[Link, ...]:
        macs = (cards.mac, *(card.mac for card in cards.others))
        return tuple(Link(mac, tap=tap_name(mac)) for mac in macs)

    def endpoint(self, cards: Cards) -> tuple[str, int]:
        address = self._addresses().get(cards.mac)
        if address is None:
            raise NoAddressYet(cards.name)
        return address, SSH

    def addresses(self, cards: Cards) -> list[str]:
        address = self._addresses().get(cards.mac)
        return [] if address is None else [address]

    def troubles(self) -> list[str]:
        return troubles.read(self._directory)

    def _on_wires(self) -> set[str]:
        """MAC addresses that the record of bridges on the host's devices has. Read without
        uplinks/registry.py, which only the helper loads."""
        try:
            known = json.loads(read_regular(self._directory / BRIDGES, MAX_ANSWER))
            return {str(mac) for entry in known for mac in entry["users"]}
        except (OSError, ValueError, KeyError, TypeError):
            return set()  # the helper logs why

    def _addresses(self) -> dict[str, str]:
        """Reserved addresses by MAC; read again when the file has changed."""
        try:
            status = os.stat(self._directory / reservations.FILE)
            stamp = (status.st_ino, status.st_mtime_ns)
            if stamp != self._stamp:
                found = reservations.read(self._directory)
                self._known = {mac: str(each.address) for mac, each in found.items()}
                self._stamp = stamp
        except OSError:
            return {}
        return self._known

    async def _ask(self, verb: str, **fields: str) -> Any:
        """The result of one of the service's verbs. Raises NetworkError."""
        try:
            answer = await self._answer({"do": verb, **fields})
        except TooSlow:
            raise NetworkError(
                "The network service does not answer; `journalctl -u multipass-network` tells why."
            ) from None
        except CutOff:
            raise NetworkError(ENDED) from None
        except RequestFailed as error:
            raise NetworkError(
                f"The network service can't be reached at {self._socket}: {error}. Please try "
                "`systemctl restart multipass-network.socket`, or restart a multipassd that was "
                "started by hand."
            ) from None
        if "done" in answer:
            return answer["done"]
        raise NetworkError(str(answer.get("error") or ENDED))

    async def _answer(self, request: dict[str, str]) -> dict[str, Any]:
        """Raises RequestFailed; CutOff if the service ended at each attempt."""
        for _ in range(ATTEMPTS - 1):
            with suppress(CutOff):
                return await self._exchange(request)
        return await self._exchange(request)

    async def _exchange(self, request: dict[str, str]) -> dict[str, Any]:
        return await ask_at(self._socket, request, dict, limit=MAX_ANSWER, seconds=SECONDS)
