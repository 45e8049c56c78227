"""An instance made of an exported file: a new one, or as it was, with its name, address and keys.

The file becomes an image in the cache (`images/worker/unpack_export.py`), and the instance's disk
stands on it, as after a launch.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from multipassd.auth.peer import Credentials
from multipassd.cloudinit import seed as seed_disk
from multipassd.cloudinit.ssh_authority import Login, SshAuthority
from multipassd.cloudinit.ssh_keys import NO_KEY, UNCHECKED, ServiceKey
from multipassd.drivers import machine_files
from multipassd.drivers.interface import IMPORT, DriverError, Machine, NotOnBackend
from multipassd.images import exported
from multipassd.images.errors import ImageError
from multipassd.images.exported import Manifest
from multipassd.images.image import Base
from multipassd.images.library import OWN_IMAGES, Images
from multipassd.instances import host_limits
from multipassd.instances.collection import Instances
from multipassd.instances.host_limits import TooLarge
from multipassd.instances.instance import Instance
from multipassd.instances.launching.launch_spec import MAX_NAME, LaunchSpec
from multipassd.instances.launching.launcher import Launcher
from multipassd.instances.launching.reporter import Reporter
from multipassd.instances.owners.owner import Owner
from multipassd.instances.owners.quotas import Amounts
from multipassd.instances.records.record import ImageOrigin, Record
from multipassd.instances.states.errors import (
    LaunchRefused,
    NameNotFree,
    RepeatedAddress,
)
from multipassd.system.background import Tasks
from multipassd.system.files import read_regular, write_atomically
from protocol import names
from protocol.errors import StorageFailed
from protocol.messages.launch import LaunchError


@dataclass(frozen=True)
class ImportSpec:
    """What is asked for."""

    url: str
    name: str  # empty: the one in the file
    as_is: bool
    caller: Credentials | None
    owner: Owner


class Importer:
    """Makes instances of exported files; they are stopped."""

    def __init__(
        self,
        instances: Instances,
        images: Images,
        launcher: Launcher,
        key: ServiceKey,
        authority: SshAuthority,
    ) -> None:
        self._instances = instances
        self._images = images
        self._launcher = launcher
        self._key = key
        self._authority = authority
        self._tasks = Tasks()

    async def run(self, asked: ImportSpec, report: Reporter) -> Instance:
        """Raises RpcError, and then nothing is left but the image in the cache."""
        if not self._instances.driver.exports:
            raise NotOnBackend(IMPORT)
        if not asked.url.startswith(OWN_IMAGES):
            raise ImageError(f"`{asked.url}` is no URL of a file.")
        if asked.name:
            _check_name(asked.name)
        image = await self._images.resolve(asked.url, "", asked.caller)
        base = await self._images.fetch(image, report.progress, asked.name, asked.caller)
        manifest = base.export
        if manifest is None:
            raise ImageError(
                f"`{asked.url}` is an image, and no file that `multipass export` has written. "
                f"`multipass launch {asked.url}` makes an instance of it."
            )
        name = asked.name or manifest.name
        limits = host_limits.of(self._instances.driver, self._instances.registry.place(name).parent)
        if why := limits.memory_excess(manifest.memory):
            raise TooLarge(
                f"{why}. Export it again after `multipass set local.{manifest.name}.memory=` with "
                "less."
            )
        if asked.as_is:
            return await self._tasks.complete(self._as_is(name, manifest, base, asked.owner))
        order = LaunchSpec(
            name=name,
            image=asked.url,
            remote="",
            cpus=min(manifest.cpus, self._instances.driver.max_cpus),
            memory=manifest.memory,
            disk=max(manifest.disk, base.virtual_size),
            time_zone="",
            user_data="",
            networks=(),
            timeout=0.0,
            owner=asked.owner,
            caller=asked.caller,
        )
        return await self._launcher.make(order, report)

    async def _as_is(self, name: str, manifest: Manifest, base: Base, owner: Owner) -> Instance:
        registry, driver = self._instances.registry, self._instances.driver
        await driver.ready()
        disk = max(manifest.disk, base.virtual_size)
        amounts = Amounts(1, manifest.cpus, manifest.memory, disk)
        with self._instances.claimed(name, owner, amounts):
            if manifest.mac in registry.mac_addresses():
                raise RepeatedAddress(manifest.mac)
            place = registry.place(name)
            try:
                made = await asyncio.to_thread(registry.make_place, name)
            except FileExistsError:
                raise NameNotFree(name, f"{place} is in the way, and is left alone.") from None
            except OSError as error:
                raise _not_written(name, place, error) from error
            try:
                record = await self._files(name, manifest, base, place, owner)
                registry.put(record)
            except BaseException as error:
                await asyncio.to_thread(registry.unmake_place, name, made)
                if isinstance(error, OSError):
                    raise _not_written(name, place, error) from error
                raise
            return self._instances.add(record)

    async def _files(
        self, name: str, manifest: Manifest, base: Base, place: Path, owner: Owner
    ) -> Record:
        hardware: dict[str, str] = {"firmware": manifest.firmware}
        machine = Machine(name, place, manifest.cpus, manifest.memory, hardware, ())
        kept = Path(base.path)
        size = max(manifest.disk, base.virtual_size)
        variables = kept.with_name(exported.VARIABLES)
        has_variables = await asyncio.to_thread(variables.exists)
        await self._instances.driver.create(
            machine, base, size, variables if has_variables else None
        )
        login, public = await asyncio.to_thread(lambda: self._key.present)
        seed, instance_id = await asyncio.to_thread(self._seed, kept, manifest, public)
        path = place / machine_files.SEED
        await asyncio.to_thread(write_atomically, path, seed, seed_disk.MODE)
        record = Record(
            name=name,
            instance_id=instance_id,
            image=ImageOrigin(
                id=base.id, sha256=manifest.sha256, os=manifest.os, release=manifest.release
            ),
            hardware=hardware,
            cpus=min(manifest.cpus, self._instances.driver.max_cpus),
            memory=manifest.memory,
            disk=size,
            mac=manifest.mac,
            host_key=manifest.host_key,
            ssh_user=manifest.ssh_user,
            ssh_key=login if manifest.login_key else NO_KEY,
            ssh_key_alone=UNCHECKED,
            ready=instance_id == manifest.instance_id,
            owner=owner.name,
        )
        return await asyncio.to_thread(self._with_authority, record, path)

    def _with_authority(self, record: Record, seed: Path) -> Record:
        """Noted if its login user lets our certificates in. Raises OSError, StorageFailed."""
        if self._authority.line(record).encode() not in seed_disk.read(seed).get("user-data", b""):
            return record
        return record.replace(ssh_authority=self._authority.public)

    def _trusts_us(self, seed: Path, manifest: Manifest) -> bool:
        """Does it let our certificates in? Raises OSError, StorageFailed."""
        line = self._authority.line(Login(manifest.instance_id, manifest.ssh_user))
        return line.encode() in seed_disk.read(seed).get("user-data", b"")

    def _seed(self, disk: Path, manifest: Manifest, ours: str) -> tuple[bytes, str]:
        """The seed, and cloud-init's instance id. A guest that lets another service in gets our
        key, which it takes at what cloud-init sees as a first boot. One whose id an instance has
        already gets a new one: certificates for that would be good for this one. Raises OSError,
        DriverError."""
        path = disk.with_name(exported.SEED)
        seed = read_regular(path, exported.LIMITS[exported.SEED])
        theirs = manifest.login_key
        same = theirs == ours or (not theirs and self._trusts_us(path, manifest))
        if same and manifest.instance_id not in self._instances.registry.instance_ids():
            return seed, manifest.instance_id
        instance_id = f"{manifest.name}-{os.urandom(8).hex()}"
        line = self._authority.line(Login(instance_id, manifest.ssh_user))
        try:
            changed = seed_disk.with_keys(path, theirs, ours, line, instance_id)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise DriverError(
                f"{manifest.name} can't be imported as it is: it lets in the service that it was "
                f"exported from, and its seed can't be changed: {error}. Without --as-is it is "
                "made anew."
            ) from None
        return changed, instance_id


def _check_name(name: str) -> None:
    if not names.valid(name) or len(name) > MAX_NAME:
        raise LaunchRefused([LaunchError.ErrorCodes.INVALID_HOSTNAME])


def _not_written(name: str, place: Path, error: OSError) -> StorageFailed:
    return StorageFailed(f"The files of {name} can't be written in {place}: {error.strerror}.")
