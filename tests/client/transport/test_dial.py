"""Getting a connection where others wait for one, too."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from client.errors import Unreachable
from client.server import Server
from client.transport import dial
from client.transport.roots import Roots
from protocol import client_certificate
from protocol.addresses import UnixAddress
from tests.client.program import Program
from tests.waiting import PATIENCE

Queue = tuple[socket.socket, Server]


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Queue]:
    """A listening socket, and its address, where no more callers can wait."""
    callers: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{tmp_path}/socket")
        listening.listen(1)
        with suppress(BlockingIOError):
            while True:
                callers.append(socket.socket(socket.AF_UNIX))
                callers[-1].setblocking(False)
                callers[-1].connect(listening.getsockname())
        yield listening, Server(UnixAddress(f"{tmp_path}/socket"), Roots([]))
    for caller in callers:
        caller.close()


def test_a_caller_waits_where_the_queue_is_full(
    full: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening, server = full
    found_it_full = threading.Event()
    wait = dial._queued

    def queued(*arguments: Any) -> dial.Socket:
        found_it_full.set()
        return wait(*arguments)

    monkeypatch.setattr(dial, "_queued", queued)
    got: list[dial.Socket] = []
    caller = threading.Thread(target=lambda: got.append(dial.dial(server)))
    caller.start()
    assert found_it_full.wait(PATIENCE)
    listening.accept()[0].close()
    caller.join(PATIENCE)
    assert got, "it was let in"
    assert got[0].gettimeout() == dial.UNIX_TIMEOUT
    assert got[0].getsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, 16) == bytes(16)
    got[0].close()


def test_it_gives_up_with_a_sentence(full: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "UNIX_TIMEOUT", 0.2)
    with pytest.raises(Unreachable) as caught:
        dial.dial(full[1])
    assert "too many callers are waiting for the service already" in caught.value.hint


def test_a_wait_that_was_interrupted_is_no_connection(
    full: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after Ctrl-Z and `fg`: the system call ends early, and the library believes it is done."""
    listening, server = full
    interrupted: list[bool] = []

    class Interrupted(dial.Socket):
        def connect(self, where: object) -> None:
            if self.gettimeout() is None and not interrupted:
                interrupted.append(True)
                listening.accept()[0].close()
                return
            super().connect(where)  # type: ignore[arg-type]

    monkeypatch.setattr(dial, "Socket", Interrupted)
    connected = dial.dial(server)
    assert interrupted and connected.getpeername()
    connected.close()


@pytest.mark.parametrize("name", ["multipass_cert.pem", "multipass_cert_key.pem"])
def test_a_fifo_in_place_of_the_own_certificate_is_a_sentence(tmp_path: Path, name: str) -> None:
    place = tmp_path / "home" / "data" / "multipass-client-certificate"
    place.mkdir(parents=True)
    client_certificate.ensure(place)
    (place / name).unlink()
    os.mkfifo(place / name, 0o600)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{tmp_path}/socket")
        listening.listen()
        program = Program(tmp_path / "home", f"unix:{tmp_path}/socket", tmp_path / "none.pem")
        done = program.run("list")
    assert done.code == 2
    assert f"{place / name}: it is not a regular file" in done.err
    assert (place / name).is_fifo(), "what is there is left alone"
