"""What check says of the trust store's clients and their roles."""

from __future__ import annotations

from multipassd.admin.access.locations import Place
from multipassd.admin.access.store_access import repairable
from multipassd.system import installation
from multipassd.trust.store import TrustStore


def count(store: TrustStore) -> str:
    viewers = len(store.holders.viewers)
    return f"{len(store)}" + (f", {viewers} of them as viewers," if viewers else "")


def cure(place: Place, store: TrustStore, problem: str) -> str:
    program = installation.here().trust
    if problem == store.side_damage and repairable(place):
        return f"`sudo {program} check --repair`, which keeps what it holds"
    if problem == store.doubt:
        return f"`sudo {program} remove` and `add --role` say which role is meant"
    return f"look into {place.store_path.parent}"
