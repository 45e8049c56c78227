"""Who was let into guests is noted before it is, and a lost note makes it everyone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from multipassd.cloudinit.ssh_keys import ServiceKey
from multipassd.guest_access import holders
from multipassd.guest_access.holders import Holder, Holders
from multipassd.trust.client_record import ClientRecord
from protocol.errors import StorageFailed

BOB, CAROL, DAVE = ("b" * 64, "c" * 64, "d" * 64)


def new(place: Path, *trusted: str) -> Holders:
    found = Holders(place / holders.FILE, ServiceKey(place))
    found.load(ClientRecord(each, uid=1000) for each in trusted)
    return found


def test_it_is_durable_when_noted_and_written_only_when_it_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, synced = new(tmp_path), 0
    fsync = os.fsync

    def counted(descriptor: int) -> None:
        nonlocal synced
        synced += 1
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", counted)
    assert not known.has(BOB, 1001, None)
    known.note(BOB, 1001)
    assert synced == 1
    assert known.has(BOB, 1001, None) and known.has(BOB, None, None)
    assert not known.has(BOB, 1002, None) and not known.has(BOB, 1001, "")
    known.note(BOB, 1001)
    known.note(BOB, None)
    assert synced == 1
    known.note(BOB, 1002, "")
    known.note(CAROL, None)
    expected = {BOB: Holder(frozenset({1001, 1002}), ""), CAROL: Holder()}
    assert dict(known) == dict(new(tmp_path)) == expected
    known.forget([BOB, DAVE])
    assert dict(new(tmp_path)) == {CAROL: Holder()}


def test_where_the_notes_are_lost_all_who_are_trusted_may_hold_the_key(tmp_path: Path) -> None:
    assert dict(new(tmp_path, BOB)) == {}, "a new installation: there is no key"
    assert ServiceKey(tmp_path).public
    assert dict(new(tmp_path, BOB)) == {}, "it was made since, and given to none"
    (tmp_path / holders.FILE).unlink()
    held = Holder(frozenset({1000}), "")
    assert dict(new(tmp_path, BOB)) == {BOB: held}, "as after an earlier release"
    assert dict(new(tmp_path)) == {BOB: held}, "noted at once"
    for damage in (b"{}\n", b"nonsense\n", b'{"fingerprint": "x", "uids": [], "key": null}\n'):
        (tmp_path / holders.FILE).write_bytes(damage)
        assert set(dict(new(tmp_path, CAROL))) == {CAROL}


def test_a_line_that_a_crash_cut_off_was_given_to_none(tmp_path: Path) -> None:
    new(tmp_path).note(BOB, 1001, "")
    with (tmp_path / holders.FILE).open("ab") as file:
        file.write(b'{"fingerprint": "cc')
    again = new(tmp_path)
    assert set(dict(again)) == {BOB}
    again.note(CAROL, 1002)
    assert set(dict(new(tmp_path))) == {BOB, CAROL}


def test_what_cannot_be_noted_is_not_given(tmp_path: Path) -> None:
    known = new(tmp_path)
    (tmp_path / holders.FILE).chmod(0o666)
    with pytest.raises(StorageFailed, match="others may write"):
        known.note(BOB, 1001, "")
    assert dict(known) == {}


def test_the_file_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holders, "MOST", 2)
    monkeypatch.setattr(holders, "SLACK", 2)
    known = new(tmp_path)
    known.note(BOB, 1)
    known.note(CAROL, 1)
    with pytest.raises(StorageFailed, match="too many"):
        known.note(DAVE, 1)
    for uid in range(2, holders.MOST_UIDS + 1):
        known.note(BOB, uid)
    with pytest.raises(StorageFailed, match="too many"):
        known.note(BOB, 99)
    again = new(tmp_path)
    assert len((tmp_path / holders.FILE).read_bytes().splitlines()) == 2
    assert dict(again) == dict(known)
