"""Instances of Multipass 1.16 in the storage that this service uses, too: named and left alone.

Its files, which only their names are read of here: `multipassd-vm-instances.json`, an object of
records by instance name, in the data directory, of older versions in the cache beside it (in the
snap `cache/multipassd` beside `data/multipassd`); disks in `vault/instances`.
"""

from __future__ import annotations

import json
from collections.abc import Container
from pathlib import Path

from multipassd.instances.records.record_text import reason_of
from multipassd.system import installation
from multipassd.system.files import read_regular
from protocol import names

RECORDS = "multipassd-vm-instances.json"
DISKS = "vault/instances"
MAX_FILE = 16 << 20  # a record has a few KiB
SHOWN = 10  # names in a sentence
# What a record has that is of an instance; 1.16 passes over one without any of it.
SUBSTANCE = ("num_cores", "mem_size", "disk_space", "ssh_username", "metadata", "deleted")


def warning(data: Path, here: Container[str] = ()) -> str:
    """A sentence that names them and what to do; empty where there are none. `here`: the MAC
    addresses of those that were taken over."""
    caches = (data.parent / "cache", data.parent.parent / "cache" / data.name)
    for path in (directory / RECORDS for directory in (data, *caches)):
        try:
            found = _names(read_regular(path, MAX_FILE), here)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, RecursionError) as error:
            why = str(error) if isinstance(error, RecursionError) else reason_of(error)
            return f"Instances of Multipass 1.16 may be there: {path} can't be read: {why}."
        if found:
            return _sentence(found, data)
    return ""


def _names(text: bytes, here: Container[str]) -> list[str]:
    """Raises ValueError."""
    records = json.loads(text)
    if not isinstance(records, dict):
        raise ValueError("it holds no object")
    return sorted(
        name
        for name, record in records.items()
        if names.valid(name)
        and isinstance(record, dict)
        and any(record.get(key) for key in SUBSTANCE)
        and record.get("mac_addr") not in here
    )


def _sentence(found: list[str], data: Path) -> str:
    some = ", ".join(found[:SHOWN]) + (", …" if len(found) > SHOWN else "")
    many = len(found) > 1
    return (
        f"{len(found)} instance{'s' if many else ''} of Multipass 1.16 ({some}) "
        f"{'are' if many else 'is'} in {data / DISKS}. "
        f"`sudo {installation.here().migrate} take --all --from {data}` takes "
        f"{'them' if many else 'it'} over; until then {'they are' if many else 'it is'} left alone."
    )
