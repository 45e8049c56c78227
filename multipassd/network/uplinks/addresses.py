"""The addresses of a device, and waiting for a condition on them."""

from __future__ import annotations

import time
from collections.abc import Callable

from multipassd.network import tools
from multipassd.network.interfaces import NET
from multipassd.network.tools import NetworkFailure

WAIT_SECONDS = 25  # for an address; DHCP usually takes two
POLL_SECONDS = 0.2

Addresses = dict[str, set[str]]  # by family


def addresses(device: str) -> Addresses:
    """Global addresses; none if there is no such device. Raises NetworkFailure."""
    found: Addresses = {"inet": set(), "inet6": set()}
    if not (NET / device).exists():
        return found
    for entry in tools.listed("ip", "-json", "address", "show", "dev", device):
        for each in entry["addr_info"]:
            if each["scope"] == "global":
                found[each["family"]].add(each["local"])
    return found


def all_there(before: Addresses, now: Addresses) -> bool:
    """Has the bridge all that the device had? Of IPv6 any address will do, because those derived
    from the device's name differ on a bridge."""
    return before["inet"] <= now["inet"] and bool(now["inet6"]) >= bool(before["inet6"])


def until(true: Callable[[], bool], failure: str, unit: str) -> None:
    """Wait for `true`. Raises NetworkFailure after WAIT_SECONDS; the log of `unit` says why."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise NetworkFailure(
                f"{failure} within {WAIT_SECONDS} s; `journalctl -u {unit}` tells more."
            )
        time.sleep(POLL_SECONDS)
