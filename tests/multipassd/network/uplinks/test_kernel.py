"""A device of the host's becomes a member of a bridge and gets back what it had, for real."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.multipassd.network import netns
from tests.multipassd.network.netns import Namespace

ROOT = Path(__file__).resolve().parents[4]
DEVICE, BRIDGE = "wire", "br-wire"
WORLD = "192.0.2.1"
CALL = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from multipassd.network.tools import NetworkFailure
from multipassd.network.uplinks import kernel
from multipassd.network.uplinks.registry import Uplinks
uplinks = Uplinks(Path(sys.argv[1]))
try:
    {call}
except NetworkFailure as error:
    print(error)
"""

pytestmark = netns.REQUIRED


@pytest.fixture
def host() -> Iterator[Namespace]:
    """A host whose way into the world is one wire with addresses and routes of all kinds."""
    with netns.namespace() as host, netns.namespace() as world:
        netns.connect(host, DEVICE, world, "eth0")
        world.run("ip", "address", "add", f"{WORLD}/24", "dev", "eth0")
        for words in (
            f"address add 192.0.2.9/24 brd + dev {DEVICE}",
            f"address add 2001:db8::9/64 nodad dev {DEVICE}",
            f"route add default via {WORLD} metric 50",
            f"route add 198.51.100.0/24 via 192.0.2.2 src 192.0.2.9 dev {DEVICE}",
            f"route add 203.0.113.7 dev {DEVICE} table 77",
            f"-6 route add default via 2001:db8::1 dev {DEVICE}",
        ):
            host.run("ip", *words.split())
        yield host


class Program:
    """One that has the host's wire on record, as the network's service does."""

    def __init__(self, host: Namespace, directory: Path) -> None:
        self._host = host
        self._directory = directory

    def __call__(self, what: str, code: int = 0) -> str:
        words = (sys.executable, "-c", CALL.format(root=str(ROOT), call=what))
        return self._host.run(*words, str(self._directory), code=code)

    def stages(self) -> list[str]:
        known = json.loads((self._directory / "bridges.json").read_text())
        return [each["stage"] for each in known]


@pytest.fixture
def call(host: Namespace, tmp_path: Path) -> Program:
    return Program(host, tmp_path)


def state(host: Namespace, device: str) -> tuple[set[str], set[tuple[Any, ...]]]:
    """Global addresses, and routes without what the kernel adds by itself."""
    shown = json.loads(host.run("ip", "-json", "address", "show", "dev", device))
    addresses = {
        f"{each['local']}/{each['prefixlen']} {each.get('broadcast')}"
        for entry in shown for each in entry.get("addr_info", ()) if each["scope"] == "global"
    }  # fmt: skip
    routes = set()
    for family in ("-4", "-6"):
        words = ("ip", "-json", family, "route", "show", "table", "all", "dev", device)
        for each in json.loads(host.run(*words) or "[]"):
            if each.get("protocol") != "kernel":
                keys = ("dst", "gateway", "metric", "prefsrc", "table")
                routes.add(tuple(each.get(key) for key in keys))
    return addresses, routes


def test_addresses_and_routes_move_to_the_bridge_and_back(host: Namespace, call: Program) -> None:
    before = state(host, DEVICE)
    assert len(before[0]) == 2 and len(before[1]) == 4
    assert call(f"print(uplinks.make({DEVICE!r}))") == f"{BRIDGE}\n"
    assert state(host, BRIDGE) == before
    assert state(host, DEVICE) == (set(), set())
    host.run("busybox", "ping", "-c", "1", "-W", "5", WORLD)

    assert call("uplinks.release()") == ""
    assert state(host, DEVICE) == before
    assert BRIDGE not in host.links()
    host.run("busybox", "ping", "-c", "1", "-W", "5", WORLD)


@pytest.mark.parametrize("step", range(1, 11))
def test_whatever_fails_on_the_way_all_is_as_before(
    host: Namespace, call: Program, step: int
) -> None:
    before = state(host, DEVICE)
    said = call(
        f"""
    def failing(*words, count=[0], real=kernel.tools.run, **more):
        changes = words[0] == "ip" and "show" not in words
        count[0] += changes
        if changes and count[0] == {step}:
            raise NetworkFailure("step {step} failed")
        return real(*words, **more)
    kernel.tools.run = failing
    print(uplinks.make({DEVICE!r}))""",
    )
    assert said.endswith(f"step {step} failed\n")
    assert state(host, DEVICE) == before
    assert BRIDGE not in host.links()
    assert call.stages() == ["permitted"]


@pytest.mark.parametrize("step", (1, 4, 7, 10))
def test_a_service_killed_on_the_way_puts_all_back_when_it_comes_again(
    host: Namespace, call: Program, step: int
) -> None:
    before = state(host, DEVICE)
    call(
        f"""
    def dying(*words, count=[0], real=kernel.tools.run, **more):
        changes = words[0] == "ip" and "show" not in words
        count[0] += changes
        if changes and count[0] == {step}:
            import os, signal
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*words, **more)
    kernel.tools.run = dying
    uplinks.make({DEVICE!r})""",
        code=-9,
    )
    assert call.stages() == ["making"]
    call("uplinks.repair()")
    assert state(host, DEVICE) == before
    assert BRIDGE not in host.links()
    assert call.stages() == ["permitted"]


def test_a_bridge_stays_until_its_last_card_leaves(host: Namespace, call: Program) -> None:
    before = state(host, DEVICE)
    call(f"uplinks.make({DEVICE!r})")
    for mac in ("one", "two"):
        call(f"uplinks.attach({DEVICE!r}, {mac!r})")
    call("uplinks.release('one')")
    call("uplinks.release()")
    assert BRIDGE in host.links()
    call("uplinks.release('two')")
    assert BRIDGE not in host.links()
    assert state(host, DEVICE) == before


def test_a_bridge_with_others_guests_on_it_stays(host: Namespace, call: Program) -> None:
    call(f"uplinks.make({DEVICE!r})")
    host.run("ip", "tuntap", "add", "dev", "other", "mode", "tap")
    host.run("ip", "link", "set", "other", "master", BRIDGE)
    call("uplinks.release()")
    assert BRIDGE in host.links()
    host.run("ip", "link", "delete", "other")
    call("uplinks.release()")
    assert BRIDGE not in host.links()


def test_what_a_boot_took_away_is_not_given_back(host: Namespace, call: Program) -> None:
    call(f"uplinks.make({DEVICE!r})")
    call(f"uplinks.attach({DEVICE!r}, 'one')")
    host.run("ip", "link", "delete", BRIDGE)
    host.run("ip", "address", "add", "192.0.2.8/24", "dev", DEVICE)
    now = state(host, DEVICE)
    call("uplinks.dismantle()")
    assert state(host, DEVICE) == now
    assert call.stages() == []


def test_an_address_by_dhcp_is_left_to_its_client(host: Namespace, call: Program) -> None:
    words = f"address add 192.0.2.77/24 dev {DEVICE} valid_lft 600 preferred_lft 600"
    host.run("ip", *words.split())
    assert "has its address by DHCP" in call(f"uplinks.make({DEVICE!r})")
    assert BRIDGE not in host.links()


def test_a_name_without_room_for_a_bridge_is_refused(host: Namespace, call: Program) -> None:
    assert "longer than 15 letters" in call("uplinks.make('enx0123456789ab')")
