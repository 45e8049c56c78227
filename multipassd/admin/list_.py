"""list: who is trusted, and what is known about each."""

from __future__ import annotations

import json
import pwd
import sys
import time
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from multipassd.admin.access.locations import Place, certificates_in, read_store
from multipassd.admin.access.store_access import invitations, repairable, short, way_in
from multipassd.admin.access.verb import DONE, TrustError, Verb
from multipassd.audit.record import printable
from multipassd.auth.invitations import Invitation
from multipassd.certificates import certificate_checks
from multipassd.settings.settings import Settings
from multipassd.system import installation
from multipassd.trust.client_record import ClientRecord
from multipassd.trust.state import TrustState
from protocol.errors import StorageFailed

HEADINGS = ("NAME", "FINGERPRINT", "ROLE", "HOW", "BY", "ENROLLED", "LAST SEEN", "EXPIRES")
NONE = "--"
GAP = "  "


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--format", choices=("table", "json"), default="table")


def _run(place: Place, options: Namespace) -> int:
    store = place.store(change=False)
    state = place.state(store)
    if state is TrustState.DAMAGED:
        program = installation.here().trust
        cure = f" `sudo {program} check --repair` keeps what it holds." if repairable(place) else ""
        raise TrustError(
            f"The trusted clients can't be listed. {store.damage}", cure.strip(), kind="damaged"
        )
    records, (waiting, problem) = store.records(), _waiting(place)
    hidden = store.problems if records or store.hidden() else []  # why something is missing
    ends = expiries(place)
    if options.format == "json":
        clients = [_as_json(each, ends.get(each.fingerprint)) for each in records]
        invited = [_invited_json(each) for each in waiting]
        settings = Settings(place.settings, place.owner)
        found = {
            "state": state.value,
            "clients": clients,
            "invitations": invited,
            "passphrase": None if settings.problem else bool(settings.passphrase_record()),
            "problems": [*hidden, *filter(None, [problem])],
        }
        print(json.dumps(found, indent=4))
    elif records or waiting:
        rows = [_as_row(each, ends.get(each.fingerprint)) for each in records]
        print(_table([HEADINGS, *rows, *(_invited_row(each) for each in waiting)]))
    if state is TrustState.EMPTY and options.format != "json":
        what = "admin" if records else "client"
        print(f"No {what} is trusted yet: {way_in(place)}.")
    for each in hidden:
        print(each, file=sys.stderr)
    if problem:
        print(problem, file=sys.stderr)
    return DONE


def _waiting(place: Place) -> tuple[list[Invitation], str]:
    """The invitations that wait, or why they can't be read."""
    try:
        return invitations(place).waiting(time.time()), ""
    except StorageFailed as error:
        return [], error.message


def expiries(place: Place) -> dict[str, datetime]:
    found: dict[str, bytes] = {}
    for path in place.store_files:
        with suppress(OSError):
            found |= certificates_in(read_store(path, place.owner))
    ends = {}
    for who, der in found.items():
        with suppress(ValueError):
            ends[who] = certificate_checks.not_after(der)
    return ends


def _as_json(record: ClientRecord, expires: datetime | None) -> dict[str, Any]:
    return {
        "name": record.name,
        "fingerprint": record.fingerprint,
        "role": str(record.role),
        "how": record.how,
        "uid": record.uid,
        "enrolled": _iso(record.enrolled_at),
        "last_seen": _iso(record.last_seen),
        "expires": expires.isoformat(timespec="seconds") if expires else None,
    }


def _as_row(record: ClientRecord, expires: datetime | None) -> tuple[str, ...]:
    return (
        record.name or NONE,
        short(record.fingerprint),
        str(record.role),
        record.how,
        _user(record.uid),
        _day(record.enrolled_at),
        _day(record.last_seen),
        f"{expires:%Y-%m-%d}{_mark(expires)}" if expires else NONE,
    )


def _invited_json(invitation: Invitation) -> dict[str, Any]:
    return {
        "name": invitation.name,
        "role": invitation.role,
        "invited_by": invitation.by,
        "made": _iso(invitation.made),
        "expires": _iso(invitation.expires),
    }


def _invited_row(invitation: Invitation) -> tuple[str, ...]:
    made, expires = _day(invitation.made), _day(invitation.expires)
    how = f"invited by {printable(invitation.by)}"
    name, role = printable(invitation.name), printable(invitation.role)
    return name, NONE, role, how, NONE, made, NONE, expires


def _mark(expires: datetime) -> str:
    now = datetime.now(UTC)
    if expires < now:
        return " (ended)"
    return " (soon)" if expires < now + certificate_checks.RENEWED_WITHIN else ""


def _user(uid: int | None) -> str:
    if uid is None:
        return NONE
    try:
        return f"{pwd.getpwuid(uid).pw_name} ({uid})"
    except (KeyError, OverflowError):
        return str(uid)


def _day(moment: float | None) -> str:
    return (_iso(moment) or NONE)[:16].replace("T", " ")


def _iso(moment: float | None) -> str | None:
    try:
        return None if moment is None else _text(datetime.fromtimestamp(moment, UTC))
    except (OverflowError, ValueError, OSError):  # the file may come from elsewhere
        return None


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


VERB = Verb("list", "show who is trusted", _arguments, _run, streams=True)
