"""A host with a real snapd that needs no store: base and snapd are local; the built snap is there."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.packaging import bases
from tests.system.host import Done, Host, add_users, in_root
from tests.system.host_trust import let_sudo_ask_nothing
from tools import roots, snap, snap_python

PACKAGES = (
    "dbus", "dbus-user-session", "iproute2", "kmod", "libpam-systemd", "procps", "python3",
    "snapd", "squashfs-tools", "sudo", "systemd", "systemd-sysv", "udev",
)  # fmt: skip
SNAP = "/multipass.snap"  # where the built snap lies in every host
BASES = "/bases"
LOOPS = 32  # each mounted snap takes a loop device of the whole machine
LOOP_MAJOR = 7
# As on Ubuntu; Debian's sudo knows no snaps.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin"
SUDO_PATH = f'Defaults secure_path="{PATH}"\n'
MASKED = ("systemd-modules-load.service", "systemd-udevd.service")  # the kernel is not ours

COMMON = "/var/snap/multipass/common"
SOCKET = f"{COMMON}/multipass_socket"
STORE = f"{COMMON}/data/multipassd/authenticated-certs/multipass_client_certs.pem"
ROOT_CERTIFICATE = f"{COMMON}/data/multipassd/multipass_root_cert.pem"
CERTIFICATE = "snap/multipass/current/data/multipass-client-certificate/multipass_cert.pem"
SERVICE = "snap.multipass.multipassd.service"
SOCKET_UNIT = "snap.multipass.multipassd.multipass.socket"


class SnapHost(Host):
    """A Host with the snap's places and commands."""

    def more_options(self) -> Sequence[str]:
        return (
            "--capability=all", "--system-call-filter=bpf", "--system-call-filter=@keyring",
            "--bind=/dev/loop-control",
            *(f"--bind={node}:/dev/{node.name}" for node in self._loop_devices()),
        )  # fmt: skip

    def _loop_devices(self) -> list[Path]:
        """Nodes of our own, as the machine's /dev has only those that were used already."""
        place = self.root.with_suffix(".loops")
        place.mkdir(exist_ok=True)
        nodes = [place / f"loop{number}" for number in range(LOOPS)]
        for number, node in enumerate(nodes):
            if not node.exists():
                os.mknod(node, 0o600 | 0o060000, os.makedev(LOOP_MAJOR, number))
        return nodes

    def stop(self) -> None:
        super().stop()
        shutil.rmtree(self.root.with_suffix(".loops"), ignore_errors=True)

    def entering(self, user: str = "") -> list[str]:
        return [*super().entering(user), "env", f"PATH={PATH}"]

    def units(self) -> str:
        shown = subprocess.run(
            [*self.entering(), "sh", "-c",
             f"systemctl status --no-pager -n 0 'snap.multipass*'; ls -l {SOCKET};"
             "snap changes; snap connections multipass;"
             "journalctl --no-pager -n 40 -u 'snap.multipass*' -u snapd"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return shown.stdout + shown.stderr

    def install(self, path: str = SNAP) -> Done:
        return self.run("snap", "install", "--dangerous", path)


@contextmanager
def new_snap_host() -> Iterator[SnapHost]:
    """A host with snapd, base and users; the built snap lies at SNAP. Not booted yet."""
    built = snap.kept()
    with roots.unpacked(_golden()) as root:
        shutil.copyfile(built, f"{root}{SNAP}")
        one = SnapHost(root)
        try:
            yield one
        finally:
            one.stop()
            one.console.unlink(missing_ok=True)


def _golden() -> Path:
    """Everything but our snap, installed by a boot; kept."""
    packages = roots.tarball("snap-host", PACKAGES)
    recipe = Path(bases.__file__).read_bytes() + Path(__file__).read_bytes()
    identity = hashlib.sha256(packages.name.encode() + str(snap_python.prefix()).encode() + recipe)

    def make(path: Path) -> None:
        with roots.unpacked(packages) as root:
            add_users(root)
            (root / "etc/machine-id").write_text("")
            for unit in MASKED:
                in_root(root, "systemctl", "mask", unit)
            bases.make(root, BASES)
            one = SnapHost(root)
            let_sudo_ask_nothing(one)
            (root / "etc/sudoers.d/snap-path").write_text(SUDO_PATH)
            try:
                one.boot()
                _prepare_snapd(one)
            finally:
                one.stop()
                one.console.unlink(missing_ok=True)
            shutil.rmtree(f"{root}{BASES}")
            subprocess.run(["tar", "-cf", path, "-C", root, "."], check=True)

    return roots.kept("snap-golden", identity.hexdigest()[:12], ".tar", make)


def _prepare_snapd(host: SnapHost) -> None:
    host.run("snap", "wait", "system", "seed.loaded")
    # First, as each change would wait half a minute for a store that is not there.
    host.run("snap", "set", "system", "store.access=offline")
    host.run("snap", "install", "--dangerous", f"{BASES}/{bases.SNAPD}")
    host.run("snap", "install", "--dangerous", f"{BASES}/{bases.BASE}")
