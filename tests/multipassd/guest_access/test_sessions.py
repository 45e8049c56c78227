"""Log-ins of users are ended: here, or by the guest where the kernel here can't."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterable
from types import SimpleNamespace
from typing import cast

from multipassd.guest_access import sessions
from multipassd.guest_access.sessions import Sessions
from multipassd.instances.collection import Instances
from multipassd.network.closing import Closed, Closing
from multipassd.transport.quota.subuids import SubordinateUids

BOB, CAROL, OWN = 1001, 1002, 990
PORT = 54321


class Host:
    def __init__(self, closed: Closed) -> None:
        self.closed = closed
        self.asked: list[object] = []

    async def close(
        self,
        uids: Iterable[object],
        once: Iterable[object],
        ports: set[int],
        elsewhere: set[str],
        seconds: int,
    ) -> Closed:
        self.asked.append((set(uids), set(once), ports, elsewhere, seconds))
        return self.closed


class Guest:
    def __init__(self, name: str, address: str, port: int = 0) -> None:
        self.name = name
        self.record = SimpleNamespace(ssh_port=port)
        self.endpoint = lambda: SimpleNamespace(host=address, port=port or 22)
        self.commands: list[str] = []

    async def execute(self, command: str, seconds: float) -> str:
        self.commands.append(command)
        return ""


def close(closed: Closed, *guests: Guest, outside: bool = False) -> tuple[object, str]:
    host = Host(closed)
    networking = SimpleNamespace(is_outside=outside)
    made = Sessions(
        cast(Instances, SimpleNamespace(all=lambda: list(guests), networking=networking)),
        cast(Closing, host),
        lambda: SubordinateUids([(100000, 10, BOB)]),
        OWN,
    )
    why = asyncio.run(made.close({BOB, 0, OWN}, {CAROL}, 60))
    (asked,) = host.asked
    return asked, why


def test_a_user_s_containers_are_shut_out_too_and_root_and_the_service_are_not() -> None:
    asked, why = close(Closed(why="no nft"), Guest("foo", "127.0.0.1", 40022), Guest("bar", "x"))
    nowhere: set[str] = set()
    expected = {(BOB, BOB), (100000, 100009)}, {(CAROL, CAROL)}, {40022}, nowhere, 60
    assert (asked, why) == (expected, "no nft")


def test_guests_of_a_cluster_are_closed_where_they_are_reached() -> None:
    """By a port of the loopback interface that no record knows, or by their own addresses."""
    carried, direct = Guest("foo", "127.0.0.1"), Guest("bar", "10.0.0.3")
    carried.endpoint = lambda: SimpleNamespace(host="127.0.0.1", port=40023)
    asked, _ = close(Closed(), carried, direct, outside=True)
    assert isinstance(asked, tuple) and asked[2:4] == ({40023}, {"10.0.0.3"})


def test_what_the_kernel_leaves_the_guest_of_that_address_ends() -> None:
    foo, bar = Guest("foo", "10.0.0.2"), Guest("bar", "10.0.0.3")
    close(Closed(left=(("10.0.0.3", PORT), ("127.0.0.1", PORT))), foo, bar)
    assert foo.commands == [] and len(bar.commands) == 1 and str(PORT) in bar.commands[0]


def test_the_guest_ends_the_processes_of_one_connection() -> None:
    def session(port: int) -> subprocess.Popen[bytes]:
        environment = {"SSH_CONNECTION": f"192.0.2.7 {port} 192.0.2.8 22", "PATH": "/usr/bin:/bin"}
        return subprocess.Popen(["sleep", "1000"], env=environment)

    one, other = session(PORT), session(PORT + 1)
    try:
        subprocess.run(["sh", "-c", sessions.END.format(port=PORT)], check=True)
        assert one.wait(60) == -9
        assert other.poll() is None
    finally:
        for each in (one, other):
            each.kill()
            each.wait()
