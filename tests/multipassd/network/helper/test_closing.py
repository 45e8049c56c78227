"""Guests are closed to users: by the real kernel, in a network namespace of the test's own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from multipassd.network.bridge import BRIDGE
from multipassd.network.closing import Closed
from multipassd.network.helper import closing
from tests.multipassd.network.netns import REQUIRED, connect, namespace
from tests.multipassd.network.site import MAC, Site, ask_for_address, cards

ROOT = Path(__file__).resolve().parents[4]
PORT, BOB, CAROL = 40022, 61001, 61002
LOOPBACK = "127.0.0.1"
SERVER = """
import socket
listener = socket.create_server(("{host}", {port}), backlog=9)
print("listens", flush=True)
kept = []
while True:
    kept.append(listener.accept())
"""
CLIENT = """
import os, socket, sys
os.setuid({uid})
def connect():
    connection = socket.socket()
    connection.connect(("{host}", {port}))
    return connection
first = connect()
print("up", flush=True)
sys.stdin.readline()
for attempt in (lambda: first.send(b"x"), connect):
    try:
        attempt()
        print("fine", flush=True)
    except OSError as error:
        print(type(error).__name__, flush=True)
"""


class Program:
    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def go(self) -> list[str]:
        said, _ = self._process.communicate("\n", timeout=60)
        return said.split()

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


class TestInTheKernel:
    pytestmark = REQUIRED

    def test_one_user_is_shut_out_and_no_other(self) -> None:
        request = {
            "uids": [[BOB, BOB]], "once": [[CAROL + 1, CAROL + 1]], "ports": [PORT], "seconds": 60,
            "mark": "0123abcd",
        }  # fmt: skip
        with namespace() as host:

            def python(program: str) -> Program:
                return Program(host.entering(sys.executable, "-c", program))

            def close(**changed: object) -> dict[str, object]:
                program = host.entering(
                    sys.executable, str(ROOT / "bin/multipass-network"), "close"
                )
                given = json.dumps(request | changed) + "\n"
                done = subprocess.run(
                    program, input=given, capture_output=True, text=True, check=True
                )
                found: dict[str, object] = json.loads(done.stdout)
                return found

            server = python(SERVER.format(host=LOOPBACK, port=PORT))
            try:
                assert server.line() == "listens"
                users = BOB, CAROL, CAROL + 1
                clients = [
                    python(CLIENT.format(uid=uid, host=LOOPBACK, port=PORT)) for uid in users
                ]
                assert [client.line() for client in clients] == ["up"] * 3
                assert close() == {"done": {"ended": 2, "left": [], "why": ""}}
                bob, carol, once = [client.go() for client in clients]
                assert carol == ["fine", "fine"]
                assert bob[0] != "fine" and bob[1] == "ConnectionRefusedError"
                assert once[0] != "fine" and once[1] == "fine", "it may log in again"

                assert "error" in close(uids=[[0, 5]]), "root is never shut out"
                assert "error" in close(ports=["22; flush ruleset"])
                assert close(uids=[], once=[])["done"] == {"ended": 0, "left": [], "why": ""}
                again = python(CLIENT.format(uid=BOB, host=LOOPBACK, port=PORT))
                assert again.line() == "up"
                assert again.go() == ["fine", "fine"]
                assert closing.TABLE not in host.run("nft", "list", "tables")
            finally:
                server.end()

    def test_a_guest_at_an_address_of_another_network_is_closed(self) -> None:
        address, port = "192.0.2.9", 22
        request = {
            "uids": [[BOB, BOB]], "once": [], "ports": [], "elsewhere": [address], "seconds": 60,
            "mark": "0123abcd",
        }  # fmt: skip
        with namespace() as host:
            host.run("ip", "address", "add", f"{address}/32", "dev", "lo")

            def python(program: str) -> Program:
                return Program(host.entering(sys.executable, "-c", program))

            server = python(SERVER.format(host=address, port=port))
            try:
                assert server.line() == "listens"
                clients = [
                    python(CLIENT.format(uid=uid, host=address, port=port)) for uid in (BOB, CAROL)
                ]
                assert [client.line() for client in clients] == ["up", "up"]
                program = str(ROOT / "bin/multipass-network")
                done = subprocess.run(
                    host.entering(sys.executable, program, "close"),
                    input=json.dumps(request) + "\n", capture_output=True, text=True, check=True,
                )  # fmt: skip
                assert json.loads(done.stdout) == {"done": {"ended": 1, "left": [], "why": ""}}
                bob, carol = [client.go() for client in clients]
                assert carol == ["fine", "fine"]
                assert bob[0] != "fine" and bob[1] == "ConnectionRefusedError"
            finally:
                server.end()


class TestOnTheBridge:
    pytestmark = REQUIRED

    def test_the_network_service_ends_what_goes_to_a_guest(
        self, site: Site, tmp_path: Path
    ) -> None:
        with namespace() as guest, site.service():
            site.attach(cards())
            connect(site.host, "cable", guest, "eth0", MAC)
            site.host.run("ip", "link", "set", "cable", "master", BRIDGE)
            ask_for_address(guest, tmp_path)
            address, port = site.networking.endpoint(cards())
            program = SERVER.format(host=address, port=port)
            server = Program(guest.entering(sys.executable, "-c", program))
            try:
                assert server.line() == "listens"
                clients = [
                    Program(
                        site.host.entering(
                            sys.executable, "-c", CLIENT.format(uid=uid, host=address, port=port)
                        )
                    )
                    for uid in (BOB, CAROL)
                ]
                assert [client.line() for client in clients] == ["up", "up"]
                closed = asyncio.run(site.closing().close({(BOB, BOB)}, (), set(), set(), 60))
                assert closed == Closed(ended=1)
                bob, carol = [client.go() for client in clients]
                assert carol == ["fine", "fine"]
                assert bob[0] != "fine" and bob[1] == "ConnectionRefusedError"
            finally:
                server.end()


@pytest.mark.parametrize(
    "given", [["127.0.0.1"], ["224.0.0.1"], ["10.0.0.0/8"], ["::1"], [""], ["1 }; flush"], [None]]
)
def test_what_is_no_address_of_a_guest_is_refused(given: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        closing.addresses(given)


def test_the_rules_are_for_guests_alone() -> None:
    uids = closing.ranges([[7, 9], [3, 3], [4, 5], [8, 8]])
    assert uids == ((3, 5), (7, 9))
    addresses = closing.addresses(["10.9.0.2", "10.9.0.1"])
    places = closing.Places(IPv4Network("10.1.2.0/24"), frozenset({41, 40}), addresses)
    rules = closing.ruleset("t", places, uids, 60)
    assert "elements = { 3-5 timeout 60s, 7-9 timeout 60s }" in rules
    assert "ip daddr 10.1.2.0/24 tcp dport 22 reject" in rules
    assert "ip daddr { 10.9.0.1, 10.9.0.2 } tcp dport 22 reject" in rules
    assert "ip daddr 127.0.0.1 tcp dport { 40, 41 } reject" in rules
    assert "reject" not in closing.ruleset("t", places._replace(subnet=None), (), 60)


@pytest.mark.parametrize(
    "given", [[[0, 1]], [[5, 4]], [["1", 2]], [[1, 1 << 32]], [[True, 2]], [1]]
)
def test_what_is_no_range_of_users_is_refused(given: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        closing.ranges(given)
