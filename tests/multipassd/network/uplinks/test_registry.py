"""What a bridge takes over from a connection of NetworkManager's or a file of networkd's, and the
record of what was done; all without a network. For real: tests/system/test_host_bridging.py and
test_uplink.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar, Self

import pytest

from multipassd.network.reservations import BRIDGES
from multipassd.network.tools import NetworkFailure
from multipassd.network.uplinks import choice, registry
from multipassd.network.uplinks.kernel import KernelUplink
from multipassd.network.uplinks.network_manager import NetworkManagerUplink, differences
from multipassd.network.uplinks.networkd import NetworkdUplink
from multipassd.network.uplinks.networkd_files import ADDRESSING, logical_lines, sections
from multipassd.network.uplinks.registry import Entry, Stage, Uplinks
from multipassd.network.uplinks.uplink import Uplink
from multipassd.system.boot_id import current as now


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
    by_manager = NetworkManagerUplink("eth0", "br-eth0", "former", "bridge", "port")
    routes = (("0.0.0.0/0", "via", "192.0.2.1"),)
    by_kernel = KernelUplink("eth1", "br-eth1", "02:00:00:00:00:01", ("192.0.2.9/24",), routes)
    by_networkd = NetworkdUplink("eth3", "br-eth3", "[NetDev]", "[Network]", "[Link]")
    known = [
        Entry("eth0", "br-eth0", Stage.MADE, ("one", "two"), by_manager, "boot"),
        Entry("eth1", "br-eth1", Stage.MAKING, (), by_kernel, "boot"),
        Entry("eth2", "br-eth2"),
        Entry("eth3", "br-eth3", Stage.MADE, ("three",), by_networkd, "boot"),
    ]
    data = json.dumps([registry._to_json(entry) for entry in known])
    (tmp_path / BRIDGES).write_text(data)
    assert registry.read(tmp_path) == known
    assert Uplinks(tmp_path).unfinished
    assert Uplinks(tmp_path).permitted("eth2")


def test_a_record_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """Where an upgrade finds bridges that are made, they have to be undone some time."""
    common = {"stage": "made", "boot": "boot", "users": ["one"]}
    manager = {
        "device": "eth0", "bridge": "br-eth0", "former": "former", "bridge_id": "bridge",
        "port_id": "port",
    }  # fmt: skip
    networkd = {
        "device": "eth1", "bridge": "br-eth1", "netdev": "[NetDev]", "network": "[Network]",
        "port": "[Link]",
    }  # fmt: skip
    kernel = {"mac": "02:00:00:00:00:01", "addresses": ["192.0.2.9/24"], "routes": [["::/0"]]}
    none = {"plan": None, "files": None, "place": None}
    text = json.dumps(
        [
            {"device": "eth0", "bridge": "br-eth0", **common, **none, "plan": manager},
            {"device": "eth1", "bridge": "br-eth1", **common, **none, "files": networkd},
            {"device": "eth2", "bridge": "br-eth2", **common, **none, "place": kernel},
        ]
    )
    (tmp_path / BRIDGES).write_text(text)
    assert [entry.uplink for entry in registry.read(tmp_path)] == [
        NetworkManagerUplink("eth0", "br-eth0", "former", "bridge", "port"),
        NetworkdUplink("eth1", "br-eth1", "[NetDev]", "[Network]", "[Link]"),
        KernelUplink("eth2", "br-eth2", "02:00:00:00:00:01", ("192.0.2.9/24",), (("::/0",),)),
    ]


def test_the_record_keeps_the_format_that_earlier_versions_read(tmp_path: Path) -> None:
    uplink = KernelUplink("eth1", "br-eth1", "02:00:00:00:00:01", ("192.0.2.9/24",), (("::/0",),))
    fields = registry._to_json(Entry("eth1", "br-eth1", Stage.MADE, ("one",), uplink, "boot"))
    assert fields["plan"] is None and fields["files"] is None
    assert {"mac", "addresses", "routes"} <= fields["place"].keys()


class Recorded(Uplink):
    """Changes nothing on the host: notes what stage the record has when it is asked."""

    key = "place"
    directory: ClassVar[Path]
    seen: ClassVar[list[tuple[str, str]]]
    fails: ClassVar[bool]

    @staticmethod
    def manages(device: str) -> bool:
        return True

    @classmethod
    def plan(cls, device: str, bridge: str) -> Self:
        return cls(device, bridge)

    def _note(self, what: str) -> None:
        (entry,) = json.loads((self.directory / BRIDGES).read_text())
        self.seen.append((what, entry["stage"]))

    def apply(self) -> None:
        self._note("apply")
        if self.fails:
            raise NetworkFailure("it fails")

    def undo(self) -> None:
        self._note("undo")


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Recorded]:
    Recorded.directory, Recorded.seen, Recorded.fails = tmp_path, [], False
    monkeypatch.setattr(choice, "WAYS", (Recorded,))
    return Recorded


def test_a_change_is_on_record_before_it_is_made_and_before_it_is_undone(
    recorded: type[Recorded], tmp_path: Path
) -> None:
    uplinks = Uplinks(tmp_path)
    uplinks.make("eth77")
    assert recorded.seen == [("apply", "making")]
    assert [entry.stage for entry in registry.read(tmp_path)] == [Stage.MADE]
    uplinks.release()
    assert recorded.seen[1:] == [("undo", "making")]
    assert [entry.stage for entry in registry.read(tmp_path)] == [Stage.PERMITTED]


def test_what_fails_is_undone_at_once_and_what_was_interrupted_at_the_next_start(
    recorded: type[Recorded], tmp_path: Path
) -> None:
    recorded.fails = True
    with pytest.raises(NetworkFailure, match="it fails"):
        Uplinks(tmp_path).make("eth77")
    assert [what for what, _ in recorded.seen] == ["apply", "undo"]
    assert not Uplinks(tmp_path).unfinished

    data = json.dumps(
        [
            registry._to_json(
                Entry("eth77", "br-eth77", Stage.MAKING, (), recorded("eth77", "br-eth77"), now())
            )
        ]
    )
    (tmp_path / BRIDGES).write_text(data)
    uplinks = Uplinks(tmp_path)
    assert uplinks.unfinished
    uplinks.repair()
    assert [what for what, _ in recorded.seen] == ["apply", "undo", "undo"]
    assert not uplinks.unfinished


def test_what_was_done_before_the_hosts_last_boot_is_not_undone(
    recorded: type[Recorded], tmp_path: Path
) -> None:
    entry = Entry("eth77", "br-eth77", Stage.MADE, (), recorded("eth77", "br-eth77"), "earlier")
    (tmp_path / BRIDGES).write_text(json.dumps([registry._to_json(entry)]))
    Uplinks(tmp_path).dismantle()
    assert recorded.seen == []
    assert registry.read(tmp_path) == []


def test_a_record_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert registry.read(tmp_path) == []
    for text in ("", "[", "[{}]", "[1]", '{"device": 1}', '[{"plan": {"device": "x"}}]'):
        (tmp_path / BRIDGES).write_text(text)
        assert registry.read(tmp_path) == []
        assert not Uplinks(tmp_path).permitted("eth0")
