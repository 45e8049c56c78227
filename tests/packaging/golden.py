"""Hosts with a real snapd that needs no store: base and snapd are local snaps.

All but our snap is installed once, by a boot, and kept. What makes the kept one is all in this
module and `bases`: a change of either makes it anew.
"""

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.packaging import bases
from tests.packaging.snaphost import PATH, SNAP, SnapHost
from tests.system.host import add_users, in_root
from tests.system.host_trust import let_sudo_ask_nothing
from tools import roots, snap, snap_python

PACKAGES = (
    "dbus", "dbus-user-session", "iproute2", "kmod", "libpam-systemd", "procps", "python3",
    "snapd", "squashfs-tools", "sudo", "systemd", "systemd-sysv", "udev",
)  # fmt: skip
BASES = "/bases"
MASKED = ("systemd-modules-load.service", "systemd-udevd.service")  # the kernel is not ours
SUDO_PATH = f'Defaults secure_path="{PATH}"\n'


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
