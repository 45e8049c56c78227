"""The classic mounts of an instance: served while it runs, and kept through all that ends them.

Each has a server, a process that outlives this daemon (`multipassd/mounts/main.py`), and here a
task that waits for the server's end and mounts anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from multipassd.cloudinit.logins import Logins
from multipassd.cloudinit.ssh_keys import NO_KEY
from multipassd.cloudinit.userdata import USER
from multipassd.drivers.interface import DriverError
from multipassd.instances.attachments import mount_targets
from multipassd.instances.attachments.attachment import Attachment, Execute, Warn
from multipassd.instances.attachments.network_cards import NetworkCards
from multipassd.instances.records.record import LOGIN_USER, IdPair, Mount, MountKind
from multipassd.instances.records.stored_record import StoredRecord
from multipassd.instances.states.errors import GuestSilent, NotRunning
from multipassd.mounts import guest_commands, order
from multipassd.mounts.client import MountFailed, MountServers, SourceRefused
from multipassd.mounts.guest_commands import NoSshfs, Prepared, Unprepared
from multipassd.mounts.order import Order, Pairs
from multipassd.network.interface import NoAddressYet
from multipassd.system import log
from protocol.errors import RpcError, StorageFailed

PREPARE_SECONDS = 60.0  # a log-in to an emulated guest, and the end of a server before this one
INSTALL_SECONDS = 600.0  # for the guest's package manager, which may have to fetch lists first
UNMOUNT_SECONDS = 20.0
# Between attempts to mount anew; a guest that boots or is offline costs a log-in each.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 10.0
INSTALL_PAUSE = 600.0  # an attempt keeps the guest's package manager busy
TOLD = 2  # failures until it is logged: a guest that shuts down causes one
MOST_LINES = 6  # in the log, until a mount has lasted
LASTING = 60.0  # seconds that a mount held; one that did not is no reason to try faster again
INSTALLING = "Enabling support for mounting"

Announce = Callable[[str], None]

_log = log.get("mounts")


class NoSupport(MountFailed):
    """The guest lacks sshfs, and its package manager did not install it."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Error enabling mount support in '{name}'\n\n"
            "Please install the 'multipass-sshfs' snap manually inside the instance."
        )


