"""Which records of the journal are the service's.

Any user may send records with any fields: all but those that begin with an underscore, which
journald adds itself. `_UID` is the kernel's word on who sent the record, so a record of another
user's is never taken for one of the service, whatever it says of itself. Root can forge all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from multipassd.admin.records.reader import Record
from multipassd.audit.event import Event

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
        yield [f"MULTIPASS_{name}={client}" for name in NAMES]


def concerns(record: Record, client: str) -> bool:
    """Is it about this client, or did this client do it? By a name, or the beginning of a
    fingerprint, which the journal can't look for."""
    if not client:
        return True
    if any(client == record.get(f"MULTIPASS_{name}") for name in NAMES):
        return True
    start = client.lower()
    values = (str(record.get(f"MULTIPASS_{name}", "")) for name in FINGERPRINTS)
    return bool(DIGITS.fullmatch(start)) and any(value.startswith(start) for value in values)
