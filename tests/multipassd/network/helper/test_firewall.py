"""Others' firewalls, tried for real with packets of our own."""

from __future__ import annotations

import pytest

from multipassd.network import troubles
from multipassd.network.bridge import BRIDGE, tap_name
from multipassd.network.bridge_client import NetworkError
from tests.multipassd.network import netns
from tests.multipassd.network.site import (
    MAC,
    OTHER,
    Site,
    cards,
    load,
    way_out,
)

pytestmark = netns.REQUIRED


def test_a_firewall_that_drops_by_policy_is_named(site: Site) -> None:
    site.host.run("nft", "add table ip filter")
    site.host.run(
        "nft", "add chain ip filter INPUT { type filter hook input priority 0; policy drop; }"
    )
    with site.service():
        with pytest.raises(NetworkError, match="its chain ip filter INPUT has the policy drop"):
            site.attach(cards())
        assert BRIDGE not in site.host.links()
        site.host.run("nft", f"add rule ip filter INPUT iifname {BRIDGE} accept")
        site.attach(cards())


# Each closes by default and names no bridge of ours.
OPEN_ENOUGH = {
    "by subnet": """
table ip filter {
  chain INPUT { type filter hook input priority 0; policy drop;
    udp dport { 53, 67 } accept
  }
  chain FORWARD { type filter hook forward priority 0; policy drop;
    ip saddr 10.0.0.0/8 accept
    ip daddr 10.0.0.0/8 accept
  }
}
""",
    "by a jump on a wildcard": """
table inet fw {
  chain guests { meta mark set 0x7 return; }
  chain INPUT { type filter hook input priority 0; policy drop;
    iifname "mpqemu*" jump guests
    meta mark 0x7 accept
  }
}
""",
    "by what it does not reject": """
table inet fw {
  chain INPUT { type filter hook input priority 10; policy accept;
    iifname != "uplink" accept
    reject with icmpx admin-prohibited
  }
}
""",
}
# The end of firewalld's chains, for a device in a zone that lets in SSH alone.
REJECTING = """
table inet firewalld {
  chain filter_INPUT { type filter hook input priority 10; policy accept;
    ct state { established, related } accept
    iifname "lo" accept
    tcp dport 22 accept
    reject with icmpx admin-prohibited
  }
}
"""


@pytest.mark.parametrize("rules", OPEN_ENOUGH.values(), ids=OPEN_ENOUGH.keys())
def test_a_firewall_that_lets_guests_through_is_no_reason_to_refuse(site: Site, rules: str) -> None:
    with netns.namespace() as world, site.service():
        way_out(site.host, world)
        load(site.host, rules)
        world.run("nft", "add table ip seen")
        world.run("nft", "add chain ip seen X { type filter hook prerouting priority 0; }")
        world.run("nft", "add rule ip seen X counter")
        site.attach(cards())
        assert troubles.read(site.directory) == []
        # What was tried is gone, and left the host by no wire.
        assert "probe" not in site.host.run("nft", "list", "ruleset")
        assert "packets 0 " in world.run("nft", "list", "chain", "ip", "seen", "X")


def test_a_firewall_that_rejects_requests_for_addresses_is_told(site: Site) -> None:
    load(site.host, REJECTING)
    with site.service():
        with pytest.raises(NetworkError, match=r"\(DHCP\).*inet firewalld filter_INPUT"):
            site.attach(cards())
        assert BRIDGE not in site.host.links()
        assert tap_name(MAC) not in site.host.links()


def test_a_firewall_that_keeps_the_host_from_guests_is_told(site: Site) -> None:
    site.host.run("nft", "add table ip fw")
    site.host.run("nft", "add chain ip fw OUT { type filter hook output priority 0; policy drop; }")
    with site.service():
        with pytest.raises(NetworkError, match=r"\(SSH\).*its chain ip fw OUT has the policy drop"):
            site.attach(cards())
        site.host.run("nft", "add rule ip fw OUT ip daddr 10.0.0.0/8 accept")
        site.attach(cards())


def test_a_firewall_that_keeps_guests_from_the_world_is_told_once_and_they_start(
    site: Site,
) -> None:
    with netns.namespace() as world, site.service():
        way_out(site.host, world)
        load(site.host, REJECTING.replace("INPUT", "FORWARD").replace("input", "forward"))
        site.attach(cards())
        site.attach(cards("two", OTHER))
        said = "reach only this host; its chains for that are inet firewalld filter_FORWARD"
        assert site.log().count(said) == 1
        assert [said in sentence for sentence in site.networking.troubles()] == [True]
        site.host.run("nft", "delete table inet firewalld")
        site.attach(cards("two", OTHER))
        assert site.networking.troubles() == []
