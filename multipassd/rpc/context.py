"""The daemon's parts that calls work on; created by `service.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from multipassd.system.background import Tasks

if TYPE_CHECKING:
    from multipassd.audit.trail import Audit
    from multipassd.auth.enrolment import Enrolment
    from multipassd.auth.guess_limiter import Guesses
    from multipassd.auth.passphrase import Verifier
    from multipassd.backend import Machines
    from multipassd.cloudinit.ssh_authority import SshAuthority
    from multipassd.cloudinit.ssh_keys import ServiceKey
    from multipassd.guest_access.guest_access import GuestAccess
    from multipassd.images.library import Images
    from multipassd.instances.cloning.cloner import Cloner
    from multipassd.instances.collection import Instances
    from multipassd.instances.exporting.importer import Importer
    from multipassd.instances.launching.launcher import Launcher
    from multipassd.instances.mount_switch import MountSwitch
    from multipassd.settings.settings import Settings
    from multipassd.trust.store import TrustStore


@dataclass(slots=True)
class Daemon:
    """The parts of the service that calls use; those of `machines` are loaded when they are."""

    store: TrustStore
    enrolment: Enrolment
    settings: Settings
    verifier: Verifier
    guesses: Guesses
    audit: Audit
    machines: Machines
    data_directory: str
    guest_access: GuestAccess
    root_certificate: bytes = b""  # PEM, what clients verify this service against
    tcp_address: str = ""  # where other machines reach it; empty if they can't
    tasks: Tasks = field(default_factory=Tasks)  # what a caller who hangs up does not cut short

    @property
    def instances(self) -> Instances:
        return self.machines.instances

    @property
    def images(self) -> Images:
        return self.machines.images

    @property
    def launcher(self) -> Launcher:
        return self.machines.launcher

    @property
    def cloner(self) -> Cloner:
        return self.machines.cloner

    @property
    def importer(self) -> Importer:
        return self.machines.importer

    @property
    def ssh_key(self) -> ServiceKey:
        return self.machines.ssh_key

    @property
    def ssh_authority(self) -> SshAuthority:
        return self.machines.ssh_authority

    @property
    def mount_switch(self) -> MountSwitch:
        return self.machines.mount_switch
