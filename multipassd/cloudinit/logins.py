"""By what each guest is logged in to: the shared key, or certificates alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from multipassd.cloudinit.ssh_authority import Guest, SshAuthority
from multipassd.cloudinit.ssh_keys import NO_KEY, ServiceKey, SshKey, make

KEY_ID = "multipassd"  # what a guest's log calls the service

Shared = Callable[[], bool | None]


class Trusting(Guest, Protocol):
    """What of an instance's record tells which way is open."""

    @property
    def ssh_key(self) -> str: ...
    @property
    def ssh_authority(self) -> str: ...
    @property
    def service(self) -> str: ...


class Logins:
    """The keys, the authority, and what `local.shared-ssh-key` says."""

    def __init__(self, key: ServiceKey, authority: SshAuthority, shared: Shared) -> None:
        """`shared`: the setting now; None while that can't be told."""
        self.key = key
        self._authority = authority
        self.shared = shared

    def wanted(self, guest: Trusting) -> str:
        """The name of the key that the guest is to let in, NO_KEY for none: not where no
        certificate would be let in. While the setting can't be told it stays as it is. Raises
        StorageFailed."""
        if guest.service:  # the keys that it lets in are for that service to change
            return NO_KEY
        shared = self.shared()
        if shared is None:
            shared = guest.ssh_key != NO_KEY
        if not shared and guest.ssh_authority == self._authority.public:
            return NO_KEY
        return self.key.name

    def authority_line(self, guest: Trusting) -> str:
        """The line by which the guest lets certificates in; empty where it has none of ours. Raises
        StorageFailed."""
        if guest.ssh_authority != self._authority.public:
            return ""
        return self._authority.line(guest)

    def certificate(self, guest: Guest) -> tuple[SshKey, str]:
        """A key of this moment and a certificate for it, for one log-in by the service. Raises
        StorageFailed."""
        key = make()
        return key, self._authority.certify(key.public, guest, KEY_ID)
