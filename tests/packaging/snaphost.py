"""A host with a real snapd: the snap's places, names and commands on it."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.system.host import Done, Host

SNAP = "/multipass.snap"  # where the built snap lies in every host
LOOPS = 32  # each mounted snap takes a loop device of the whole machine
LOOP_MAJOR = 7
# As on Ubuntu; Debian's sudo knows no snaps.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin"

COMMON = "/var/snap/multipass/common"
SOCKET = f"{COMMON}/multipass_socket"
STORE = f"{COMMON}/data/multipassd/authenticated-certs/multipass_client_certs.pem"
ROOT_CERTIFICATE = f"{COMMON}/data/multipassd/multipass_root_cert.pem"
CERTIFICATE = "snap/multipass/current/data/multipass-client-certificate/multipass_cert.pem"
SERVICE = "snap.multipass.multipassd.service"
SOCKET_UNIT = "snap.multipass.multipassd.multipass.socket"
WAKE_SERVICE = "snap.multipass.wake.service"
PLUG = "multipass:multipass-support"
PLUG_KVM = "multipass:kvm"
PLUG_MEDIA = "multipass:removable-media"


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
