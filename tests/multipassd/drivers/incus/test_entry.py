"""What of a cluster's answer about an instance is believed."""

from __future__ import annotations

from typing import Any

import pytest

from multipassd.drivers.incus.cluster import owner_tag
from multipassd.drivers.incus.cluster.entry import MAX_ADDRESSES, entry_of

MAC = "52:54:00:00:00:01"


def document(address: object, location: object = "m1") -> dict[str, Any]:
    shown = {"family": "inet", "scope": "global", "address": address}
    return {
        "name": "foo",
        "location": location,
        "devices": {"eth0": {"type": "nic", "network": "lan", "hwaddr": MAC}},
        "state": {"network": {"eth0": {"hwaddr": MAC, "addresses": [shown]}}},
    }


def test_an_address_and_a_host_are_taken_over() -> None:
    found = entry_of(document("10.0.0.2"))
    assert found is not None and (found.addresses, found.location) == (("10.0.0.2",), "m1")


@pytest.mark.parametrize(
    "address",
    [
        "-oProxyCommand=id",
        "10.0.0.2 -v",
        "::1",
        "",
        "\x1b[2J",
        None,
        ["10.0.0.2"],
        167,
        "127.0.0.1",
        "127.9.9.9",
        "224.0.0.1",
        "0.0.0.0",
    ],
)
def test_what_is_no_address_is_none(address: object) -> None:
    """It would become a word of the command line of ssh."""
    found = entry_of(document(address))
    assert found is not None and found.addresses == ()


@pytest.mark.parametrize("location", ["none", "-m1", "m1\x1b[2J", "m" * 65, None, 7])
def test_what_is_no_name_of_a_host_is_none(location: object) -> None:
    found = entry_of(document("10.0.0.2", location))
    assert found is not None and found.location == ""


NAME = {"name": "foo"}
JUNK: list[Any] = [None, True, 7, 1.5, "x", [], {}, [[]], {"x": None}, [None], ["x"], "\ud800"]
KEYS = ("status", "type", "location", "config", "devices", "state", "last_used_at", "stateful")


@pytest.mark.parametrize("key", KEYS)
def test_fields_of_other_types_are_as_if_they_were_missing(key: str) -> None:
    for junk in JUNK:
        found = entry_of({**NAME, key: junk})
        assert found is not None and (found.addresses, found.cards) == ((), ())
        assert all(each.isascii() for each in found if isinstance(each, str))


@pytest.mark.parametrize("document", [*JUNK, {"name": ""}, {"name": 7}, {"name": "\udfff"}])
def test_what_has_no_name_is_no_instance(document: Any) -> None:
    assert entry_of(document) is None


def test_cards_and_their_networks_of_other_types_cost_no_others() -> None:
    devices = {str(number): junk for number, junk in enumerate(JUNK)}
    devices |= {"a": {"type": "nic", "network": 7, "hwaddr": []}}
    devices |= {"eth0": {"type": "nic", "parent": "br0", "hwaddr": MAC.upper()}}
    networks: dict[str, Any] = {str(number): junk for number, junk in enumerate(JUNK)}
    networks["x"] = {"hwaddr": MAC, "addresses": JUNK}
    found = entry_of({**NAME, "devices": devices, "state": {"network": networks}})
    assert found is not None and [each.network for each in found.cards] == ["", "br0"]
    assert found.cards[1].mac == MAC and found.addresses == ()


def addressed(*networks: tuple[str, list[str]]) -> dict[str, Any]:
    """Networks of a guest: the MAC address and IPv4 addresses of each."""
    shown = {
        f"if{number}": {
            "hwaddr": mac,
            "addresses": [
                {"family": "inet", "scope": "global", "address": address} for address in addresses
            ],
        }
        for number, (mac, addresses) in enumerate(networks)
    }
    return {"network": shown}


def test_addresses_are_those_of_its_cards_in_the_order_of_the_devices() -> None:
    macs = [f"52:54:00:00:00:{number:02x}" for number in range(12)]
    devices = {
        f"eth{number}": {"type": "nic", "network": "lan", "hwaddr": mac}
        for number, mac in reversed(list(enumerate(macs)))
    }
    mine = [(mac, [f"10.0.0.{number + 2}"]) for number, mac in enumerate(macs)]
    docker = ("02:42:00:00:00:01", ["172.17.0.1"])
    state = addressed(docker, *reversed(mine), ("", ["10.9.9.9"]))
    found = entry_of({**NAME, "devices": devices, "state": state})
    assert found is not None
    assert found.addresses == tuple(f"10.0.0.{number + 2}" for number in range(12))
    assert [each.mac for each in found.cards] == macs


def test_other_families_and_scopes_are_passed_over() -> None:
    state = addressed((MAC, ["10.0.0.2"]))
    listed = state["network"]["if0"]["addresses"]
    listed[:0] = [
        {"family": "inet6", "scope": "global", "address": "fd42::2"},
        {"family": "inet6", "scope": "link", "address": "fe80::2"},
        {"family": "inet", "scope": "local", "address": "10.0.0.9"},
    ]
    found = entry_of({**document("x"), "state": state})
    assert found is not None and found.addresses == ("10.0.0.2",)


def test_a_guest_with_ten_thousand_addresses_has_some_of_them() -> None:
    many = [f"10.0.{number >> 8}.{number & 255}" for number in range(10_000)]
    found = entry_of({**document("x"), "state": addressed((MAC, many))})
    assert found is not None and found.addresses == tuple(many[:MAX_ADDRESSES])


def test_a_tag_counts_with_the_name_that_was_given_with_it() -> None:
    tags = {**owner_tag.tags("d" * 32, "foo"), owner_tag.RECORD: "{}"}
    found = entry_of({**NAME, "config": tags})
    assert found is not None and (found.daemon, found.record) == ("d" * 32, "{}")
    copied = entry_of({"name": "bar", "config": tags})
    assert copied is not None and (copied.daemon, copied.record) == ("", "")


@pytest.mark.parametrize("used", ["1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z"])
def test_it_holds_nothing_of_a_user_until_its_first_start(used: str) -> None:
    config = {owner_tag.NEW: "true"}
    new: dict[str, Any] = {**NAME, "config": config, "last_used_at": used}
    found = entry_of(new)
    assert found is not None and found.unused
    for other in (
        {**new, "last_used_at": "2026-11-29T13:00:00Z"},
        {**new, "last_used_at": None},
        {**new, "config": {}},  # a copy, or of another program
        {**new, "config": None},  # nothing is known of it while its host is down
    ):
        found = entry_of(other)
        assert found is not None and not found.unused


@pytest.mark.parametrize("config", [None, {}])
def test_what_an_instance_is_is_not_known_while_its_host_is_down(config: object) -> None:
    found = entry_of({**NAME, "status": "Error", "config": config})
    assert found is not None and not found.known
    found = entry_of({**NAME, "status": "Error", "config": {"volatile.uuid": "x"}})
    assert found is not None and found.known
