"""Debian roots to build and test in: made by mmdebstrap when absent, then kept as tarballs.

They lie in $XDG_CACHE_HOME/multipass-dev, or ~/.cache/multipass-dev. Nobody works in a kept one:
each use unpacks its own. Needs root, as all of chroot, boot and unpacking device nodes do.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SUITE = "trixie"
MIRROR = os.environ.get("MULTIPASS_DEV_MIRROR", "http://deb.debian.org/debian")
MAX_AGE = 30 * 86400  # seconds; later the mirror has newer packages than the root

BUILD = (
    "debhelper", "dh-python", "dpkg-dev", "fakeroot", "lintian", "python3",
)  # fmt: skip
DEPENDENCIES = (
    "python3-cryptography", "python3-h2", "python3-openssl", "python3-pydantic",
    "python3-sdnotify", "python3-systemd",
)  # fmt: skip
HOST = (
    "dbus", "iproute2", "libpam-systemd", "procps", "python3", "sudo", "systemd", "systemd-sysv",
    *DEPENDENCIES,
)  # fmt: skip

CLEAN_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}


class RootError(Exception):
    """No root can be had here; the text says why."""


def cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "multipass-dev"


def tarball(name: str, packages: Sequence[str]) -> Path:
    """The kept root with these packages; made now if there is none. Raises RootError."""
    wanted = "\n".join([SUITE, MIRROR, *sorted(packages)])
    identity = hashlib.sha256(wanted.encode()).hexdigest()[:12]
    path = cache_directory() / f"{SUITE}-{name}-{identity}.tar"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.parent / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two at once would both download
        if not path.exists() or time.time() - path.stat().st_mtime > MAX_AGE:
            _make(path, packages)
    return path


def _make(path: Path, packages: Sequence[str]) -> None:
    if os.geteuid() != 0:
        raise RootError("a Debian root can be made only as root")
    if shutil.which("mmdebstrap") is None:
        raise RootError("mmdebstrap is not installed")
    part = path.with_suffix(".part.tar")
    command = [
        "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase",
        f"--include={','.join(packages)}", SUITE, str(part), MIRROR,
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, env=CLEAN_ENVIRONMENT, check=False
    )
    if done.returncode != 0:
        part.unlink(missing_ok=True)
        raise RootError(f"mmdebstrap could not make a root from {MIRROR}: {done.stderr[-500:]}")
    part.rename(path)


@contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """A root of one's own, removed afterwards."""
    place = Path(tempfile.mkdtemp(prefix="multipass-root-", dir="/var/tmp"))
    try:
        place.chmod(0o755)
        subprocess.run(["tar", "-xpf", archive, "-C", place, "--numeric-owner"], check=True)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def run_in(root: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run in the root with /proc, without network and without anything of the caller's."""
    return subprocess.run(
        [
            "unshare", "--mount", "--pid", "--net", "--fork", "--kill-child",
            f"--mount-proc={root}/proc", "chroot", str(root), *command,
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env=CLEAN_ENVIRONMENT,
    )  # fmt: skip
