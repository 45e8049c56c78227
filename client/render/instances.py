"""The instances of `list`. Pure."""

from __future__ import annotations

from client import messages
from client.render import CSV, JSON, TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocol.messages.common import InstanceStatus
    from protocol.messages.listing import ListVMInstance

NAME_WIDTH, STATE_WIDTH, IPV4_WIDTH = 24, 18, 17
NOTHING = "--"
NOT_AVAILABLE = "Not Available"
UNKNOWN = "Unknown"

# By their number on the wire.
STATES = (
    UNKNOWN,
    "Running",
    "Starting",
    "Restarting",
    "Stopped",
    "Deleted",
    "Delayed Shutdown",
    "Suspending",
    "Suspended",
)


def render(
    instances: Sequence[ListVMInstance], form: str, primary: str, located: bool = False
) -> str:
    """`located`: a table names the host of each, which the documents do wherever there is one."""
    if form == JSON:
        return _json(instances)  # in the order of the reply
    ordered = sorted(instances, key=lambda instance: (instance.name != primary, instance.name))
    if form == TABLE:
        return _table(ordered, located)
    return _csv(ordered) if form == CSV else _yaml(ordered)


def _table(instances: Sequence[ListVMInstance], located: bool) -> str:
    if not instances:
        return messages.NO_INSTANCES + "\n"
    from client.render import table

    names = ["Name", *(instance.name for instance in instances)]
    rows: list[tuple[str, ...]] = [("Name", "State", "IPv4", "Image", "Location")]
    for instance in instances:
        first, *others = instance.ipv4 or [NOTHING]
        where = instance.location or NOTHING
        rows.append((instance.name, _state(instance), first, _release(instance), where))
        rows += [("", "", address, "", "") for address in others]
    widths = [table.automatic(names, NAME_WIDTH), STATE_WIDTH, IPV4_WIDTH]
    if located:
        widths.append(table.automatic([row[3] for row in rows]))
    else:
        rows = [row[:-1] for row in rows]
    text = table.render(rows, widths)
    return "\n".join(line.rstrip() for line in text.split("\n"))


def _csv(instances: Sequence[ListVMInstance]) -> str:
    located = any(instance.location for instance in instances)
    lines = ["Name,State,IPv4,IPv6,Release,AllIPv4" + (",Location" if located else "") + "\n"]
    for instance in instances:
        cells = (
            instance.name,
            _state(instance),
            instance.ipv4[0] if instance.ipv4 else "",
            instance.ipv6[0] if instance.ipv6 else "",
            _release(instance),
            f'"{",".join(instance.ipv4)}"',
            *([instance.location] if located else []),
        )
        lines.append(",".join(cells) + "\n")
    return "".join(lines)


def _json(instances: Sequence[ListVMInstance]) -> str:
    from client.render import json

    entries = [
        {
            "ipv4": instance.ipv4,
            "name": instance.name,
            "release": _release(instance),
            "state": _state(instance),
            **_location(instance),
        }
        for instance in instances
    ]
    return json.render({"list": entries})


def _yaml(instances: Sequence[ListVMInstance]) -> str:
    from client.render import yaml

    return yaml.render(
        {
            instance.name: [
                {
                    "state": _state(instance),
                    "ipv4": instance.ipv4,
                    "release": _release(instance),
                    **_location(instance),
                }
            ]
            for instance in instances
        }
    )


def _location(instance: ListVMInstance) -> dict[str, str]:
    """None of 1.16's keys, so only where there is one."""
    return {"location": instance.location} if instance.location else {}


def state_text(status: InstanceStatus | None) -> str:
    number = status.status if status else 0
    return STATES[number] if 0 <= number < len(STATES) else UNKNOWN


def _state(instance: ListVMInstance) -> str:
    return state_text(instance.instance_status)


def _release(instance: ListVMInstance) -> str:
    return f"Ubuntu {instance.current_release}" if instance.current_release else NOT_AVAILABLE
