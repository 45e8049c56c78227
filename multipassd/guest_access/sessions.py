"""Log-ins of users of this host to guests: ended, and no others let through for a time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from contextlib import suppress

from multipassd.instances.collection import Instances
from multipassd.instances.instance import Instance
from multipassd.instances.states.errors import GuestSilent, NotRunning
from multipassd.network.closing import Closing
from multipassd.network.user_mode import LOOPBACK
from multipassd.system import log
from multipassd.transport.quota.subuids import SubordinateUids
from protocol.errors import RpcError

SECONDS = 15.0  # for the command in a guest

# A session's processes have its connection in their environment, also those that outlive its shell.
END = """
port={port}
for place in /proc/[0-9]*; do
    if tr '\\0' '\\n' <"$place/environ" 2>/dev/null | grep -q "^SSH_CONNECTION=[^ ]* $port "; then
        kill -KILL "${{place#/proc/}}" 2>/dev/null
    fi
done
true
"""
AS_ROOT = "sudo -n true 2>/dev/null && exec sudo -n sh -c {script}; exec sh -c {script}"

_log = log.get("access")


class Sessions:
    """Closes guests to users of this host, whose log-ins go from here to the guest's address."""

    def __init__(
        self,
        instances: Instances,
        closing: Closing,
        subuids: Callable[[], SubordinateUids],
        own_uid: int,
    ) -> None:
        self._instances = instances
        self._closing = closing
        self._subuids = subuids
        # Root's and the daemon's own connections are also the daemon's, and root always gets in.
        self.spared = frozenset({0, own_uid})

    async def close(self, uids: Iterable[int], once: Iterable[int], seconds: int) -> str:
        """Close guests to the users of `uids`, and to no one else, for this time; of `once` only
        the connections of now end. Why that is not complete, a sentence; else empty. Never
        fails."""
        ports, elsewhere = self._places()
        closed = await self._closing.close(
            self._ranges(uids), self._ranges(once), ports, elsewhere, seconds
        )
        if closed.ended:
            _log.info("%d log-ins to instances were ended, as their trust has", closed.ended)
        for address, port in closed.left:
            await self._end_inside(address, port)
        return closed.why

    def _ranges(self, uids: Iterable[int]) -> set[tuple[int, int]]:
        """With the subordinate ids of each, by which its containers connect."""
        wanted = set(uids) - self.spared
        return {(uid, uid) for uid in wanted} | set(self._subuids().ranges_of(wanted))

    def _places(self) -> tuple[set[int], set[str]]:
        """Ports of guests that are reached by the loopback interface; addresses of those on
        networks that are none of this service's own, as a driver's."""
        guests = self._instances.all()
        ports = {each.record.ssh_port for each in guests}
        elsewhere: set[str] = set()
        if guests and self._instances.networking.is_outside:
            for host, port in filter(None, map(_endpoint, guests)):
                ports |= {port} if host == LOOPBACK else set()
                elsewhere |= {host} if host != LOOPBACK else set()
        return ports - {0}, elsewhere

    async def _end_inside(self, address: str, port: int) -> None:
        """By the guest, where the kernel here can't. Never fails."""
        guests = self._instances.all()
        found = [each for each in guests if (_endpoint(each) or ("", 0))[0] == address]
        if address == LOOPBACK or not found or re.search(r"\D", str(port)):
            _log.warning(
                "a log-in to %s from port %d goes on: the kernel of this host can't end it "
                "(CONFIG_INET_DIAG_DESTROY), or the service has no right to", address, port,
            )  # fmt: skip
            return
        import shlex

        script = shlex.quote(END.format(port=port))
        with suppress(GuestSilent, NotRunning, RpcError, asyncio.TimeoutError):
            await found[0].execute(AS_ROOT.format(script=script), SECONDS)
            _log.info("a log-in to %s was ended inside the guest", found[0].name)


def _endpoint(instance: Instance) -> tuple[str, int] | None:
    """Of its SSH server; None while it has none."""
    with suppress(RpcError):
        found = instance.endpoint()
        return found.host, found.port
    return None
