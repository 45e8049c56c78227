"""The aliases of `aliases`. Pure."""

from __future__ import annotations

from client import alias_messages
from client.aliases.table import COMMAND, DIRECTORY, INSTANCE, Aliases
from client.render import CSV, JSON, TABLE

HEADINGS = ("Alias", "Instance", "Command", "Context", "Working directory")


def render(aliases: Aliases, form: str) -> str:
    if form == TABLE:
        return _table(aliases)
    if form == CSV:
        lines = ["Alias,Instance,Command,Working directory,Context\n"]
        for name, instance, command, context, directory in _rows(aliases):
            lines.append(f"{name},{instance},{command},{directory},{context}\n")
        return "".join(lines)
    if form == JSON:
        from client.render import json

        return json.render(aliases.document())
    return _yaml(aliases)


def _rows(aliases: Aliases) -> list[tuple[str, ...]]:
    """In the order of the table's columns."""
    return [
        (
            name,
            alias.instance,
            alias.command,
            f"{context}*" if context == aliases.active else context,
            alias.directory,
        )
        for context, name, alias in aliases.every()
    ]


def _table(aliases: Aliases) -> str:
    rows = _rows(aliases)
    if not rows:
        return alias_messages.NONE_DEFINED + "\n"
    from client.render import table

    rows = [HEADINGS, *rows]
    widths = [table.automatic([row[column] for row in rows]) for column in range(4)]
    return table.render(rows, widths)


def _yaml(aliases: Aliases) -> str:
    from client.render import yaml

    contexts = {
        context: [
            {
                "alias": name,
                COMMAND: alias.command,
                INSTANCE: alias.instance,
                DIRECTORY: alias.directory,
            }
            for name, alias in sorted(aliases.contexts[context].items())
        ]
        or None
        for context in sorted(aliases.contexts)
    }
    return yaml.render({"active_context": aliases.active, "aliases": contexts})
