"""What can be said of the instances' network without a network."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from multipassd.network import interfaces, reservations, subnet, tools
from multipassd.network.bridge import tap_name
from multipassd.network.helper import forwarding, main
from multipassd.network.helper.host_network import HostNetwork
from multipassd.network.helper.main import Service
from multipassd.network.interfaces import Interface
from multipassd.network.reservations import NoAddress, Reservation
from multipassd.network.tools import NetworkFailure
from multipassd.system import activation, file_lock

NET = IPv4Network("10.55.0.0/24")


def test_the_kept_subnet_stays_while_no_route_leads_into_it() -> None:
    assert subnet.choose(NET, [IPv4Network("0.0.0.0/0"), IPv4Network("10.56.0.0/16")]) == NET


def test_a_subnet_that_a_route_leads_into_is_given_up() -> None:
    route = IPv4Network("10.0.0.0/9")
    chosen = subnet.choose(NET, [route])
    assert chosen.prefixlen == 24 and not chosen.overlaps(route)


def test_a_default_route_in_halves_leaves_subnets_free() -> None:
    halves = [IPv4Network("0.0.0.0/1"), IPv4Network("128.0.0.0/1")]
    assert subnet.choose(NET, halves) == NET


def test_where_all_of_10_is_routed_another_private_range_serves() -> None:
    chosen = subnet.choose(None, [IPv4Network("10.0.0.0/8")])
    assert chosen.subnet_of(subnet.POOLS[1])


def test_no_free_subnet_at_all_is_an_error() -> None:
    with pytest.raises(subnet.NoSubnet):
        subnet.choose(NET, subnet.POOLS)


def test_an_address_that_is_reserved_or_lent_to_another_is_not_given() -> None:
    taken = [Reservation("52:54:00:00:00:01", IPv4Address("10.55.0.2"), "one")]
    leases = {
        IPv4Address("10.55.0.3"): "52:54:00:00:00:09",
        IPv4Address("10.55.0.4"): "52:54:00:00:00:02",
    }
    address = reservations.choose(NET, "52:54:00:00:00:02", taken, leases)
    assert address == IPv4Address("10.55.0.4")


def test_a_full_subnet_is_an_error() -> None:
    taken = [Reservation("", address, "") for address in subnet.addresses(NET)]
    assert len(taken) == 253
    with pytest.raises(NoAddress):
        reservations.choose(NET, "52:54:00:00:00:02", taken, {})


def test_reservations_are_read_back_and_nonsense_is_passed_over(tmp_path: Path) -> None:
    reserved = Reservation("52:54:00:00:00:01", IPv4Address("10.55.0.2"), "one")
    assert reservations.read(tmp_path) == {}
    reservations.write(tmp_path, {reserved.mac: reserved})
    with open(tmp_path / reservations.FILE, "a") as file:
        file.write("nonsense\n,,\n")
    assert reservations.read(tmp_path) == {reserved.mac: reserved}


def test_a_lease_is_read_by_its_address(tmp_path: Path) -> None:
    (tmp_path / reservations.LEASES).write_text(
        "duid 00:01\n1700000000 52:54:00:00:00:01 10.55.0.2 one 01:52:54:00:00:00:01\n"
    )
    assert reservations.leased(tmp_path) == {IPv4Address("10.55.0.2"): "52:54:00:00:00:01"}


def test_leases_of_unknown_guests_are_dropped(tmp_path: Path) -> None:
    reservations.drop_leases(tmp_path, {})
    lines = [f"1700000000 52:54:00:00:00:0{number} 10.55.0.{number} * *\n" for number in (1, 2)]
    (tmp_path / reservations.LEASES).write_text("".join(lines))
    reservations.drop_leases(tmp_path, {"52:54:00:00:00:02"})
    assert (tmp_path / reservations.LEASES).read_text() == lines[1]


def test_a_tap_is_named_by_its_mac_address_within_linux_limit() -> None:
    assert tap_name("52:54:00:AB:CD:EF") == "mp-525400abcdef"
    assert len(tap_name("52:54:00:ab:cd:ef")) == 15


@pytest.mark.root
@pytest.mark.parametrize(
    ("mode", "group", "may"), [(0o666, 0, True), (0o660, 1, True), (0o660, 0, False)]
)
def test_who_may_open_taps_is_tried_not_read_from_the_mode(
    mode: int, group: int, may: bool
) -> None:
    with tempfile.TemporaryDirectory() as place:  # pytest's own is closed to others
        os.chmod(place, 0o755)
        device = Path(place) / "tun"
        device.touch()
        os.chown(device, 0, group)
        device.chmod(mode)
        assert tools.may("daemon", device, "-r", "-w") is may  # whose group has the number 1


def test_a_way_out_that_goes_meanwhile_keeps_no_other_from_forwarding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "IPV4", tmp_path)
    for device, text in (("eth0", "0\n"), ("eth1", "1\n")):
        (tmp_path / "conf" / device).mkdir(parents=True)
        (tmp_path / "conf" / device / "forwarding").write_text(text)
    assert forwarding.closed(["gone", "eth0", "eth1"]) == {"eth0"}
    forwarding.open_for(["gone", "eth0"])
    assert forwarding.closed(["eth0", "eth1"]) == set()


def test_a_stop_counts_though_what_was_under_way_cannot_be_put_back(tmp_path: Path) -> None:
    class Network(HostNetwork):
        used = True  # so that nothing else ends the service

        def bridge(self, device: str) -> str:
            try:
                serving.end(signal.SIGTERM, None)
            except SystemExit:
                raise NetworkFailure(f"{device} could not be put back.") from None

    before = signal.getsignal(signal.SIGTERM)
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as asked:
        listener.bind("")  # the kernel names it
        listener.listen()
        asked.connect(listener.getsockname())
        asked.sendall(b'{"do": "bridge", "device": "eth0"}\n')
        serving = Service(Network(tmp_path), listener)
        try:
            serving.run()
        finally:
            signal.signal(signal.SIGTERM, before)
        assert b"could not be put back" in asked.recv(4096)


def test_two_services_never_work_on_one_directory_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "LOCK_SECONDS", 0.0)
    with socket.socket(socket.AF_UNIX) as listener, file_lock.hold(tmp_path / main.LOCK, 0):
        given = {listener.detach(): "x"}
        monkeypatch.setattr(activation, "descriptors", lambda: given)
        assert main.serve(tmp_path) == 1
    assert os.listdir(tmp_path) == [main.LOCK]


def test_only_ethernet_devices_and_bridges_are_networks(tmp_path: Path) -> None:
    def device(name: str, kind: str = "1", *inside: str) -> None:
        (tmp_path / name).mkdir()
        (tmp_path / name / "type").write_text(f"{kind}\n")
        for each in inside:
            (tmp_path / name / each).mkdir(parents=True)

    device("eth0", "1", "device")
    device("eth1", "1", "device", "brport")
    device("wlan0", "1", "device", "wireless")
    device("lo", "772")
    device("tap0")
    device("br0", "1", "bridge", "brif/eth1")
    device("br1", "1", "bridge", "brif")
    (tmp_path / "eth1/brport/bridge").symlink_to(tmp_path / "br0")
    found = interfaces.read(tmp_path)
    assert [(each.name, each.description) for each in found] == [
        ("br0", "Network bridge with eth1"),
        ("br1", "Network bridge"),
        ("eth0", "Ethernet device"),
        ("eth1", "Ethernet device"),
    ]
    assert found[3] == Interface("eth1", "ethernet", bridge="br0")
    assert interfaces.read(tmp_path / "nowhere") == []
