"""QEMU as a process of its own session: in the snap, and where there is no systemd to ask."""

from __future__ import annotations

import asyncio
import grp
import json
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from multipassd.drivers.interface import DriverError
from multipassd.drivers.qemu.command_line import STOPPER
from multipassd.drivers.qemu.runner import USER, shown
from multipassd.drivers.qemu.shared_names import AT_SIGTERM
from multipassd.system import boot_id, installation, log
from multipassd.system.files import read_regular, write_atomically

# A process that is not written down yet ends with the daemon, as a later one could not find it.
ONCE_KNOWN = ("/bin/sh", "-c", 'read -r go && exec "$@" </dev/null', "sh")
# Beside each: powers its guest down when the host shuts down (powerdown.py).
KEEPER = installation.program("multipass-power-down")
KEEPER_SECONDS = 60  # then it switches the guest off; systemd waits for 90
ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "SNAP", "TMPDIR")  # a snap's libraries lie elsewhere
MODE = 0o2770
ADMITTING = 0o750  # of the directories above it, so that QEMU's user gets to its own
KVM = "/dev/kvm"
# The directory keeps others out; a snap's root has no right to what is not open to it.
UMASK = 0
MAX_FILE = 4096
# Its keeper cuts it while QEMU goes on writing.
LOG_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
LOG_END = 4096  # bytes; the last line is what counts
USERS = (USER, "snap_daemon")  # the first that exists runs QEMU when the daemon is root
END_SECONDS = 10.0
POLL = 0.05

_log = log.get("qemu")


@dataclass(frozen=True)
class Identity:
    """Tells a process from a later one with the same number."""

    pid: int
    started: int  # clock ticks since boot
    boot: str

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """None if there is no such process."""
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] == "Z" else cls(pid, int(fields[19]), boot_id.current())


