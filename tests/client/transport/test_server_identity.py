"""Who is at the other end of a Unix socket."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.errors import HungUp, Unreachable, Unverified
from client.server import Server
from client.transport import dial, server_identity
from client.transport.roots import Roots
from client.transport.server_identity import Peer
from protocol import certificates
from protocol.addresses import TcpAddress, UnixAddress
from tests.client.service import Service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    served = Service(f"unix:{tmp_path}/socket", tmp_path)
    yield served
    served.close()


@pytest.fixture
def stranger(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Peer, list[str]]:
    """A service that listens as neither root nor this user, as far as the client can see."""
    monkeypatch.setattr(server_identity, "_is_own", lambda uid: False)
    warnings: list[str] = []
    address = UnixAddress(f"{tmp_path}/socket")
    return Peer(
        Server(address, Roots([str(service.root_certificate)])), None, warnings.append
    ), warnings


def test_a_stranger_that_verifies_is_the_service(stranger: tuple[Peer, list[str]]) -> None:
    stranger[0].check()
    stranger[0].connect().close()
    assert stranger[1] == []


@pytest.mark.parametrize("content", [None, b"garbage", certificates.make_root().certificate])
def test_a_stranger_that_does_not_verify_is_refused(
    stranger: tuple[Peer, list[str]], service: Service, content: bytes | None
) -> None:
    service.root_certificate.unlink()
    if content is not None:
        service.root_certificate.write_bytes(content)
    with pytest.raises(Unverified) as caught:
        stranger[0].check()
    assert "neither root nor you" in caught.value.hint


def test_a_root_certificate_that_others_may_write_proves_nothing(
    stranger: tuple[Peer, list[str]], service: Service
) -> None:
    service.root_certificate.chmod(0o666)
    with pytest.raises(Unverified):
        stranger[0].check()


@pytest.mark.root
def test_a_root_certificate_of_a_third_user_proves_nothing(
    stranger: tuple[Peer, list[str]], service: Service
) -> None:
    os.chown(service.root_certificate, 12345, 12345)
    with pytest.raises(Unverified):
        stranger[0].check()


def test_one_s_own_service_need_not_verify(service: Service, tmp_path: Path) -> None:
    service.root_certificate.write_bytes(certificates.make_root().certificate)
    warnings: list[str] = []
    address = UnixAddress(f"{tmp_path}/socket")
    own = Peer(Server(address, Roots([str(service.root_certificate)])), None, warnings.append)
    own.check()
    own.connect().close()
    own.connect().close()
    assert len(warnings) == 1


def test_a_service_that_closes_the_connection_unanswered_has_hung_up(tmp_path: Path) -> None:
    """Which is a reason to ask again; one that answers with something else is another program."""
    (tmp_path / "root.pem").write_bytes(certificates.make_root().certificate)

    def hang_up(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(1 << 16)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=hang_up, args=[listening])
        thread.start()
        address = TcpAddress("127.0.0.1", listening.getsockname()[1])
        with pytest.raises(HungUp):
            Peer(
                Server(address, Roots([str(tmp_path / "root.pem")])), None, lambda _: None
            ).connect()
        thread.join()


def test_who_can_wait_less_does_so_where_a_remote_is_silent(tmp_path: Path) -> None:
    """As completion does: the kernel accepts for a program that hangs."""
    (tmp_path / "root.pem").write_bytes(certificates.make_root().certificate)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = TcpAddress("127.0.0.1", listening.getsockname()[1])
        silent = Server(address, Roots([str(tmp_path / "root.pem")]))
        silent.connect_within = 0.1
        with pytest.raises(Unreachable) as caught:
            Peer(silent, None, lambda _: None).connect()
    assert "the service did not answer in time" in caught.value.hint


def test_a_service_that_says_nothing_is_told_without_the_library_s_words() -> None:
    late = TimeoutError("_ssl.c:975: The handshake operation timed out")
    failure = dial.failure(Server(UnixAddress("/a"), Roots([])), late)
    assert failure.sentence == "cannot connect to the multipass socket"
    assert failure.hint.startswith(
        "Connecting to the socket /a failed: the service did not answer in time. "
    )
