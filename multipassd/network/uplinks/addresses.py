"""What a device is reached by, and waiting until that is as it should be."""

from __future__ import annotations

import time
from collections.abc import Callable

from multipassd.network import tools
from multipassd.network.interfaces import NET
from multipassd.network.tools import NetworkFailure

WAIT_SECONDS = 25  # for an address; DHCP on a wire that is well takes two
POLL_SECONDS = 0.2

Addresses = dict[str, set[str]]  # by family


def addresses(device: str) -> Addresses:
    """Empty where there is no such device. Raises NetworkFailure."""
    found: Addresses = {"inet": set(), "inet6": set()}
    if not (NET / device).exists():
        return found
    for entry in tools.listed("ip", "-json", "address", "show", "dev", device):
        for one in entry["addr_info"]:
            if one["scope"] == "global":
                found[one["family"]].add(one["local"])
    return found


def all_there(before: Addresses, now: Addresses) -> bool:
    """IPv6 addresses that are made from a device's name are others on a bridge."""
    return before["inet"] <= now["inet"] and bool(now["inet6"]) >= bool(before["inet6"])


def until(true: Callable[[], bool], failure: str, unit: str) -> None:
    """Raises NetworkFailure after WAIT_SECONDS; `unit` is whose log tells why."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise NetworkFailure(
                f"{failure} within {WAIT_SECONDS} s; `journalctl -u {unit}` tells more."
            )
        time.sleep(POLL_SECONDS)
