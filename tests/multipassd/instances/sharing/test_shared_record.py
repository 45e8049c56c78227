"""What another service of the project says of its instances is not believed where it is about this
host, about who logs in, or about another instance."""

from __future__ import annotations

import json

import pytest

from multipassd.cloudinit.ssh_keys import NO_KEY
from multipassd.drivers.shared_machines import SERVICE
from multipassd.instances.records.phase import Phase
from multipassd.instances.records.record import Change, Mount, Pending, Record
from multipassd.instances.sharing import shared_record
from tools import records

AUTHORITY = "ssh-rsa AAAA"
MINE = records.make("foo", 1, owner="bob", ssh_key="mine", ssh_authority="mine", ssh_port=40022)


def told(**fields: object) -> bytes:
    return MINE.replace(**fields).to_json()


def adopted(text: bytes) -> Record:
    return shared_record.adopted("foo", text, "other", AUTHORITY)


def test_what_is_published_is_nothing_of_this_host() -> None:
    mount = Mount(source="/home/bob", target="Home", uid=1, gid=1)
    busy = MINE.replace(phase=Phase.RUNNING, boot="x", mounts=(mount,), ended_because="why")
    text = shared_record.shared(busy)
    assert b"/home/bob" not in text and b"mine" not in text and b"40022" not in text
    assert json.loads(text)["owner"] == "bob"


def test_an_adopted_instance_brings_no_mount_no_port_and_no_login_of_its_service() -> None:
    mount = Mount(source="/etc", target="data", uid=1, gid=1)
    pending = Pending(change=Change.TAKE, tag="snapshot-1")
    hostile = told(mounts=(mount,), pending=pending, phase=Phase.RUNNING, stop_at=1.0, boot="x")
    found = adopted(hostile)
    assert (found.mounts, found.pending, found.stop_at, found.boot) == ((), None, 0.0, "")
    assert (found.phase, found.ssh_port) == (Phase.STOPPED, 0)
    assert (found.ssh_key, found.ssh_key_alone, found.ssh_authority) == (NO_KEY, NO_KEY, AUTHORITY)
    assert (found.owner, found.hardware[SERVICE]) == ("bob", "other")


@pytest.mark.parametrize(
    "text",
    [
        told(name="bar"),
        b"",
        b"[]",
        b"\xff",
        told()[:-9],
        told().replace(b'"foo"', b'"../foo"'),
        b" " * (shared_record.MAX_TEXT + 1) + told(),
    ],
    ids=["another name", "empty", "no object", "no text", "cut off", "a path", "too large"],
)
def test_what_is_no_record_of_that_instance_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        adopted(text)


def test_a_change_from_there_keeps_what_is_of_this_service() -> None:
    mount = Mount(source="/srv", target="data", uid=1, gid=1)
    present = MINE.replace(mounts=(mount,), phase=Phase.RUNNING)
    found = shared_record.changed(present, told(cpus=4, mounts=(), ssh_key="theirs"))
    assert (found.cpus, found.mounts, found.phase) == (4, (mount,), Phase.RUNNING)
    assert (found.ssh_key, found.ssh_authority, found.ssh_port) == ("mine", "mine", 40022)
    with pytest.raises(ValueError, match="another instance"):
        shared_record.changed(present, told(mac="52:54:00:00:00:99"))


def test_what_a_restored_snapshot_brings_back_is_older_than_what_is_known() -> None:
    before = records.make("foo", snapshots_taken=1)
    known = before.replace(snapshots_taken=2)
    assert shared_record.is_older(known, shared_record.shared(before))
    assert not shared_record.is_older(known, shared_record.shared(known))
    assert not shared_record.is_older(known, b"{}"), "what can't be read is for `changed` to refuse"
