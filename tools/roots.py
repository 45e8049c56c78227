"""Cache of Debian roots for builds and tests, made by mmdebstrap and kept as tarballs; and of other
files that take long to build and depend on their inputs only (`kept`).

The cache is $XDG_CACHE_HOME/multipass-dev, or ~/.cache/multipass-dev. Each use unpacks a copy of
its own. Needs root for chroot, boot and device nodes.
"""

import fcntl
import functools
import hashlib
import os
import re
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
MIRROR_SECONDS = 10  # seconds for a mirror to answer; short, for machines without network
TIDY_SECONDS = 60  # seconds, for a few hundred MB on a busy disk
MAX_AGE = 30 * 86400  # seconds; later the mirror has newer packages than the root
MEMORY_LEFT = 4 << 30  # bytes that roots in memory leave for guests and tests, of several workers
MADE = re.compile(r"/var/tmp/multipass-[a-z]+-(\d+)-\w+")  # by `directory`
KEPT_VERSIONS = 2  # of one name: for the current branch and the previous one

BUILD = (
    "debhelper", "dh-python", "dpkg-dev", "fakeroot", "lintian", "python3",
)  # fmt: skip
DEPENDENCIES = (
    "python3-cryptography", "python3-httpx", "python3-pycdlib",
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
    "virtiofsd",
)  # fmt: skip
# The same with the network's configuration that desktops have.
NETWORK_MANAGER_HOST = (*INSTANCE_HOST, "network-manager")
# The same with the web console of administrators, for its page about this service.
COCKPIT_HOST = (*INSTANCE_HOST, "cockpit-bridge", "cockpit-system", "cockpit-ws", "libjs-xterm")
# A member of an Incus cluster, which can run the service too.
INCUS_HOST = (
    *HOST, "ca-certificates", "dnsmasq-base", "incus-base", "nftables", "openssh-client",
    "python3-aiohttp",
)  # fmt: skip
# The same that makes virtual machines, too.
INCUS_VM_HOST = (
    *INCUS_HOST, "incus", "ovmf", "qemu-system-modules-spice", "qemu-system-x86", "qemu-utils",
)  # fmt: skip
# No dependencies, but part of every installed Debian, for tests of apt.
BARE = ("systemd", "systemd-sysv")
# A host for the checks that Debian's developers run on a package.
PACKAGE_TEST = (
    *HOST, "appstream", "autopkgtest", "cockpit-bridge", "dpkg-dev", "libjs-xterm", "piuparts",
)  # fmt: skip

NO_MOUNT_ALONE = "mounts can't be kept from others here: not as root, or in a plain chroot"

CLEAN_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}


class RootError(Exception):
    """A root can't be made here; the message says why."""


def cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "multipass-dev"


def tarball(name: str, packages: Sequence[str]) -> Path:
    """The cached root with these packages, made if it is missing. Raises RootError."""
    wanted = "\n".join([SUITE, MIRROR, *sorted(packages)])
    identity = hashlib.sha256(wanted.encode()).hexdigest()[:12]
    return kept(f"{SUITE}-{name}", identity, ".tar", lambda path: _make(path, packages))


def kept(name: str, identity: str, suffix: str, make: Callable[[Path], None]) -> Path:
    """The file that `make` writes for this `identity` of its inputs; made once, also by several
    processes at once, and again if it is too old. Older identities of the name are removed, except
    those that a process has got from here and may still read."""
    place = cache_directory()
    path = place / f"{name}-{identity}{suffix}"
    with _lock_file(place / f"{name}.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # else two at once would both make it
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
    )  # mmdebstrap takes a minute without output
    command = [
        "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase",
        f"--include={','.join(packages)}", SUITE, str(path), MIRROR,
    ]  # fmt: skip
    code, said = _run_tidily(command)
    if code != 0:
        why = said[-500:].strip()
        raise RootError(f"mmdebstrap could not make a root from {MIRROR}: {why}")


def _run_tidily(command: Sequence[str]) -> tuple[int, str]:
    """Exit code and stderr. When interrupted, the program can still clean up in /tmp."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=CLEAN_ENVIRONMENT,
        start_new_session=True,  # so that Ctrl-C is sent by this process, once
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
    """An unpacked root, removed afterwards."""
    with scratch("multipass-root-", archive.stat().st_size) as place:
        subprocess.run(["tar", "-xpf", archive, "-C", place, "--numeric-owner"], check=True)
        yield place


@contextmanager
def scratch(prefix: str, size: int = 0) -> Iterator[Path]:
    """A directory below /var/tmp, removed afterwards: in memory where there is enough of it for
    `size` bytes and as many again, as making ten thousand files takes seconds on a disk."""
    remove_leftovers()
    place = directory(prefix)
    in_memory = _memory_available() > 2 * size + MEMORY_LEFT and can_mount_alone()
    command = ["mount", "-t", "tmpfs", "-o", "mode=755,size=100%", "multipass-dev", str(place)]
    in_memory = in_memory and subprocess.run(command, capture_output=True).returncode == 0
    try:
        place.chmod(0o755)
        yield place
    finally:
        if in_memory:
            subprocess.run(["umount", "--lazy", place], check=False)
        shutil.rmtree(place, ignore_errors=True)


def directory(prefix: str) -> Path:
    """A new directory below /var/tmp, whose name tells which process made it."""
    return Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir="/var/tmp"))


def remove_leftovers() -> None:
    """Unmount what runs have mounted on a `directory` and were killed: it would keep the memory."""
    for line in reversed(Path("/proc/self/mounts").read_text("utf-8").splitlines()):
        place = Path(line.split()[1])
        found = MADE.fullmatch(str(place))
        if found and not Path(f"/proc/{found[1]}").exists():
            subprocess.run(["umount", "--lazy", place], capture_output=True, check=False)
            shutil.rmtree(place, ignore_errors=True)


def _memory_available() -> int:
    """Bytes that can be used without swapping."""
    for line in Path("/proc/meminfo").read_text("ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0


def run_in(root: Path, *command: str, network: bool = False) -> "subprocess.CompletedProcess[str]":
    """Run in the root with a clean environment, and with /proc if a private mount is possible;
    `network` allows the machine's network, for apt."""
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
    """Whether private mounts are possible. They are not in a chroot into a plain directory, as the
    mount on `/` can't be made private there. Building an image works without /proc."""
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


def mirror_problem() -> str:
    """Why apt cannot reach the mirror from here; empty if it can."""
    try:
        with urllib.request.urlopen(f"{MIRROR}/dists/{SUITE}/Release", timeout=MIRROR_SECONDS):
            return ""
    except (OSError, ValueError) as error:  # urllib's own errors are OSErrors
        return f"the mirror {MIRROR} cannot be reached: {error}"
