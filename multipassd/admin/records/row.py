"""One record of the journal as plain values, and as the cells of a table."""

from __future__ import annotations

import pwd
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import NamedTuple

from multipassd.admin.records.reader import Record

HEADINGS = ("TIME", "WHO", "ROLE", "FROM", "WHAT", "ON", "OUTCOME")
NONE = "--"
SHOWN = 16  # digits of a fingerprint
# Events whose record names the client that it is about, and apart from it who did it.
ABOUT_CLIENTS = ("granted", "removed", "renewed")
# Of the events whose record has no verb, what was done.
VERBS = {
    "granted": "grant",
    "removed": "revoke",
    "renewed": "renew",
    "invited": "invite",
    "changed": "set",
}
# Of the events whose record has no outcome, how it ended; of all others it was done.
OUTCOMES = {
    "denied": "refused",
    "store_damaged": "damaged",
    "settings_unusable": "damaged",
    "repeated": "summed up",
}


class Row(NamedTuple):
    """What csv, json and yaml show: a text for each, empty where it is not known."""

    time: str
    name: str
    role: str
    client: str
    uid: str
    pid: str
    address: str
    event: str
    what: str
    instances: tuple[str, ...]
    snapshot: str
    source: str
    setting: str
    about: str
    outcome: str
    status: str
    reason: str
    times: str
    message: str


def row_of(record: Record) -> Row:
    """Text is made fit for any terminal."""
    event = _first(record, "MULTIPASS_EVENT")
    by = "BY_" if event in ABOUT_CLIENTS else ""
    about = _client(record) if by else _field(record, "INVITED") or _field(record, "ABOUT")
    return Row(
        time=_time(record),
        name=_field(record, f"{by}NAME"),
        role=_field(record, f"{by}ROLE"),
        client=_field(record, f"{by}CLIENT"),
        uid=_field(record, "UID"),
        pid=_field(record, "PID"),
        address=_field(record, "ADDRESS"),
        event=event,
        what=", ".join(_all(record, "MULTIPASS_VERB")) or VERBS.get(event, event),
        instances=_all(record, "MULTIPASS_INSTANCE"),
        snapshot=_field(record, "SNAPSHOT"),
        source=_field(record, "SOURCE"),
        setting=_field(record, "SETTING"),
        about=about or _field(record, "PATH"),
        outcome=_field(record, "OUTCOME") or OUTCOMES.get(event, "done"),
        status=_field(record, "STATUS"),
        reason=_field(record, "REASON") or _field(record, "HOW") or _invited_as(record),
        times=_field(record, "COUNT"),
        message=_first(record, "MESSAGE"),
    )


def cells(row: Row) -> tuple[str, ...]:
    """The same for people, in the order of HEADINGS."""
    return (
        row.time[:19].replace("T", " "),
        row.name or (row.client[:SHOWN] if row.client else _user(row.uid)) or NONE,
        row.role or NONE,
        row.address or _process(row) or NONE,
        row.what,
        _on(row) or NONE,
        _ended(row),
    )


def _process(row: Row) -> str:
    where = f"uid {row.uid}" if row.uid else ""
    return f"{where}, pid {row.pid}" if row.uid and row.pid else where


def _on(row: Row) -> str:
    on = ", ".join(row.instances)
    if row.snapshot:
        on = f"{on}.{row.snapshot}"
    if row.source:
        on = f"{on} (of {row.source})"
    if row.setting:  # of an instance's name and owner, also the new one
        return f"{row.setting} ({row.about})" if row.about else row.setting
    return on or row.about


def _ended(row: Row) -> str:
    why = ": ".join(filter(None, (row.status, row.reason)))
    times = f"{row.times} times" if row.times else ""
    more = ", ".join(filter(None, (times, why)))
    return f"{row.outcome} ({more})" if more else row.outcome


def _invited_as(record: Record) -> str:
    role = _field(record, "INVITED_ROLE")
    return f"role {role}" if role else ""


def _client(record: Record) -> str:
    return _field(record, "NAME") or _field(record, "CLIENT")[:SHOWN]


def user_of(row: Row) -> str:
    """The name of the host's user who did it; empty if it is not known."""
    return _user(row.uid)


@cache  # as the same few did most of it
def _user(uid: str) -> str:
    try:
        return pwd.getpwuid(int(uid)).pw_name
    except (KeyError, ValueError, OverflowError):
        return f"uid {uid}" if uid else ""


def _time(record: Record) -> str:
    try:
        moment = datetime.fromtimestamp(record["__REALTIME_TIMESTAMP"] / 1e6, UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return ""
    return moment.isoformat(timespec="milliseconds")


def _field(record: Record, name: str) -> str:
    return _first(record, f"MULTIPASS_{name}")


def _first(record: Record, field: str) -> str:
    return next(iter(_all(record, field)), "")


def _all(record: Record, field: str) -> tuple[str, ...]:
    value = record.get(field, ())
    values: Sequence[object] = value if isinstance(value, list | tuple) else (value,)
    return tuple(_plain(str(each)) for each in values)


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
