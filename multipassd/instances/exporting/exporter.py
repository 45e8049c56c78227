"""An instance written to one file, which is streamed to the client.

The disk is flattened and compressed into a file without a name, so that nothing is left of it
however the export ends. The instance is held: it can't be started before that is done.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from multipassd.cloudinit.ssh_keys import NO_KEY, ServiceKey
from multipassd.drivers import machine_files
from multipassd.drivers.interface import EXPORT, Driver, NotOnBackend
from multipassd.images import exported
from multipassd.images.exported import Manifest
from multipassd.instances.instance import Instance
from multipassd.instances.records.record import Record
from multipassd.instances.states.state import State
from multipassd.system import log
from protocol.errors import RpcError, StorageFailed
from protocol.messages.exports import ExportReply
from protocol.status import Status

CHUNK = 128 << 10  # bytes of a reply
AT_ONCE = 2  # exports that compress; a disk takes all processors for minutes

Send = Callable[[ExportReply], Awaitable[None]]

_turns = asyncio.Semaphore(AT_ONCE)
_log = log.get("exports")


class NotStopped(RpcError):
    """Only a stopped instance is exported."""

    status = Status.FAILED_PRECONDITION

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} can't be exported as it is not stopped. `multipass stop {name}`.")


async def export(instance: Instance, driver: Driver, key: ServiceKey, send: Send) -> None:
    """Raises NotOnBackend, NotStopped, WrongState, DriverError, StorageFailed, TooLarge."""
    if not driver.exports:
        raise NotOnBackend(EXPORT)
    if instance.state is not State.STOPPED:
        raise NotStopped(instance.name)
    with ExitStack() as files:
        async with _turns:
            async with instance.held():
                await instance.snapshots.reconcile()
                await send(ExportReply(step=f"Compressing the disk of {instance.name}"))
                parts = await _parts(instance, driver, key, files)
        await _send(parts, send)


async def _parts(
    instance: Instance, driver: Driver, key: ServiceKey, files: ExitStack
) -> dict[str, BinaryIO]:
    """The members by name, in order; open until `files` is closed."""
    place = instance.machine.directory
    try:
        parts: dict[str, BinaryIO] = {exported.MANIFEST: files.enter_context(_temporary(place))}
        manifest = _manifest(instance.record, key).to_json(indent=1)
        parts[exported.MANIFEST].write(manifest + b"\n")
        seed = os.open(place / machine_files.SEED, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        parts[exported.SEED] = files.enter_context(os.fdopen(seed, "rb"))
        wanted = driver.flat_files(instance.machine)
        for name in (exported.VARIABLES, exported.DISK):
            if path := wanted.get(name):
                parts[name] = files.enter_context(_temporary(place))
                await driver.flatten(instance.machine, path, parts[name].fileno())
    except OSError as error:
        raise StorageFailed(
            f"{instance.name} can't be exported, as its copy can't be written in {place}: "
            f"{error.strerror}."
        ) from error
    return parts


def _temporary(place: Path) -> BinaryIO:
    """Beside the disk, where there is most room."""
    from tempfile import TemporaryFile  # slow to import, and rarely needed

    return TemporaryFile(dir=place)


def _manifest(record: Record, key: ServiceKey) -> Manifest:
    return Manifest(
        name=record.name,
        cpus=record.cpus,
        memory=record.memory,
        disk=record.disk,
        os=record.image.os,
        release=record.image.release,
        sha256=record.image.sha256,
        instance_id=record.instance_id,
        mac=record.mac,
        host_key=record.host_key,
        login_key="" if record.ssh_key == NO_KEY else key.public_of(record.ssh_key),
        ssh_user=record.ssh_user,
        firmware="uefi" if record.hardware.get("firmware") == "uefi" else "bios",
    )


async def _send(parts: dict[str, BinaryIO], send: Send) -> None:
    parts[exported.MANIFEST].flush()
    sizes = {name: os.fstat(file.fileno()).st_size for name, file in parts.items()}
    named = {name: "0" * hashlib.sha256().digest_size * 2 for name in parts}
    last = len(exported.sums(named))
    whole = sum(_whole(size) for size in (*sizes.values(), last)) + len(exported.END)
    await send(ExportReply(size=whole))
    digests = {}
    for name, file in parts.items():
        await send(ExportReply(data=exported.header(name, sizes[name])))
        digests[name] = await _send_file(file, sizes[name], send)
        if rest := exported.padding(sizes[name]):
            await send(ExportReply(data=rest))
    text = exported.sums(digests)
    end = exported.header(exported.SUMS, len(text)) + text + exported.padding(len(text))
    await send(ExportReply(data=end + exported.END))


async def _send_file(file: BinaryIO, size: int, send: Send) -> str:
    """Returns its SHA-256."""
    digest = hashlib.sha256()
    offset = 0
    while offset < size:
        count = min(CHUNK, size - offset)
        data = await asyncio.to_thread(os.pread, file.fileno(), count, offset)
        if not data:
            raise StorageFailed("The copy of the instance became shorter while it was sent.")
        await asyncio.to_thread(digest.update, data)
        offset += len(data)
        await send(ExportReply(data=data))
    return digest.hexdigest()


def _whole(size: int) -> int:
    """Of a member with its header."""
    return exported.BLOCK + size + len(exported.padding(size))
