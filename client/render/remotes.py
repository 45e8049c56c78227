"""The services of `remote list`. Pure."""

from __future__ import annotations

from client.remotes.table import LOCAL
from client.render import CSV, JSON, TABLE
from protocol.pem import fingerprint, pem_to_der

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from client.remotes.table import Remotes

HEADINGS = ("Name", "Address", "Default", "Certificate")
KEYS = ("name", "address", "default", "certificate")
NONE = "--"
SHOWN = 16  # digits of a fingerprint: finding two that begin alike is not feasible


def render(remotes: Remotes, local: str, form: str) -> str:
    """`local`: the address of this machine's service."""
    rows = [(LOCAL, local, not remotes.default, "")]
    rows += [
        (each.name, each.address, bool(each.name) and each.name == remotes.default,
         _fingerprint(each.roots))
        for each in remotes.every()
    ]  # fmt: skip
    if form == TABLE:
        return _table(rows)
    if form == CSV:
        lines = [f"{name},{at},{str(chosen).lower()},{key}\n" for name, at, chosen, key in rows]
        return "".join((",".join(HEADINGS) + "\n", *lines))
    document: dict[str, Any] = {"remotes": [dict(zip(KEYS, row, strict=True)) for row in rows]}
    if form == JSON:
        from client.render import json

        return json.render(document)
    from client.render import yaml

    return yaml.render(document)


def _table(rows: list[tuple[str, str, bool, str]]) -> str:
    from client.render import table

    shown = [HEADINGS]
    for name, address, chosen, key in rows:
        shown.append((name or NONE, address, "yes" if chosen else "no", key[:SHOWN] or NONE))
    widths = [table.automatic([row[column] for row in shown]) for column in range(3)]
    return table.render(shown, widths)


def _fingerprint(roots: str) -> str:
    try:
        return fingerprint(pem_to_der(roots.encode()))
    except ValueError:
        return ""
