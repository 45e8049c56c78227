"""The interface of a driver. The rest of the daemon knows instances' machines only by this."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from multipassd.cloudinit.clone_seed import CloneSeed
from multipassd.cloudinit.seed import Interface, Seed
from multipassd.drivers.guest_network import GuestNetwork
from multipassd.drivers.shared_machines import SharedMachines
from multipassd.images.image import Base, Kind
from protocol.errors import RpcError
from protocol.status import Status

# Features, as `NotOnBackend` names them.
TARGET, MOVE, SUSPEND = "launch --target", "move", "suspend"
EXPORT, IMPORT, RENAME, NATIVE_MOUNTS = "export", "import", "rename", "native mounts"


class DriverError(RpcError):
    """The driver failed; the message says what happened, why, and what to do."""

    status = Status.INTERNAL


class NotOnBackend(RpcError):
    """The driver lacks what a command needs. The sentence is Multipass 1.16's."""

    status = Status.UNIMPLEMENTED

    def __init__(self, feature: str) -> None:
        super().__init__(f"The {feature} feature is not implemented on this backend.")


class SnapshotMissing(DriverError):
    """The disk has no snapshot of this tag."""


@dataclass(frozen=True)
class Link:
    """One network card as the host sees it: a tap device, or user networking with a port that is
    forwarded to the guest's SSH, or a card on one of the driver's own networks, by its name; empty:
    the usual one (at most one of the three is set)."""

    mac: str
    tap: str = ""
    ssh_port: int = 0
    network: str = ""


@dataclass(frozen=True)
class Share:
    """A directory of the host that a virtiofs server offers to the machine."""

    tag: str  # what the guest mounts
    socket: Path  # where the server waits for the machine


# What a guest must find again at each start, e.g. its CPU model: chosen by the driver, at launch,
# and kept in the instance's record. The keys are the driver's own.
Hardware = Mapping[str, str]


@dataclass(frozen=True)
class Machine:
    """All that a start needs. What else is in `directory` is the driver's own."""

    name: str
    directory: Path
    cpus: int
    memory: int  # bytes
    hardware: Hardware
    links: tuple[Link, ...]
    image: str = ""  # id of the kept image that its disk stands on; empty: on none
    shares: tuple[Share, ...] = ()
    target: str = ""  # the host that it is to be made on; empty: the driver's choice


class Guest(Protocol):
    """A machine that runs. `goes_on` is called each time that it goes on after it stood still, and
    is to be set before anything is awaited; `stood_still` tells that it did so before that.
    `reboots` is called when the guest has reset its machine, and boots."""

    stood_still: bool
    goes_on: Callable[[], None]
    reboots: Callable[[], None]

    @property
    def stalled(self) -> str:
        """Why it stands still for now; empty as long as it does not."""

    async def power_down(self) -> None:
        """Press the power button; the guest may take its time or ignore it. Raises DriverError
        where it certainly does not notice."""

    async def kill(self) -> None:
        """Off at once; what does not listen is left to the driver's `clear`. Raises DriverError
        where it certainly runs on."""

    async def suspend(self) -> None:
        """Save its state beside the disk and end it. Raises DriverError; then it runs on."""

    async def ended(self) -> str:
        """Wait until it ends, for any cause; the reason, empty after an orderly end."""

    async def console(self) -> str:
        """The end of what it printed, as much as is kept. Never fails."""

    def close(self) -> None:
        """Let go of it; it runs on."""


