"""The part that calls see: what ends an access is there before the access is given."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from multipassd.auth.peer import Credentials, Peer
from multipassd.cloudinit.ssh_authority import SshAuthority
from multipassd.cloudinit.ssh_keys import NO_KEY, ServiceKey
from multipassd.guest_access.guest_access import GuestAccess
from multipassd.guest_access.holders import Holders
from multipassd.instances.collection import Instances
from multipassd.late_code import CodeReplaced
from tests.multipassd.guest_access.access import access_of

PEER = Peer(Credentials(1000, 1000, 1, frozenset()), b"der", "b" * 64)


@pytest.fixture
def access(tmp_path: Path) -> GuestAccess:
    none = cast(Instances, None)  # not asked for
    return access_of(tmp_path, none, ServiceKey(tmp_path), SshAuthority(tmp_path))


def test_a_client_is_let_in_only_when_its_access_can_be_ended(
    access: GuestAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its code is loaded late, and may be another version's by then."""

    def replaced(_: GuestAccess) -> None:
        raise CodeReplaced

    monkeypatch.setattr(GuestAccess, "_departures", property(replaced))
    with pytest.raises(CodeReplaced):
        asyncio.run(access.note_certificate(PEER))
    assert not access._holders.any()


def test_a_former_key_is_pending_before_another_one_is_made(tmp_path: Path) -> None:
    """Or there would be a moment after a revocation in which nothing seems left to do."""
    found = [
        SimpleNamespace(name="foo", record=SimpleNamespace(ssh_key="")),
        SimpleNamespace(name="certificates-alone", record=SimpleNamespace(ssh_key=NO_KEY)),
    ]
    instances = cast(Instances, SimpleNamespace(everything=lambda: found))
    access = access_of(tmp_path, instances, ServiceKey(tmp_path), SshAuthority(tmp_path))
    asyncio.run(access.note_certificate(PEER))
    access._let_in = True
    access._departures._rotate_at = 0.0
    assert access.pending() == ["foo"]


def test_what_ends_it_is_loaded_before_it_is_noted(
    access: GuestAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[bool] = []
    note = Holders.note

    def noting(holders: Holders, fingerprint: str, uid: int | None, key: str | None) -> None:
        loaded.append("_departures" in vars(access))
        note(holders, fingerprint, uid, key)

    monkeypatch.setattr(Holders, "note", noting)
    asyncio.run(access.note_certificate(PEER))
    assert loaded == [True]
