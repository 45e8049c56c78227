"""The clients and invitations of `clients`. Pure."""

from __future__ import annotations

import time

from client import trust_messages as messages
from client.render import CSV, JSON, TABLE, quotas

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from protocol.messages.trust import ClientsReply, Invitation, TrustedClient

KEYS = ("name", "role", "how", "since", "last_seen", "expires", "certificate")
HEADINGS = ("Name", "Role", "How", "Since", "Last seen", "Expires", "Certificate")
INVITED = "invited"  # in the place of how a client was let in
FORMER_KEY = "Instances with a former SSH key"  # the heading of a second table in csv
NONE = "--"
SHOWN = 16  # digits of a fingerprint: finding two that begin alike is not feasible
SOON = 30 * 24 * 3600  # seconds before its end that a certificate is renewed


def render(reply: ClientsReply, form: str, now: float) -> str:
    """`now`: seconds since 1970; a table marks the certificates that have ended or do so soon."""
    rows = [_client(each) for each in reply.clients]
    rows += [_invitation(each) for each in reply.invitations]
    rows.sort(key=lambda row: (row[0], row[6]))
    pending = reply.former_key
    if form == TABLE:
        clients = _table(rows, _moment(int(now)), _moment(int(now + SOON)))
        clients += "\n" + quotas.table(reply.quotas) if reply.quotas else ""
        return clients + (f"\n{messages.former_key(pending)}\n" if pending else "")
    if form == CSV:
        lines = [f'{row[0]},{row[1]},"{row[2]}",{",".join(row[3:])}\n' for row in rows]
        below = [f"{each}\n" for each in ("", FORMER_KEY, *pending)] if pending else []
        if reply.quotas:
            below += [f"{each}\n" for each in ("", *quotas.csv(reply.quotas))]
        return "".join((",".join(HEADINGS) + "\n", *lines, *below))
    entries = [dict(zip(KEYS, row, strict=True)) for row in rows]
    document: dict[str, Any] = {
        "clients": entries, "former_key": pending, "quotas": quotas.entries(reply.quotas)
    }  # fmt: skip
    if form == JSON:
        from client.render import json

        return json.render(document)
    from client.render import yaml

    return yaml.render(document)


def _client(client: TrustedClient) -> tuple[str, ...]:
    return (
        client.name,
        client.role,
        client.how.replace('"', "'"),
        _moment(client.enrolled_at),
        _moment(client.last_seen),
        _moment(client.expires),
        client.fingerprint,
    )


def _invitation(invitation: Invitation) -> tuple[str, ...]:
    how = f"{INVITED} by {invitation.invited_by}"
    made, until = _moment(invitation.made_at), _moment(invitation.expires)
    return invitation.name, invitation.role, how, made, "", until, ""


def _table(rows: list[tuple[str, ...]], now: str, soon: str) -> str:
    if not rows:
        return messages.NO_CLIENTS + "\n"
    from client.render import table

    shown: list[tuple[str, ...]] = [HEADINGS]
    for row in rows:
        ends = row[5] + (_mark(row[5], now, soon) if row[6] else "")
        shown.append(tuple(cell or NONE for cell in (*row[:5], ends, row[6][:SHOWN])))
    widths = [table.automatic([row[column] for row in shown]) for column in range(6)]
    return table.render(shown, widths)


def _mark(ends: str, now: str, soon: str) -> str:
    """Behind the moment at which a certificate ends; moments of this form compare as texts."""
    if not ends or ends >= soon:
        return ""
    return " (ended)" if ends < now else " (soon)"


def _moment(seconds: int) -> str:
    """UTC; empty where it is unknown, or no year that a calendar has."""
    if not 0 < seconds < 253402300800:
        return ""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
