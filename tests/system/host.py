"""A Debian 13 with systemd as PID 1, in a container without network, from a root of its own."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeVar

from tests.system import cgroup
from tools import deb, roots
from tools.roots import CLEAN_ENVIRONMENT

# A boot takes 3 seconds on a machine that has nothing else to do, and has taken 60 on a busy one.
BOOT_SECONDS = 240.0
STOP_SECONDS = 120.0  # longer than systemd itself lets a unit take; what comes then is a power cut
COMMAND_SECONDS = 240.0
# This kernel charges for what crosses CPUs while namespaces are entered: one is quicker than two,
# and each worker of a parallel run takes its own.
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
PIN = ("taskset", "-c", str(sorted(os.sched_getaffinity(0))[WORKER % len(os.sched_getaffinity(0))]))

USERS = {"alice": ("sudo",), "bob": (), "carol": (), "dave": ("sudo",)}  # and their groups
PACKAGE = "/multipass.deb"  # where the built package lies in every host
PAGE_PACKAGE = "/cockpit-multipass.deb"

KINDS = {
    "host": roots.HOST,
    "instances": roots.INSTANCE_HOST,
    "network-manager": roots.NETWORK_MANAGER_HOST,
    "cockpit": roots.COCKPIT_HOST,
}

Done = subprocess.CompletedProcess[str]
Kind = TypeVar("Kind", bound="Host")


def missing() -> str:
    """Why no host can be booted here; empty if one can."""
    if os.geteuid() != 0:
        return "booting a container needs root"
    for program in ("mmdebstrap", "systemd-nspawn", "nsenter", "taskset"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if not os.path.ismount("/sys/fs/cgroup"):
        return "booting a container needs control groups at /sys/fs/cgroup"
    return "" if roots.can_mount_alone() else roots.NO_MOUNT_ALONE


@contextmanager
def new_host(*, installed: bool = True, kind: str = "host") -> Iterator["Host"]:
    """A host with the users of USERS and the built package, `installed` or only lying there; not
    booted yet. Raises RootError where none can be made."""
    with roots.unpacked(_image(installed, kind)) as root:
        one = Host(root)
        try:
            yield one
        finally:
            one.stop()
            one.console.unlink(missing_ok=True)


def _image(installed: bool, kind: str) -> Path:
    package = deb.kept()
    page = deb.kept_page() if kind == "cockpit" else None
    base = roots.tarball(kind, KINDS[kind])

    def make(path: Path) -> None:
        with roots.unpacked(base) as root:
            shutil.copyfile(package, f"{root}{PACKAGE}")
            add_users(root)
            (root / "etc/machine-id").write_text("")  # else presets decide at each first boot
            if installed:
                in_root(root, "dpkg", "-i", PACKAGE)
            if installed and page:
                shutil.copyfile(page, f"{root}{PAGE_PACKAGE}")
                in_root(root, "dpkg", "-i", PAGE_PACKAGE)
            subprocess.run(["tar", "-cf", path, "-C", root, "."], check=True)

    state = "installed" if installed else "bare"
    identity = package.stem[-12:] + (page.stem[-12:] if page else "")
    return roots.kept(f"{kind}-{state}", identity, ".tar", make)


def add_users(root: Path) -> None:
    for name, groups in USERS.items():
        in_root(root, "useradd", "-m", "-s", "/bin/bash", "-G", ",".join(groups), name)


def in_root(root: Path, *command: str) -> None:
    done = roots.run_in(root, *command)
    assert done.returncode == 0, done.stdout


class Host:
    """Start it with `boot`; `stop` powers it off, after which it can be booted again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.console = root.with_suffix(".console")
        self.boot_seconds = 0.0
        self.pin: Sequence[str] = PIN
        self._container: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def boot(self) -> None:
        began = time.monotonic()
        with open(self.console, "wb") as console:
            self._container = subprocess.Popen(
                [
                    *self.pin, *cgroup.entering(self.root.name),
                    "systemd-nspawn", "--quiet", "--boot", "--directory", str(self.root),
                    "--machine", self.root.name.replace("_", "x"), "--register=no", "--keep-unit",
                    "--console=passive", "--private-network", "--kill-signal=SIGRTMIN+3",
                    *self.more_options(),
                ],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                env={
                    **CLEAN_ENVIRONMENT, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
                    **self.more_environment(),
                },
                start_new_session=True,
            )  # fmt: skip
        self._wait_until_up(began + BOOT_SECONDS)
        self.boot_seconds = time.monotonic() - began

    def drop_in(self, text: str) -> None:
        """For the service's unit; before `boot`."""
        place = self.root / "etc/systemd/system/multipassd.service.d/test.conf"
        place.parent.mkdir(parents=True)
        place.write_text(text)

    def more_options(self) -> Sequence[str]:
        """More options of systemd-nspawn, for hosts that need more of the machine."""
        return ()

    def more_environment(self) -> Mapping[str, str]:
        """More variables for systemd-nspawn itself."""
        return {}

    def begun(self) -> None:
        """Called when its PID 1 is there, which has started nothing yet or little."""

    def _wait_until_up(self, deadline: float) -> None:
        state = "no PID 1"
        while time.monotonic() < deadline:
            assert self._container is not None
            assert self._container.poll() is None, self.console.read_text(errors="replace")
            if not self._leader:
                self._leader = self._find_leader()
                if self._leader:
                    self.begun()
            if self._leader:
                state = self.run("systemctl", "is-system-running", code=None).stdout.strip()
                if state in ("running", "degraded"):
                    return
            time.sleep(0.1)
        raise AssertionError(f"{state}\n{self.console.read_text(errors='replace')}")

    def _find_leader(self) -> int:
        assert self._container is not None
        found = subprocess.run(
            ["pgrep", "-P", str(self._container.pid), "-x", "systemd"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return int(found.stdout.split()[0]) if found.stdout.split() else 0

    def stop(self) -> None:
        if self._container is None:
            return
        if self._leader:
            self.run("systemctl", "poweroff", code=None)
        try:
            self._container.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._container.kill()
            self._container.wait()
        self._container, self._leader = None, 0
        cgroup.remove(self.root.name)

    def kill(self) -> None:
        """As a power cut: all its processes end at once. It can be booted again."""
        assert self._container is not None
        os.kill(self._leader, signal.SIGKILL)
        self._container.wait(STOP_SECONDS)
        self._container, self._leader = None, 0
        cgroup.remove(self.root.name)

    @property
    def leader(self) -> int:
        """Its PID 1, as seen from outside."""
        return self._leader

    @contextmanager
    def copy(self) -> Iterator[Self]:
        """A host of its own that begins with what is on this one's disk. This one is off, and stays
        so until the copy is gone; a copy can be copied once more, as overlays nest no deeper."""
        with self.copy_as(type(self)) as one:
            yield one

    @contextmanager
    def copy_as(self, kind: type[Kind]) -> Iterator[Kind]:
        """The same, as a host of this kind."""
        assert self._container is None
        root = roots.directory("multipass-root-")
        one = kind(root)
        with roots.scratch("multipass-changes-") as changes:
            try:
                _overlay(self.root, changes, root)
                yield one
            finally:
                try:
                    one.stop()
                finally:
                    subprocess.run(["umount", "--lazy", root], check=False)
                    root.rmdir()
                    one.console.unlink(missing_ok=True)

    # Doing

    def run(self, *command: str, user: str = "", code: int | None = 0, given: str = "") -> Done:
        """Run inside, as root or as `user`; stderr comes with stdout. `code` is checked unless
        it is None."""
        done = subprocess.run(
            [*self.entering(user), *command],
            input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False, env=CLEAN_ENVIRONMENT, timeout=COMMAND_SECONDS,
        )  # fmt: skip
        if code is not None and done.returncode != code:
            raise AssertionError(
                f"{user or 'root'}: {command} ended with {done.returncode}\n{done.stdout}\n"
                f"{self.units()}"
            )
        return done

    def entering(self, user: str = "") -> list[str]:
        command = [*self.pin, "nsenter", "-t", str(self._leader), "-a", "--"]
        if user not in ("", "root"):
            command += [
                "setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--reset-env",
                "env", "-C", f"/home/{user}", "LANG=C.UTF-8",
            ]  # fmt: skip
        return command

    def inside(self, path: str) -> Path:
        """Where `path` of the running host is seen from out here, /run and sockets included."""
        return Path(f"/proc/{self._leader}/root{path}")

    def units(self) -> str:
        """What a person would look at first."""
        shown = subprocess.run(
            [*self.entering(), "sh", "-c",
             "systemctl status --no-pager -n 0 'multipassd*'; ls -l /run/multipass_socket;"
             "journalctl --no-pager -n 40 -u 'multipassd*'"],
            capture_output=True, text=True, check=False, env=CLEAN_ENVIRONMENT,
        )  # fmt: skip
        return shown.stdout + shown.stderr

    def journal(self, *words: str) -> str:
        """What journalctl says, with all that was logged before this call: journald reads what it
        is sent at its own pace, which on a busy machine is later than the sender's next answer."""
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--no-pager", "--quiet", *words).stdout

    def show(self, unit: str, name: str) -> str:
        return self.run("systemctl", "show", "--value", "-p", name, unit).stdout.strip()

    def exposure(self, unit: str) -> float:
        said = self.run("systemd-analyze", "security", "--no-pager", unit).stdout
        found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
        assert found is not None, said
        return float(found[1])


def _overlay(below: Path, changes: Path, at: Path) -> None:
    upper, work = changes / "upper", changes / "work"
    upper.mkdir(parents=True)
    work.mkdir()
    upper.chmod(0o755)  # the root directory's mode, for any umask
    options = f"lowerdir={below},upperdir={upper},workdir={work}"
    command = ["mount", "-t", "overlay", "-o", options, "overlay", str(at)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise roots.RootError(f"{at} could not be mounted: {done.stderr.strip()}")
