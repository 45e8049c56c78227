"""The daemon's parts that calls work on; created by `service.py`."""

from __future__ import annotations

from dataclasses import dataclass, field

from multipassd.audit.trail import Audit
from multipassd.auth.enrolment import Enrolment
from multipassd.auth.guess_limiter import Guesses
from multipassd.auth.passphrase import Verifier
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
from multipassd.system.background import Tasks
from multipassd.trust.store import TrustStore


@dataclass(slots=True)
class Daemon:
    """The parts of the service that calls use."""

    store: TrustStore
    enrolment: Enrolment
    settings: Settings
    verifier: Verifier
    guesses: Guesses
    audit: Audit
    instances: Instances
    images: Images
    launcher: Launcher
    cloner: Cloner
    importer: Importer
    ssh_key: ServiceKey
    ssh_authority: SshAuthority
    data_directory: str
    mount_switch: MountSwitch
    guest_access: GuestAccess
    root_certificate: bytes = b""  # PEM, what clients verify this service against
    tcp_address: str = ""  # where other machines reach it; empty if they can't
    tasks: Tasks = field(default_factory=Tasks)  # what a caller who hangs up does not cut short
