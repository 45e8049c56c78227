"""Which networks a launch may have."""

from __future__ import annotations

import pytest

from multipassd.instances.launching import launch_networks
from multipassd.instances.launching.launch_spec import NetworkSpec
from multipassd.instances.settings import NoBridgedNetwork
from multipassd.instances.states.errors import LaunchRefused, RepeatedAddress
from multipassd.network.interfaces import Interface
from protocol.messages.launch import LaunchError
from protocol.status import Status

FOUND = (
    Interface("br0", "bridge", ("eth1",)),
    Interface("eth0", "ethernet"),
    Interface("eth1", "ethernet", bridge="br0"),
)
MAC = "52:54:00:00:00:01"


def chosen(*orders: NetworkSpec, bridged: str = "", taken: tuple[str, ...] = ()) -> list[str]:
    return [each.network for each in launch_networks.choose(orders, FOUND, bridged, taken)]


def order(network: str, mac: str = "") -> NetworkSpec:
    return NetworkSpec(network, mac, True)


def test_networks_keep_their_order_and_may_be_repeated() -> None:
    wanted = [order("bridged"), order("br0"), order("br0")]
    assert chosen(*wanted, bridged="eth0") == ["eth0", "br0", "br0"]


def test_bridged_wants_the_setting() -> None:
    with pytest.raises(NoBridgedNetwork, match="You have to `multipass set local.bridged-network"):
        chosen(order("bridged"))


def test_bridged_wants_a_setting_that_is_a_network() -> None:
    with pytest.raises(launch_networks.InvalidBridgedNetwork) as caught:
        chosen(order("bridged"), bridged="eth9")
    assert caught.value.message == (
        "Invalid network 'eth9' set as bridged interface, use `multipass set "
        "local.bridged-network=<name>` to correct. See `multipass networks` for valid names."
    )


def test_an_unknown_network_is_an_invalid_option() -> None:
    with pytest.raises(LaunchRefused) as caught:
        chosen(order("eth9"))
    details = LaunchError.decode(caught.value.details)
    assert details.error_codes == [LaunchError.ErrorCodes.INVALID_NETWORK]


@pytest.mark.parametrize("taken", [(MAC,), ()])
def test_a_repeated_mac_address_is_refused(taken: tuple[str, ...]) -> None:
    orders = [order("br0", MAC)] * (1 if taken else 2)
    with pytest.raises(RepeatedAddress, match=f"Repeated MAC address {MAC}"):
        chosen(*orders, taken=taken)


def test_only_ethernet_devices_on_their_own_need_a_bridge_each_once() -> None:
    wanted = [order("eth0"), order("eth1"), order("br0"), order("eth0")]
    assert launch_networks.without_bridge(wanted, FOUND) == ["eth0"]


def test_a_bridge_that_is_not_permitted_reads_as_in_1_16() -> None:
    error = launch_networks.MissingBridges()
    assert (error.message, error.status) == ("Missing bridges", Status.FAILED_PRECONDITION)
    details = LaunchError.decode(error.details)
    assert details.error_codes == [LaunchError.ErrorCodes.INVALID_NETWORK]
