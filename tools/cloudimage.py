"""A tiny cloud image for tests, made of Debian's packages: boots to SSH in seconds even where it
is emulated, and reads the same seed as real cloud-init does. Built once, then kept.
"""

from __future__ import annotations

import hashlib
import lzma
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tools import bootdisk, kernel, roots
from tools.bootdisk import Firmware, System

FILES = Path(__file__).parent / "guest"
PACKAGES = (
    "busybox-static", "kmod", "linux-image-cloud-amd64", "openssh-server", "openssh-sftp-server",
    "sshfs", *bootdisk.PACKAGES, *kernel.PACKAGES,
)  # fmt: skip
# ACPI's power button needs button and evdev; the seed's file system isofs.
MODULES = (
    "virtio_pci", "virtio_blk", "virtio_net", "virtio_rng", "ext4", "isofs", "button", "evdev",
    "fuse", "virtiofs",
)  # fmt: skip
# A virtual machine of Incus, which boots by UEFI alone, has its disks on a SCSI controller.
SCSI_MODULES = ("virtio_scsi", "sd_mod", "sr_mod")
PROGRAMS = (
    "/usr/sbin/sshd", "/usr/lib/openssh/sshd-session", "/usr/lib/openssh/sshd-auth",
    "/usr/lib/openssh/sftp-server", "/usr/sbin/resize2fs", "/usr/bin/sshfs",
    "/usr/lib/x86_64-linux-gnu/libgcc_s.so.1",  # sshfs ends its threads by it
)  # fmt: skip
APPLETS = (  # noqa: SIM905 - a list literal would take a page
    "acpid awk basename blockdev cat chgrp chmod chown cmp cp cut date dd df dirname dmesg du echo "
    "env expr false find findfs free fuser grep gzip halt head hostname id init ip kill killall ln "
    "ls md5sum mkdir mount mountpoint mv nohup nproc ping poweroff printf ps pwd readlink realpath "
    "reboot rm rmdir sed seq setsid sh sha256sum sleep sort stat stty sync tail tar tee test "
    "timeout touch tr true truncate tty udhcpc umount uname uptime vi wall wc wget which whoami "
    "xargs yes "
).split()
DIRECTORIES = (
    "dev", "proc", "sys", "run", "tmp", "root", "var/lib", "var/log", "home/ubuntu", "mnt",
)  # fmt: skip
SIGNED = b"~Module signature appended~\n"
SIGNATURE_INFO = 12  # bytes, of which the last 4 are the length of what is before them
PARTITION_SIZE = 96 << 20  # bytes; the root file system, with room
OPTIONS = "console=ttyS0 quiet panic=5 net.ifnames=0"
OS_RELEASE = 'PRETTY_NAME="Tiny 1.0 LTS"\nNAME="Tiny"\nID=tiny\nVERSION_ID="1.0"\n'
# `sudo` is `su`, and root has no password.
ACCOUNTS = (
    "root::0:0:root:/root:/bin/sh\n"
    "sshd:x:100:65534:for what of sshd has no rights:/run/sshd:/bin/false\n"
    "ubuntu:x:1000:1000:Ubuntu:/home/ubuntu:/bin/sh\n"
)
GROUPS = "root:x:0:\nnogroup:x:65534:\nubuntu:x:1000:\n"


def kept(firmware: Firmware = "bios") -> Path:
    """The compressed qcow2 image that boots by this firmware and by no other.
    Raises roots.RootError where it can't be built."""
    inputs = (PACKAGES, MODULES, SCSI_MODULES, PROGRAMS, APPLETS, OPTIONS)
    digest = hashlib.sha256(repr(inputs).encode())
    sources = (__file__, bootdisk.__file__, kernel.__file__)
    for path in [*map(Path, sources), *sorted(FILES.iterdir())]:
        digest.update(path.read_bytes())
    name = "cloudimage" if firmware == "bios" else f"cloudimage-{firmware}"
    return roots.kept(name, digest.hexdigest()[:12], ".qcow2", lambda path: _build(path, firmware))


