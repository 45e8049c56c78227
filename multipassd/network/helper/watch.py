"""Inspects the guests' bridge every few seconds: repairs what other programs changed, and reports
what they change again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import IPv4Network

from multipassd.network import bridge
from multipassd.network.bridge import BRIDGE
from multipassd.network.troubles import Troubles
from multipassd.system import log

CONFLICT = 3  # repairs in successive inspections; then another program undoes them
TOPIC = "the bridge"

_log = log.get("network")


class BridgeWatch:
    """Counts repairs of the bridge in successive inspections."""

    def __init__(self, troubles: Troubles) -> None:
        self._troubles = troubles
        self._repairs = 0

    def inspect(self, subnet: IPv4Network, taps: Iterable[str], repair: Callable[[], None]) -> None:
        """`taps` belong on the bridge; `repair` sets it up again. Raises NetworkFailure."""
        fault = bridge.fault(subnet)
        self._repairs = self._repairs + 1 if fault else 0
        if self._repairs >= CONFLICT:
            self._troubles.report(TOPIC, _conflict(fault))
        elif fault:
            _log.warning("the instances' bridge %s %s: repaired", BRIDGE, fault)
        else:
            self._troubles.report(TOPIC, "")
        repair()
        for tap in taps:
            if bridge.rejoin(tap):
                _log.warning("%s was not on %s, or down: attached again", tap, BRIDGE)


def _conflict(fault: str) -> str:
    return (
        f"Another program changes the instances' bridge again and again: {BRIDGE} {fault}, though "
        "it was repaired each time. Please have that program leave it alone: for NetworkManager, "
        f"`unmanaged-devices=interface-name:{BRIDGE}` in the section [keyfile] of a file in "
        "/etc/NetworkManager/conf.d; for systemd-networkd, a .network file that matches "
        f"{BRIDGE} with `Unmanaged=yes`."
    )
