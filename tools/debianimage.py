"""A Debian cloud image, made by mmdebstrap: systemd, netplan, OpenSSH and the real cloud-init, for
the one test that the tiny image cannot stand in for. Built once, then kept.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from tools import bootdisk, cloudimage, roots
from tools.bootdisk import System

PACKAGES = (
    "cloud-guest-utils", "cloud-init", "dbus", "e2fsprogs", "fdisk", "iproute2", "libpam-systemd",
    "linux-image-cloud-amd64", "netplan.io", "openssh-server", "procps", "sudo", "systemd",
    "systemd-resolved", "systemd-sysv", "tzdata", "udev",
)  # fmt: skip
# What a guest's package manager is to install in a test: in a repository inside the image, as the
# guest may have no network.
TO_INSTALL = ("sshfs",)
REPOSITORY = "srv/packages"
SOURCE = f"deb [trusted=yes] file:/{REPOSITORY} ./\n"
PARTITION_SIZE = 2 << 30  # bytes; sparse, the system takes a third of it
OPTIONS = f"root=LABEL={bootdisk.LABEL} ro console=ttyS0"
FSTAB = f"LABEL={bootdisk.LABEL} / ext4 defaults 0 1\n"
# Of a machine that is none yet: keys and an identity that all instances would share.
PERSONAL = ("etc/ssh/ssh_host_*", "var/lib/dbus/machine-id", "var/cache/apt/*.bin", "etc/hostname")


def kept() -> Path:
    """The compressed qcow2 image. Raises roots.RootError where it can't be built."""
    digest = hashlib.sha256(repr((PACKAGES, TO_INSTALL)).encode())
    for path in (__file__, bootdisk.__file__):
        digest.update(Path(path).read_bytes())
    return roots.kept("debianimage", digest.hexdigest()[:12], ".qcow2", _build)


def _build(path: Path) -> None:
    system = roots.tarball("debian-image", PACKAGES)
    with roots.unpacked(roots.tarball("guest", cloudimage.PACKAGES)) as root:
        tree = root / bootdisk.WORK / "system"
        tree.mkdir(parents=True)
        subprocess.run(["tar", "-xpf", system, "-C", tree, "--numeric-owner"], check=True)
        for pattern in PERSONAL:
            for file in tree.glob(pattern):
                file.unlink()
        _add_repository(tree)
        (tree / "etc/machine-id").write_text("uninitialized\n")
        (tree / "etc/fstab").write_text(FSTAB)
        kernel = max((tree / "lib/modules").iterdir()).name
        disk = System(
            tree, f"/boot/vmlinuz-{kernel}", f"/boot/initrd.img-{kernel}", OPTIONS, PARTITION_SIZE
        )
        bootdisk.write(root, disk, path, "bios")


def _add_repository(tree: Path) -> None:
    """Make a package repository in the image its only source of packages. Raises RootError."""
    names = " ".join(TO_INSTALL)
    resolver = tree / "etc/resolv.conf"
    link = resolver.readlink() if resolver.is_symlink() else None
    resolver.unlink(missing_ok=True)
    fetch = f"apt-get -q update && apt-get -qy --no-install-recommends -d install {names}"
    done = roots.run_in(tree, "sh", "-c", fetch, network=True)
    if done.returncode != 0:
        raise roots.RootError(f"{fetch}: {done.stdout[-500:].strip()}")
    resolver.unlink()
    if link is not None:
        resolver.symlink_to(link)
    place = tree / REPOSITORY
    place.mkdir()
    entries = [_entry(file, place) for file in (tree / "var/cache/apt/archives").glob("*.deb")]
    (place / "Packages").write_text("\n".join(entries))
    for path in (tree / "var/lib/apt/lists").glob("*_*"):
        path.unlink()
    for path in (tree / "etc/apt/sources.list.d").iterdir():
        path.unlink()
    (tree / "etc/apt/sources.list").write_text(SOURCE)


def _entry(file: Path, place: Path) -> str:
    """The package's paragraph of the repository's index. Moves the package there."""
    said = subprocess.run(["dpkg-deb", "--field", file], check=True, capture_output=True, text=True)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    moved = file.rename(place / file.name)
    size = moved.stat().st_size
    return f"{said.stdout}Filename: ./{file.name}\nSize: {size}\nSHA256: {digest}\n"


if __name__ == "__main__":
    print(kept())
    sys.exit(0)
