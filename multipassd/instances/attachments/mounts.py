"""All mounts of an instance, of both kinds: added to its record and removed from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from multipassd.drivers.interface import NATIVE_MOUNTS, Machine, NotOnBackend
from multipassd.instances.attachments import mount_targets
from multipassd.instances.attachments.attachment import Attachment, Execute, Fields, Warn
from multipassd.instances.attachments.classic_mounts import ClassicMounts, NoSupport
from multipassd.instances.attachments.native_mounts import NativeMounts
from multipassd.instances.records.record import Mount, MountKind
from multipassd.instances.records.stored_record import StoredRecord
from multipassd.instances.states.transitions import Command
from multipassd.mounts.client import MountFailed
from multipassd.system import log
from protocol.errors import RpcError
from protocol.status import Status

MOST = 32  # of one instance: each costs the host a process, and the guest a connection or a device

Announce = Callable[[str], None]

_log = log.get("mounts")


class MountRefused(RpcError):
    """A directory can't be mounted as asked; the sentence names the target."""

    status = Status.INVALID_ARGUMENT


class NotMounted(RpcError):
    """Nothing is mounted at the path that was named."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, target: str, instance: str) -> None:
        super().__init__(f"path \"{target}\" is not mounted in '{instance}'")


class NotUnmounted(RpcError):
    """The guest does not let go of a mount; `umount` can be repeated."""

    status = Status.FAILED_PRECONDITION

    def __init__(self, target: str, instance: str, why: str) -> None:
        super().__init__(f"failed to unmount \"{target}\" from '{instance}': {why}")


class Mounts(Attachment):
    """The record and what is served agree: a mount is served before it is recorded, as a server
    without a record ends; and it is removed from the record first, so it can't come back."""

    def __init__(
        self,
        record: StoredRecord,
        classic: ClassicMounts,
        native: NativeMounts,
        enabled: Callable[[], bool],
    ) -> None:
        """`enabled`: what `local.privileged-mounts` says now."""
        self._record = record
        self._classic = classic
        self._native = native
        self._enabled = enabled

    @property
    def _home(self) -> str:
        return mount_targets.home(self._record.record.ssh_user)

    def default_target(self, source: str) -> str:
        return mount_targets.default(source, self._home)

    def check_new(self, mount: Mount, *, stopped: bool) -> None:
        """Raises MountRefused, NotOnBackend."""
        name, target, home = self._record.name, mount.target, self._home
        if mount_targets.refused(target, home):
            raise MountRefused(f'unable to mount to "{target}"')
        if self._at(target) is not None:
            raise MountRefused(f"\"{target}\" is already mounted in '{name}'")
        if len(self._record.record.mounts) >= MOST:
            raise _failed(target, f"{name} has {MOST} mounts, and can't have more")
        if mount.kind is MountKind.CLASSIC:
            return
        if not self._native.able:
            raise NotOnBackend(NATIVE_MOUNTS)
        if not stopped:
            raise _failed(
                target, f"Please stop the instance {name} before attempting native mounts."
            )
        if why := self._native.refusal(mount):
            raise _failed(target, why)

    async def add(self, mount: Mount, announce: Announce, *, stopped: bool, answers: bool) -> None:
        """The caller holds the instance. One that does not answer gets a classic mount when it
        does. `announce` is told of what takes long. Raises RpcError, and then nothing has changed.
        """
        self.check_new(mount, stopped=stopped)
        served = answers and mount.kind is MountKind.CLASSIC
        if served:
            try:
                await self._classic.serve(mount, announce)
            except NoSupport:
                raise  # its sentence stands by itself
            except MountFailed as error:
                raise _failed(mount.target, error.message) from None
        try:
            self._record.change(mounts=(*self._record.record.mounts, mount))
        except RpcError:
            if served:
                await self._classic.stop(mount)
            raise

    async def remove(self, target: str) -> None:
        """Of an empty target: all. The caller holds the instance. Raises NotMounted, NotUnmounted,
        StorageFailed; then those that are still on record stay, or are mounted anew."""
        found = self._at(target) if target else None
        if target and found is None:
            raise NotMounted(target, self._record.name)
        gone = self._record.record.mounts if found is None else (found,)
        # One that lies within another one first: the outer one is in use until then.
        for mount in sorted(gone, key=lambda each: len(each.target), reverse=True):
            try:
                await self._of(mount).release(mount)
            except MountFailed as error:
                raise NotUnmounted(mount.target, self._record.name, error.message) from None
            rest = tuple(each for each in self._record.record.mounts if each != mount)
            self._record.change(mounts=rest)
            await self._stop([mount])

    async def switch(self, execute: Execute) -> None:
        """`local.privileged-mounts` was changed; the caller holds the instance, which answers. A
        native mount comes back with the machine's next start."""
        await self.after_answer(execute, lambda text: None)

    def _at(self, target: str) -> Mount | None:
        path = mount_targets.path(target, self._home)
        for each in self._record.record.mounts:
            if mount_targets.path(each.target, self._home) == path:
                return each
        return None

    async def _stop(self, mounts: Iterable[Mount]) -> None:
        for mount in mounts:
            await self._of(mount).stop(mount)

    def _of(self, mount: Mount) -> ClassicMounts | NativeMounts:
        return self._classic if mount.kind is MountKind.CLASSIC else self._native

    # -- the life of the instance -----------------------------------------------------------------

    def check(self, command: Command) -> None:
        self._native.check(command)

    def fields_at_start(self) -> Fields:
        return self._native.fields_at_start()

    async def before_start(self) -> None:
        await self._classic.before_start()  # ends all servers that are left
        await self._native.before_start()

    def equip(self, machine: Machine) -> Machine:
        return self._native.equip(machine)

    async def after_answer(self, execute: Execute, warn: Warn) -> None:
        if self._enabled():
            await self._native.after_answer(execute, warn)
            await self._classic.after_answer(execute, warn)
        else:  # an earlier daemon may have left servers
            self._classic.note_answer(execute)  # the setting may become true while it runs
            await self._stop(self._record.record.mounts)

    async def before_suspend(self, execute: Execute) -> None:
        await self._classic.before_suspend(execute)

    async def after_pause(self, execute: Execute) -> None:
        if self._enabled():
            await self._classic.after_pause(execute)

    async def after_end(self) -> None:
        await self._native.after_end()
        await self._classic.after_end()

    async def on_purge(self) -> None:
        await self._native.after_end()
        await self._classic.on_purge()

    def close(self) -> None:
        self._native.close()
        self._classic.close()


def _failed(target: str, why: str) -> MountRefused:
    return MountRefused(f'error mounting "{target}": {why}')
