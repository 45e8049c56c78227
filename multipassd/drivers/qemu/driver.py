"""Machines on QEMU."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from multipassd.cloudinit import clone_seed
from multipassd.cloudinit import seed as seed_disk
from multipassd.cloudinit.clone_seed import CloneSeed
from multipassd.cloudinit.seed import Interface, Seed
from multipassd.drivers.interface import DriverError, Hardware, Machine, SnapshotMissing
from multipassd.drivers.one_host import OneHost
from multipassd.drivers.qemu import acceleration, backing_image, command_line, disks
from multipassd.drivers.qemu.acceleration import Ability, reach
from multipassd.drivers.qemu.command_line import MONITOR, SUSPENDED, Process
from multipassd.drivers.qemu.guest import QemuGuest, suspended_mark
from multipassd.drivers.qemu.hardware import BIOS, FIRMWARE, UEFI, QemuHardware
from multipassd.drivers.qemu.qmp import Monitor, MonitorError
from multipassd.drivers.qemu.runner import Runner, shown
from multipassd.images import exported
from multipassd.images.image import Base
from multipassd.system import log, programs
from multipassd.system.background import Tasks
from multipassd.system.files import make_directory
from protocol.errors import RpcError, StorageFailed

ARCHITECTURE = "x86_64"  # of the hosts, and so of the images, that the command line is made for
GREETING_SECONDS = 5.0  # of a monitor that an earlier daemon may still hold
START_SECONDS = 60.0  # a suspended guest's memory is read before the monitor answers

_log = log.get("qemu")


class QemuDriver(OneHost):
    """The driver of QEMU, on a runner that keeps QEMU's processes."""

    max_cpus = 255  # as many as QEMU's machine type takes
    offers_shares = keeps_snapshots = clones = exports = True

    def __init__(self, runner: Runner, place: Path, override: str) -> None:
        self._runner = runner
        self._place = place  # of all machines' directories
        self._override = override
        self._ability: Ability | None = None
        self._inspecting = asyncio.Lock()
        self._tasks = Tasks()
        self.user = runner.user
        self.opens_service_taps = runner.opens_service_taps

    async def ready(self) -> None:
        import platform  # slow to import, and rarely needed

        if (architecture := platform.machine()) != ARCHITECTURE:
            raise DriverError(
                f"Instances need an {ARCHITECTURE} host so far, and this one is {architecture}."
            )
        programs.check(disks.IMG)
        await self._inspect()

    async def choose(self, base: Base) -> Hardware:
        ability = await self._inspect()
        bios = await disks.boots_by_bios(Path(base.path), base.format)
        if not bios and not command_line.OVMF_CODE.exists():
            raise DriverError("This image boots by UEFI only. Please install the package ovmf.")
        return QemuHardware(ability.machine, ability.cpu, BIOS if bios else UEFI).kept()

    async def adopt(self, machine: Machine, *, bios: bool, states: Sequence[str]) -> Hardware:
        if bios:
            return {FIRMWARE: BIOS}
        if not command_line.OVMF_CODE.exists():
            raise DriverError(f"{machine.name} boots by UEFI. Please install the package ovmf.")
        variables = command_line.variables(machine)
        await disks.copy(command_line.OVMF_VARIABLES, variables)
        for name in states:  # where one file lacks a snapshot, none is returned to
            await disks.take_snapshot(variables, name)
        return {FIRMWARE: UEFI}

    async def complete(self, hardware: Hardware) -> Hardware:
        if set(hardware) != {FIRMWARE}:
            return hardware
        ability = await self._inspect()
        return QemuHardware(ability.machine, ability.cpu, hardware[FIRMWARE]).kept()

    async def create(
        self, machine: Machine, base: Base, size: int, variables: Path | None = None
    ) -> None:
        await disks.create(command_line.disk(machine), Path(base.path), base.format, size)
        if machine.hardware.get(FIRMWARE) != UEFI:
            return
        own = command_line.variables(machine)
        if variables is not None:
            await disks.copy(variables, own, "qcow2")
        else:
            await disks.copy(command_line.OVMF_VARIABLES, own)

    def flat_files(self, machine: Machine) -> dict[str, Path]:
        found = {exported.DISK: command_line.disk(machine)}
        if machine.hardware.get(FIRMWARE) == UEFI:
            found[exported.VARIABLES] = command_line.variables(machine)
        return found

    async def flatten(self, machine: Machine, path: Path, target: int) -> None:
        images = self._place.parent / "images"
        await asyncio.to_thread(backing_image.check, machine, images)
        await disks.flatten(path, await asyncio.to_thread(backing_image.of, path), target)

    async def grow(self, machine: Machine, size: int) -> None:
        await disks.grow(command_line.disk(machine), size)

    async def take_snapshot(self, machine: Machine, tag: str) -> None:
        for node, path in command_line.writable(machine).items():
            _stage(machine, f"take, {node}")
            await disks.take_snapshot(path, tag)

    async def restore_snapshot(self, machine: Machine, tag: str) -> None:
        for node, path in command_line.writable(machine).items():
            _stage(machine, f"restore, {node}")
            try:
                await disks.restore_snapshot(path, tag)
            except SnapshotMissing:
                if node == command_line.DISK:
                    raise
                _log.info("%s of %s has no state %s, and stays as it is", path, machine.name, tag)

    async def drop_snapshot(self, machine: Machine, tag: str) -> None:
        for node, path in command_line.writable(machine).items():
            _stage(machine, f"drop, {node}")
            with suppress(SnapshotMissing):
                await disks.drop_snapshot(path, tag)

    async def clone(
        self,
        source: Machine,
        machine: Machine,
        tags: Sequence[str],
        progress: Callable[[int], None],
    ) -> None:
        for node, path in command_line.writable(source).items():
            target = command_line.writable(machine)[node]
            await disks.clone(path, target, lambda done, size: progress(100 * done // (size or 1)))
            for tag in (*tags, SUSPENDED):  # a state that was dropped may have been left there
                with suppress(SnapshotMissing):
                    await disks.drop_snapshot(target, tag)

    async def write_clone_seed(self, source: Machine, machine: Machine, seed: CloneSeed) -> bool:
        paths = command_line.seed(source), command_line.seed(machine)
        return await asyncio.to_thread(clone_seed.write, *paths, seed)

    async def repair(self, machine: Machine) -> None:
        for path in command_line.writable(machine).values():
            try:
                await disks.repair(path)
            except RpcError as error:
                _log.warning("space in %s may be lost: %s", path, error.message)

    async def snapshot_size(self, machine: Machine, tag: str) -> int:
        return await disks.snapshot_size(command_line.disk(machine), tag)

    async def write_seed(self, machine: Machine, seed: Seed) -> None:
        await asyncio.to_thread(seed_disk.write, command_line.seed(machine), seed)

    async def add_interfaces(self, machine: Machine, interfaces: tuple[Interface, ...]) -> None:
        await asyncio.to_thread(seed_disk.add_interfaces, command_line.seed(machine), interfaces)

    async def set_instance_id(self, machine: Machine, instance_id: str) -> None:
        path = command_line.seed(machine)
        await asyncio.to_thread(seed_disk.set_instance_id, path, instance_id)

    async def start(self, machine: Machine) -> QemuGuest:
        try:
            hardware = QemuHardware.of(machine.hardware)
        except ValueError as error:
            raise DriverError(f"{machine.name} can't be started: {error}.") from None
        await asyncio.to_thread(backing_image.check, machine, self._place.parent / "images")
        resume = await self.suspended(machine)
        process = Process(
            self._runner.runtime(machine.name), await self._accelerator(hardware), resume
        )
        words = command_line.command(machine, process)
        await self._runner.start(machine.name, words, machine.directory)
        try:
            monitor = await reach(self._runner, machine.name, START_SECONDS)
            guest = QemuGuest(machine, monitor, self._runner)
            if resume:
                await guest.resume()
        except (MonitorError, OSError) as error:
            await self._runner.clear(machine.name)
            raise _failed(machine, resume, str(error)) from None
        return guest

    async def find(self, machine: Machine) -> QemuGuest | None:
        path = self._runner.runtime(machine.name) / MONITOR
        monitor = None
        try:
            monitor = await Monitor.connect(path, GREETING_SECONDS)
            await _check_whose(machine, monitor)
            guest = QemuGuest(machine, monitor, self._runner)
            if await guest.reconcile():
                return guest
        except (OSError, MonitorError) as error:
            if monitor is not None:
                monitor.close()  # QEMU talks to one at a time, and there will be another
            if await self._runner.alive(machine.name):
                why = str(error) or "its monitor does not answer"
                raise DriverError(f"{machine.name} runs, but can't be reached: {why}") from None
        await self._runner.clear(machine.name)
        return None

    async def suspended(self, machine: Machine) -> bool:
        return suspended_mark(machine).exists()

    async def forget_suspended(self, machine: Machine) -> None:
        mark = suspended_mark(machine)
        if mark.exists():
            mark.unlink()
            for path in command_line.writable(machine).values():
                with suppress(DriverError):  # space only
                    await disks.drop_snapshot(path, SUSPENDED)

    async def clear(self, name: str) -> None:
        await self._runner.clear(name)

    def names(self) -> list[str]:
        return self._runner.names()

    async def stranger(self, name: str) -> str:
        if acceleration.ANY_PROBE.fullmatch(name):
            await self._runner.clear(name)  # left over by a daemon that was killed
        if not await self._runner.alive(name):
            return ""
        return (
            f"a machine runs under the name {shown(name)}, and no instance of that name is known "
            f"in {self._place.parent}. It is left alone: it may belong to another storage "
            f"directory of this service. {self._runner.advice(name)} ends it."
        )

    async def _inspect(self) -> Ability:
        """Completed even if the caller disconnects: the probe is a process that must end."""
        return await self._tasks.complete(self._inspect_once(), auxiliary=True)

    async def _inspect_once(self) -> Ability:
        async with self._inspecting:
            if self._ability is None:
                self._make_place()
                self._ability = await acceleration.inspect(
                    self._runner, self._place, self._override
                )
            return self._ability

    def _make_place(self) -> None:
        """Raises StorageFailed."""
        try:
            make_directory(self._place)
        except OSError as error:
            raise StorageFailed(
                f"Instances can't be kept in {self._place}: {error.strerror}. "
                "Please look at the service's storage directory."
            ) from error

    async def _accelerator(self, hardware: QemuHardware) -> str:
        """As when it was launched: its CPU model is one that only this accelerator has."""
        await self._inspect()
        return "kvm" if hardware.cpu == "host" else "tcg"


async def _check_whose(machine: Machine, monitor: Monitor) -> None:
    """Units have names for all storage directories together. Raises MonitorError if this machine
    is not the one that is meant, and has its disk elsewhere."""
    devices = await monitor.execute("query-block")
    found = devices if isinstance(devices, list) else []
    disk = command_line.disk(machine)
    if str(disk) not in {_file_of(device) for device in found}:
        raise MonitorError(f"its disk is not {disk}: it is of another storage directory")


def _file_of(device: object) -> str:
    """Empty for one without any. A guest that took QEMU over may say anything."""
    inserted = device.get("inserted") if isinstance(device, dict) else None
    return str(inserted.get("file")) if isinstance(inserted, dict) else ""


def _stage(machine: Machine, stage: str) -> None:
    """What a kill here leaves is what `Snapshots.reconcile` finds."""
    _log.debug("snapshot of %s: %s", machine.name, stage)


def _failed(machine: Machine, resume: bool, why: str) -> DriverError:
    if resume:
        return DriverError(
            f"{machine.name}: its suspended state can't be loaded by this host's QEMU: {why}. "
            f"The state is kept; `multipass stop --force {machine.name}` drops it, "
            "and the next start is a boot."
        )
    return DriverError(f"{machine.name}: QEMU did not start: {why}")
