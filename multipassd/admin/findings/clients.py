"""What check says of the trust store's clients and their roles."""

from __future__ import annotations

import time

from multipassd.admin.access.locations import Place
from multipassd.admin.access.store_access import invitations, repairable
from multipassd.admin.findings.report import Report
from multipassd.audit.record import printable
from multipassd.system import installation
from multipassd.trust.state import LESSER
from multipassd.trust.store import TrustStore
from protocol.errors import StorageFailed

SHOWN = 5  # names that a finding lists


def count(store: TrustStore) -> str:
    """Of all clients, and of those with a lesser role."""
    found = [(role, len(store.holders.in_effect(role))) for role in LESSER]
    lesser = [f"{number} of them as {role}s" for role, number in found if number]
    return f"{len(store)}" + (f", {' and '.join(lesser)}," if lesser else "")


def invited(place: Place, report: Report) -> None:
    """Who is invited, and whether that can be used."""
    now = time.time()
    try:
        waiting = invitations(place).waiting(now)
    except StorageFailed as error:
        report.problem(error.message, f"remove {invitations(place).path}, and invite anew")
        return
    if waiting:
        names = sorted({printable(each.name) for each in waiting})
        some = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
        wait = "invitation waits" if len(waiting) == 1 else "invitations wait"
        report.note(f"{len(waiting)} {wait}: {some}")
    if any(each.early(now) for each in waiting):
        report.problem(
            "the clock is before the time at which some invitations were made, so these can't be "
            "used",
            "put the clock right",
        )


def cure(place: Place, store: TrustStore, problem: str) -> str:
    program = installation.here().trust
    if problem in store.damaged_roles().values() and repairable(place):
        return f"`sudo {program} check --repair`, which keeps what it holds"
    if problem == store.doubt:
        return f"`sudo {program} remove` and `add --role` say which role is meant"
    return f"look into {place.store_path.parent}"