class DetachedRunner:
    """Starts and ends QEMU as a process of its own session.

    `base` holds a directory for each process; `shared` are those that all of them must get
    into."""

    opens_service_taps = False  # its package has units, and QEMU runs in those

    def __init__(self, base: Path, *shared: Path) -> None:
        self._base = base
        self._shared = (base, *shared)
        self._account = _account() if os.geteuid() == 0 else None
        self.user = self._account.pw_name if self._account else "root"
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._keepers: dict[str, subprocess.Popen[bytes]] = {}
        self._warned = False

    def runtime(self, name: str) -> Path:
        return self._base / name

    def names(self) -> list[str]:
        with suppress(OSError):
            return [path.name for path in self._base.iterdir() if path.is_dir()]
        return []

    async def start(self, name: str, command: Sequence[str], place: Path) -> None:
        import shutil  # slow to import, and rarely needed

        await self.clear(name)
        self._warn()
        program = shutil.which(command[0])
        if program is None:
            raise DriverError(
                f"The program {command[0]} is missing. Please install the package qemu-system-x86."
            )
        try:
            process = await asyncio.to_thread(self._spawn, name, [program, *command[1:]], place)
        except OSError as error:
            raise DriverError(f"{command[0]} can't be started: {error}.") from None
        self._started[name] = process

    def _spawn(self, name: str, command: Sequence[str], place: Path) -> subprocess.Popen[bytes]:
        runtime = self.runtime(name)
        runtime.mkdir(parents=True)
        runtime.chmod(MODE)
        command, descriptors = _with_kvm(command)
        if self._account is not None:
            for path in self._shared:
                path.mkdir(parents=True, exist_ok=True)
                os.chown(path, -1, self._account.pw_gid, follow_symlinks=False)
                path.chmod(ADMITTING)
            for path in (runtime, place, *place.iterdir()):
                # Its user may write there, and must not choose what else becomes its group's.
                os.chown(path, -1, self._account.pw_gid, follow_symlinks=False)
        log_file = os.open(self._log(name), LOG_FLAGS, 0o600)
        ended, held = os.pipe()  # `held` by the process alone: its keeper ends with it
        try:
            with _sigterm_blocked():
                self._keep(name, ended, log_file)
                process = self._popen(
                    [*ONCE_KNOWN, *command], subprocess.PIPE, log_file, held, *descriptors
                )
        finally:
            for descriptor in (log_file, ended, held, *descriptors):
                os.close(descriptor)
        assert process.stdin is not None
        with process.stdin as go:
            write_atomically(self._file(name), _text(Identity.of(process.pid)), 0o600)
            go.write(b"\n")
        return process

    def _keep(self, name: str, ended: int, log_file: int) -> None:
        command = [sys.executable, "-I", "-S", KEEPER, AT_SIGTERM]
        command += [str(self.runtime(name) / STOPPER), str(KEEPER_SECONDS)]
        try:
            self._keepers[name] = self._popen(command, ended, log_file)
        except OSError as error:  # a checkout where QEMU's user can't go
            _log.warning("%s will not be powered down when the host is: %s", name, error)

    def _popen(
        self, command: Sequence[str], stdin: int, output: int, *descriptors: int
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            stdin=stdin, stdout=output, stderr=output,
            start_new_session=True, umask=UMASK, cwd="/",
            user=self._account.pw_uid if self._account else None,
            group=self._account.pw_gid if self._account else None,
            extra_groups=_groups() if self._account else None,
            pass_fds=descriptors,
            env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        )  # fmt: skip

    def _file(self, name: str) -> Path:
        """Beside the runtime directory: QEMU's user must not choose what is killed."""
        return self._base / f"{name}.json"

    def _log(self, name: str) -> Path:
        return self._base / f"{name}.log"

    async def alive(self, name: str) -> bool:
        return self._identity(name) is not None

    def advice(self, name: str) -> str:
        identity = self._identity(name)
        return f"`sudo kill -KILL {identity.pid}`" if identity else "Its end"

    async def last_output(self, name: str) -> str:
        try:
            text = _end_of(self._log(name)).decode("utf-8", "replace")
        except OSError:
            return ""
        return shown("".join(text.strip().splitlines()[-1:]))

    async def clear(self, name: str) -> None:
        import shutil

        process = self._started.pop(name, None)
        if process is not None and process.poll() is None:
            await asyncio.to_thread(self._kill, process.pid)
            await asyncio.to_thread(process.wait)
        elif identity := self._identity(name):
            await asyncio.to_thread(self._kill, identity.pid)
            await _gone(identity)
        if keeper := self._keepers.pop(name, None):
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(keeper.wait, END_SECONDS)
        for path in (self._file(name), self._log(name)):
            with suppress(OSError):
                path.unlink()
        await asyncio.to_thread(shutil.rmtree, self.runtime(name), True)

    def _kill(self, pid: int) -> None:
        """In a snap root may signal its own processes only, so a child becomes QEMU's user."""
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        except PermissionError:
            if self._account is not None:
                subprocess.run(
                    ["/bin/sh", "-c", 'kill -KILL "$1"', "sh", str(pid)],
                    user=self._account.pw_uid, group=self._account.pw_gid, extra_groups=[],
                    check=False,
                )  # fmt: skip

    def _identity(self, name: str) -> Identity | None:
        """Of the running process; None if it ended, or the host was booted since."""
        process = self._started.get(name)
        if process is not None and process.poll() is not None:
            return None
        try:
            data = json.loads(read_regular(self._file(name), MAX_FILE))
            known = Identity(int(data["pid"]), int(data["started"]), str(data["boot"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return known if Identity.of(known.pid) == known else None

    def _warn(self) -> None:
        if os.geteuid() == 0 and self._account is None and not self._warned:
            self._warned = True
            _log.warning(
                "QEMU runs as root, as there is no user %s; the packages make one",
                " or ".join(USERS),
            )


@contextmanager
def _sigterm_blocked() -> Iterator[None]:
    """Children that this thread starts inherit the blocked signal, past exec."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


async def _gone(identity: Identity) -> None:
    for _ in range(int(END_SECONDS / POLL)):
        if Identity.of(identity.pid) != identity:
            return
        await asyncio.sleep(POLL)


def _text(identity: Identity | None) -> bytes:
    if identity is None:
        raise ProcessLookupError("it ended at once")
    return json.dumps(asdict(identity)).encode()


def _end_of(path: Path) -> bytes:
    with open(path, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_END))
        return file.read(LOG_END)


def _account() -> pwd.struct_passwd | None:
    for name in USERS:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    return None


def _with_kvm(command: Sequence[str]) -> tuple[Sequence[str], tuple[int, ...]]:
    """In a snap no user can be added to the group of /dev/kvm, so QEMU gets the open device."""
    accelerator = command.index("-accel") + 1 if "-accel" in command else 0
    if command[accelerator] != "kvm" or not installation.here().confined:
        return command, ()
    try:
        device = os.open(KVM, os.O_RDWR)
    except OSError:
        return command, ()  # QEMU says why
    words = [*command, "-add-fd", f"fd={device},set=1"]
    words[accelerator] = "kvm,device=/dev/fdset/1"
    return words, (device,)


def _groups() -> list[int]:
    """KVM is for members of its group."""
    if installation.here().confined:
        return []  # seccomp forbids any
    with suppress(KeyError):
        return [grp.getgrnam("kvm").gr_gid]
    return []
