"""Who is charged: users of this host by their uid, others by their address."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import pytest

from multipassd.transport.quota import socket_owner
from multipassd.transport.quota.origin import (
    LOOPBACK,
    TcpOrigins,
    account_of_uid,
    person_of_address,
    person_of_uid,
)
from multipassd.transport.quota.socket_owner import OwnerLookup

ANOTHER_USER = 2_000_300_000  # a uid that no account has


def charge(uid: int) -> int:
    return 1000 if uid >= 2_100_000_000 else uid


@contextmanager
def accepted(host: str, uid: int | None = None) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our end of a connection from `host` to itself, and the listening socket; the other end is
    held by that user."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listening:
        target = listening.getsockname()[:2]
        ready, hold = multiprocessing.Event(), multiprocessing.Event()
        caller = multiprocessing.Process(target=_call, args=(target, uid, ready, hold))
        caller.start()
        try:
            ours, _ = listening.accept()
            with ours:
                ready.wait()
                yield ours, listening
        finally:
            hold.set()
            caller.join()


def _call(target: tuple[str, int], uid: int | None, ready: object, hold: object) -> None:
    if uid is not None:
        os.setgroups([])
        os.setresuid(uid, uid, uid)
    with socket.create_connection(target):
        ready.set()  # type: ignore[attr-defined]
        hold.wait()  # type: ignore[attr-defined]


def persons() -> TcpOrigins:
    return TcpOrigins(charge, OwnerLookup())


@pytest.mark.root
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_local_tcp_peer_is_charged_as_its_user(host: str) -> None:
    with accepted(host, ANOTHER_USER) as (ours, _):
        assert persons().person(ours) == str(ANOTHER_USER) == person_of_uid(ANOTHER_USER, charge)


@pytest.mark.root
def test_a_local_tcp_peer_of_a_lent_uid_is_charged_to_the_owner() -> None:
    with accepted("127.0.0.1", 2_100_000_001) as (ours, _):
        assert persons().person(ours) == "1000"


@pytest.mark.root
def test_root_over_tcp_is_not_charged_as_root_itself() -> None:
    with accepted("127.0.0.1") as (ours, _):
        assert persons().person(ours) == "tcp root"


def test_a_peer_that_closed_is_charged_to_no_user() -> None:
    """The kernel says root of a socket without an owner."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        theirs = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
        with ours:
            theirs.close()
            assert persons().person(ours) == LOOPBACK


def test_without_netlink_local_peers_are_one_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_owner, "NETLINK_SOCK_DIAG", 31)  # the kernel has no such protocol
    lookup = OwnerLookup()
    with accepted("127.0.0.1") as (ours, _):
        assert [TcpOrigins(charge, lookup).person(ours) for _ in range(2)] == [LOOPBACK] * 2


@pytest.mark.parametrize(
    ("address", "person"),
    [
        ("192.0.2.7", "tcp 192.0.2.7"),
        ("2001:db8:1:2:3::4", "tcp 2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "tcp 2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "tcp 2001:db8:1:3::/64"),
    ],
)
def test_a_remote_peer_is_its_address_or_its_network(address: str, person: str) -> None:
    assert person_of_address(ip_address(address)) == person


def test_a_peer_that_is_gone_is_an_oserror() -> None:
    with socket.socket() as unconnected, pytest.raises(OSError):
        persons().person(unconnected)


Account = Callable[[int, Callable[[int], int]], str]


def test_work_of_lent_uids_is_apart_from_their_owner_s() -> None:
    assert account_of_uid(1000, charge) == "1000"
    assert account_of_uid(2_100_000_001, charge) == account_of_uid(2_100_000_002, charge)
    assert account_of_uid(2_100_000_001, charge) != "1000"
