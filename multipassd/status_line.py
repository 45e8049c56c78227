"""The line that `systemctl status` shows of the service. Pure."""

from __future__ import annotations

from multipassd.trust.reader import StoreReader
from multipassd.trust.state import TrustState


def of(store: StoreReader, instances: int, adopts: bool, problem: str) -> str:
    """`instances`: how many there are. `adopts`: does the first client get in by its first call?
    `problem`: what is wrong besides the trust store; empty if nothing is."""
    if store.state is TrustState.DAMAGED:
        return f"trust store damaged: {store.damage}"
    if problem:
        return problem
    if store.state is TrustState.EMPTY:
        if adopts:
            return "waiting for the first client, from root or the admin group"
        return "waiting for a client that an administrator lets in"
    clients = _counted(len(store), "trusted client")
    return f"{clients}, open to all users, {_counted(instances, 'instance')}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
