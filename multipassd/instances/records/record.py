"""The record of an instance, i.e. what is known of it on disk: one file each, written whole."""

from __future__ import annotations

import time
from enum import Enum
from errno import ELOOP
from json import JSONDecodeError
from typing import Annotated, Literal

from multipassd.drivers.shared_machines import SERVICE
from multipassd.instances.records.phase import Phase
from multipassd.instances.records.record_text import FORMAT
from multipassd.models.checks import at_least
from multipassd.models.invalid import CUT_OFF
from multipassd.models.model import Model, made
from multipassd.network.interface import Cards, HostCard
from protocol import names

Name = Annotated[str, names.valid]
Positive = Annotated[int, at_least(1)]
Id = Annotated[int, at_least(0)]


class Network(Model, closed=True):
    """A card beside the first one, on a network of the host."""

    name: str
    mac: str
    configured: bool = True  # the guest sets it up by DHCP; False: left to its user


class ImageOrigin(Model, closed=True):
    """The image that an instance was launched from."""

    id: str  # names the kept base that the disk stands on; empty: the disk is whole
    sha256: str = ""  # of the image as it was published
    os: str = ""
    release: str = ""


LOGIN_USER = -1  # as an id in the guest: that of the user who is logged in as


class IdPair(Model, closed=True):
    """A user or group id of the host and the id that it has in the guest."""

    host: Id
    guest: Annotated[int, at_least(LOGIN_USER)]


class MountKind(Enum):
    """How a directory of the host gets into the guest."""

    CLASSIC = "classic"  # by the guest's sshfs
    NATIVE = "native"  # by virtiofs


class Mount(Model, closed=True):
    """A directory of the host in the guest, served with the rights of the user who mounted it."""

    source: str  # an absolute path
    target: str  # as it was given; a relative one is below the login user's home
    uids: tuple[IdPair, ...] = ()
    gids: tuple[IdPair, ...] = ()
    kind: MountKind = MountKind.CLASSIC
    uid: Id  # of that user on the host
    gid: Id


class Snapshot(Model, closed=True):
    """A state of an instance to return to. Its content is a snapshot inside the disk's file."""

    name: Name
    index: Positive  # never used twice for one instance
    tag: str  # the name of the snapshot inside the disk's file
    parent: int = 0  # index of the snapshot that it descends from; 0: of none
    comment: str = ""
    created: float  # seconds since 1970
    instance_id: str  # cloud-init's
    ssh_authority: str = ""  # as in the record: what the login user of this disk trusts
    cpus: Positive
    memory: Positive  # bytes
    disk: Positive  # bytes
    networks: tuple[Network, ...] = ()
    mounts: tuple[Mount, ...] = ()
    ssh_key: str | None = None  # as in the record then; None: as in the record now


class Change(Enum):
    """A change of an instance's snapshots on its disk."""

    TAKE = "take"
    DROP = "drop"
    RESTORE = "restore"


class Pending(Model, closed=True):
    """A change of the disk that was begun and may not be complete."""

    change: Change
    tag: str  # of the snapshot
    mounts: tuple[Mount, ...] = ()  # which a restore brings back


class Record(Model, closed=True):
    """Replaced, never changed in place: `record.replace(…)`."""

    format: Literal[1] = FORMAT
    name: Name
    instance_id: str  # cloud-init's; never changes
    image: ImageOrigin
    hardware: dict[str, str]  # the driver's own, see `drivers.interface.Hardware`
    cpus: Positive
    memory: Positive  # bytes
    disk: Positive  # bytes
    mac: str
    networks: tuple[Network, ...] = ()
    mounts: tuple[Mount, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()  # in the order in which they were taken
    renamed_from: str = ""  # its former name, until nothing on disk has that any more
    snapshot_head: int = 0  # index of the snapshot that the disk descends from; 0: of none
    snapshots_taken: int = 0  # ever, also those that were deleted
    pending: Pending | None = None  # written before the disk is changed, and cleared after
    clones: int = 0  # made of it ever
    owner: str = ""  # the name of the client that made it; empty: for admins and viewers only
    ssh_port: int = 0  # of user networking; 0 on a bridge
    host_key: str  # what a client pins: "ssh-ed25519 AAAA…"; empty: learned at the first log-in
    ssh_user: str = ""  # who is logged in as; empty: the one that cloud-init makes
    # Name of the private key's file beside the service's first one; empty: that one; or NO_KEY.
    ssh_key: str = ""
    ssh_authority: str = ""  # public key of the authority whose certificates its login user lets
    # in by, "ssh-rsa AAAA…"; empty: none, so it is reached by the shared key alone
    # The same, when its guest was last seen to let in none of the service's other keys.
    ssh_key_alone: str = ""
    phase: Phase = Phase.STOPPED
    boot: str = ""  # of the host, when it was last started; one that ran is started in the next
    deleted: bool = False
    stop_at: float = 0.0  # a delayed stop is due then, seconds since 1970; 0: none
    ready: bool = False  # its first boot was seen to be complete
    created: float = made(default_factory=time.time)  # seconds since 1970
    ended_because: str = ""  # why it stopped last, if not as asked

    @property
    def service(self) -> str:
        """The id of another service that made it and shares it; empty for this one's."""
        return self.hardware.get(SERVICE, "")

    @property
    def cards(self) -> Cards:
        others = tuple(HostCard(each.name, each.mac) for each in self.networks)
        return Cards(self.name, self.mac, others, self.ssh_port)

    @property
    def ssh_keys(self) -> set[str]:
        """Also those that it is reached by once a snapshot is restored."""
        kept = {each.ssh_key for each in self.snapshots if each.ssh_key is not None}
        return {self.ssh_key, *kept}

    def reached_by(self, key: str) -> Record:
        """The same with another `ssh_key`. Its snapshots are still reached by the former one."""
        snapshots = tuple(
            each if each.ssh_key is not None else each.replace(ssh_key=self.ssh_key)
            for each in self.snapshots
        )
        return self.replace(ssh_key=key, snapshots=snapshots)

    @property
    def macs(self) -> set[str]:
        """Also those that it has again once a snapshot is restored."""
        kept = (each.mac for snapshot in self.snapshots for each in snapshot.networks)
        return {*self.cards.macs, *kept}


def record_of(text: bytes) -> Record:
    """Raises ValueError."""
    return Record.from_json(text)


def text_of(record: Record) -> bytes:
    return record.to_json(indent=1) + b"\n"


def reason_of(error: OSError | ValueError) -> str:
    """Why a record could not be read: a clause for a sentence."""
    if isinstance(error, JSONDecodeError | UnicodeDecodeError):
        return CUT_OFF
    if isinstance(error, OSError):
        return "it is a symbolic link" if error.errno == ELOOP else error.strerror or str(error)
    return str(error)
