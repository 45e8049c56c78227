"""The daemon's parts that calls work on; created by `service.py`."""

from __future__ import annotations

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


class Daemon:
    """The parts of the service that calls use; those of `machines` are loaded when they are."""

    def __init__(
        self,
        *,
        store: TrustStore,
        enrolment: Enrolment,
        settings: Settings,
        verifier: Verifier,
        guesses: Guesses,
        audit: Audit,
        machines: Machines,
        data_directory: str,
        guest_access: GuestAccess,
        tcp_address: str = "",
    ) -> None:
        """`tcp_address`: where other machines reach it; empty if they can't."""
        self.store = store
        self.enrolment = enrolment
        self.settings = settings
        self.verifier = verifier
        self.guesses = guesses
        self.audit = audit
        self.machines = machines
        self.data_directory = data_directory
        self.guest_access = guest_access
        self.tcp_address = tcp_address
        self.root_certificate = b""  # PEM, what clients verify this service against
        self.tasks = Tasks()  # what a caller who hangs up does not cut short

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