class Driver(Protocol):
    """One hypervisor, as far as the daemon uses it."""

    max_cpus: int  # of one machine
    user: str  # the user that its machines run as, who is to open their tap devices
    opens_service_taps: bool  # do its machines get at the taps of the network service?
    offers_shares: bool  # can a machine have `Machine.shares`?
    keeps_snapshots: bool  # can a disk keep earlier states beside the present one?
    clones: bool
    exports: bool  # can a disk be read and written as a file of this host?
    renames: bool  # can a stopped machine get another name, by its directory's alone?
    places: bool  # can machines be on several hosts, which have names?
    outlives_host: bool  # do machines run on while this host is booted?

    @property
    def image_kind(self) -> Kind:
        """Of which kind the image of a new machine is to be: `images.image.DISK` or `ROOTFS`."""

    @property
    def network(self) -> GuestNetwork | None:
        """The networks that it connects guests to; None where the host's are used."""

    @property
    def sharing(self) -> SharedMachines | None:
        """Of machines with other services; None where there are none."""

    def suspends(self, hardware: Hardware) -> bool:
        """Can a machine with this hardware be suspended?"""

    def open(self, changed: Callable[[str], None], unused: Callable[[str], None]) -> None:
        """Follow its machines from now on; nothing to do where it does already. `changed` is
        called with the name of a machine that another program has started or removed; `unused`
        with that of one which was made and never started."""

    def close(self) -> None:
        """The daemon goes; the machines stay."""

    async def ready(self) -> None:
        """Raises DriverError where no machine could be made or run: to know it before an image is
        fetched for one."""

    async def prepare(self, base: Base, report: Callable[[int], None]) -> None:
        """Bring an image to where machines are made of it. `report` gets percents, or
        `images.image.UNKNOWN` where another launch does the same; nothing where it is there
        already. Raises DriverError."""

    async def prune_images(self, kept: Collection[str]) -> None:
        """Remove what `prepare` has brought there a long time ago and no machine was made of since.
        `kept`: the ids of images that stay in any case. Never fails."""

    async def choose(self, base: Base) -> Hardware:
        """Hardware for a new machine from this image. Raises DriverError where nothing can run."""

    async def adopt(self, machine: Machine, *, bios: bool, states: Sequence[str]) -> Hardware:
        """Make what is missing beside a whole disk that another service has made. `states`: the
        snapshots in it that can be returned to. Returns what is known of its hardware. Raises
        DriverError."""

    async def complete(self, hardware: Hardware) -> Hardware:
        """With what it lacks of a machine that another service has made. Raises DriverError."""

    async def create(
        self, machine: Machine, base: Base, size: int, variables: Path | None = None
    ) -> None:
        """The disk, `size` bytes, on top of the image, which stays as it is and where it is.
        `variables`: a file with the firmware's, of a machine that was exported."""

    def flat_files(self, machine: Machine) -> Mapping[str, Path]:
        """The files that an export of a machine is made of, by their names in it."""

    async def flatten(self, machine: Machine, path: Path, target: int) -> None:
        """Write one of these, whole, compressed and without its snapshots, to an open file. Raises
        DriverError, OSError."""

    async def write_seed(self, machine: Machine, seed: Seed) -> None:
        """What cloud-init reads at the first boot. Raises OSError, DriverError."""

    async def add_interfaces(self, machine: Machine, interfaces: tuple[Interface, ...]) -> None:
        """Tell cloud-init of a machine that has booted before that these are all its network
        interfaces from the next boot on. Raises OSError, DriverError."""

    async def set_instance_id(self, machine: Machine, instance_id: str) -> None:
        """Tell cloud-init which instance the machine is. Raises OSError."""

    async def grow(self, machine: Machine, size: int) -> None:
        """Make the disk of a stopped machine larger."""

    async def take_snapshot(self, machine: Machine, tag: str) -> None:
        """Keep the present state of a stopped machine's disk. Durable when this returns. Raises
        DriverError; then `drop_snapshot` and `repair` remove what was made."""

    async def restore_snapshot(self, machine: Machine, tag: str) -> None:
        """Return a stopped machine's disk to this state, its size too; the present one is lost.
        May be repeated after it was broken off. Raises SnapshotMissing, and then nothing has
        changed; DriverError."""

    async def drop_snapshot(self, machine: Machine, tag: str) -> None:
        """Remove a kept state; nothing to do if there is none. Raises DriverError."""

    async def repair(self, machine: Machine) -> None:
        """Free what a change of its snapshots that was broken off has left over in the disk's
        files. Never fails: it is space only."""

    async def snapshot_size(self, machine: Machine, tag: str) -> int:
        """Bytes that a copy of this state would take beside its image; what it shares with other
        states counts for each. Raises SnapshotMissing, DriverError."""

    async def clone(
        self,
        source: Machine,
        machine: Machine,
        tags: Sequence[str],
        progress: Callable[[int], None],
    ) -> None:
        """Make the files of a new machine as those of a stopped one, whose present state it gets
        without the kept states, by `tags`. `progress` is told percents, from another thread; what
        it raises ends the copy. Raises DriverError, OSError; then what was made is left there."""

    async def write_clone_seed(self, source: Machine, machine: Machine, seed: CloneSeed) -> bool:
        """What cloud-init reads at the clone's first boot. Returns whether its login user will let
        certificates in. Raises OSError, UserDataError."""

    async def start(self, machine: Machine) -> Guest:
        """Start it, from its suspended state if there is one. Raises DriverError."""

    async def find(self, machine: Machine) -> Guest | None:
        """The guest, if it runs: started by an earlier daemon, or not at all. A transition that
        the earlier daemon could not complete is completed or undone.

        Raises DriverError if it runs, but can't be reached."""

    async def suspended(self, machine: Machine) -> bool:
        """Is there a suspended state that `start` would resume?"""

    async def forget_suspended(self, machine: Machine) -> None:
        """The next start is a boot."""

    async def clear(self, name: str) -> None:
        """End what may still run under this name and remove its runtime files. Never fails."""

    def names(self) -> list[str]:
        """Under which machines may run, of this service's instances and others."""

    async def check_removal(self, name: str) -> None:
        """Raises DriverError where `remove` could not work now."""

    async def remove(self, name: str) -> None:
        """Remove what it keeps of a machine that does not run outside of its directory; nothing to
        do where there is nothing. Raises DriverError; then it is to be called again."""

    async def remove_unused(self, name: str) -> None:
        """The same for what a launch of this service has made that was broken off, and no more:
        what has run or is another service's is left alone."""

    def fate(self, name: str) -> str:
        """Why a machine does not run that no command has ended, a clause; empty if not known."""

    # -- where machines are -----------------------------------------------------------------------

    def place(self, name: str) -> str:
        """The host that a machine is on; empty where that is not known, or there is only one."""

    def way(self, name: str) -> str:
        """How clients reach a machine, a clause; empty where nothing is to be said."""

    async def check_place(self, host: str) -> None:
        """Raises DriverError where no machine can be made on a host of this name."""

    async def move(self, machine: Machine, host: str) -> None:
        """Bring a stopped machine to another host. Raises DriverError; then it is where it was."""

    def trouble(self, name: str) -> str:
        """Why a machine's host is not reachable now, a clause; from memory."""

    def troubles(self) -> list[str]:
        """What is not reachable now, sentences; from memory."""

    async def stranger(self, name: str) -> str:
        """Of a machine that runs under a name that is no instance's: what it is, and what to do
        about it; empty if none runs. It is left alone, as it may belong to another service."""
