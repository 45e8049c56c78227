"""Who is at the other end, by the kernel's word alone."""

from __future__ import annotations

import os
import socket

import pytest

from multipassd.auth.peer import NOBODY, AdminRule, Credentials, Peer, credentials_of
from tools.sandbox import Sandbox

ADMINS = AdminRule(group=27, own_uid=1000)


def credentials(uid: int, *groups: int) -> Credentials:
    return Credentials(uid, uid, 1, frozenset(groups))


def test_a_unix_peer_is_known_by_uid_gid_pid_and_groups() -> None:
    here, there = socket.socketpair()
    with here, there:
        peer = credentials_of(here)
    assert peer is not None
    assert (peer.uid, peer.gid, peer.pid) == (os.geteuid(), os.getegid(), os.getpid())
    assert peer.groups == {os.getegid(), *os.getgroups()}


def test_a_tcp_peer_has_no_credentials() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as accepted,
    ):
        assert credentials_of(accepted) is None


@pytest.mark.root
@pytest.mark.parametrize("groups", [[], list(range(1, 1001))], ids=["none", "a thousand"])
def test_credentials_are_those_of_connect(sandbox: Sandbox, groups: list[int]) -> None:
    path = str(sandbox.socket_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        os.chmod(path, 0o666)
        listening.listen()
        child = os.fork()
        if not child:
            try:
                os.setgroups(groups)
                os.setgid(4_000_000_000)
                os.setuid(3_000_000_000)
                socket.socket(socket.AF_UNIX).connect(path)
            finally:
                os._exit(0)
        accepted, _ = listening.accept()
        os.waitpid(child, 0)
        with accepted:
            peer = credentials_of(accepted)
    assert peer is not None
    assert (peer.uid, peer.gid) == (3_000_000_000, 4_000_000_000)
    assert peer.groups == {4_000_000_000, *groups}


@pytest.mark.parametrize(
    ("peer", "covered"),
    [
        (None, False),
        (credentials(0), True),
        (credentials(1000), True),
        (credentials(1001), False),
        (credentials(1001, 27), True),
        (credentials(1001, 28), False),
        (credentials(NOBODY, 27), False),
    ],
    ids=["TCP", "root", "the daemon's user", "a stranger", "an admin", "a user", "nobody"],
)
def test_who_is_an_administrator(peer: Credentials | None, covered: bool) -> None:
    assert ADMINS.covers(peer) is covered


def test_roots_group_makes_nobody_an_administrator() -> None:
    assert not AdminRule(group=0, own_uid=0).covers(credentials(1001, 0))


def test_a_peer_in_the_log_shows_who_and_no_more_than_a_fingerprint() -> None:
    assert str(Peer(credentials(7), b"der", "ab" * 32)) == (
        "uid 7 (pid 1), certificate abababababababab"
    )
    assert str(Peer(None, b"", "")) == "TCP client, certificate none"
