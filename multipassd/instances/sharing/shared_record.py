"""What services that share instances tell each other of one: its record without what is a
service's own. Pure."""

from __future__ import annotations

from multipassd.cloudinit.ssh_authority import COMMENT, SshAuthority
from multipassd.cloudinit.ssh_keys import NO_KEY
from multipassd.drivers.shared_machines import SERVICE
from multipassd.images.exported import USER
from multipassd.instances.records.phase import Phase
from multipassd.instances.records.record import Record, Snapshot, record_of

MAX_TEXT = 256 << 10  # bytes, of a foreign record; one with a hundred snapshots has 60 KiB
SHARED_COMMENT = "multipass-shared"  # ends a line of a guest's authorized_keys

# What is about this service: what runs here, how it logs in, its own directories.
BLANK: dict[str, object] = {
    "phase": Phase.STOPPED, "boot": "", "mounts": (), "pending": None, "stop_at": 0.0,
    "ended_because": "", "ready": False, "renamed_from": "", "ssh_port": 0, "ssh_key": "",
    "ssh_key_alone": "", "ssh_authority": "",
}  # fmt: skip
# What commands of a service change of another's instance, besides its snapshots.
CHANGED_BY_OTHERS = (
    "cpus", "memory", "disk", "networks", "snapshot_head", "snapshots_taken", "instance_id",
)  # fmt: skip
CHANGED_BY_MAKER = ("owner", "deleted", "clones")
MOST_CPUS, MOST_BYTES = 1024, 1 << 50
BLANK_SNAPSHOT: dict[str, object] = {"mounts": (), "ssh_key": None, "ssh_authority": ""}


def shared(record: Record) -> bytes:
    """The text that is published."""
    hardware = {key: value for key, value in record.hardware.items() if key != SERVICE}
    snapshots = tuple(each.replace(**BLANK_SNAPSHOT) for each in record.snapshots)
    return record.replace(**BLANK, hardware=hardware, snapshots=snapshots).to_json()


def adopted(name: str, text: bytes, service: str, authority: str) -> Record:
    """The record of an instance of another service, which is logged in to by certificates of this
    one's authority, a public key. Raises ValueError."""
    found = _read(name, text)
    login = {"ssh_key": NO_KEY, "ssh_authority": authority}
    own = {**login, "ssh_key_alone": NO_KEY, "ready": True}
    snapshots = tuple(each.replace(mounts=(), **login) for each in found.snapshots)
    hardware = {**found.hardware, SERVICE: service}
    return found.replace(**{**BLANK, **own}, hardware=hardware, snapshots=snapshots)


def changed(record: Record, text: bytes) -> Record:
    """The present record with what another service has changed: of an instance of this one no more
    than commands there change. Raises ValueError."""
    found = _read(record.name, text)
    if found.mac != record.mac:
        raise ValueError("it is of another instance")
    fields = CHANGED_BY_OTHERS if not record.service else (*CHANGED_BY_OTHERS, *CHANGED_BY_MAKER)
    new = {field: getattr(found, field) for field in fields}
    return record.replace(**new, snapshots=_snapshots(record, found))


def is_older(record: Record, text: bytes) -> bool:
    """Is it from before a snapshot that is known here? Incus brings it back with the snapshot; the
    service that has restored that publishes what is true then."""
    try:
        return _read(record.name, text).snapshots_taken < record.snapshots_taken
    except ValueError:
        return False


def _snapshots(record: Record, found: Record) -> tuple[Snapshot, ...]:
    """Those of `found`; what is a service's own of them as it is here. One that was taken there is
    logged in to as the instance is."""
    known = {each.tag: each for each in record.snapshots}
    login = {"ssh_key": record.ssh_key, "ssh_authority": record.ssh_authority}
    return tuple(
        each.replace(**{field: getattr(known[each.tag], field) for field in BLANK_SNAPSHOT})
        if each.tag in known
        else each.replace(mounts=(), **login)
        for each in found.snapshots
    )


def line(authority: SshAuthority, record: Record) -> str:
    """For the guest's authorized_keys. The service that made it replaces lines with its own
    comment. Raises StorageFailed."""
    return authority.line(record).removesuffix(COMMENT) + SHARED_COMMENT


def _read(name: str, text: bytes) -> Record:
    if len(text) > MAX_TEXT:
        raise ValueError(f"it has over {MAX_TEXT} bytes")
    found = record_of(text)
    if found.name != name:
        raise ValueError("it is of another name")
    if not USER.fullmatch(found.ssh_user):
        raise ValueError("its user's name is none")
    if found.cpus > MOST_CPUS or max(found.memory, found.disk) > MOST_BYTES:
        raise ValueError("it is larger than any host")
    return found
