"""The snapshots of `list --snapshots`. Pure."""

from __future__ import annotations

from client import messages
from client.render import CSV, JSON, TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocol.messages.listing import ListVMSnapshot

NOTHING = "--"
MAX_COMMENT = 50  # characters shown in a table


def render(snapshots: Sequence[ListVMSnapshot], form: str, primary: str) -> str:
    ordered = [_Row(snapshot) for snapshot in snapshots]
    ordered.sort(key=lambda row: (row.instance != primary, row.instance, row.created))
    if form == TABLE:
        return _table(ordered)
    if form == CSV:
        return _csv(ordered)
    return _json(ordered) if form == JSON else _yaml(ordered)


class _Row:
    """A snapshot of the reply, with defaults for absent fields."""

    def __init__(self, snapshot: ListVMSnapshot) -> None:
        about = snapshot.fundamentals
        created = about.creation_timestamp if about else None
        self.instance = snapshot.name
        self.name = about.snapshot_name if about else ""
        self.parent = about.parent if about else ""
        self.comment = about.comment if about else ""
        self.created = (created.seconds, created.nanos) if created else (0, 0)


def _table(rows: Sequence[_Row]) -> str:
    if not rows:
        return messages.NO_SNAPSHOTS + "\n"
    from client.render import table

    cells = [("Instance", "Snapshot", "Parent", "Comment")]
    cells += [
        (row.instance, row.name, row.parent or NOTHING, shorten(row.comment) or NOTHING)
        for row in rows
    ]
    widths = [table.automatic([line[column] for line in cells]) for column in range(3)]
    return table.render(cells, widths)


def shorten(comment: str) -> str:
    """The first line, cut to MAX_COMMENT; an ellipsis marks what is left out."""
    first, newline, _ = comment.partition("\n")
    if len(first) > MAX_COMMENT or (newline and len(first) == MAX_COMMENT):
        return first[: MAX_COMMENT - 1] + "…"
    return first + "…" if newline else first


def _csv(rows: Sequence[_Row]) -> str:
    lines = ["Instance,Snapshot,Parent,Comment\n"]
    lines += [f'{row.instance},{row.name},{row.parent},"{row.comment}"\n' for row in rows]
    return "".join(lines)


def _json(rows: Sequence[_Row]) -> str:
    from client.render import json

    info: dict[str, dict[str, dict[str, str]]] = {}
    for row in rows:
        entry = {"comment": row.comment, "parent": row.parent}
        info.setdefault(row.instance, {})[row.name] = entry
    return json.render({"errors": [], "info": info})


def _yaml(rows: Sequence[_Row]) -> str:
    from client.render import yaml

    document: dict[str, list[dict[str, list[dict[str, str | None]]]]] = {}
    for row in rows:
        entry = {"parent": row.parent or None, "comment": row.comment or None}
        document.setdefault(row.instance, []).append({row.name: [entry]})
    return yaml.render(document)
