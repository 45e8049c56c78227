"""What instances take of their owner's quota, and whether more fits. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from multipassd.instances.owners.owner import Owner
from protocol import quotas
from protocol.errors import RpcError
from protocol.roles import Role
from protocol.status import Status

if TYPE_CHECKING:
    from multipassd.instances.records.record import Record, Snapshot


class Amounts(NamedTuple):
    """Counts and bytes, one for each kind of `protocol.quotas.KINDS`."""

    instances: int = 0
    cpus: int = 0
    memory: int = 0
    disk: int = 0
    snapshots: int = 0
    networks: int = 0

    def plus(self, other: Amounts) -> Amounts:
        return Amounts(*(a + b for a, b in zip(self, other, strict=True)))


LABELS = {"cpus": "CPUs", "disk": "disk space", "networks": "cards on networks of the host"}


class QuotaExceeded(RpcError):
    """The owner would have more than its quota."""

    status = Status.RESOURCE_EXHAUSTED

    def __init__(self, name: str, kind: str, used: int, more: int, limit: int) -> None:
        text = {each: quotas.show(kind, each) for each in (used, more, limit)}
        super().__init__(
            f"The quota of {name} for {LABELS.get(kind, kind)} is {text[limit]}, of which "
            f"{text[used]} is used, and this needs {text[more]}.\n"
            "'multipass delete --purge' frees what an instance takes. An administrator changes the "
            f"quota with 'multipass set {quotas.key(name, kind)}=…'."
        )


def of_record(record: Record) -> Amounts:
    """What an instance takes, also when it is stopped or deleted: its disk is there."""
    snapshots, networks = len(record.snapshots), len(record.networks)
    return Amounts(1, record.cpus, record.memory, record.disk, snapshots, networks)


def of_return(record: Record, snapshot: Snapshot) -> Amounts:
    """How much more an instance takes once it has returned to the snapshot."""
    return Amounts(
        cpus=max(snapshot.cpus - record.cpus, 0),
        memory=max(snapshot.memory - record.memory, 0),
        disk=max(snapshot.disk - record.disk, 0),
        networks=max(len(snapshot.networks) - len(record.networks), 0),
    )


def total(amounts: Iterable[Amounts]) -> Amounts:
    found = Amounts()
    for each in amounts:
        found = found.plus(each)
    return found


def check(owner: Owner, used: Amounts, more: Amounts) -> None:
    """Raises QuotaExceeded, with the first kind of which there is too little. What is over its
    quota already may stay as it is, but not grow."""
    for kind, has, needs in zip(quotas.KINDS, used, more, strict=True):
        limit = owner.limits.get(kind)
        if limit is not None and needs and has + needs > limit:
            raise QuotaExceeded(owner.name, kind, has, needs, limit)


def limits_of(name: str, role: Role, settings: Mapping[str, int | None]) -> Mapping[str, int]:
    """The limits that hold for a person: its own settings, else those of its role, else the
    defaults. A person with the name of a role has none of its own."""
    found = {}
    for kind in quotas.KINDS:
        own = quotas.Key("", name, kind)
        keys = [quotas.key(name, kind)] if own.role is None else []
        for each in (*keys, quotas.key(str(role), kind)):
            if each in settings:
                limit = settings[each]
                break
        else:
            limit = quotas.DEFAULTS[role].get(kind)
        if limit is not None:
            found[kind] = limit
    return found