class ClassicMounts(Attachment):
    """The mounts of kind CLASSIC in the record of one instance. The record is changed by the
    caller, except that a mount whose source is refused at a start is dropped from it."""

    def __init__(
        self,
        record: StoredRecord,
        cards: NetworkCards,
        servers: MountServers | None,
        logins: Logins | None = None,
    ) -> None:
        """`logins`: issues the certificate for a guest that lets no key in."""
        self._record = record
        self._cards = cards
        self._servers = servers
        self._logins = logins
        self._execute: Execute | None = None  # in the guest, once it answers
        self._keepers: dict[str, asyncio.Task[None]] = {}  # by target

    async def serve(self, mount: Mount, announce: Announce) -> None:
        """Mount it in the guest, which runs and answers; returns once it is mounted. From then on
        it is kept until `stop`. No part of its source may be a symbolic link. Raises MountFailed,
        whose message is the reason, and then nothing is mounted; NoSupport, whose message stands
        for itself. `announce` is told of what takes long."""
        await self._mount(mount, announce)
        self._keep(mount, mounted=True)

    async def release(self, mount: Mount) -> None:
        """Unmount it in the guest, before `stop`; nothing to do in one that does not answer. Raises
        MountFailed, whose message is the guest's reason, where a process there uses it."""
        if self._servers is None or self._execute is None:
            return
        served = await self._servers.serving(self._record.name, mount.target)
        if served is None:
            return
        command = guest_commands.release(served.tag, served.path)
        with suppress(GuestSilent, NotRunning, DriverError):
            if said := guest_commands.shown(await self._execute(command, UNMOUNT_SECONDS)):
                raise MountFailed(said)

    async def stop(self, mount: Mount) -> None:
        """Unmount it and end its server; nothing to do where it is not mounted. Never fails: what
        the guest keeps of it ends with its server."""
        if keeper := self._keepers.pop(mount.target, None):
            keeper.cancel()
            await asyncio.wait({keeper})
        if self._servers is None:
            return
        served = await self._servers.serving(self._record.name, mount.target)
        if served is not None and self._execute is not None:
            await self._unmount(served, self._execute)
        await self._servers.stop(self._record.name, mount.target)

    # -- the life of the instance -----------------------------------------------------------------

    async def before_start(self) -> None:
        """A server of its last run may not have noticed yet that the guest is gone."""
        await self._end_servers(set())

    def note_answer(self, execute: Execute) -> None:
        """The guest answers, and mounts may be asked for; those of the record are left alone."""
        self._execute = execute

    async def after_answer(self, execute: Execute, warn: Warn) -> None:
        self.note_answer(execute)
        await self._end_servers({mount.target for mount in self._record.record.mounts})
        for layer in mount_targets.layers(self._mounts()):
            await asyncio.gather(*(self._take_up(mount, warn) for mount in layer))

    async def before_suspend(self, execute: Execute) -> None:
        await asyncio.gather(*(self.stop(mount) for mount in self._mounts()))

    async def after_pause(self, execute: Execute) -> None:
        if self._execute is not None:  # else `after_answer` follows
            await self.after_answer(execute, lambda text: None)

    async def after_end(self) -> None:
        self._execute = None
        self.close()
        await self._end_servers(set())

    async def on_purge(self) -> None:
        await self.after_end()

    def close(self) -> None:
        for keeper in self._keepers.values():
            keeper.cancel()
        self._keepers.clear()

    def _mounts(self) -> list[Mount]:
        return [each for each in self._record.record.mounts if each.kind is MountKind.CLASSIC]

    async def _end_servers(self, kept: set[str]) -> None:
        """Of this instance, on other targets than these."""
        if self._servers is not None:
            await self._servers.stop_others(self._record.name, kept)

    # -- keeping ----------------------------------------------------------------------------------

    async def _take_up(self, mount: Mount, warn: Warn) -> None:
        """Adopt its server, or mount it. Never fails."""
        assert self._servers is not None
        if mount.target in self._keepers:
            return
        if await self._servers.serving(self._record.name, mount.target):
            self._keep(mount, mounted=True)
            return
        try:
            await self._mount(mount, None)
        except SourceRefused as error:
            self._drop(mount, error, warn)
        except MountFailed as error:
            name, why = self._record.name, error.message
            text = f"\"{mount.target}\" is not mounted in '{name}' yet: {why}"
            warn(text)
            _log.warning("%s", text)
            self._keep(mount, mounted=False)
        else:
            self._keep(mount, mounted=True)

    def _drop(self, mount: Mount, error: SourceRefused, warn: Warn) -> None:
        text = f"Removing mount \"{mount.target}\" from '{self._record.name}': {error.message}"
        warn(text)
        _log.warning("%s", text)
        rest = tuple(each for each in self._record.record.mounts if each != mount)
        with suppress(StorageFailed):  # the next start finds it again
            self._record.change(mounts=rest)

    def _keep(self, mount: Mount, *, mounted: bool) -> None:
        work = self._keeping(mount, mounted)
        self._keepers[mount.target] = asyncio.get_running_loop().create_task(work)

    async def _keeping(self, mount: Mount, mounted: bool) -> None:
        """Until it is cancelled. A mount that does not last is logged a few times only."""
        assert self._servers is not None
        loop = asyncio.get_running_loop()
        pause, failures, lines = FIRST_PAUSE, 0 if mounted else TOLD, 0
        while True:
            if not failures:
                since = loop.time()
                await self._servers.ended(self._record.name, mount.target)
                if loop.time() - since > LASTING:
                    pause, lines = FIRST_PAUSE, 0
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            try:
                await self._mount(mount, _unheard)
            except MountFailed as error:
                failures += 1
                pause = INSTALL_PAUSE if isinstance(error, NoSupport) else pause
                if failures == TOLD and (lines := lines + 1) <= MOST_LINES:
                    why = '%s: the mount "%s" ended, and can\'t be made again yet: %s'
                    _log.warning(why, self._record.name, mount.target, error.message)
            else:
                failures = 0
                if (lines := lines + 1) <= MOST_LINES:
                    _log.info('%s: "%s" is mounted again', self._record.name, mount.target)

    # -- mounting ---------------------------------------------------------------------------------

    async def _mount(self, mount: Mount, announce: Announce | None) -> None:
        """Without `announce` nothing is installed. Raises MountFailed."""
        if self._execute is None or self._servers is None:
            raise MountFailed(f"the instance {self._record.name} does not answer yet")
        try:
            prepared = await self._prepare(mount, self._execute, announce)
            wanted = self._order(mount, prepared, self._servers.storage)
            await self._start(self._servers, wanted)
        except GuestSilent as error:
            raise MountFailed(str(error)) from None
        except Unprepared as error:
            raise MountFailed(f"{error}") from None
        except NoAddressYet:
            raise MountFailed(f"{self._record.name} has no address yet") from None
        except MountFailed:
            raise
        except RpcError as error:
            raise MountFailed(error.message) from None

    async def _start(self, servers: MountServers, wanted: Order) -> None:
        """Raises MountFailed, StorageFailed."""
        record = self._record.record
        if record.ssh_key == NO_KEY and self._logins is not None:
            key, certificate = self._logins.certificate(record)
            await servers.start_certified(wanted, key.private, certificate)
        else:
            await servers.start(wanted, record.ssh_key)

    async def _prepare(self, mount: Mount, execute: Execute, announce: Announce | None) -> Prepared:
        """Raises Unprepared, NoSupport, GuestSilent, RpcError."""
        assert self._servers is not None
        if any(not char.isprintable() for char in mount.target):
            raise Unprepared("its path has control characters")
        tag = order.tag(self._servers.storage, self._record.name, mount.target)
        command = guest_commands.prepare(tag, mount.target)
        with suppress(NoSshfs):
            return guest_commands.prepared(await execute(command, PREPARE_SECONDS))
        if announce is not None:
            announce(INSTALLING)
            with suppress(GuestSilent):
                await execute(guest_commands.INSTALL, INSTALL_SECONDS)
            with suppress(NoSshfs):
                return guest_commands.prepared(await execute(command, PREPARE_SECONDS))
        raise NoSupport(self._record.name)

    def _order(self, mount: Mount, prepared: Prepared, storage: str) -> Order:
        """Raises MountFailed, NoAddressYet."""
        host, port = self._cards.endpoint()
        uids = mount.uids or (IdPair(host=mount.uid, guest=LOGIN_USER),)
        gids = mount.gids or (IdPair(host=mount.gid, guest=LOGIN_USER),)
        return Order(
            storage=storage,
            instance=self._record.name,
            target=mount.target,
            path=prepared.path,
            source=mount.source,
            uid=mount.uid,
            gid=mount.gid,
            uids=_pairs("uids", uids, prepared.uid),
            gids=_pairs("gids", gids, prepared.gid),
            host=host,
            port=port,
            host_key=self._record.record.host_key,
            user=self._record.record.ssh_user or USER,
        )

    async def _unmount(self, served: Order, execute: Execute) -> None:
        """Never fails."""
        try:
            said = await execute(guest_commands.unmount(served.tag, served.path), UNMOUNT_SECONDS)
        except (GuestSilent, RpcError) as error:
            said = str(error)
        if said.strip():
            why = guest_commands.shown(said)
            _log.warning('%s: "%s" is cut off: %s', served.instance, served.target, why)


def _pairs(which: str, pairs: tuple[IdPair, ...], login: int) -> Pairs:
    """With the login user's id. Raises MountFailed unless they are one-to-one."""
    found = tuple((pair.host, login if pair.guest == LOGIN_USER else pair.guest) for pair in pairs)
    if len({host for host, _ in found}) == len({guest for _, guest in found}) == len(found):
        return found
    shown = ", ".join(f"{host}:{guest}" for host, guest in found)
    raise MountFailed(f"Mount cannot apply mapping with duplicate ids:\n{which}: {shown}")


def _unheard(text: str) -> None:
    """No client waits to be told."""
