"""The bridge that guests are on, looked at every few seconds: what others broke is mended, and what
they break again and again is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import IPv4Network

from multipassd.network import bridge
from multipassd.network.bridge import BRIDGE
from multipassd.network.troubles import Troubles
from multipassd.system import log

QUARREL = 3  # repairs in looks one after the other; then another program undoes them
TOPIC = "the bridge"

_log = log.get("network")


class BridgeWatch:
    def __init__(self, troubles: Troubles) -> None:
        self._troubles = troubles
        self._repairs = 0  # in looks one after the other

    def look(self, subnet: IPv4Network, taps: Iterable[str], mend: Callable[[], None]) -> None:
        """`taps` belong on the bridge; `mend` makes it anew. Raises NetworkFailure."""
        fault = bridge.fault(subnet)
        self._repairs = self._repairs + 1 if fault else 0
        if self._repairs >= QUARREL:
            self._troubles.tell(TOPIC, _quarrel(fault))
        elif fault:
            _log.warning("the instances' bridge %s %s: it is mended", BRIDGE, fault)
        else:
            self._troubles.tell(TOPIC, "")
        mend()
        for tap in taps:
            if bridge.rejoin(tap):
                _log.warning("%s was not on %s, or down: it is put back", tap, BRIDGE)


def _quarrel(fault: str) -> str:
    return (
        f"Another program changes the instances' bridge again and again: {BRIDGE} {fault}, though "
        "it was mended each time. Please have that program leave it alone: for NetworkManager, "
        f"`unmanaged-devices=interface-name:{BRIDGE}` in the section [keyfile] of a file in "
        "/etc/NetworkManager/conf.d; for systemd-networkd, a .network file that matches "
        f"{BRIDGE} with `Unmanaged=yes`."
    )
