"""One record: its sentence, its fields, and what of foreign text may be in it."""

from __future__ import annotations

import logging
import re
from typing import NamedTuple

from multipassd.audit.event import WARNINGS, Event
from multipassd.system import log

TEXT_LIMIT = 200  # characters of foreign text
VALUES = 16  # names told apart in one record: a request may hold thousands, and each costs room

# A name that the service makes of a fingerprint says no more than that.
MADE = re.compile(r"client-[0-9a-f]{8}")
# What may stand in a name or an error by a slip, and lets its reader in: an invitation, and what
# comes before the host in a URL.
SECRETS = ((re.compile(r"mpi1-[^\s'\"`]*"), "mpi1-…"), (re.compile(r"://[^/@\s]*@"), "://…@"))

_log = log.get("audit")


class Actor(NamedTuple):
    """Who did it and from where. `name` and `role` are empty where the client is not trusted; `uid`
    and `pid` are None over TCP, as of its connect() else; `address` is empty over a Unix socket.
    `program`: what root ran, in place of a client."""

    name: str = ""
    role: str = ""
    fingerprint: str = ""
    uid: int | None = None
    pid: int | None = None
    address: str = ""
    program: str = ""

    @property
    def person(self) -> str:
        """Who is charged for records: all certificates of a name are one."""
        return self.name or self.fingerprint or f"uid {self.uid}"

    def __str__(self) -> str:
        return self.program or described(self.fingerprint, self.name, self.role)


NOBODY = Actor()  # known: nothing, as of an edit by hand


def printable(text: str) -> str:
    """Foreign text on one line, shortened, with nothing in it that a terminal would obey."""
    shown = text if len(text) <= TEXT_LIMIT else text[:TEXT_LIMIT] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


def harmless(text: str) -> str:
    """The same, without what could be a secret in it."""
    text = text[: 8 * TEXT_LIMIT]  # what follows is not shown, and is not searched
    for pattern, shown in SECRETS:
        text = pattern.sub(shown, text)
    return printable(text)


def described(fingerprint: str, name: str, role: str) -> str:
    """A client in a sentence."""
    if not fingerprint:
        return "a client without certificate"
    plain = not name or MADE.fullmatch(name)
    known = role if plain else f"{printable(name)}, {role}"
    shown = f"client {printable(fingerprint[:16])}"
    return shown if plain and role in ("", "admin") else f"{shown} ({known})"


def identity(name: str, role: str, prefix: str = "") -> dict[str, str]:
    """The fields that say who a client is."""
    keys = (f"MULTIPASS_{prefix}NAME", f"MULTIPASS_{prefix}ROLE")
    return {key: printable(value) for key, value in zip(keys, (name, role), strict=True) if value}


def by(actor: Actor) -> dict[str, str]:
    """The fields of a record that tell of one client alone, who did it."""
    fields = identity(actor.name, actor.role)
    if actor.fingerprint:
        fields["MULTIPASS_CLIENT"] = printable(actor.fingerprint)
    return fields


def write(event: Event, text: str, actor: Actor, fields: dict[str, str | tuple[str, ...]]) -> None:
    """Several values of a field are told apart by the journal. Never fails."""
    where = {}
    if actor.uid is not None:
        where["MULTIPASS_UID"] = str(actor.uid)
        text += f", uid {actor.uid}"
    if actor.pid is not None:
        where["MULTIPASS_PID"] = str(actor.pid)
    if actor.address:
        where["MULTIPASS_ADDRESS"] = printable(actor.address)
        text += f", from {printable(actor.address)}"
    everything = {"MULTIPASS_EVENT": event.name.lower(), **fields, **where}
    level = logging.WARNING if event in WARNINGS else logging.INFO
    _log.log(level, "%s", text, extra={"fields": everything, "message_id": event.value})
