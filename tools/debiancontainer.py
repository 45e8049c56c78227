"""A Debian container image with systemd, OpenSSH and the real cloud-init, as Incus takes it, for
the one test that the tiny image cannot stand in for. Built once, then kept.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from tools import containerimage, debianimage, roots

PACKAGES = (
    "cloud-init", "dbus", "iproute2", "libpam-systemd", "netplan.io", "openssh-server", "procps",
    "sudo", "systemd", "systemd-resolved", "systemd-sysv",
)  # fmt: skip
METADATA = containerimage.METADATA.replace("Tiny 1.0 LTS", "Debian 13").replace("tiny", "debian")


def kept() -> Path:
    """The image, a gzipped tarball. Raises roots.RootError where it can't be built."""
    digest = hashlib.sha256(repr((PACKAGES, METADATA)).encode())
    for path in (__file__, containerimage.__file__):
        digest.update(Path(path).read_bytes())
    return roots.kept("debiancontainer", digest.hexdigest()[:12], ".tar.gz", _build)


def _build(path: Path) -> None:
    with roots.scratch("multipass-container-", 1 << 30) as work:
        system = work / "rootfs"
        system.mkdir()
        archive = roots.tarball("debian-container", PACKAGES)
        subprocess.run(["tar", "-xpf", archive, "-C", system, "--numeric-owner"], check=True)
        for pattern in debianimage.PERSONAL:
            for file in system.glob(pattern):
                file.unlink()
        for device in (system / "dev").iterdir():  # Incus makes them; unpacking can't, unprivileged
            if not device.is_dir():
                device.unlink()
        (system / "etc/machine-id").write_text("uninitialized\n")
        (work / "metadata.yaml").write_text(METADATA)
        containerimage.pack(work, path)


if __name__ == "__main__":
    print(kept())
    sys.exit(0)
