"""Debian roots to build and test in: made by mmdebstrap when absent, then kept as tarballs; and
what else takes long to make and depends on nothing but its inputs (`kept`).

They lie in $XDG_CACHE_HOME/multipass-dev, or ~/.cache/multipass-dev. Nobody works in a kept one:
each use unpacks its own. Needs root, as all of chroot, boot and unpacking device nodes do.
"""

import fcntl
import functools
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

SUITE = "trixie"
MIRROR = os.environ.get("MULTIPASS_DEV_MIRROR", "http://deb.debian.org/debian")
MIRROR_SECONDS = 10  # for a mirror to answer; a machine without network must not wait for it
TIDY_SECONDS = 60  # for a few hundred MB on a busy disk
MAX_AGE = 30 * 86400  # seconds; later the mirror has newer packages than the root
KEPT_VERSIONS = 2  # of one thing: the newest, and the one of the branch that was left

BUILD = (
    "debhelper", "dh-python", "dpkg-dev", "fakeroot", "lintian", "python3",
)  # fmt: skip
DEPENDENCIES = (
    "python3-cryptography", "python3-h2", "python3-httpx", "python3-openssl", "python3-pycdlib",
    "python3-pydantic", "python3-sdnotify", "python3-systemd", "python3-yaml",
    "python3-zstandard",
)  # fmt: skip
HOST = (
    "dbus", "iproute2", "libpam-systemd", "procps", "python3", "sudo", "systemd", "systemd-sysv",
    *DEPENDENCIES,
)  # fmt: skip
# A host that runs instances.
INSTANCE_HOST = (
    *HOST, "dnsmasq-base", "nftables", "openssh-client", "qemu-system-x86", "qemu-utils",
)  # fmt: skip
# The same with the network's configuration that desktops have.
NETWORK_MANAGER_HOST = (*INSTANCE_HOST, "network-manager")
# None of our dependencies, but what every installed Debian has: what apt must cope with.
BARE = ("systemd", "systemd-sysv")
# A host for what Debian's developers run on a package.
PACKAGE_TEST = (*HOST, "autopkgtest", "dpkg-dev", "piuparts")

NO_MOUNT_ALONE = "mounts can't be kept from others here: not as root, or in a plain chroot"

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
    return kept(f"{SUITE}-{name}", identity, ".tar", lambda path: _make(path, packages))


def kept(name: str, identity: str, suffix: str, make: Callable[[Path], None]) -> Path:
    """The file that `make` writes for this `identity` of its inputs; made once, also by several
    processes at once, and made anew when too old. Older identities of the name are removed, but
    none that a process which was handed it may still be about to read."""
    place = cache_directory()
    path = place / f"{name}-{identity}{suffix}"
    with _lock_file(place / f"{name}.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two at once would both make it
        if not path.exists() or time.time() - path.stat().st_mtime > MAX_AGE:
            part = place / f"{name}-{identity}.part{suffix}"
            try:
                make(part)
                part.rename(path)
            finally:
                part.unlink(missing_ok=True)
        _hold(path)
        ours = sorted(place.glob(f"{name}-{'?' * len(identity)}{suffix}"), key=_age)
        for old in ours[KEPT_VERSIONS:]:
            _remove_unless_held(old)
    return path


def _lock_file(path: Path) -> TextIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return open(path, "w")
    except OSError as error:
        raise RootError(
            f"it can't be kept in {path.parent} ({error.strerror});"
            " XDG_CACHE_HOME can name another place"
        ) from None


def _age(path: Path) -> float:
    return -path.stat().st_mtime


_held: dict[Path, BinaryIO] = {}  # with a shared lock on each until this process ends


def _hold(path: Path) -> None:
    file = open(path, "rb")  # noqa: SIM115  it is to stay open
    fcntl.flock(file, fcntl.LOCK_SH)
    _held[path] = file  # in place of the one that was too old, if there was one


def _remove_unless_held(path: Path) -> None:
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        path.unlink()


def _make(path: Path, packages: Sequence[str]) -> None:
    if os.geteuid() != 0:
        raise RootError("a Debian root can be made only as root")
    if shutil.which("mmdebstrap") is None:
        raise RootError("mmdebstrap is not installed")
    print(
        f"dev: making a Debian root with {len(packages)} packages and what they need; it is kept"
        f" in {cache_directory()}",
        file=sys.stderr,
        flush=True,
    )  # a minute of silence
    command = [
        "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase",
        f"--include={','.join(packages)}", SUITE, str(path), MIRROR,
    ]  # fmt: skip
    code, said = _run_tidily(command)
    if code != 0:
        why = said[-500:].strip()
        raise RootError(f"mmdebstrap could not make a root from {MIRROR}: {why}")


def _run_tidily(command: Sequence[str]) -> tuple[int, str]:
    """Exit code and errors. Interrupted, it may still remove its half a Debian in /tmp."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=CLEAN_ENVIRONMENT,
        start_new_session=True,  # so that Ctrl-C comes from us, once
    )
    try:
        said = process.communicate()[1]
    except BaseException:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(TIDY_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, said


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


def run_in(root: Path, *command: str, network: bool = False) -> "subprocess.CompletedProcess[str]":
    """Run in the root without anything of the caller's, with /proc where that can be mounted for
    this alone; `network` lets it use the machine's, for apt."""
    isolation = ["--pid", "--fork", "--kill-child"]
    if can_mount_alone():
        isolation += ["--mount", f"--mount-proc={root}/proc"]
    if network:
        shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")
    else:
        isolation.append("--net")
    return subprocess.run(
        ["unshare", *isolation, "chroot", str(root), *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env=CLEAN_ENVIRONMENT,
    )


@functools.cache
def can_mount_alone() -> bool:
    """Whether a mount can be kept from everybody else. In a chroot into a plain directory it can't:
    what is mounted on `/` is not ours to make private. Building an image does without /proc."""
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


def mirror_problem() -> str:
    """Why apt cannot reach the mirror from here; empty if it can."""
    try:
        with urllib.request.urlopen(f"{MIRROR}/dists/{SUITE}/Release", timeout=MIRROR_SECONDS):
            return ""
    except (OSError, ValueError) as error:  # urllib's own errors are OSErrors
        return f"the mirror {MIRROR} cannot be reached: {error}"
