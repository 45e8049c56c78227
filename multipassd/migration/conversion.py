"""An instance of 1.16 as a record of this service."""

from __future__ import annotations

from collections.abc import Callable, Container
from datetime import UTC, datetime
from typing import NamedTuple

from multipassd.instances.records.card_config import mac_address
from multipassd.instances.records.record import ImageOrigin, Mount, Network, Record, Snapshot
from multipassd.migration.formats import OldMount, OldNetwork, OldSnapshot
from multipassd.migration.vault import Entry
from protocol import sizes

DEFAULT_MEMORY = 1 << 30  # 1.16's
BIOS_IMAGE = "disk1.img"  # in the name of 16.04's image, which boots by BIOS; all others by UEFI
USER = "ubuntu"

Keep = Callable[[OldMount], Mount | None]


class Disk(NamedTuple):
    """What the disk's file tells."""

    size: int  # bytes that the instance sees
    states: frozenset[str]  # tags of the snapshots inside


def tag(snapshot: OldSnapshot) -> str:
    """Of the snapshot inside the disk."""
    return f"@s{snapshot.index}"


def boots_by_bios(entry: Entry) -> bool:
    return BIOS_IMAGE in entry.disk.name


def kept_snapshots(entry: Entry, disk: Disk) -> list[OldSnapshot]:
    """Those whose content the disk has."""
    return [each for each in entry.snapshots if tag(each) in disk.states]


def record(
    entry: Entry,
    name: str,
    disk: Disk,
    hardware: dict[str, str],
    instance_id: str,
    key: str,
    keep: Keep,
    taken: set[str],
    networks: Container[str],
) -> Record:
    """`key`: the name of the private key's file; `keep`: which mounts come along; `taken`: the MAC
    addresses of others, for a card that has none; `networks`: those of this host: a card on another
    would keep it from starting. Raises ValueError."""
    old, image = entry.instance, entry.image
    assert image is not None
    kept = {each.index: each for each in kept_snapshots(entry, disk)}
    return Record(
        name=name,
        instance_id=instance_id,
        image=ImageOrigin(id="", sha256=image.id, os="Ubuntu", release=image.original_release),
        hardware=hardware,
        cpus=old.num_cores or 1,
        memory=sizes.parse(old.mem_size) if old.mem_size else DEFAULT_MEMORY,
        disk=disk.size,
        mac=old.mac_addr or mac_address(taken),
        networks=_networks(old.extra_interfaces, taken, networks),
        mounts=_mounts(old.mounts, keep),
        snapshots=tuple(
            Snapshot(
                name=each.name,
                index=each.index,
                tag=tag(each),
                parent=_parent(each.parent, entry, kept),
                comment=each.comment,
                created=_seconds(each.creation_timestamp),
                instance_id=each.cloud_init_instance_id or instance_id,
                cpus=each.num_cores or 1,
                memory=sizes.parse(each.mem_size) if each.mem_size else DEFAULT_MEMORY,
                disk=sizes.parse(each.disk_space) if each.disk_space else disk.size,
                networks=_networks(each.extra_interfaces, taken, networks),
                mounts=_mounts(each.mounts, keep),
            )
            for each in kept.values()
        ),
        snapshot_head=_parent(entry.head, entry, kept),
        snapshots_taken=entry.taken,
        clones=old.clone_count,
        host_key="",
        ssh_user="" if old.ssh_username in {"", USER} else old.ssh_username,
        ssh_key=key,
        deleted=old.deleted,
        ready=True,
    )


def _parent(index: int, entry: Entry, kept: dict[int, OldSnapshot]) -> int:
    """The nearest ancestor that comes along; 0: none does. A ring in a damaged tree ends."""
    parents = {each.index: each.parent for each in entry.snapshots}
    seen: set[int] = set()
    while index and index not in kept and index not in seen:
        seen.add(index)
        index = parents.get(index, 0)
    return index if index in kept else 0


def _networks(
    found: tuple[OldNetwork, ...], taken: set[str], networks: Container[str]
) -> tuple[Network, ...]:
    return tuple(
        Network(name=each.id, mac=each.mac_address or mac_address(taken), configured=each.auto_mode)
        for each in found
        if each.id in networks
    )


def _mounts(found: tuple[OldMount, ...], keep: Keep) -> tuple[Mount, ...]:
    return tuple(mount for each in found if (mount := keep(each)) is not None)


def _seconds(text: str) -> float:
    """Since 1970; 0 where it can't be read."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
