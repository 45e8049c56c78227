"""The access to guests of a daemon without a network service, for tests of calls."""

from __future__ import annotations

from pathlib import Path

from multipassd.cloudinit.logins import Logins, Shared
from multipassd.cloudinit.ssh_authority import SshAuthority
from multipassd.cloudinit.ssh_keys import ServiceKey
from multipassd.guest_access.guest_access import GuestAccess
from multipassd.instances.collection import Instances
from multipassd.network.closing import Closing
from multipassd.transport.quota.subuids import SubordinateUids
from multipassd.trust.store import TrustStore


def access_of(
    data: Path,
    instances: Instances,
    key: ServiceKey,
    authority: SshAuthority,
    shared: Shared = lambda: True,
) -> GuestAccess:
    trust = TrustStore(data / "authenticated-certs")
    logins = Logins(key, authority, shared)
    return GuestAccess(data, trust, logins, instances, Closing(None, data), SubordinateUids)
