"""`multipass-migrate list`: what an installation of 1.16 has."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from multipassd.migration.formats import STATES
from multipassd.migration.taking import Taking
from multipassd.migration.vault import Entry, Vault
from protocol import sizes

HEADINGS = ("Name", "State", "CPUs", "Memory", "Disk", "Snapshots", "Note")
GAP, NONE = "  ", "--"


def show(vaults: list[Vault], taking: Taking, *, as_json: bool) -> None:
    """Raises CannotTake."""
    found = [(vault, vault.entries()) for vault in vaults]
    if as_json:
        rows = [_as_json(entry, taking) for _, entries in found for entry in entries]
        print(json.dumps({"instances": rows}, indent=4))
        return
    if not any(entries for _, entries in found):
        print("No instances of Multipass 1.16 found.")
    for vault, entries in found:
        if entries:
            print(f"{vault.data}:")
            print(_table([HEADINGS, *(_as_row(entry, taking) for entry in entries)]))


def _as_row(entry: Entry, taking: Taking) -> tuple[str, ...]:
    old = entry.instance
    if entry.wrong:
        return (_shown(entry.name), NONE, NONE, NONE, NONE, NONE, f"{entry.wrong}")
    return (
        entry.name,
        _state(entry),
        str(old.num_cores or 1),
        _size(old.mem_size),
        _used(entry.disk),
        str(len(entry.snapshots)),
        _note(entry, taking),
    )


def _as_json(entry: Entry, taking: Taking) -> dict[str, Any]:
    old = entry.instance
    return {
        "name": entry.name,
        "from": str(entry.data),
        "state": _state(entry),
        "cpus": old.num_cores or 1,
        "memory": old.mem_size,
        "disk": old.disk_space,
        "disk_file": str(entry.disk) if entry.image is not None else None,
        "snapshots": [each.name for each in entry.snapshots],
        "mounts": [each.source_path for each in old.mounts],
        "here": taking.here(entry) or None,
        "problem": entry.wrong or None,
    }


def _state(entry: Entry) -> str:
    return "Deleted" if entry.instance.deleted else STATES.get(entry.instance.state, "Unknown")


def _note(entry: Entry, taking: Taking) -> str:
    if here := taking.here(entry):
        return "taken over already" if here == entry.name else f"taken over already, as {here}"
    if not entry.disk.exists():
        return f"{entry.disk} is missing"
    return ""


def _size(text: str) -> str:
    return sizes.human(sizes.parse(text)) if text else "default"


def _used(path: Path) -> str:
    """What its file takes on the host's disk."""
    try:
        return sizes.human(os.stat(path).st_blocks * 512)
    except OSError:
        return NONE


def _shown(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)[:64]


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
