"""What check says of the trust store's clients and their roles."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from multipassd.admin.access.locations import Place
from multipassd.admin.access.store_access import invitations, repairable, short
from multipassd.admin.findings.report import Report
from multipassd.audit.record import printable
from multipassd.certificates.certificate_checks import CLOCKS_DIFFER, RENEWED_WITHIN
from multipassd.system import installation
from multipassd.trust.state import LESSER
from multipassd.trust.store import TrustStore
from protocol.errors import StorageFailed
from protocol.roles import Role

SHOWN = 5  # names that a finding lists

SOON = RENEWED_WITHIN - CLOCKS_DIFFER


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


def ages(store: TrustStore, ends: Mapping[str, datetime], refused: bool, report: Report) -> None:
    """Certificates that have ended, or do so soon. `ends`: by fingerprint; `refused`: does the
    service refuse the former?"""
    now = datetime.now(UTC)
    known = {each: end for each, end in ends.items() if store.trusts(each)}
    ended = {each for each, end in known.items() if end < now}
    soon = {each for each, end in known.items() if end < now + SOON} - ended
    if refused and ended and store.holders.in_effect(Role.ADMIN) <= ended:
        report.problem(
            "the certificates of all admins have ended, and the service refuses such clients "
            "(local.refuse-expired)",
            "`sudo multipass authenticate`, then `sudo multipass set local.refuse-expired=false`",
        )
    if ended and refused:
        report.note(
            f"{_listed(store, ended)} ended, and the service refuses it (local.refuse-expired): "
            "`multipass invite NAME` lets the person in again"
        )
    elif ended:
        report.note(
            f"{_listed(store, ended)} ended, and the client is let in as in Multipass 1.16: "
            "local.refuse-expired is false"
        )
    if soon:
        report.note(
            f"{_listed(store, soon)} ends within {SOON.days} days: the next command of "
            "this project's client renews it, Multipass 1.16's client never does"
        )


def _listed(store: TrustStore, clients: Iterable[str]) -> str:
    """As the subject of a sentence, for one and for many."""
    who = sorted(f"{store.name_of(each)} ({short(each)})" for each in clients)
    some = ", ".join(who[:SHOWN]) + (f" and {len(who) - SHOWN} more" if len(who) > SHOWN else "")
    return f"the certificate of {some}"


def cure(place: Place, store: TrustStore, problem: str) -> str:
    program = installation.here().trust
    if problem in store.damaged_roles().values() and repairable(place):
        return f"`sudo {program} check --repair`, which keeps what it holds"
    if problem == store.doubt:
        return f"`sudo {program} remove` and `add --role` say which role is meant"
    return f"look into {place.store_path.parent}"
