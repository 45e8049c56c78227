"""What a bridge takes over from a connection of NetworkManager's or a file of networkd's, and the
record of what was done; all without a network. For real: tests/system/test_host_bridging.py and
test_uplink.py."""

from __future__ import annotations

import json
from pathlib import Path

from multipassd.network.reservations import BRIDGES
from multipassd.network.uplinks import registry
from multipassd.network.uplinks.kernel import Place
from multipassd.network.uplinks.network_manager import Plan, differences
from multipassd.network.uplinks.networkd import Files
from multipassd.network.uplinks.networkd_files import ADDRESSING, logical_lines, sections
from multipassd.network.uplinks.registry import Stage, Uplink, Uplinks


def test_what_decides_about_addresses_is_taken_over() -> None:
    fixed = {
        "connection.id": "Office",
        "connection.uuid": "1",
        "connection.type": "802-3-ethernet",
        "connection.zone": "work",
        "ipv4.method": "manual",
        "ipv4.addresses": "192.0.2.9/24, 192.0.2.10/24",
        "ipv4.dhcp-send-hostname-deprecated": "no",
        "ipv6.token": "::1",
    }
    there = {**fixed, "connection.id": "new", "connection.uuid": "2", "connection.zone": ""}
    there |= {"ipv4.method": "auto", "ipv4.addresses": "", "ipv4.dhcp-send-hostname-deprecated": ""}
    assert differences(fixed, there) == [
        "connection.zone", "work",
        "ipv4.method", "manual",
        "ipv4.addresses", "192.0.2.9/24, 192.0.2.10/24",
    ]  # fmt: skip
    assert differences(fixed, fixed) == []


def test_a_files_sections_go_to_the_bridge_or_stay() -> None:
    text = """
# by netplan
[Match]
Name=eth0
[Link]
MTUBytes=1400
[Network]
Address=192.0.2.9/24
; and
DNS=192.0.2.1 \\
# the other
  192.0.2.2
[Link]
ARP=yes
[Route]
Gateway=192.0.2.1"""
    lines = logical_lines(text)
    assert sections(lines, ADDRESSING) == [
        "[Network]", "Address=192.0.2.9/24", "DNS=192.0.2.1  192.0.2.2",
        "[Route]", "Gateway=192.0.2.1",
    ]  # fmt: skip
    staying = sections(lines, ("Match", *ADDRESSING), others=True)
    assert staying == ["[Link]", "MTUBytes=1400", "[Link]", "ARP=yes"]


def test_the_record_says_all_that_undoing_needs(tmp_path: Path) -> None:
    plan = Plan("eth0", "br-eth0", "former", "bridge", "port")
    place = Place("02:00:00:00:00:01", ("192.0.2.9/24",), (("0.0.0.0/0", "via", "192.0.2.1"),))
    files = Files("eth3", "br-eth3", "[NetDev]", "[Network]", "[Link]")
    known = [
        Uplink("eth0", "br-eth0", Stage.MADE, ("one", "two"), plan, "boot"),
        Uplink("eth1", "br-eth1", Stage.MAKING, (), place, "boot"),
        Uplink("eth2", "br-eth2"),
        Uplink("eth3", "br-eth3", Stage.MADE, ("three",), files, "boot"),
    ]
    data = json.dumps([registry._to_json(one) for one in known])
    (tmp_path / BRIDGES).write_text(data)
    assert registry.read(tmp_path) == known
    assert Uplinks(tmp_path).unfinished
    assert Uplinks(tmp_path).permitted("eth2")


def test_a_record_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert registry.read(tmp_path) == []
    for text in ("", "[", "[{}]", "[1]", '{"device": 1}', '[{"plan": {"device": "x"}}]'):
        (tmp_path / BRIDGES).write_text(text)
        assert registry.read(tmp_path) == []
        assert not Uplinks(tmp_path).permitted("eth0")
