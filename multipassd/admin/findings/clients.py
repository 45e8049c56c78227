"""What check says of the trust store's clients and their roles."""

from __future__ import annotations

from multipassd.admin.access.locations import Place
from multipassd.admin.access.store_access import repairable
from multipassd.system import installation
from multipassd.trust.state import LESSER
from multipassd.trust.store import TrustStore


def count(store: TrustStore) -> str:
    """Of all clients, and of those with a lesser role."""
    found = [(role, len(store.holders.in_effect(role))) for role in LESSER]
    lesser = [f"{number} of them as {role}s" for role, number in found if number]
    return f"{len(store)}" + (f", {' and '.join(lesser)}," if lesser else "")


def cure(place: Place, store: TrustStore, problem: str) -> str:
    program = installation.here().trust
    if problem in store.damaged_roles().values() and repairable(place):
        return f"`sudo {program} check --repair`, which keeps what it holds"
    if problem == store.doubt:
        return f"`sudo {program} remove` and `add --role` say which role is meant"
    return f"look into {place.store_path.parent}"
