"""What of a cluster's answer about an instance is believed."""

from __future__ import annotations

from typing import Any

import pytest

from multipassd.drivers.incus.cluster.entry import entry_of

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
