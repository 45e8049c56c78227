"""The access to guests of a daemon without a network service, for tests of calls."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from multipassd.cloudinit.logins import Logins, Shared
from multipassd.cloudinit.ssh_authority import SshAuthority
from multipassd.cloudinit.ssh_keys import ServiceKey
from multipassd.guest_access.guest_access import GuestAccess
from multipassd.instances.collection import Instances
from multipassd.network.closing import Closing
from multipassd.transport.quota.subuids import SubordinateUids
from multipassd.trust.store import TrustStore


@dataclass
class Reached:
    """A `multipassd.guest_access.guest_access.Guests`."""

    ssh_key: ServiceKey
    logins: Logins
    instances: Instances
    closing: Closing


def access_of(
    data: Path,
    instances: Instances,
    key: ServiceKey,
    authority: SshAuthority,
    shared: Shared = lambda: True,
) -> GuestAccess:
    trust = TrustStore(data / "authenticated-certs")
    guests = Reached(key, Logins(key, authority, shared), instances, Closing(None, data))
    return GuestAccess(data, trust, guests, SubordinateUids)
