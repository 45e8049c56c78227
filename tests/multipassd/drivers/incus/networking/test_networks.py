"""Which network guests are on, and by which way they are reached."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from multipassd.drivers.incus.api.errors import BadAnswer
from multipassd.drivers.incus.cluster.entry import CONTAINER, RUNNING, Card, Entry
from multipassd.drivers.incus.cluster.view import View
from multipassd.drivers.incus.networking import networks
from multipassd.drivers.incus.networking.guest_network import ClusterNetwork
from multipassd.drivers.incus.networking.networks import Network, Networks
from multipassd.drivers.interface import DriverError, Link
from multipassd.network.interface import Cards, HostCard, NoAddressYet
from multipassd.network.of_driver import DriverNetworking
from tests.multipassd.drivers.incus.driven import MAC, Driven, driven, until
from tests.multipassd.drivers.incus.fake_incus import run


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A gateway's port that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setattr(networks, "PROBE_PORT", listening.getsockname()[1])
        yield


def network(name: str, kind: str, *, managed: bool = True) -> dict[str, Any]:
    return {"name": name, "type": kind, "managed": managed, "description": f"{name} of the office"}


async def read(
    site: Driven, *shown: dict[str, Any], gateway: str = "", named: str = ""
) -> Networks:
    site.fake.resources.networks = {each["name"]: each for each in shown}
    site.fake.resources.gateway = gateway
    return await networks.read(site.api, named, len(site.view.members) or 1)


BRIDGES = [network("a", "bridge"), network("b", "bridge", managed=False), network("c", "ovn")]


def test_the_usual_network_is_a_bridge_of_the_clusters(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            found = await read(site, *BRIDGES)
            assert (found.usual, found.direct) == ("a", False)
            assert found.why == "local.incus.network names no network"
            found = await read(site, *BRIDGES, network("incusbr0", "bridge"))
            assert found.usual == "incusbr0"
            found = await read(site, network("c", "ovn"))
            assert found.usual not in found.found and "`incus network create" in found.why

    run(story)


def test_what_is_no_network_is_not_shown(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            shown = [
                network("eth0", "physical", managed=False),
                network("lo", "loopback", managed=False),
            ]
            found = await read(site, *BRIDGES, *shown)
            assert set(found.found) == {"a", "b", "c"}
            assert found.found["b"] == Network("b", "bridge", False, "b of the office")
            site.fake.resources.networks = {"x": 7}
            with pytest.raises(BadAnswer):
                await networks.read(site.api, "", 1)

    run(story)


def test_guests_are_reached_directly_on_the_named_network_if_this_host_gets_there(
    tmp_path: Path, answering: None
) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            lan = network("lan", "macvlan")
            found = await read(site, lan, named="lan")
            assert (found.usual, found.direct, found.why) == ("lan", True, "")
            assert (await read(site, lan, gateway="127.0.0.1", named="lan")).direct
            found = await read(site, lan, named="wan")
            assert not found.direct
            assert found.why == "the cluster has no network wan, which local.incus.network names"

    run(story)


def test_a_refused_connection_is_an_answer_and_silence_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setattr(networks, "PROBE_PORT", listening.getsockname()[1])
    monkeypatch.setattr(networks, "PROBE_SECONDS", 0.05)

    async def silent(*_: object) -> None:
        await asyncio.Event().wait()

    async def story() -> None:
        async with driven(tmp_path) as site:
            bridge = network("a", "bridge")
            assert (await read(site, bridge, gateway="127.0.0.1", named="a")).direct
            with monkeypatch.context() as patched:
                patched.setattr(asyncio, "open_connection", silent)
                found = await read(site, bridge, gateway="192.0.2.1", named="a")
            assert not found.direct and found.why == "192.0.2.1 on a does not answer this host"

    run(story)


def test_a_bridge_of_several_members_leads_to_no_certain_guest(
    tmp_path: Path, answering: None
) -> None:
    async def story() -> None:
        async with driven(tmp_path, members=2) as site:
            bridge = network("a", "bridge")
            found = await read(site, bridge, gateway="127.0.0.1", named="a")
            assert not found.direct and "a bridge on each member by itself" in found.why
            assert (await read(site, bridge, named="a")).direct  # a card of each is in it

    run(story)


def guest(network: str = "lan", **fields: Any) -> Entry:
    known: dict[str, Any] = {
        "name": "foo", "status": RUNNING, "kind": CONTAINER, "location": "", "daemon": "ours",
        "stateful": False, "unused": False, "addresses": ("10.0.0.2",),
        "cards": (Card(network, MAC),), "cpus": "1", "memory": "1",
    }  # fmt: skip
    return Entry(**(known | fields))


def known(entry: Entry | None, *, direct: bool = True) -> ClusterNetwork:
    view = View()
    view.usable = lambda each: each.daemon == "ours"
    if entry is not None:
        view.put(entry)

    async def api() -> Any:
        raise DriverError("not asked")

    found = ClusterNetwork(api, view, lambda: "lan")
    found._read = Networks({}, "lan", direct, "" if direct else "it is elsewhere")
    return found


def test_a_guest_is_reached_by_its_address_or_by_a_port_of_this_host() -> None:
    async def story() -> None:
        assert known(guest()).endpoint("foo") == ("10.0.0.2", 22)
        for entry, direct in ((guest("other"), True), (guest(), False), (guest(cards=()), True)):
            found = known(entry, direct=direct)
            host, port = found.endpoint("foo") or ("", 0)
            assert host == "127.0.0.1" and port and found.way("foo") == "through the cluster"
            assert found.endpoint("foo") == (host, port)
            found.relay.close()
        for other in (
            None,
            guest(status="Stopped"),
            guest(daemon="theirs"),
            guest(addresses=()),
            guest("other", kind="virtual-machine"),
        ):
            assert known(other).endpoint("foo") is None
        assert known(guest()).way("foo") == "directly" and known(None).way("foo") == ""
        assert known(None).troubles() == known(guest()).troubles() == []
        (text,) = known(guest(), direct=False).troubles()
        assert text == "Guests are reached through the cluster, as it is elsewhere."

    asyncio.run(story())


def test_the_networks_of_a_driver_are_the_daemons(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            networking = DriverNetworking(site.driver.network)
            (shown,) = await networking.available()
            assert (shown.name, shown.type) == ("incusbr0", "bridge")
            cards = Cards("foo", MAC, (HostCard("lan", "52:54:00:00:00:02"),))
            links = (Link(MAC), Link("52:54:00:00:00:02", network="lan"))
            assert networking.links(cards) == await networking.attach(cards) == links
            with pytest.raises(NoAddressYet):
                networking.endpoint(cards)
            assert networking.addresses(cards) == [] and networking.ssh_port(cards) == 0
            with pytest.raises(DriverError, match="eth1 is to be a network of the cluster's"):
                await networking.bridge("eth1")
            await site.driver.start(await site.make("foo"))
            await until(lambda: site.view.entries["foo"].status == RUNNING)
            assert networking.endpoint(cards)[0] == "127.0.0.1"

    run(story)
