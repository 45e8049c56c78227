"""Which guests are to let the shared key in: never one that would then let nothing in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from multipassd.cloudinit.logins import KEY_ID, Logins
from multipassd.cloudinit.ssh_authority import SshAuthority, principal
from multipassd.cloudinit.ssh_keys import NO_KEY, ServiceKey


@dataclass(frozen=True)
class Guest:
    ssh_key: str = ""
    ssh_authority: str = ""
    instance_id: str = "foo-1"
    ssh_user: str = ""
    service: str = ""


@pytest.mark.parametrize(
    ("shared", "has", "trusts", "wanted"),
    [
        (True, "", True, "key"),
        (True, NO_KEY, True, "key"),
        (False, "", True, NO_KEY),
        (False, "", False, "key"),
        (None, "", True, "key"),  # as it is
        (None, NO_KEY, True, NO_KEY),
    ],
)
def test_the_setting_counts_where_certificates_do(
    tmp_path: Path, shared: bool | None, has: str, trusts: bool, wanted: str
) -> None:
    key, authority = ServiceKey(tmp_path), SshAuthority(tmp_path)
    assert key.public
    name = key.rotate()
    logins = Logins(key, authority, lambda: shared)
    guest = Guest(has, authority.public if trusts else "another")
    assert logins.wanted(guest) == (name if wanted == "key" else NO_KEY)


def test_the_service_s_own_certificate_is_for_one_guest(tmp_path: Path) -> None:
    logins = Logins(ServiceKey(tmp_path), SshAuthority(tmp_path), lambda: False)
    key, certificate = logins.certificate(Guest())
    other, _ = logins.certificate(Guest())
    assert key.private != other.private
    from cryptography.hazmat.primitives.serialization import (
        SSHCertificate,
        load_ssh_public_identity,
    )

    read = load_ssh_public_identity(certificate.encode())
    assert isinstance(read, SSHCertificate)
    assert read.key_id == KEY_ID.encode()
    assert read.valid_principals == [principal(Guest()).encode()]
