"""Which records of the journal are the service's.

Any user may send records with any fields: all but those that begin with an underscore, which
journald adds itself. `_UID` is the kernel's word on who sent the record, so a record of another
user's is never taken for one of the service, whatever it says of itself. Root can forge all.
"""

from __future__ import annotations

import pwd
import re
from collections.abc import Iterator

from multipassd.admin.records.reader import Record
from multipassd.admin.records.row import ABOUT_CLIENTS
from multipassd.audit.event import Event
from multipassd.trust import names as client_names

DIGITS = re.compile(r"[0-9a-f]{4,64}")  # the beginning of a fingerprint
# Fields that name a client: who did it, who it was about.
NAMES = ("NAME", "BY_NAME", "INVITED", "ABOUT")
FINGERPRINTS = ("CLIENT", "BY_CLIENT", "ABOUT")


def conditions(owner: int, unit: str, client: str, instance: str) -> Iterator[list[str]]:
    """For the journal. `owner`: the service's user; `unit`: its unit, empty where it has none. An
    empty `client` or `instance` is any."""
    yield [f"_UID={uid}" for uid in sorted({0, owner})]
    yield ["_TRANSPORT=journal"]
    yield [f"MULTIPASS_EVENT={event.name.lower()}" for event in Event]
    if unit:  # OBJECT_: of root's programs, about the unit
        yield [f"_SYSTEMD_UNIT={unit}", f"OBJECT_SYSTEMD_UNIT={unit}"]
    if instance:
        yield [f"MULTIPASS_INSTANCE={instance}", f"MULTIPASS_SOURCE={instance}"]
    if client and not DIGITS.fullmatch(client.lower()):
        uid = _uid_of(client)
        by_user = [] if uid is None else [f"MULTIPASS_UID={uid}"]
        yield [*(f"MULTIPASS_{name}={client}" for name in NAMES), *by_user]


def names_client(text: str) -> bool:
    """Can a client have this name, or a fingerprint begin so?"""
    return bool(client_names.NAME.fullmatch(text) or DIGITS.fullmatch(text.lower()))


def concerns(record: Record, client: str) -> bool:
    """Is it about this client, or did this client do it? By a name, or the beginning of a
    fingerprint, which the journal can't look for."""
    if not client:
        return True
    if any(client == record.get(f"MULTIPASS_{name}") for name in NAMES):
        return True
    by = "BY_" if record.get("MULTIPASS_EVENT") in ABOUT_CLIENTS else ""
    if not any(record.get(f"MULTIPASS_{by}{name}") for name in ("NAME", "CLIENT")):
        # A row shows the user of the host then.
        if str(record.get("MULTIPASS_UID", "")) == str(_uid_of(client)):
            return True
    start = client.lower()
    values = (str(record.get(f"MULTIPASS_{name}", "")) for name in FINGERPRINTS)
    return bool(DIGITS.fullmatch(start)) and any(value.startswith(start) for value in values)


def _uid_of(user: str) -> int | None:
    """Of a user of this host."""
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None
