"""Which networks a launch asks for, checked before anything is made. Pure; the sentences are
Multipass 1.16's."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from multipassd.instances.launching.launch_spec import Code, NetworkSpec
from multipassd.instances.settings import NoBridgedNetwork
from multipassd.instances.states.errors import LaunchRefused, RepeatedAddress
from multipassd.network.interfaces import ETHERNET, Interface
from protocol.errors import RpcError
from protocol.messages.launch import LaunchError
from protocol.status import Status

BRIDGED = "bridged"  # stands for the network that local.bridged-network names


class NoNetworks(RpcError):
    """The service can't connect instances to networks of the host."""

    status = Status.FAILED_PRECONDITION
    sentence = (
        "Instances can't be connected to networks of the host here, as they use QEMU's own "
        "networking. Where the service runs as root it connects them: as its package's units start "
        "it, or by hand with `multipassd --network=bridge`."
    )


class InvalidBridgedNetwork(RpcError):
    """`local.bridged-network` names a network that the host does not have."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, network: str) -> None:
        super().__init__(
            f"Invalid network '{network}' set as bridged interface, use `multipass set "
            "local.bridged-network=<name>` to correct. See `multipass networks` for valid names."
        )


class MissingBridges(RpcError):
    """The CLI has their names by then; it asks its user, and then again with the permission."""

    status = Status.FAILED_PRECONDITION

    def __init__(self) -> None:
        super().__init__("Missing bridges")
        self.details = LaunchError(error_codes=[int(Code.INVALID_NETWORK)]).encode()


def choose(
    orders: Iterable[NetworkSpec],
    interfaces: Iterable[Interface],
    bridged: str,
    taken: Collection[str],
) -> tuple[NetworkSpec, ...]:
    """With the networks' real names. `taken` are the MAC addresses that instances have. Raises
    NoBridgedNetwork, InvalidBridgedNetwork, LaunchRefused, RepeatedAddress."""
    names = {each.name for each in interfaces}
    macs = set(taken)
    chosen = []
    for order in orders:
        name = _name(order.network, names, bridged)
        if order.mac and order.mac in macs:
            raise RepeatedAddress(order.mac)
        macs.add(order.mac)
        chosen.append(replace(order, network=name))
    return tuple(chosen)


def without_bridge(orders: Iterable[NetworkSpec], interfaces: Iterable[Interface]) -> list[str]:
    """The ethernet devices among them that a bridge has to be made for."""
    alone = {each.name for each in interfaces if each.type == ETHERNET and not each.bridge}
    return list(dict.fromkeys(each.network for each in orders if each.network in alone))


def _name(asked: str, names: Collection[str], bridged: str) -> str:
    if asked == BRIDGED:
        if not bridged:
            raise NoBridgedNetwork
        if bridged not in names:
            raise InvalidBridgedNetwork(bridged)
        return bridged
    if asked not in names:
        raise LaunchRefused([Code.INVALID_NETWORK])
    return asked
