"""The native mounts of an instance: directories that its machine has as virtiofs devices.

Each has a server, virtiofsd in a process that outlives this daemon as the machine does, and that
ends with it (`multipassd/mounts/native_server.py`). A device is there from the machine's start on.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from multipassd.drivers.interface import (
    NATIVE_MOUNTS,
    DriverError,
    Machine,
    NotOnBackend,
    Share,
)
from multipassd.instances.attachments.attachment import Attachment, Execute, Fields, Warn
from multipassd.instances.records.phase import Phase
from multipassd.instances.records.record import LOGIN_USER, IdPair, Mount, MountKind
from multipassd.instances.records.stored_record import StoredRecord
from multipassd.instances.states import transitions
from multipassd.instances.states.errors import GuestSilent, NotRunning, WrongState
from multipassd.instances.states.transitions import Command
from multipassd.mounts import native_commands, order, virtiofsd
from multipassd.mounts.client import MountFailed, MountServers, SourceRefused
from multipassd.mounts.guest_commands import shown
from multipassd.mounts.native_commands import NotMounted
from multipassd.mounts.order import Order, Pairs
from multipassd.system import log
from protocol.errors import RpcError, StorageFailed

SECONDS = 60.0  # for a log-in to an emulated guest
# The id that cloud-init gives the login user in images of Ubuntu and Debian: virtiofsd is started
# before the guest could be asked.
FIRST_USER = 1000
SOCKET_MODE = 0o660  # for the hypervisor's group
PREFIX = "share-"  # of the sockets in the machine's directory
RETRY_INTERVAL = 15.0  # between attempts to mount in a guest that is too busy to answer
ENDING = 3.0  # seconds in which a machine's end is noticed after that of its servers
UNUSED = "unused"  # what an order says of the log-in, which this kind does without
SEVERAL = "Only one mapping per native mount allowed."

_log = log.get("mounts")


class NativeMounts(Attachment):
    """The mounts of kind NATIVE in the record of one instance. The record is changed by the
    caller, except that a mount whose source is refused at a start is dropped from it."""

    def __init__(
        self,
        record: StoredRecord,
        servers: MountServers | None,
        enabled: Callable[[], bool],
        *,
        able: bool,
    ) -> None:
        """`able`: can the driver do it?"""
        self.able = able
        self._record = record
        self._servers = servers
        self._enabled = enabled
        self._resumes = False
        self._shares: tuple[Share, ...] = ()  # of the start that is under way
        self._warnings: list[str] = []
        self._execute: Execute | None = None
        self._watchers: dict[str, asyncio.Task[None]] = {}  # by target

    def refusal(self, mount: Mount) -> str:
        """Why it can't be a mount of the instance, a clause; empty if it can."""
        if len(mount.uids) > 1 or len(mount.gids) > 1:
            return SEVERAL
        return virtiofsd.missing() if self.able else NotOnBackend(NATIVE_MOUNTS).message

    def check(self, command: Command) -> None:
        if command is transitions.SUSPEND and self._sockets():
            name = self._record.name
            raise WrongState(
                f"Cannot suspend instance {name}: it runs with native mounts, whose state can't be "
                f"kept. Stop it, or unmount them and restart it (`multipass umount {name}`), or "
                "use mounts of type classic."
            )

    async def release(self, mount: Mount) -> None:
        """Unmount it in the guest, before `stop`; nothing to do in one that does not answer. Raises
        MountFailed, whose message is the guest's reason, where a process there uses it: its I/O
        would hang without the server."""
        if self._execute is None:
            return
        with suppress(GuestSilent, NotRunning, DriverError):
            said = await self._execute(native_commands.release(self._tag(mount)), SECONDS)
            if why := shown(said):
                raise MountFailed(why)

    async def stop(self, mount: Mount) -> None:
        """Unmount it and end its server; nothing to do where it is not mounted. Never fails. The
        device is there without use until the machine ends."""
        if watcher := self._watchers.pop(mount.target, None):
            watcher.cancel()
        if self._servers is None:
            return
        if self._execute is not None:
            await self._unmount(mount, self._execute)
        await self._servers.stop(self._record.name, mount.target)

    # -- the life of the instance -----------------------------------------------------------------

    def fields_at_start(self) -> Fields:
        # A suspended machine goes on with the devices that it had.
        self._resumes = self._record.record.phase is Phase.SUSPENDED
        return {}

    async def before_start(self) -> None:
        self._shares, self._warnings = (), []
        if self._servers is None or not self._enabled() or self._resumes:
            return
        for mount in self._mounts():
            try:
                self._shares += (await self._serve(mount, self._servers),)
            except SourceRefused as error:
                self._drop(mount, error)
            except MountFailed as error:
                self._warn(f'"{mount.target}" is not mounted', error.message)

    def equip(self, machine: Machine) -> Machine:
        return replace(machine, shares=self._shares)

    async def after_answer(self, execute: Execute, warn: Warn) -> None:
        self._execute = execute
        for mount in self._mounts():
            if self._servers and await self._servers.serving(self._record.name, mount.target):
                self._watch(mount, self._servers, mounted=await self._mounted(mount, execute))
        for text in self._warnings:
            warn(text)
        self._warnings = []

    async def after_end(self) -> None:
        self._execute, self._shares = None, ()
        self.close()
        for path in self._sockets():
            with suppress(OSError):
                path.unlink()

    def close(self) -> None:
        for watcher in self._watchers.values():
            watcher.cancel()
        self._watchers.clear()

    def _mounts(self) -> list[Mount]:
        return [each for each in self._record.record.mounts if each.kind is MountKind.NATIVE]

    def _sockets(self) -> list[Path]:
        """Of the devices that the machine has, also of one that an earlier daemon started."""
        return list(self._record.directory.glob(f"{PREFIX}*"))

    # -- serving ----------------------------------------------------------------------------------

    async def _serve(self, mount: Mount, servers: MountServers) -> Share:
        """Raises MountFailed, SourceRefused."""
        if why := self.refusal(mount):
            raise MountFailed(why)
        wanted = self._order(mount, servers.storage)
        path = self._record.directory / f"{PREFIX}{wanted.tag.rpartition('-')[2]}"
        try:
            with socket.socket(socket.AF_UNIX) as listening:
                with suppress(FileNotFoundError):
                    path.unlink()
                listening.bind(str(path))
                os.chmod(path, SOCKET_MODE)
                listening.listen(1)
                await servers.start_native(wanted, listening.fileno())
        except (OSError, MountFailed) as error:
            with suppress(OSError):
                path.unlink()
            if isinstance(error, MountFailed):
                raise
            raise MountFailed(f"its socket {path} can't be made: {error}") from None
        return Share(wanted.tag, path)

    def _order(self, mount: Mount, storage: str) -> Order:
        return Order(
            storage=storage,
            instance=self._record.name,
            target=mount.target,
            path=mount.target,
            source=mount.source,
            uid=mount.uid,
            gid=mount.gid,
            uids=_pairs(mount.uids),
            gids=_pairs(mount.gids),
            host=UNUSED,
            port=1,
            host_key=UNUSED,
            user=UNUSED,
            native=True,
        )

    def _tag(self, mount: Mount) -> str:
        assert self._servers is not None
        return order.tag(self._servers.storage, self._record.name, mount.target)

    def _drop(self, mount: Mount, error: SourceRefused) -> None:
        text = f"Removing mount \"{mount.target}\" from '{self._record.name}': {error.message}"
        self._warnings.append(text)
        _log.warning("%s", text)
        rest = tuple(each for each in self._record.record.mounts if each != mount)
        with suppress(StorageFailed):  # the next start finds it again
            self._record.change(mounts=rest)

    def _warn(self, what: str, why: str) -> None:
        text = f"{what} in '{self._record.name}': {why}"
        self._warnings.append(text)
        _log.warning("%s", text)

    # -- in the guest -----------------------------------------------------------------------------

    async def _mounted(self, mount: Mount, execute: Execute) -> bool:
        """Whether it is, or never will be. Never fails: clients that start it are warned."""
        try:
            await self._mount(mount, execute)
        except (NotMounted, GuestSilent, RpcError) as error:
            self._warn(f'"{mount.target}" is not mounted', str(error))
            return isinstance(error, NotMounted)
        return True

    async def _mount(self, mount: Mount, execute: Execute) -> None:
        """Nothing to do where it is mounted. Raises NotMounted, GuestSilent, RpcError."""
        tag = self._tag(mount)
        path = native_commands.placed(
            await execute(native_commands.place(tag, mount.target), SECONDS)
        )
        native_commands.check(await execute(native_commands.mount(tag, path), SECONDS))

    async def _unmount(self, mount: Mount, execute: Execute, *, dead: bool = False) -> None:
        """Never fails."""
        try:
            said = await execute(native_commands.unmount(self._tag(mount), dead=dead), SECONDS)
        except (GuestSilent, RpcError) as error:
            said = str(error)
        if said.strip():
            _log.warning('%s: "%s" is cut off: %s', self._record.name, mount.target, said.strip())

    def _watch(self, mount: Mount, servers: MountServers, *, mounted: bool) -> None:
        if watcher := self._watchers.pop(mount.target, None):
            watcher.cancel()
        work = self._watching(mount, servers, mounted)
        self._watchers[mount.target] = asyncio.get_running_loop().create_task(work)

    async def _watching(self, mount: Mount, servers: MountServers, mounted: bool) -> None:
        while not mounted:  # the guest was too busy to answer
            await asyncio.sleep(RETRY_INTERVAL)
            if self._execute is None:
                return
            with suppress(GuestSilent, RpcError, NotMounted):
                await self._mount(mount, self._execute)
                mounted = True
        await servers.ended(self._record.name, mount.target)
        await asyncio.sleep(ENDING)
        if self._execute is not None:  # else its machine ended
            await self._cut_off(mount, self._execute)

    async def _cut_off(self, mount: Mount, execute: Execute) -> None:
        """QEMU can't connect to a second server, and what the guest has asked the dead one for is
        never answered; but what asks from now on is not to hang, too."""
        _log.warning(
            "%s: the server of the native mount \"%s\" ended, so it is unmounted. What was reading "
            "or writing there hangs until the instance is restarted, which mounts it again",
            self._record.name, mount.target,
        )  # fmt: skip
        await self._unmount(mount, execute, dead=True)


def _pairs(pairs: tuple[IdPair, ...]) -> Pairs:
    found = ((each.host, each.guest) for each in pairs)
    return tuple((host, FIRST_USER if guest == LOGIN_USER else guest) for host, guest in found)
