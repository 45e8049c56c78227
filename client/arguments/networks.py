"""The argument of `launch --network`: `key=value,key=value`, or a name only. Pure."""

from __future__ import annotations

from client import instance_messages
from client.errors import UsageError
from protocol.messages.launch import LaunchRequest

MODES = {
    "auto": LaunchRequest.NetworkOptions.Mode.AUTO,
    "manual": LaunchRequest.NetworkOptions.Mode.MANUAL,
}
_HEX = frozenset("0123456789abcdefABCDEF")


def parse(spec: str) -> LaunchRequest.NetworkOptions:
    """Raises UsageError."""
    options = LaunchRequest.NetworkOptions()
    if spec and "," not in spec and "=" not in spec:
        options.id = spec
        return options
    for field in spec.split(","):
        if field:
            _take(options, field)
    if not options.id:
        raise UsageError(instance_messages.NETWORK_WITHOUT_NAME)
    return options


def _take(options: LaunchRequest.NetworkOptions, field: str) -> None:
    key, equals, value = field.partition("=")
    if not equals or "=" in value:
        raise UsageError(instance_messages.bad_network_definition(field))
    key = key.lower()
    if key == "name":
        options.id = value
    elif key == "mode":
        if value.lower() not in MODES:
            raise UsageError(instance_messages.bad_network_mode(value))
        options.mode = int(MODES[value.lower()])
    elif key == "mac":
        if not _is_mac_address(value):
            raise UsageError(instance_messages.bad_mac_address(value))
        options.mac_address = value
    else:
        raise UsageError(instance_messages.bad_network_field(key))


def _is_mac_address(text: str) -> bool:
    parts = text.split(":")
    return len(parts) == 6 and all(len(part) == 2 and _HEX.issuperset(part) for part in parts)
