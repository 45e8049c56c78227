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
        self, uids: Iterable[object], once: Iterable[object], ports: set[int], seconds: int
    ) -> Closed:
        self.asked.append((set(uids), set(once), ports, seconds))
        return self.closed


class Guest:
    def __init__(self, name: str, address: str, port: int = 0) -> None:
        self.name = name
        self.record = SimpleNamespace(ssh_port=port)
        self.endpoint = lambda: SimpleNamespace(host=address)
        self.commands: list[str] = []

    async def execute(self, command: str, seconds: float) -> str:
        self.commands.append(command)
        return ""


def close(closed: Closed, *guests: Guest) -> tuple[object, str]:
    host = Host(closed)
    made = Sessions(
        cast(Instances, SimpleNamespace(all=lambda: list(guests))),
        cast(Closing, host),
        lambda: SubordinateUids([(100000, 10, BOB)]),
        OWN,
    )
    why = asyncio.run(made.close({BOB, 0, OWN}, {CAROL}, 60))
    (asked,) = host.asked
    return asked, why


def test_a_user_s_containers_are_shut_out_too_and_root_and_the_service_are_not() -> None:
    asked, why = close(Closed(why="no nft"), Guest("foo", "127.0.0.1", 40022), Guest("bar", "x"))
    expected = {(BOB, BOB), (100000, 100009)}, {(CAROL, CAROL)}, {40022}, 60
    assert (asked, why) == (expected, "no nft")


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
