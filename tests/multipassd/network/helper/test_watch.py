"""A bridge that others change while instances are on it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from multipassd.network.bridge import BRIDGE, tap_name
from multipassd.network.bridge_client import NetworkError
from tests.multipassd.network import netns
from tests.multipassd.network.site import (
    MAC,
    ROOT,
    Site,
    ask_for_address,
    cards,
    until,
)

pytestmark = netns.REQUIRED


# What others do to the bridge, and the kernel's answer that tells that guests are reached again.
BREAKING = {
    "down": ["ip link set mpqemubr0 down"],
    "without address": ["ip address flush dev mpqemubr0"],
    "gone": ["ip link delete mpqemubr0"],
    "without the guest's tap": [f"ip link set {tap_name(MAC)} nomaster"],
    "tap down": [f"ip link set {tap_name(MAC)} down"],
}
CARING = f"""
import subprocess, sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from multipassd.system import log
from multipassd.network.helper.host_network import HostNetwork
log.configure("stderr", "info")
network = HostNetwork(Path(sys.argv[1]))
try:
    network.attach("one", {MAC!r}, "root")
    for _ in range(int(sys.argv[2])):
        for line in sys.argv[3:]:
            subprocess.run(line, shell=True, check=True)
        network.maintain()
    subprocess.run("ip -4 address show mpqemubr0; ip link show master mpqemubr0", shell=True)
    network.maintain()
finally:
    network.close()
"""


@pytest.mark.parametrize("lines", BREAKING.values(), ids=BREAKING.keys())
def test_a_bridge_that_others_break_is_mended_and_that_is_logged(
    site: Site, lines: list[str]
) -> None:
    said = site.host.run(sys.executable, "-c", CARING, str(site.directory), "1", *lines)
    assert re.search(r"mpqemubr0: <[^>]*\bUP\b", said), said
    assert re.search(r"inet 10\.\d+\.\d+\.1/24", said), said
    assert re.search(rf"{tap_name(MAC)}: <[^>]*\bUP\b", said), said
    assert len(re.findall(": repaired|attached again", said)) == (2 if "gone" in said else 1)
    assert "again and again" not in said


def test_who_breaks_the_bridge_again_and_again_is_told_of_once(site: Site) -> None:
    lines = ("ip address flush dev mpqemubr0",)
    said = site.host.run(sys.executable, "-c", CARING, str(site.directory), "5", *lines)
    assert said.count("again and again: mpqemubr0 has lost its address 10.") == 1
    assert said.count(": repaired") == 2
    assert said.count("no longer a problem: the bridge") == 1
    assert said.count("started, version") == 1, "DHCP goes on"


def test_the_service_looks_at_the_bridge_while_instances_run(site: Site, tmp_path: Path) -> None:
    with netns.namespace() as guest, site.service():
        site.attach(cards())
        address, _ = site.networking.endpoint(cards())
        site.host.run("ip", "link", "delete", BRIDGE)
        until(lambda: "attached again" in site.log())
        netns.connect(site.host, "cable", guest, "eth0", MAC)
        site.host.run("ip", "link", "set", "cable", "master", BRIDGE)
        assert address in ask_for_address(guest, tmp_path)


def test_a_bridge_with_devices_of_others_is_not_removed(site: Site) -> None:
    site.host.run("ip", "link", "add", BRIDGE, "type", "bridge")
    site.host.run("ip", "link", "add", "theirs", "type", "veth")
    site.host.run("ip", "link", "set", "theirs", "master", BRIDGE)
    with site.service():
        with pytest.raises(NetworkError, match="was made by another program, .*: theirs"):
            site.attach(cards())
    assert {BRIDGE, "theirs"} <= site.host.links()
    assert tap_name(MAC) not in site.host.links()
    assert site.host.run("ip", "-4", "address", "show", "dev", BRIDGE) == ""


def test_ours_with_a_device_of_another_s_is_not_removed(site: Site) -> None:
    site.host.run("ip", "link", "add", "theirs", "type", "veth")
    with site.service():
        site.attach(cards())
        site.host.run("ip", "link", "set", "theirs", "master", BRIDGE)
        site.detach(cards())
    until(lambda: "stays, as devices are on it" in site.log())
    assert {BRIDGE, "theirs"} <= site.host.links()
