"""The network that instances share, for real: in a namespace that stands for the host, with guests
in others."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pytest

from multipassd.network import reservations
from multipassd.network.bridge import BRIDGE, tap_name
from multipassd.network.bridge_client import NetworkError
from multipassd.network.interface import NoAddressYet
from multipassd.network.uplinks.network_manager import NetworkManagerUplink
from tests.multipassd.network import netns
from tests.multipassd.network.netns import Namespace
from tests.multipassd.network.site import (
    MAC,
    OTHER,
    ROOT,
    SECONDS,
    WORLD,
    Site,
    ask_for_address,
    cards,
    until,
    way_out,
)

# A router's advertisement (RFC 4861) to all, then an echo request, whose answer is waited for.
ROUTER = """
import socket, struct, sys
with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
    raw.settimeout(10)
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    number = socket.if_nametoindex(sys.argv[1])
    prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 3600, 3600, 0)
    prefix += socket.inet_pton(socket.AF_INET6, "2001:db8::")
    advertised = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix
    raw.sendto(advertised, ("ff02::1", 0, 0, number))
    raw.sendto(struct.pack("!BBHHH", 128, 0, 0, 7, 7), (sys.argv[2], 0, 0, number))
    while raw.recv(4096)[0] != 129:
        pass
"""

pytestmark = netns.REQUIRED


def test_a_guest_gets_the_address_that_the_daemon_reaches_it_by(site: Site, tmp_path: Path) -> None:
    with netns.namespace() as guest, netns.namespace() as world, site.service():
        way_out(site.host, world)
        with pytest.raises(NoAddressYet):
            site.networking.endpoint(cards())

        site.attach(cards())
        assert {BRIDGE, tap_name(MAC)} <= site.host.links()
        netns.connect(site.host, "cable", guest, "eth0", MAC)
        site.host.run("ip", "link", "set", "cable", "master", BRIDGE)
        said = ask_for_address(guest, tmp_path)

        address, port = site.networking.endpoint(cards())
        gateway = address.rpartition(".")[0] + ".1"
        assert f"{address} {gateway} {gateway} multipass" in said
        assert (site.networking.addresses(cards()), port) == ([address], 22)
        assert address in (site.directory / "leases").read_text()
        assert address in guest.run("busybox", "nslookup", "one.multipass", gateway)
        assert "masquerade" in site.host.run("nft", "list", "table", "inet", "multipass")
        # The world has no route back: it answers the host's own address.
        guest.run("busybox", "ping", "-c", "1", "-W", "5", WORLD)


def test_a_stranger_on_the_bridge_gets_no_address(site: Site, tmp_path: Path) -> None:
    with netns.namespace() as guest, site.service():
        site.attach(cards())
        netns.connect(site.host, "cable", guest, "eth0", OTHER)
        site.host.run("ip", "link", "set", "cable", "master", BRIDGE)
        assert "no lease" in ask_for_address(guest, tmp_path, code=None)


def advertise(guest: Namespace, host: Namespace) -> None:
    """Returns once the host has had it: an answer to what was sent after it is there."""
    guest.run(sys.executable, "-c", ROUTER, "eth0", link_local(host, BRIDGE))


def link_local(namespace: Namespace, device: str) -> str:
    """Once it may be used."""

    def found() -> list[str]:
        words = ("-6", "-brief", "address", "show", "dev", device, "scope", "link", "-tentative")
        return namespace.run("ip", *words).split()

    until(lambda: len(found()) > 2)
    return found()[2].partition("/")[0]


def test_no_guest_becomes_the_host_s_router(site: Site) -> None:
    with netns.namespace() as guest, site.service():
        site.attach(cards())
        netns.connect(site.host, "cable", guest, "eth0", MAC)
        site.host.run("ip", "link", "set", "cable", "master", BRIDGE)
        link_local(guest, "eth0")
        advertise(guest, site.host)
        assert "default" not in site.host.run("ip", "-6", "route")
        site.host.run("nft", "flush", "ruleset")  # others do that, and it takes seconds to mend
        advertise(guest, site.host)
        assert "default" not in site.host.run("ip", "-6", "route")
        assert "2001:db8" not in site.host.run("ip", "-6", "address")


def test_instances_names_are_for_the_host_and_instances_alone(site: Site) -> None:
    with netns.namespace() as world, site.service():
        netns.connect(site.host, "uplink", world, "eth0")
        site.host.run("ip", "address", "add", "192.0.2.9/24", "dev", "uplink")
        world.run("ip", "address", "add", f"{WORLD}/24", "dev", "eth0")
        site.attach(cards())
        gateway = site.networking.endpoint(cards())[0].rpartition(".")[0] + ".1"
        world.run("ip", "route", "add", "default", "via", "192.0.2.9")
        world.run("busybox", "ping", "-c", "1", "-W", "5", gateway)
        connect = "import socket, sys; socket.create_connection((sys.argv[1], 53), 10)"
        site.host.run(sys.executable, "-c", connect, gateway)
        assert "ConnectionRefused" in world.run(sys.executable, "-c", connect, gateway, code=1)


def test_nothing_is_left_after_the_last_instance(site: Site) -> None:
    forwarding = "/proc/sys/net/ipv4/conf/uplink/forwarding"
    with netns.namespace() as world, site.service() as service:
        netns.connect(site.host, "uplink", world, "eth0")
        site.host.run("ip", "route", "add", "default", "dev", "uplink")
        site.host.run("sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward")
        before = site.host.links()
        site.attach(cards())
        site.attach(cards("two", OTHER))
        assert site.host.run("cat", forwarding) == "1\n"
        subnet = site.subnet()
        site.detach(cards())
        asyncio.run(site.networking.release(cards("two", OTHER)))
        service.send_signal(signal.SIGTERM)  # as an idle service ends
        service.wait(SECONDS)
        until(lambda: site.host.links() == before)
        until(lambda: site.host.run("nft", "list", "ruleset") == "")
        assert site.host.run("cat", forwarding) == "0\n"
    assert set(reservations.read(site.directory)) == {MAC}
    with site.service():
        site.attach(cards())
        assert site.subnet() == subnet


def test_a_way_out_is_on_record_before_it_forwards(site: Site) -> None:
    """A service that is killed in between closes it when it comes again."""
    dying = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from multipassd.network.helper import forwarding
from multipassd.network.helper.host_network import HostNetwork
def open_for(devices, real=forwarding.open_for):
    real(devices)
    os._exit(9)
forwarding.open_for = open_for
HostNetwork(Path(sys.argv[1])).up()
"""
    switch = "/proc/sys/net/ipv4/conf/uplink/forwarding"
    with netns.namespace() as world:
        netns.connect(site.host, "uplink", world, "eth0")
        site.host.run("ip", "route", "add", "default", "dev", "uplink")
        site.host.run("sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward")
        site.host.run(sys.executable, "-c", dying, str(site.directory), code=9)
        assert site.host.run("cat", switch) == "1\n"
        with site.service():
            asyncio.run(site.networking.clean_up())
            until(lambda: BRIDGE not in site.host.links())
        assert site.host.run("cat", switch) == "0\n"