def _build(path: Path, firmware: Firmware) -> None:
    with roots.unpacked(roots.tarball("guest", PACKAGES)) as root:
        work = root / bootdisk.WORK
        version = max((root / "lib/modules").iterdir()).name
        debians, ours = root / "boot" / f"vmlinuz-{version}", _made(work / "system/vmlinuz")
        if firmware == "bios":
            kernel.repack(root, debians, ours)
        else:
            shutil.copyfile(debians, ours)
        _furnish(root, work / "system")
        more = SCSI_MODULES if firmware == "uefi" else ()
        _initramfs(root, work, version, (*MODULES, *more))
        system = System(work / "system", "/vmlinuz", "/initrd", OPTIONS, PARTITION_SIZE)
        bootdisk.write(root, system, path, firmware)


def _furnish(root: Path, system: Path) -> None:
    userland(root, system)
    _install("rc", system / "usr/sbin/rc")
    _install("inittab", system / "etc/inittab")
    _install("power-button", system / "etc/acpi/PWRF/00000080")


def userland(root: Path, system: Path) -> None:
    """What a virtual machine and a container have in common, made in `system` from the packages
    in `root`."""
    for name in DIRECTORIES:
        (system / name).mkdir(parents=True, exist_ok=True)
    for program in PROGRAMS:
        for file in (program, *_libraries(root, program)):
            shutil.copy(root / file[1:], _made(system / file[1:]))
    shutil.copy(_busybox(root), _made(system / "bin/busybox"))
    for applet in APPLETS:
        place = system / ("sbin" if applet in ("init",) else "bin") / applet
        _made(place).symlink_to("/bin/busybox")
    for name in ("cidata", "cloud-init-per", "udhcpc-script"):
        _install(name, system / "usr/sbin" / name)
    shutil.copy(FILES / "sshd_config", _made(system / "etc/ssh/sshd_config"))
    (system / "etc/os-release").write_text(OS_RELEASE)
    (system / "etc/passwd").write_text(ACCOUNTS)
    (system / "etc/group").write_text(GROUPS)
    (system / "etc/shells").write_text("/bin/sh\n")
    _install("sudo", system / "usr/bin/sudo")
    shutil.copy(_busybox(root), system / "bin/su")  # a file of its own, as it has rights
    (system / "bin/su").chmod(0o4755)


def _initramfs(root: Path, work: Path, version: str, modules: Sequence[str]) -> None:
    place = work / "initramfs"
    for name in ("bin", "dev", "proc", "sys", "root", "modules"):
        (place / name).mkdir(parents=True)
    shutil.copy(_busybox(root), place / "bin/busybox")
    _install("initramfs-init", place / "init")
    bootdisk.run(root, f"depmod {version}")
    order: list[str] = []
    for module in modules:
        for line in bootdisk.run(root, f"modprobe -S {version} -D {module}").splitlines():
            if line.startswith("insmod "):
                file = root / line.split()[1][1:]
                name = file.name.removesuffix(".xz")
                if name not in order:
                    order.append(name)
                    data = file.read_bytes()
                    content = lzma.decompress(data) if file.suffix == ".xz" else data
                    (place / "modules" / name).write_bytes(_unsigned(content))
    (place / "modules/order").write_text("".join(f"{name}\n" for name in order))
    bootdisk.run(
        root,
        f"cd /{bootdisk.WORK}/initramfs"
        " && find . | busybox cpio -o -H newc | gzip -9 > ../system/initrd",
    )


def _unsigned(module: bytes) -> bytes:
    """Without the signature, which is not required, and takes an emulated CPU long to verify."""
    if not module.endswith(SIGNED):
        return module
    end = len(module) - len(SIGNED)
    length = int.from_bytes(module[end - 4 : end], "big")
    return module[: end - SIGNATURE_INFO - length]


def _libraries(root: Path, program: str) -> list[str]:
    """What the program is linked with, its loader included."""
    said = bootdisk.run(root, f"ldd {program}")
    return [word for line in said.splitlines() for word in line.split() if word.startswith("/")]


def _busybox(root: Path) -> Path:
    return root / "usr/bin/busybox"


def _install(name: str, place: Path) -> None:
    shutil.copy(FILES / name, _made(place))
    place.chmod(0o755)


def _made(place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


if __name__ == "__main__":
    print(kept())
    sys.exit(0)
