"""The settings that each instance has: `local.NAME.cpus`, `.memory`, `.disk` and `.bridged`.

The sentences are Multipass 1.16's. A change is kept by the instance's record and counts from its
next start; only a stopped instance can be changed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial

from multipassd.drivers.interface import RENAME, Driver, NotOnBackend
from multipassd.instances import host_limits
from multipassd.instances.collection import Instances
from multipassd.instances.finder import Finder
from multipassd.instances.host_limits import MIN_CPUS, MIN_MEMORY, HostLimits
from multipassd.instances.instance import Instance
from multipassd.instances.owners.claims import Charge
from multipassd.instances.owners.owner import Owner
from multipassd.instances.owners.quotas import Amounts
from multipassd.instances.records.card_config import interfaces, mac_address
from multipassd.instances.records.damaged import InstanceDamaged
from multipassd.instances.records.record import Network, Record
from multipassd.instances.setting_keys import NAME, OWNER, Key
from multipassd.instances.states import transitions
from multipassd.instances.states.errors import (
    BeingPrepared,
    InstanceDeleted,
    NameNotFree,
    NameTaken,
    NoSuchInstance,
    WrongState,
)
from multipassd.instances.states.state import State
from multipassd.instances.states.transitions import MUST_BE_STOPPED
from multipassd.settings.values import boolean_word
from multipassd.system import log
from multipassd.trust import names as client_names
from protocol import names, sizes
from protocol.errors import InvalidSetting, RpcError, StorageFailed
from protocol.status import Status

MAX_NAME = 63  # as of a launch
MAX_DIGITS = 9  # of a count that is read at all

HAS_MOUNTS = (
    "It has mounts, by which another owner would reach directories of the users who mounted them. "
    "`multipass umount` removes them."
)

Connect = Callable[[str], Awaitable[None]]
Changing = Callable[[], Coroutine[None, None, None]]

_log = log.get("settings")


class NotObtained(RpcError):
    """A setting of an instance can't be shown."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, instance: str, reason: str) -> None:
        super().__init__(f"Cannot obtain instance settings; instance: {instance}; reason: {reason}")


class NotUpdated(RpcError):
    """A setting of an instance can't be changed."""

    status = Status.FAILED_PRECONDITION

    def __init__(self, instance: str, reason: str) -> None:
        super().__init__(f"Cannot update instance settings; instance: {instance}; reason: {reason}")


class NoBridgedNetwork(RpcError):
    """`local.bridged-network` names no network."""

    status = Status.INVALID_ARGUMENT
    sentence = (
        'You have to `multipass set local.bridged-network=<name>` to use the "bridged" shortcut.'
    )


def show(instances: Finder, key: Key, bridged_network: str) -> str:
    """Also of a deleted instance. Raises NotObtained, NoBridgedNetwork."""
    try:
        record = instances.get(key.instance).record
    except NoSuchInstance:
        raise NotObtained(key.instance, "No such instance") from None
    except BeingPrepared:
        raise NotObtained(key.instance, "instance is being prepared") from None
    except InstanceDamaged as error:
        raise NotObtained(key.instance, error.message) from None
    match key.property:
        case "cpus":
            return str(record.cpus)
        case "memory":
            return sizes.human(record.memory)
        case "disk":
            return sizes.human(record.disk)
        case "name":
            return record.name
        case "owner":
            return record.owner
        case _:
            return "true" if _is_bridged(record, bridged_network) else "false"


async def changing(
    instances: Instances,
    instance: Instance,
    key: Key,
    value: str,
    caller: Owner,
    charge: Charge,
    bridged_network: str,
    connect: Connect,
) -> Changing:
    """What is left to do once people have been asked; it is to go on when they hang up. `connect`
    is called with a network of the host's that the instance is to be on; it may take as long as
    people do. Raises NotUpdated, InvalidSetting, NoBridgedNetwork, NotOnBackend, and what `connect`
    raises.
    """
    if key.property == OWNER:
        return partial(_give, instances, instance, key, value)
    if instance.state is not State.STOPPED:
        raise NotUpdated(key.instance, MUST_BE_STOPPED)
    if key.property == NAME:
        if not instances.driver.renames:
            raise NotOnBackend(RENAME)
        return partial(_rename, instances, instance, key, value, caller)
    bridges = key.property == "bridged" and _wants_bridge(instance, key, value, bridged_network)
    if bridges:
        await connect(bridged_network)
        return partial(
            _change, instance, key, lambda: _bridge(instances, instance, bridged_network, charge)
        )
    driver = instances.driver
    return partial(_change, instance, key, lambda: _put(instance, key, value, driver, charge))


async def _change(instance: Instance, key: Key, work: Callable[[], Awaitable[None]]) -> None:
    """Kept when this returns; the present value again is no change. Raises NotUpdated,
    InvalidSetting, DriverError, StorageFailed."""
    try:
        async with instance.held():
            await work()
    except WrongState as error:
        raise NotUpdated(key.instance, error.message) from None
    except OSError as error:
        raise StorageFailed(
            f"The setting was not changed, because the files of {key.instance} can't be "
            f"written: {error.strerror or error}."
        ) from error