def test_signals_over_and_over_do_not_keep_it_from_tidying_up(site: Site) -> None:
    with site.service() as activator:
        site.attach(cards())
        site.detach(cards())
        assert BRIDGE in site.host.links()
        service = int(site.host.run("pgrep", "-P", str(activator.pid)))
        with suppress(ProcessLookupError):
            while True:
                os.kill(service, signal.SIGTERM)
                time.sleep(0.01)
        assert BRIDGE not in site.host.links()
        assert site.host.run("nft", "list", "ruleset") == ""


def test_a_service_that_was_killed_takes_up_where_it_was(site: Site, tmp_path: Path) -> None:
    with netns.namespace() as guest:
        with site.service():
            site.attach(cards())
            address, _ = site.networking.endpoint(cards())
        assert {BRIDGE, tap_name(MAC)} <= site.host.links()
        with site.service():
            site.attach(cards("two", OTHER))
            netns.connect(site.host, "cable", guest, "eth0", MAC)
            site.host.run("ip", "link", "set", "cable", "master", BRIDGE)
            assert address in ask_for_address(guest, tmp_path)


def test_what_breaks_while_instances_run_is_mended(site: Site) -> None:
    with site.service():
        site.attach(cards())
        site.host.run("nft", "flush", "ruleset")
        site.host.run("pkill", "-f", f"leasefile={site.directory}")
        until(lambda: "masquerade" in site.host.run("nft", "list", "ruleset"))
        until(lambda: site.log().count("started, version") == 2)


def test_a_taken_port_breaks_one_launch_and_leaves_nothing(site: Site) -> None:
    taking = (
        "import socket; end = socket.socket(type=socket.SOCK_DGRAM); end.bind(('', 53)); "
        "print(flush=True); input()"
    )
    other = subprocess.Popen(
        site.host.entering(sys.executable, "-c", taking),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert other.stdout is not None and other.stdin is not None
    other.stdout.readline()
    before = site.host.links()
    try:
        with site.service():
            with pytest.raises(NetworkError, match="another program listens at port 53"):
                site.attach(cards())
            assert site.host.links() == before
            assert site.host.run("nft", "list", "ruleset") == ""
    finally:
        other.stdin.close()
        other.wait(SECONDS)
        other.stdout.close()
    with site.service():
        site.attach(cards())


def test_a_missing_tool_is_named_with_its_package(site: Site, tmp_path: Path) -> None:
    hidden = tmp_path / "nothing"
    hidden.touch()
    site.host.run("mount", "--bind", str(hidden), "/usr/sbin/dnsmasq")
    with site.service(), pytest.raises(NetworkError, match="package dnsmasq-base"):
        site.attach(cards())
    assert BRIDGE not in site.host.links()


def test_cards_of_instances_that_are_gone_keep_no_bridge(site: Site) -> None:
    """The daemon was killed in the middle of a launch or a purge."""
    uplink = NetworkManagerUplink("eth9", "br-eth9", "former", "bridge", "port")
    entry = {"device": "eth9", "bridge": "br-eth9", "stage": "permitted", "boot": "", "place": None}
    known = site.directory / reservations.BRIDGES
    known.write_text(json.dumps([{**entry, "plan": asdict(uplink), "users": [MAC, OTHER]}]))
    with site.service():
        asyncio.run(site.networking.reconcile([cards("two", OTHER)]))
        assert [each["users"] for each in json.loads(known.read_text())] == [[OTHER]]


def test_no_service_at_all_is_a_sentence(site: Site) -> None:
    with pytest.raises(NetworkError, match="can't be reached"):
        site.attach(cards())
