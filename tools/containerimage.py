"""A tiny image of a system container for tests, as Incus takes it: a tarball of metadata.yaml and
rootfs, from the same files as the tiny image of virtual machines. Built once, then kept.

`python -m tools.containerimage` prints its path. It reads the NoCloud seed below
/var/lib/cloud/seed/nocloud, answers `sshd -i` and port 22, and powers off at SIGPWR.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from tools import bootdisk, cloudimage, roots

PACKING = ("tar", "--sort=name", "--mtime=@1767225600", "--numeric-owner", "--format=gnu")
NEVER_IN_CONTAINERS = ("/usr/sbin/resize2fs",)
# A date, as the same files must give the same fingerprint.
METADATA = """\
architecture: x86_64
creation_date: 1767225600
properties:
  architecture: x86_64
  description: Tiny 1.0 LTS
  os: tiny
  release: "1.0"
"""


def kept() -> Path:
    """The image, a gzipped tarball. Raises roots.RootError where it can't be built."""
    digest = hashlib.sha256(METADATA.encode())
    for path in [Path(__file__), Path(cloudimage.__file__), *sorted(cloudimage.FILES.iterdir())]:
        digest.update(path.read_bytes())
    return roots.kept("containerimage", digest.hexdigest()[:12], ".tar.gz", _build)


def kept_root() -> Path:
    """Its root file system alone, as releases of Ubuntu publish theirs. Raises roots.RootError."""
    whole = kept()
    identity = whole.name.removesuffix(".tar.gz")[-12:]
    return roots.kept("containerroot", identity, ".tar.xz", lambda path: _repack(whole, path))


def _repack(whole: Path, path: Path) -> None:
    with roots.scratch("multipass-container-") as work:
        subprocess.run(["tar", "-xpf", whole, "-C", work, "--numeric-owner"], check=True)
        names = ("-C", work / "rootfs", ".")
        subprocess.run([*PACKING, "-I", "xz -1", "-cf", path, *names], check=True)


def _build(path: Path) -> None:
    with roots.unpacked(roots.tarball("guest", cloudimage.PACKAGES)) as root:
        work = root / bootdisk.WORK
        system = work / "rootfs"
        cloudimage.userland(root, system)
        for program in NEVER_IN_CONTAINERS:
            (system / program[1:]).unlink()
        init = system / "sbin/init"
        init.unlink()
        shutil.copy(cloudimage.FILES / "container-init", init)
        init.chmod(0o755)
        (work / "metadata.yaml").write_text(METADATA)
        pack(work, path)


def pack(work: Path, path: Path) -> None:
    """Write the tarball of metadata.yaml and rootfs in `work`, which always has the same bytes for
    the same files."""
    names = ("metadata.yaml", "rootfs")
    subprocess.run([*PACKING, "-C", work, "-I", "gzip -n", "-cf", path, *names], check=True)


if __name__ == "__main__":
    print(kept())
    sys.exit(0)
