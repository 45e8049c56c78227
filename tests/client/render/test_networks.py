"""What `networks` prints."""

from __future__ import annotations

import json as library

import pytest

from client.render import networks
from protocol.messages.information import NetInterface

INTERFACES = [
    NetInterface(name="eth0", type="ethernet", description="Ethernet device"),
    NetInterface(name="br0", type="bridge", description="Network bridge with a, b"),
]


@pytest.mark.parametrize(
    ("form", "text", "empty"),
    [
        (
            "table",
            "Name   Type       Description\n"
            "br0    bridge     Network bridge with a, b\n"
            "eth0   ethernet   Ethernet device\n",
            "No network interfaces found.\n",
        ),
        (
            "csv",
            'Name,Type,Description\nbr0,bridge,"Network bridge with a, b"\n'
            'eth0,ethernet,"Ethernet device"\n',
            "Name,Type,Description\n",
        ),
        (
            "yaml",
            "br0:\n  - type: bridge\n    description: Network bridge with a, b\n"
            "eth0:\n  - type: ethernet\n    description: Ethernet device\n",
            "\n",
        ),
    ],
)
def test_networks(form: str, text: str, empty: str) -> None:
    assert networks.render(INTERFACES, form) == text
    assert networks.render([], form) == empty


def test_json_of_networks() -> None:
    listed = library.loads(networks.render(INTERFACES, "json"))["list"]
    assert [each["name"] for each in listed] == ["br0", "eth0"]
    assert networks.render([], "json") == '{\n    "list": [\n    ]\n}\n'
