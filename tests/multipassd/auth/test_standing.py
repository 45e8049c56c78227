"""Who is trusted, as what, is one value made in one place."""

from __future__ import annotations

import ast

import pytest

from multipassd.auth.peer import NOBODY, AdminRule, Credentials, Peer
from multipassd.auth.standing import STRANGER, Standing, Standings
from multipassd.certificates.expiry import NEVER_VALID
from multipassd.transport.quota import limits
from protocol.roles import Role
from tests.test_architecture import modules, within

ADMIN_GROUP = 27
KNOWN, SEEING = "aa" * 32, "cc" * 32
NAME = "alice"
# A peer without a certificate is not even looked up.
ROLES = {KNOWN: Role.ADMIN, SEEING: Role.VIEWER, "": Role.ADMIN}
# The store itself, what computes the standing, what changes the store, and what ends access then.
ASKS_THE_STORE = ("multipassd.trust", "multipassd.admin", "multipassd.auth.standing",
                  "multipassd.auth.enrolment", "multipassd.auth.installer",
                  "multipassd.auth.renewal", "multipassd.guest_access.departures")  # fmt: skip


ASKING = ("trusts", "role_of", "holder_of", "holders")


class Store:
    def _role_of(self, fingerprint: str) -> Role | None:
        return ROLES.get(fingerprint)

    def holder_of(self, fingerprint: str) -> tuple[Role | None, str]:
        role = self._role_of(fingerprint)
        return role, "" if role is None else NAME


def local(uid: int, *groups: int) -> Credentials:
    return Credentials(uid, 1000, 42, frozenset(groups))


STANDINGS = Standings(Store(), AdminRule(ADMIN_GROUP, own_uid=1234))


@pytest.mark.parametrize(
    ("credentials", "fingerprint", "expected"),
    [
        (local(0), "", Standing(root=True, admin=True)),
        (local(0), KNOWN, Standing(Role.ADMIN, NAME, root=True, admin=True)),
        (local(1000, ADMIN_GROUP), "", Standing(admin=True)),
        (local(1234), "bb" * 32, Standing(admin=True)),
        (local(1001), KNOWN, Standing(Role.ADMIN, NAME)),
        (local(1001), SEEING, Standing(Role.VIEWER, NAME)),
        (local(0), SEEING, Standing(Role.VIEWER, NAME, root=True, admin=True)),
        (local(NOBODY, ADMIN_GROUP), "", STRANGER),
        (None, KNOWN, Standing(Role.ADMIN, NAME)),
        (None, "", STRANGER),
    ],
)
def test_it_follows_from_certificate_and_user(
    credentials: Credentials | None, fingerprint: str, expected: Standing
) -> None:
    assert STANDINGS.of(Peer(credentials, b"", fingerprint)) == expected
    assert STANDINGS.before_handshake(credentials).trusted is False


def test_root_and_admins_guess_as_they_like_and_trusted_clients_have_more_room() -> None:
    assert Standing(root=True).privileged and Standing(role=Role.ADMIN).privileged
    assert not Standing(role=Role.VIEWER).privileged
    assert not Standing(admin=True).privileged and not STRANGER.privileged
    assert limits.of(Standing(root=True, admin=True)) is limits.of(STRANGER) is limits.UNTRUSTED
    for role in Role:
        assert limits.of(Standing(role=role)) is limits.TRUSTED


def test_root_and_the_daemons_own_user_are_not_rationed() -> None:
    assert STANDINGS.is_unrationed(0) and STANDINGS.is_unrationed(1234)
    assert not STANDINGS.is_unrationed(1000)


def test_nothing_else_in_the_daemon_asks_the_store_whether_a_peer_is_trusted() -> None:
    for module, path in modules().items():
        if within(module, *ASKS_THE_STORE):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Attribute) and node.attr in ASKING), module


@pytest.mark.parametrize(
    ("ends", "refuses", "expired"),
    [(100.0, True, False), (99.0, True, True), (99.0, False, False), (NEVER_VALID, True, True)],
)
def test_who_has_an_expired_certificate_is_a_stranger_where_such_are_refused(
    ends: float, refuses: bool, expired: bool
) -> None:
    standings = Standings(Store(), AdminRule(ADMIN_GROUP, 1234), lambda: refuses, lambda: 99.5)
    for user in (local(1001), local(1000, ADMIN_GROUP), None):
        peer = Peer(user, b"", KNOWN, ends=ends)
        admin = user is not None and ADMIN_GROUP in user.groups
        usual = Standing(Role.ADMIN, NAME, admin=admin)
        assert standings.of(peer) == (Standing(admin=admin, expired=True) if expired else usual)
    root = Peer(local(0), b"", KNOWN, ends=ends)
    assert standings.of(root) == Standing(Role.ADMIN, NAME, root=True, admin=True)
