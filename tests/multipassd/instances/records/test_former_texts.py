"""Records keep their text, so that this release and the former ones read each other's.

`former/` holds what the release of November 2026 wrote, when pydantic did: with each field set, and
with as few as possible.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from multipassd.instances.records.phase import Phase
from multipassd.instances.records.record import (
    Change,
    MountKind,
    Record,
    reason_of,
    record_of,
    text_of,
)

FORMER = Path(__file__).with_name("former")
# What a record had from the first release on; all else has a default.
FIRST = (
    "name", "instance_id", "image", "hardware", "cpus", "memory", "disk", "mac", "host_key",
)  # fmt: skip


def former(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FORMER / f"{name}.json").read_bytes())
    return found


@pytest.mark.parametrize("name", ["full", "plain"])
def test_a_former_record_is_written_again_byte_for_byte(name: str) -> None:
    text = (FORMER / f"{name}.json").read_bytes()
    assert text_of(record_of(text)) == text


def test_each_field_of_a_former_record_has_its_value() -> None:
    record = record_of((FORMER / "full.json").read_bytes())
    assert len(former("full")) == len(Record.__annotations__)
    assert record.phase is Phase.SUSPENDED and record.mounts[0].kind is MountKind.NATIVE
    assert record.pending is not None and record.pending.change is Change.RESTORE
    assert record.pending.mounts == record.snapshots[0].mounts == record.mounts
    assert record.snapshots[0].comment == 'one\ttwo\n"three" \\ 日本 \x7f'
    assert record.snapshots[1].ssh_key is None and record.snapshots[1].created == 1700000001.25
    assert record.hardware == {"machine": "pc", "cpu": "max,la57=off", "firmware": "bios"}


def test_what_an_earlier_release_did_not_write_has_its_default() -> None:
    fields = former("plain")
    record = record_of(json.dumps({name: fields[name] for name in FIRST}).encode())
    assert record.replace(created=1700000000.0) == record_of((FORMER / "plain.json").read_bytes())


@pytest.mark.parametrize("name", FIRST)
def test_a_record_that_lacks_what_all_had_is_damaged(name: str) -> None:
    fields = former("full")
    del fields[name]
    with pytest.raises(ValueError, match="it lacks") as caught:
        record_of(json.dumps(fields).encode())
    assert reason_of(caught.value) == f"it lacks {name}"


@pytest.mark.parametrize(
    "fields",
    [
        {"format": 2}, {"name": "../x"}, {"name": "-x"}, {"cpus": 0}, {"memory": 0}, {"disk": -1},
        {"phase": "asleep"}, {"hardware": {"machine": 1}}, {"deleted": 1}, {"created": None},
        {"snapshots": [{}]}, {"mounts": [{"source": "/", "target": "x", "uid": -1, "gid": 0}]},
    ],
    ids=str,
)  # fmt: skip
def test_no_record_says_what_this_release_would_not_write(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="it"):
        record_of(json.dumps(former("full") | fields).encode())
