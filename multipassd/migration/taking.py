"""One instance taken over, in stages of which each is durable before the next begins.

All but the disk is made in a directory whose name no instance has, so the daemon passes over it. A
copied disk comes first there, a moved one last: so the instance is whole in the vault or in that
directory at any time. Then the directory gets the instance's name, and last the record is put into
the daemon's, which notices it. A run that was broken off is gone on with by the next.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from multipassd.cloudinit import seed as seed_disk
from multipassd.cloudinit.ssh_keys import KEY_FILE, KEY_MODE
from multipassd.disk_helper import client
from multipassd.drivers import machine_files
from multipassd.drivers.interface import Driver, Machine
from multipassd.instances.records.instance_directory import (
    COPY,
    FILE_MODE,
    MAX_FILE,
    MODE,
    InstanceDirectory,
)
from multipassd.instances.records.record import Mount, Record, record_of, text_of
from multipassd.instances.records.registry import Registry
from multipassd.migration import conversion, held, inside, mounts, vault
from multipassd.migration.conversion import Disk
from multipassd.migration.error import CannotTake
from multipassd.migration.formats import SUSPENDED, OldMount
from multipassd.migration.vault import Entry
from multipassd.network import interfaces
from multipassd.system import file_copy
from multipassd.system.files import (
    make_directory,
    read_regular,
    sync_directory,
    write_atomically,
)
from protocol import names

ORIGIN = "migrating"  # in the directory until the record is there: where it comes from
MAX_ORIGIN = 4096
MAX_NAME = 63  # as of a launch
SUSPEND_TAG = "suspend"
INSTANCE_ID = re.compile(rb"^instance-id:[ \t]*[\"']?([!-~]{1,128}?)[\"']?[ \t]*$", re.MULTILINE)


@dataclass(frozen=True)
class Wish:
    """What is asked for with each instance."""

    move: bool = False
    drop_suspended: bool = False


class Taking:
    """Takes instances over into the service whose files these are."""

    def __init__(
        self, data: Path, machines: Path, driver: Driver, tell: Callable[[str], None],
        progress: file_copy.Progress,
    ) -> None:  # fmt: skip
        """`tell` is called with sentences about what does not come along."""
        self._data = data
        self._machines = machines
        self._driver = driver
        self._tell = tell
        self._progress = progress
        self.registry = Registry(data / "instances", machines)
        self.registry.read()

    def stage(self, name: str) -> None:
        """Called before each stage, for tests."""

    def here(self, entry: Entry) -> str:
        """The name that it has here already, known by its MAC address; empty if it is not here."""
        mac = entry.instance.mac_addr
        return next((each.name for each in self.registry.all() if mac and each.mac == mac), "")

    async def take(self, entry: Entry, name: str, wish: Wish) -> None:
        """It is here, stopped, when this returns. Raises CannotTake, DriverError, OSError,
        StorageFailed; then nothing has changed, or the next run goes on."""
        if self._finish(name, entry):
            return
        self._check(entry, name, wish)
        place = self._place(name)
        self._make(place, entry)
        try:
            if SUSPEND_TAG in (await self._fill(place, entry, name, wish)).states:
                self.stage("drop")  # now that its disk is not locked any more
                await self._driver.drop_snapshot(_machine(name, place), SUSPEND_TAG)
        except BaseException:
            if self._give_back(place, entry):
                shutil.rmtree(place, ignore_errors=True)
            raise
        self.stage("rename")
        try:
            os.rename(place, self._machines / name)
        except OSError:
            raise CannotTake(
                f"{self._machines / name} came in the way; a next run goes on"
            ) from None
        sync_directory(self._machines)
        self.stage("record")
        assert self._finish(name, entry)

    # -- stages -----------------------------------------------------------------------------------

    def _place(self, name: str) -> Path:
        return self._machines / f".{name}.migrating"

    def _check(self, entry: Entry, name: str, wish: Wish) -> None:
        if entry.wrong:
            raise CannotTake(entry.wrong)
        if not names.valid(name) or len(name) > MAX_NAME:
            raise CannotTake(
                f"{name!r} is no name for an instance: --name {entry.name}=NEW gives one"
            )
        if entry.instance.state == SUSPENDED and not wish.drop_suspended:
            raise CannotTake(_is_suspended(entry))
        if self.registry.has_traces_of(name):
            raise CannotTake(
                f"an instance has the name {name} here: --name {entry.name}=NEW gives another"
            )
        cards = {entry.instance.mac_addr, *(n.mac_address for n in entry.instance.extra_interfaces)}
        if taken := (cards - {""}) & self.registry.mac_addresses():
            raise CannotTake(f"the MAC address {min(taken)} belongs to an instance that is here")
        held.check_daemon(entry.data)

    def _make(self, place: Path, entry: Entry) -> None:
        origin = json.dumps({"from": str(entry.directory)}).encode()
        make_directory(self._machines)
        with suppress(FileExistsError):
            place.mkdir(MODE)
        with suppress(FileNotFoundError):
            if read_regular(place / ORIGIN, MAX_ORIGIN) != origin:
                raise CannotTake(f"{place} is of another take-over: go on with that, or remove it")
        write_atomically(place / ORIGIN, origin, FILE_MODE)
        sync_directory(self._machines)

    async def _fill(self, place: Path, entry: Entry, name: str, wish: Wish) -> Disk:
        target = place / machine_files.DISK
        if not _exists(entry.disk) and _exists(target):  # a run that was broken off has moved it
            facts = inside.look_at(target)
            await self._complete(place, entry, name, facts, wish)
            return facts
        try:
            with vault.opened(entry.disk) as disk:
                held.hold(disk, entry.disk)
                if wish.move and self._on_one_file_system(disk, place):
                    facts = inside.look(disk, entry.disk)
                else:
                    inside.check_start(disk, entry.disk)
                    self.stage("copy")
                    file_copy.copy(disk, target, self._progress)
                    facts = inside.look_at(target)
                await self._complete(place, entry, name, facts, wish)
                return facts
        except FileNotFoundError as error:
            raise CannotTake(f"{error.filename or entry.disk} is missing") from None

    def _on_one_file_system(self, disk: int, place: Path) -> bool:
        if os.fstat(disk).st_dev == os.stat(place).st_dev:
            return True
        self._tell("its disk is copied, as it is on another file system than the service's")
        return False

    async def _complete(self, place: Path, entry: Entry, name: str, disk: Disk, wish: Wish) -> None:
        """All but the disk, and at last the disk where it is moved."""
        if SUSPEND_TAG in disk.states and not wish.drop_suspended:
            raise CannotTake(_is_suspended(entry))
        self.stage("files")
        record = await self._files(place, entry, name, disk)
        write_atomically(place / COPY, text_of(record), FILE_MODE)
        self.stage("disk")
        target = place / machine_files.DISK
        if not _exists(target) and not file_copy.move(entry.disk, target):
            raise CannotTake(
                f"{entry.disk} can't be moved to another file system: leave out --move"
            )
        sync_directory(entry.directory)
        sync_directory(place)
        _lend(target)

    async def _files(self, place: Path, entry: Entry, name: str, disk: Disk) -> Record:
        seed = place / machine_files.SEED
        write_atomically(seed, vault.seed(entry), seed_disk.MODE)
        for made in set(os.listdir(place)) - {ORIGIN, machine_files.DISK, machine_files.SEED}:
            os.unlink(place / made)  # by a run that was broken off
        kept = conversion.kept_snapshots(entry, disk)
        for lost in set(entry.snapshots) - set(kept):
            self._tell(f"its disk lacks the content of the snapshot {lost.name}, which is left out")
        hardware = await self._driver.adopt(
            _machine(name, place),
            bios=conversion.boots_by_bios(entry),
            states=[conversion.tag(each) for each in kept],
        )
        networks = {each.name for each in interfaces.read()}
        for network in sorted({each.id for each in entry.instance.extra_interfaces} - networks):
            self._tell(
                f"its card on {network} is left out, as this host has no such network; "
                "`multipass set local.NAME.bridged=true` connects it to another"
            )
        record = conversion.record(
            entry, name, disk, dict(hardware), _instance_id(seed), self._key(entry),
            partial(self._keep, entry.instance.ssh_username), self.registry.mac_addresses(),
            networks,
        )  # fmt: skip
        if len(text_of(record)) > MAX_FILE:  # it could not be read again
            raise CannotTake("it has more snapshots than a record holds: delete some with 1.16")
        return record

    def _key(self, entry: Entry) -> str:
        """The name of its file here; all instances of one vault share it."""
        private = vault.Vault(entry.data).key()
        name = hashlib.sha256(private).hexdigest()[:32]
        path = (self._data / KEY_FILE).with_name(name)
        if not path.exists():
            make_directory(path.parent, 0o700)
            write_atomically(path, private, KEY_MODE)
        return name

    def _keep(self, login: str, old: OldMount) -> Mount | None:
        try:
            return mounts.convert(old, login)
        except mounts.LeftOut as why:
            self._tell(f"the mount of {old.source_path} is left out: {why}")
            return None

    def _give_back(self, place: Path, entry: Entry) -> bool:
        """A disk that was moved goes back; is it in the vault?"""
        disk = place / machine_files.DISK
        if entry.wrong or entry.disk.exists() or not disk.exists():
            return True
        try:
            return file_copy.move(disk, entry.disk)
        except OSError:
            return False

    def _finish(self, name: str, entry: Entry) -> bool:
        """Put the record of a whole directory there; was there one? Raises CannotTake,
        StorageFailed."""
        place = self._machines / name
        try:
            origin = json.loads(read_regular(place / ORIGIN, MAX_ORIGIN))["from"]
        except (OSError, ValueError, KeyError, TypeError):
            return False
        if origin != str(entry.directory):
            return False
        if name not in self.registry.names():
            try:
                record = record_of(InstanceDirectory(place).copy())
            except ValueError as error:
                raise CannotTake(f"{place / COPY} can't be used: {error}") from None
            self.registry.put(record)
        (place / ORIGIN).unlink()
        return True


def _exists(path: Path) -> bool:
    return os.path.lexists(path)


def _machine(name: str, place: Path) -> Machine:
    return Machine(name, place, 1, 1, {}, ())


def _lend(path: Path) -> None:
    """To the hypervisor's user, whom the directory lets in."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            os.fchown(descriptor, os.geteuid(), -1)
        client.lend(descriptor)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _instance_id(path: Path) -> str:
    """cloud-init's, as the seed tells. Raises CannotTake."""
    try:
        found = INSTANCE_ID.search(seed_disk.read(path).get("meta-data", b""))
    except (OSError, ValueError, LookupError, TypeError, struct.error) as error:
        raise CannotTake(f"its seed {path} is no disk that cloud-init reads: {error}") from None
    if found is None:
        raise CannotTake(f"its seed {path} has no instance-id")
    return found[1].decode()


def _is_suspended(entry: Entry) -> str:
    return (
        f"it is suspended, and its state can be loaded by the QEMU alone that saved it. Start and "
        f"stop it with Multipass 1.16, or give its state up: `take --drop-suspended {entry.name}`"
    )
