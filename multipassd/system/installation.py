"""How this copy of the service is installed (deb, snap or checkout) and what follows from that:
paths, unit names, the users it may run programs as, and the commands to type.

Paths are strings: the programs that run for a single request load no pathlib.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import Enum

from protocol import places

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
DEB_TREE = "/usr/lib/multipass"

MACHINES_USER = "multipass-vm"  # runs QEMU; the deb makes it
NOBODY = "nobody"
SNAP_DAEMON = "snap_daemon"  # the only user that a strict snap may become
FIRMWARE = (
    "enable virtualisation in its firmware, or nested virtualisation where it is a guest itself"
)


class Kind(Enum):
    """What installed this copy."""

    DEB = "deb"
    SNAP = "snap"
    CHECKOUT = "checkout"


class Installation:
    """The deb's paths and commands; a checkout shares them."""

    kind = Kind.DEB
    confined = False  # by snapd: can't become its callers, join groups or make a bridge
    has_units = True  # of systemd, which an administrator can enable, mask and edit

    mount_places: tuple[str, ...] = ("/",)  # below them a directory can be mounted

    daemon_unit = "multipassd.service"
    socket_unit = "multipassd.socket"
    tcp_socket_unit = "multipassd-tcp.socket"
    images_unit = "multipass-images@.service"
    machines_unit = "multipass-machines@.service"
    network_unit = "multipass-network.service"

    # Commands to type. Those that are whole commands are quoted, ready for a sentence.
    trust = "multipass-trust"  # the administrator's programs
    migrate = "multipass-migrate"
    start = "`sudo systemctl start multipassd.socket`"
    restart = "`sudo systemctl restart multipassd`"
    diagnose = "`systemctl status multipassd` and `journalctl -u multipassd -e`"
    enable_kvm = FIRMWARE

    # qemu-img gets a user that owns nothing: as QEMU's it could reach into each machine.
    qemu_img_user = NOBODY
    disk_groups: tuple[str, ...] = (MACHINES_USER, NOBODY)  # of users; the first that exists

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    @staticmethod
    def of(environ: Mapping[str, str]) -> Installation:
        """The installation that a process with this environment belongs to."""
        if places.in_snap(environ):
            return Snap(environ)
        return Installation(environ) if TREE == DEB_TREE else Checkout(environ)

    @property
    def socket(self) -> str:
        """The Unix socket that clients find by themselves."""
        return places.default_socket(self.environ)

    @property
    def storage(self) -> str:
        """Instances' disks and images, which the hypervisor's user must be able to reach."""
        return self.environ.get("MULTIPASS_STORAGE") or self.data

    @property
    def data(self) -> str:
        """Trust store, keys and records: the daemon's own directory."""
        if storage := self.environ.get("MULTIPASS_STORAGE"):
            return f"{storage}/data"
        return f"{self._home}/.local/share/multipassd"

    @property
    def settings(self) -> str:
        base = self.environ.get("DAEMON_CONFIG_HOME") or f"{self._home}/.config"
        return f"{base}/multipassd/multipassd.conf"

    @property
    def root_certificate(self) -> str:
        """Where the daemon writes its root certificate for clients to read."""
        if named := self.environ.get("MULTIPASS_ROOT_CERT"):
            return named
        if self.environ.get("MULTIPASS_STORAGE") == places.STATE_DIRECTORY:
            return f"{places.STATE_DIRECTORY}/{places.ROOT_CERTIFICATE}"
        return f"{places.LEGACY_DIRECTORY}/{places.ROOT_CERTIFICATE}"

    @property
    def earlier_settings(self) -> str | None:
        """Settings of 1.16 to take over at the first start; None if they lie where ours do."""
        return None

    @property
    def options(self) -> str | None:
        """What the package manager has set for the daemon's start (`snap set`), if it can."""
        return None

    @property
    def bundle(self) -> str:
        """The root of the programs that the package brings along; empty: the host's own."""
        return ""

    @property
    def _home(self) -> str:
        return self.environ.get("HOME") or "/root"


class Checkout(Installation):
    """The working tree, started by hand."""

    kind = Kind.CHECKOUT


class Snap(Installation):
    """The strict snap: snapd manages the service and confines it."""

    kind = Kind.SNAP
    confined = True
    has_units = False
    # What plugs show of the host's files. What snap_daemon may reach elsewhere is the machines'.
    mount_places = ("/home", "/media", "/mnt", "/run/media")

    daemon_unit = "snap.multipass.multipassd.service"

    trust = "multipass.trust"
    migrate = "multipass.migrate"
    start = "`sudo snap start multipass`"
    restart = "`sudo snap restart multipass.multipassd`"
    diagnose = "`snap services multipass` and `sudo snap logs multipass.multipassd`"
    enable_kvm = f"`sudo snap connect multipass:kvm` if it is not connected yet; else {FIRMWARE}"

    qemu_img_user = SNAP_DAEMON
    disk_groups = (SNAP_DAEMON,)

    @property
    def storage(self) -> str:
        return self.environ.get("MULTIPASS_STORAGE") or places.snap_common(self.environ)

    @property
    def data(self) -> str:
        if storage := self.environ.get("MULTIPASS_STORAGE"):
            return f"{storage}/data"
        return f"{places.snap_common(self.environ)}/data/multipassd"

    @property
    def settings(self) -> str:
        """What all revisions share: with 1.16's place, `snap revert` would bring an old passphrase
        back."""
        return f"{places.snap_common(self.environ)}/config/multipassd/multipassd.conf"

    @property
    def root_certificate(self) -> str:
        named = self.environ.get("MULTIPASS_ROOT_CERT")
        return named or f"{self.data}/{places.ROOT_CERTIFICATE}"

    @property
    def earlier_settings(self) -> str | None:
        """Where the snap of 1.16 keeps the daemon's settings, a file for each revision."""
        return f"{self._revision_data}/config/multipassd/multipassd.conf"

    @property
    def options(self) -> str | None:
        """Of one revision, as snapd itself keeps what was set and restores it on a revert."""
        return f"{self._revision_data}/options.json"

    @property
    def bundle(self) -> str:
        return self.environ.get("SNAP", "")

    @property
    def _revision_data(self) -> str:
        return self.environ.get("SNAP_DATA") or "/var/snap/multipass/current"


def here() -> Installation:
    """The installation of this process."""
    return Installation.of(os.environ)


def program(name: str) -> str:
    """The path of one of our programs, such as `multipass-images`."""
    return f"{TREE}/bin/{name}"
