"""The interfaces of `networks`. Pure."""

from __future__ import annotations

from client import sentences
from client.render import CSV, JSON, TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocol.messages.information import NetInterface


def render(interfaces: Sequence[NetInterface], form: str) -> str:
    ordered = sorted(interfaces, key=lambda one: one.name)
    if form == TABLE:
        return _table(ordered)
    if form == CSV:
        lines = [f'{one.name},{one.type},"{one.description}"\n' for one in ordered]
        return "".join(("Name,Type,Description\n", *lines))
    return _json(ordered) if form == JSON else _yaml(ordered)


def _table(interfaces: Sequence[NetInterface]) -> str:
    if not interfaces:
        return sentences.NO_NETWORKS + "\n"
    from client.render import table

    rows = [("Name", "Type", "Description")]
    rows += [(one.name, one.type, one.description) for one in interfaces]
    widths = [table.automatic([row[column] for row in rows]) for column in range(2)]
    return table.render(rows, widths)


def _json(interfaces: Sequence[NetInterface]) -> str:
    from client.render import json

    entries = [
        {"description": one.description, "name": one.name, "type": one.type} for one in interfaces
    ]
    return json.render({"list": entries})


def _yaml(interfaces: Sequence[NetInterface]) -> str:
    from client.render import yaml

    return yaml.render(
        {one.name: [{"type": one.type, "description": one.description}] for one in interfaces}
    )
