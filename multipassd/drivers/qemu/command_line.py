"""QEMU's command line. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from multipassd.drivers import machine_files
from multipassd.drivers.qemu.hardware import FIRMWARE as FIRMWARE_KEY
from multipassd.drivers.qemu.hardware import UEFI, QemuHardware
from multipassd.system import installation

if TYPE_CHECKING:  # units.py, a process for each request, needs only the names here
    from multipassd.drivers.interface import Link, Machine, Share

SYSTEM = "qemu-system-x86_64"
MONITOR, STOPPER = "qmp", "stop"  # the daemon's monitor, and the one that the unit's stop uses
SUSPENDED = "suspended"  # the name of the snapshot that holds a suspended guest's state
DISK, FIRMWARE, VARIABLES = "disk", "firmware", "variables"  # block nodes
MEMORY = "memory"  # its backend, where it is shared
SHARE_QUEUE = 1024  # requests of a share that are under way: as many as QEMU allows
CONSOLE = "console"
CONSOLE_SIZE = 65536  # bytes of the guest's console that are kept, in memory
# The default translation cache takes 1 GiB of the host's memory for each guest.
TCG = "tcg,thread=multi,tb-size=128"
# What of QEMU's the snap carries lies below it; QEMU itself looks where it was built for.
BUNDLE = installation.here().bundle
DATA = ("-L", f"{BUNDLE}/usr/share/qemu") if BUNDLE else ()
OVMF_CODE = Path(f"{BUNDLE}/usr/share/OVMF/OVMF_CODE_4M.fd")
OVMF_VARIABLES = Path(f"{BUNDLE}/usr/share/OVMF/OVMF_VARS_4M.fd")
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Process:
    """Where this run of a machine keeps its sockets, and how it computes."""

    runtime: Path
    accelerator: str  # "kvm" or "tcg"
    resume: bool = False


def disk(machine: Machine) -> Path:
    return machine.directory / machine_files.DISK


def seed(machine: Machine) -> Path:
    return machine.directory / machine_files.SEED


def variables(machine: Machine) -> Path:
    """The UEFI variables: qcow2, as raw ones can't be part of a suspended state."""
    return machine.directory / "uefi.qcow2"


def command(machine: Machine, process: Process) -> list[str]:
    return [
        SYSTEM,
        "-name", f"{machine.name},process=qemu-{machine.name}",
        *DATA,
        "-nodefaults", "-no-user-config", "-display", "none", "-vga", "none",
        "-machine", _board(machine),
        "-accel", "kvm" if process.accelerator == "kvm" else TCG,
        "-cpu", _hardware(machine).cpu,
        "-smp", str(machine.cpus),
        "-m", f"{machine.memory >> 20}M",
        *_memory(machine),
        *_monitors(process.runtime),
        "-chardev", f"ringbuf,id={CONSOLE},size={CONSOLE_SIZE}", "-serial", f"chardev:{CONSOLE}",
        *_firmware(machine),
        *_disks(machine),
        *(word for number, link in enumerate(machine.links) for word in _card(number, link)),
        *(word for number, share in enumerate(machine.shares) for word in _share(number, share)),
        "-device", "virtio-rng-pci",
        "-sandbox", SANDBOX,
        "-msg", "timestamp=on",
        # Its state is loaded by the monitor, which can be told the disk that holds it.
        *(("-S",) if process.resume else ()),
    ]  # fmt: skip


def probe(machine: str, accelerator: str, cpu: str, runtime: Path) -> list[str]:
    """A machine without anything, to see whether it comes up at all."""
    return [
        SYSTEM, *DATA, "-nodefaults", "-no-user-config", "-display", "none", "-vga", "none",
        "-machine", machine, "-accel", accelerator, "-cpu", cpu, "-m", "64M", "-S",
        *_monitors(runtime),
    ]  # fmt: skip


def _monitors(runtime: Path) -> list[str]:
    words: list[str] = []
    for name in (MONITOR, STOPPER):
        path = _escaped(runtime / name)
        words += ["-chardev", f"socket,id={name},path={path},server=on,wait=off"]
        words += ["-mon", f"chardev={name},mode=control"]
    return words


def writable(machine: Machine) -> dict[str, Path]:
    """The block nodes that a suspended state must be kept in, and their files. Where one does not
    have it, QEMU loads none."""
    nodes = {DISK: disk(machine)}
    if machine.hardware.get(FIRMWARE_KEY) == UEFI:  # all that one made elsewhere has at first
        nodes[VARIABLES] = variables(machine)
    return nodes


def _hardware(machine: Machine) -> QemuHardware:
    return QemuHardware.of(machine.hardware)


def _board(machine: Machine) -> str:
    hardware = _hardware(machine)
    words = [hardware.machine]
    if hardware.firmware == UEFI:
        words += [f"pflash0={FIRMWARE}", f"pflash1={VARIABLES}"]
    if machine.shares:
        words.append(f"memory-backend={MEMORY}")
    return ",".join(words)


def _memory(machine: Machine) -> list[str]:
    """Shared with the servers of its directories, which read and write it directly."""
    if not machine.shares:
        return []
    return ["-object", f"memory-backend-memfd,id={MEMORY},size={machine.memory >> 20}M,share=on"]


def _firmware(machine: Machine) -> list[str]:
    if _hardware(machine).firmware != UEFI:
        return []
    code, values = _escaped(OVMF_CODE), _escaped(variables(machine))
    return [
        "-blockdev",
        f"driver=raw,node-name={FIRMWARE},read-only=on,file.driver=file,file.filename={code}",
        "-blockdev",
        f"driver=qcow2,node-name={VARIABLES},file.driver=file,file.filename={values}",
    ]


def _disks(machine: Machine) -> list[str]:
    system, cidata = _escaped(disk(machine)), _escaped(seed(machine))
    return [
        "-blockdev",
        f"driver=qcow2,node-name={DISK},discard=unmap,file.driver=file,file.filename={system}",
        "-device", f"virtio-blk-pci,drive={DISK},bootindex=0",
        "-blockdev",
        f"driver=raw,node-name=seed,read-only=on,file.driver=file,file.filename={cidata}",
        "-device", "virtio-blk-pci,drive=seed",
    ]  # fmt: skip


def _card(number: int, link: Link) -> list[str]:
    name = f"net{number}"
    if link.tap:
        backend = f"tap,id={name},ifname={link.tap},script=no,downscript=no"
    else:
        backend = f"user,id={name},hostfwd=tcp:{LOOPBACK}:{link.ssh_port}-:22"
    return ["-netdev", backend, "-device", f"virtio-net-pci,netdev={name},mac={link.mac}"]


def _share(number: int, share: Share) -> list[str]:
    name = f"fs{number}"
    return [
        "-chardev", f"socket,id={name},path={_escaped(share.socket)}",
        "-device", f"vhost-user-fs-pci,chardev={name},tag={share.tag},queue-size={SHARE_QUEUE}",
    ]  # fmt: skip


def _escaped(path: Path) -> str:
    """QEMU's options end at a comma, which a doubled one stands for."""
    return str(path).replace(",", ",,")