async def _rename(
    instances: Instances, instance: Instance, key: Key, value: str, caller: Owner
) -> None:
    """Raises NotUpdated, InvalidSetting, StorageFailed."""
    if not names.valid(value) or len(value) > MAX_NAME:
        why = (
            "A name has letters, digits and inner hyphens, a letter first, and at most "
            f"{MAX_NAME} characters"
        )
        raise InvalidSetting(key.text, value, why)
    if value == instance.name:
        return
    try:
        await instances.rename(instance, value, caller)
    except (WrongState, NameTaken, NameNotFree, BeingPrepared) as error:
        raise NotUpdated(key.instance, error.message) from None


async def _give(instances: Instances, instance: Instance, key: Key, value: str) -> None:
    """Raises InvalidSetting, NotUpdated, StorageFailed."""
    if value and (why := client_names.complaint(value)) and not client_names.MADE.fullmatch(value):
        raise InvalidSetting(key.text, value, why)
    async with instance.held(transitions.MOUNT):  # none is being added
        if instance.record.mounts and value != instance.record.owner:
            raise NotUpdated(key.instance, HAS_MOUNTS)
        instances.give(instance, value)


def changeable(instances: Finder, name: str) -> Instance:
    """Raises NotUpdated."""
    try:
        return instances.get_live(name)
    except NoSuchInstance:
        raise NotUpdated(name, "No such instance") from None
    except InstanceDeleted:
        raise NotUpdated(name, "Instance is deleted") from None
    except BeingPrepared:
        raise NotUpdated(name, "instance is being prepared") from None
    except InstanceDamaged as error:
        raise NotUpdated(name, error.message) from None


async def _put(instance: Instance, key: Key, value: str, driver: Driver, charge: Charge) -> None:
    record = instance.record
    match key.property:
        case "cpus":
            cpus = _cpus(key, value, driver.max_cpus)
            with charge(Amounts(cpus=max(cpus - record.cpus, 0))):
                instance.change(cpus=cpus)
        case "memory":
            memory = _memory(instance, key, value, driver)
            with charge(Amounts(memory=max(memory - record.memory, 0))):
                instance.change(memory=memory)
        case "disk":
            await _grow(instance, key, value, driver, charge)


def _cpus(key: Key, value: str, most: int) -> int:
    digits = value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS
    if not digits or int(value) < MIN_CPUS:
        why = f"Need a positive integer (in decimal format) of minimum {MIN_CPUS}"
        raise InvalidSetting(key.text, value, why)
    if int(value) > most:
        raise InvalidSetting(key.text, value, f"More than {most} CPUs are not possible")
    return int(value)


def _size(key: Key, value: str) -> int:
    try:
        size = sizes.parse(value)
    except sizes.SizeError as error:
        why = f"{error}\n{error.hint}" if error.hint else str(error)
        raise InvalidSetting(key.text, value, why) from None
    if not size:
        raise InvalidSetting(key.text, value, "Need a positive size.")
    return size


def _limits(instance: Instance, driver: Driver) -> HostLimits:
    return host_limits.of(driver, instance.machine.directory.parent)


def _memory(instance: Instance, key: Key, value: str, driver: Driver) -> int:
    size = _size(key, value)
    if size < MIN_MEMORY:
        why = f"Memory less than {MIN_MEMORY >> 20}M minimum not allowed"
        raise InvalidSetting(key.text, value, why)
    excess = _limits(instance, driver).memory_excess(size)
    if excess and size != instance.record.memory:
        raise InvalidSetting(key.text, value, f"{excess}.")
    return size


async def _grow(instance: Instance, key: Key, value: str, driver: Driver, charge: Charge) -> None:
    present, size = instance.record.disk, _size(key, value)
    if size < present:
        raise InvalidSetting(key.text, value, "Disk can only be expanded")
    if size == present:
        return
    if excess := _limits(instance, driver).disk_excess(size):
        raise InvalidSetting(key.text, value, f"{excess}.")
    with charge(Amounts(disk=size - present)):
        await instance.grow_disk(size)


def _wants_bridge(instance: Instance, key: Key, value: str, network: str) -> bool:
    """False if there is nothing to do."""
    word = boolean_word(value)
    if word is None:
        raise InvalidSetting(key.text, value, 'Invalid value, try "true" or "false"')
    bridged = _is_bridged(instance.record, network)
    if bridged and word == "false":
        why = "Removing the bridged network is currently not supported"
        raise InvalidSetting(key.text, value, why)
    if bridged:
        _log.warning("%s is bridged to %s already", instance.name, network)
    return word == "true" and not bridged


async def _bridge(instances: Instances, instance: Instance, network: str, charge: Charge) -> None:
    """The seed first: a card that the guest was told of and has not does no harm."""
    with charge(Amounts(networks=1)):
        await _add_card(instances, instance, network)


async def _add_card(instances: Instances, instance: Instance, network: str) -> None:
    mac = mac_address(instances.registry.mac_addresses())
    networks = (*instance.record.networks, Network(name=network, mac=mac))
    cards = interfaces(instance.record.replace(networks=networks))
    await instances.driver.add_interfaces(instance.machine, cards)
    instance.change(networks=networks)


def _is_bridged(record: Record, network: str) -> bool:
    if not network:
        raise NoBridgedNetwork()
    return any(each.name == network for each in record.networks)
