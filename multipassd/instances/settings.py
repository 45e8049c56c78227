"""The settings that each instance has: `local.NAME.cpus`, `.memory`, `.disk` and `.bridged`.

The sentences are Multipass 1.16's. A change is kept by the instance's record and counts from its
next start; only a stopped instance can be changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from multipassd import log
from multipassd.instances.errors import BeingPrepared, InstanceDeleted, NoSuchInstance, WrongState
from multipassd.instances.instance import Instance
from multipassd.instances.instances import Instances
from multipassd.instances.order import MAX_CPUS, MIN_CPUS, MIN_MEMORY
from multipassd.instances.record import Record
from multipassd.settings import boolean_word
from protocol import sizes
from protocol.errors import InvalidSetting, RpcError, StorageFailed
from protocol.settings import DAEMON_PREFIX
from protocol.status import Status

PROPERTIES = ("bridged", "cpus", "disk", "memory")
MAX_DIGITS = 9  # of a count that is read at all
MAX_SIZE = 1 << 50  # a typing error rather than a wish: no host has a pebibyte for a guest

_log = log.get("settings")


class NotObtained(RpcError):
    status = Status.INVALID_ARGUMENT

    def __init__(self, instance: str, reason: str) -> None:
        super().__init__(f"Cannot obtain instance settings; instance: {instance}; reason: {reason}")


class NotUpdated(RpcError):
    status = Status.FAILED_PRECONDITION

    def __init__(self, instance: str, reason: str) -> None:
        super().__init__(f"Cannot update instance settings; instance: {instance}; reason: {reason}")


class NoBridgedNetwork(RpcError):
    status = Status.INVALID_ARGUMENT
    sentence = (
        'You have to `multipass set local.bridged-network=<name>` to use the "bridged" shortcut.'
    )


@dataclass(frozen=True)
class Key:
    """`local.INSTANCE.PROPERTY`"""

    text: str
    instance: str
    property: str


def read_key(text: str) -> Key | None:
    """None for a key that is none of an instance."""
    if not text.startswith(DAEMON_PREFIX):
        return None
    instance, point, name = text.removeprefix(DAEMON_PREFIX).rpartition(".")
    return Key(text, instance, name) if point and instance and name in PROPERTIES else None


def keys(names: Iterable[str]) -> list[str]:
    return [f"{DAEMON_PREFIX}{name}.{each}" for name in names for each in PROPERTIES]


def show(instances: Instances, key: Key, bridged_network: str) -> str:
    """Also of a deleted instance. Raises NotObtained, NoBridgedNetwork."""
    try:
        record = instances.get(key.instance).record
    except NoSuchInstance:
        raise NotObtained(key.instance, "No such instance") from None
    except BeingPrepared:
        raise NotObtained(key.instance, "instance is being prepared") from None
    match key.property:
        case "cpus":
            return str(record.cpus)
        case "memory":
            return sizes.human(record.memory)
        case "disk":
            return sizes.human(record.disk)
        case _:
            return "true" if _is_bridged(record, bridged_network) else "false"


async def change(instances: Instances, key: Key, value: str, bridged_network: str) -> None:
    """Kept when this returns; the present value again is no change.

    Raises NotUpdated, InvalidSetting, NoBridgedNetwork, DriverError.
    """
    instance = _changeable(instances, key.instance)
    try:
        async with instance.held_stopped():
            await _change(instance, key, value, bridged_network)
    except WrongState as error:
        raise NotUpdated(key.instance, error.message) from None
    except OSError as error:
        raise StorageFailed(
            f"The setting was not changed, because the record of {key.instance} can't be "
            f"written: {error.strerror or error}."
        ) from error


def _changeable(instances: Instances, name: str) -> Instance:
    try:
        return instances.get_live(name)
    except NoSuchInstance:
        raise NotUpdated(name, "No such instance") from None
    except InstanceDeleted:
        raise NotUpdated(name, "Instance is deleted") from None
    except BeingPrepared:
        raise NotUpdated(name, "instance is being prepared") from None


async def _change(instance: Instance, key: Key, value: str, bridged_network: str) -> None:
    match key.property:
        case "cpus":
            instance.change(cpus=_cpus(key, value))
        case "memory":
            instance.change(memory=_memory(key, value))
        case "disk":
            await _grow(instance, key, _size(key, value), value)
        case _:
            _bridge(instance, key, value, bridged_network)


def _cpus(key: Key, value: str) -> int:
    digits = value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS
    if not digits or int(value) < MIN_CPUS:
        why = f"Need a positive integer (in decimal format) of minimum {MIN_CPUS}"
        raise InvalidSetting(key.text, value, why)
    if int(value) > MAX_CPUS:
        raise InvalidSetting(key.text, value, f"More than {MAX_CPUS} CPUs are not possible")
    return int(value)


def _size(key: Key, value: str) -> int:
    try:
        size = sizes.parse(value)
    except sizes.SizeError as error:
        raise InvalidSetting(key.text, value, str(error)) from None
    if not size:
        raise InvalidSetting(key.text, value, "Need a positive size.")
    if size > MAX_SIZE:
        raise InvalidSetting(key.text, value, f"More than {sizes.human(MAX_SIZE)} is not possible")
    return size


def _memory(key: Key, value: str) -> int:
    size = _size(key, value)
    if size < MIN_MEMORY:
        why = f"Memory less than {MIN_MEMORY >> 20}M minimum not allowed"
        raise InvalidSetting(key.text, value, why)
    return size


async def _grow(instance: Instance, key: Key, size: int, value: str) -> None:
    present = instance.record.disk
    if size < present:
        raise InvalidSetting(key.text, value, "Disk can only be expanded")
    if size > present:
        # The disk first: whoever asks again after a crash in between gets what was asked for.
        await instance.grow_disk(size)


def _bridge(instance: Instance, key: Key, value: str, network: str) -> None:
    word = boolean_word(value)
    if word is None:
        raise InvalidSetting(key.text, value, 'Invalid value, try "true" or "false"')
    bridged = _is_bridged(instance.record, network)
    if word == "false":
        if bridged:
            why = "Removing the bridged network is currently not supported"
            raise InvalidSetting(key.text, value, why)
    elif bridged:
        _log.warning("%s is bridged to %s already", instance.name, network)
    else:
        raise NotUpdated(instance.name, f"Failure to bridge {network}")


def _is_bridged(record: Record, network: str) -> bool:
    if not network:
        raise NoBridgedNetwork()
    return any(one.name == network for one in record.networks)
