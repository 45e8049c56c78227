"""The interfaces of `networks`. Pure."""

from __future__ import annotations

from client import instance_messages
from client.render import CSV, JSON, TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocol.messages.information import NetInterface


def render(interfaces: Sequence[NetInterface], form: str) -> str:
    ordered = sorted(interfaces, key=lambda interface: interface.name)
    if form == TABLE:
        return _table(ordered)
    if form == CSV:
        lines = [
            f'{interface.name},{interface.type},"{interface.description}"\n'
            for interface in ordered
        ]
        return "".join(("Name,Type,Description\n", *lines))
    return _json(ordered) if form == JSON else _yaml(ordered)


def _table(interfaces: Sequence[NetInterface]) -> str:
    if not interfaces:
        return instance_messages.NO_NETWORKS + "\n"
    from client.render import table

    rows = [("Name", "Type", "Description")]
    rows += [(interface.name, interface.type, interface.description) for interface in interfaces]
    widths = [table.automatic([row[column] for row in rows]) for column in range(2)]
    return table.render(rows, widths)


def _json(interfaces: Sequence[NetInterface]) -> str:
    from client.render import json

    entries = [
        {"description": interface.description, "name": interface.name, "type": interface.type}
        for interface in interfaces
    ]
    return json.render({"list": entries})


def _yaml(interfaces: Sequence[NetInterface]) -> str:
    from client.render import yaml

    return yaml.render(
        {
            interface.name: [{"type": interface.type, "description": interface.description}]
            for interface in interfaces
        }
    )
