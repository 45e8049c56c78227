"""Changes of the store, and what is on record about them."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from multipassd.system import file_lock
from multipassd.trust import lock, pem_text
from multipassd.trust import store as trust_store
from multipassd.trust.disk import StoreDisk
from multipassd.trust.lock import StoreError
from multipassd.trust.state import TrustState
from tests.multipassd.trust.store_samples import NAME, der, enrolled, opened, pem, written

NONE: frozenset[str] = frozenset()
NOTHING = (NONE, NONE)


def test_adding_is_durable_once_and_private(tmp_path: Path) -> None:
    store = opened(tmp_path / "certs")
    assert store.add(der(1), "first", 1000, "laptop")
    assert not store.add(der(1), "passphrase", 1000)
    assert store.trusts(NAME[1])
    assert store.path.read_bytes() == pem(1)
    assert store.path.stat().st_mode & 0o777 == 0o600
    assert opened(tmp_path / "certs").trusts(NAME[1])
    [record] = store.records()
    assert (record.name, record.how, record.uid) == ("laptop", "first", 1000)
    assert record.enrolled_at is not None


def test_what_is_no_certificate_is_not_added(tmp_path: Path) -> None:
    store = opened(tmp_path / "certs")
    with pytest.raises(ValueError):
        store.add(b"\x30\x03abc", "first", 0)
    assert store.state is TrustState.EMPTY and not store.path.exists()


def test_removing_takes_out_every_copy_and_nobody_else(tmp_path: Path) -> None:
    store = written(tmp_path / "certs", pem(1) + pem(2) + b"note\n" + pem(1)[:-1])
    assert store.remove(NAME[1], 0)
    assert not store.remove(NAME[1], 0)
    blank = [b"\n" * len(each) for each in (pem(1), pem(1)[:-1])]
    assert store.path.read_bytes() == blank[0] + pem(2) + b"note\n" + blank[1]
    assert store.path.stat().st_mode & 0o777 == 0o644
    assert opened(tmp_path / "certs").fingerprints() == {NAME[2]}


def with_crlf(text: bytes) -> bytes:
    return text.replace(b"\n", b"\r\n")


@pytest.mark.parametrize("cut", [5, 27, 60, 200, len(pem(1)) - 20])
def test_halves_that_a_removal_would_join_to_the_same_client_go_too(
    tmp_path: Path, cut: int
) -> None:
    data = pem(0) + pem(1)[:cut] + with_crlf(pem(1)) + pem(1)[cut:]
    store = written(tmp_path / "certs", data)
    assert store.remove(NAME[1], 0)
    assert store.fingerprints() == {NAME[0]}
    assert opened(store.directory).fingerprints() == {NAME[0]}


@pytest.mark.parametrize("cut", [5, 27, 60, 200, len(pem(2)) - 20])
def test_halves_that_a_removal_would_join_to_another_client_stay_apart(
    tmp_path: Path, cut: int
) -> None:
    halves = pem(2)[:cut], pem(2)[cut:]
    store = written(tmp_path / "certs", pem(0) + halves[0] + pem(1) + halves[1])
    assert store.fingerprints() == {NAME[0], NAME[1]}
    assert store.remove(NAME[1], 0)
    assert store.fingerprints() == {NAME[0]}
    assert opened(store.directory).fingerprints() == {NAME[0]}
    assert all(half in store.path.read_bytes() for half in halves)
    os.utime(store.path, (1.0, 1.0))  # it may not be an append that is still going on
    assert opened(store.directory).problems


def test_a_client_that_is_appended_again_and_again_is_not_reported_as_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = enrolled(tmp_path / "certs", 1, 2)
    overwrite = StoreDisk.overwrite

    def then_append(disk: StoreDisk, *arguments: Any) -> None:
        overwrite(disk, *arguments)
        with disk.path.open("ab") as file:
            file.write(pem(1))

    monkeypatch.setattr(StoreDisk, "overwrite", then_append)
    with pytest.raises(StoreError, match="not removed: other programs keep changing"):
        store.remove(NAME[1], 0)
    assert store.trusts(NAME[1])


def test_changes_by_hand_are_news_once_and_our_own_are_not(tmp_path: Path) -> None:
    store = enrolled(tmp_path / "certs", 1, 2)
    store.path.write_bytes(pem(2) + pem(3))
    assert store.refresh()
    store.flush()
    assert store.take_changes() == (frozenset({NAME[3]}), frozenset({NAME[1]}))
    store.remove(NAME[3], 0)
    store.add(der(4), "passphrase", 0)
    store.refresh()
    store.flush()
    assert store.take_changes() == NOTHING
    how = {record.fingerprint: record.how for record in store.records()}
    assert how == {NAME[2]: "passphrase", NAME[4]: "passphrase"}


def test_upkeep_is_due_for_what_changed_and_not_while_nothing_does(tmp_path: Path) -> None:
    store = enrolled(tmp_path / "certs", 1)
    assert store.due()
    store.flush()
    assert not store.due()
    store.path.write_bytes(pem(1) + pem(2))
    assert store.refresh() and store.due()
    store.flush()
    assert store.due(), "it is not told yet"
    assert store.take_changes() == (frozenset({NAME[2]}), frozenset())
    assert not store.due()
    store._changer.underway.path.write_bytes(b"{}")  # a change that was cut short
    assert store.due()


def test_what_another_program_recorded_is_no_change_by_hand(tmp_path: Path) -> None:
    daemon = enrolled(tmp_path / "certs", 1, 2)
    daemon.flush()
    other = opened(tmp_path / "certs")
    other.add(der(3), "multipass-trust", 0)
    other.remove(NAME[1], 0)
    assert daemon.refresh()
    daemon.flush()
    assert daemon.take_changes() == NOTHING


def test_a_change_that_is_not_recorded_yet_waits_for_its_record(tmp_path: Path) -> None:
    daemon = enrolled(tmp_path / "certs", 1)
    daemon.flush()
    with file_lock.hold(daemon.directory / lock.LOCK_NAME, 0.0):
        daemon.path.write_bytes(pem(1) + pem(2))
        assert daemon.refresh()
        daemon.flush()
        assert daemon.take_changes() == NOTHING
        daemon._clients.enrolled(NAME[2], "", "multipass-trust", 0, 1.0)
    daemon.flush()
    assert daemon.take_changes() == NOTHING


def test_a_change_by_hand_is_news_once_each_time_also_across_restarts(tmp_path: Path) -> None:
    enrolled(tmp_path / "certs", 1, 2).flush()
    path = tmp_path / "certs" / trust_store.FILE_NAME
    for data, added, removed in (
        (pem(2) + pem(3), frozenset({NAME[3]}), frozenset({NAME[1]})),  # while no daemon runs
        (pem(2) + pem(3), NONE, NONE),
        (pem(1) + pem(3), frozenset({NAME[1]}), frozenset({NAME[2]})),
        (pem(1), NONE, frozenset({NAME[3]})),
    ):
        path.write_bytes(data)
        daemon = opened(tmp_path / "certs")
        daemon.flush()
        assert daemon.take_changes() == (added, removed)
    for data, added, removed in (
        (pem(1) + pem(3), frozenset({NAME[3]}), NONE),  # while one does
        (pem(3), NONE, frozenset({NAME[1]})),
        (pem(3) + pem(1), frozenset({NAME[1]}), NONE),
    ):
        path.write_bytes(data)
        assert daemon.refresh()
        daemon.flush()
        assert daemon.take_changes() == (added, removed)
        daemon.flush(everything=True)
        assert daemon.take_changes() == NOTHING


def test_the_last_one_removed_just_after_another_was_removed_by_hand_leaves_the_store_empty(
    tmp_path: Path,
) -> None:
    daemon = enrolled(tmp_path / "certs", 1, 2)
    daemon.flush()
    daemon.path.write_bytes(pem(2))
    program = opened(tmp_path / "certs")
    assert program.remove(NAME[2], 0)
    assert program.take_changes() == (NONE, frozenset({NAME[1]}))
    assert opened(tmp_path / "certs").state is TrustState.EMPTY
    assert daemon.refresh() and daemon.state is TrustState.EMPTY


@pytest.mark.parametrize("emptied", [False, True])
def test_trust_lost_together_with_its_records_is_damage_also_after_a_restart(
    tmp_path: Path, emptied: bool
) -> None:
    store = enrolled(tmp_path / "certs", 1)
    for path in (store.path, store.directory / trust_store.CLIENTS_NAME):
        if emptied:
            path.write_bytes(b"")
            os.utime(path, (1.0, 1.0))
        else:
            path.unlink()
    assert store.refresh()
    assert store.state is TrustState.DAMAGED
    again = opened(store.directory)
    assert again.state is TrustState.DAMAGED
    with pytest.raises(StoreError):
        again.add(der(2), "first", 0, only_first=True)
    again.reset()
    assert again.add(der(2), "first", 0, only_first=True)


def test_the_whole_directory_lost_is_damage_until_a_reset(tmp_path: Path) -> None:
    store = enrolled(tmp_path / "certs", 1)
    shutil.rmtree(store.directory)
    again = opened(store.directory)  # makes the directory anew
    assert again.state is TrustState.DAMAGED
    assert store.refresh() and store.state is TrustState.DAMAGED
    again.reset()
    assert opened(store.directory).state is TrustState.EMPTY


def test_clients_that_another_release_has_enrolled_are_guarded_too(tmp_path: Path) -> None:
    store = written(tmp_path / "certs", pem(1))
    store.flush()
    shutil.rmtree(store.directory)
    assert opened(store.directory).state is TrustState.DAMAGED


def test_after_the_last_removal_a_lost_directory_is_no_damage(tmp_path: Path) -> None:
    store = enrolled(tmp_path / "certs", 1)
    assert store.remove(NAME[1], 0)
    assert store.state is TrustState.EMPTY
    shutil.rmtree(store.directory)
    assert opened(store.directory).state is TrustState.EMPTY


def test_without_a_side_file_a_running_daemon_tells_what_it_saw_change(tmp_path: Path) -> None:
    store = enrolled(tmp_path / "certs", 1)
    store.flush()
    side = store.directory / trust_store.CLIENTS_NAME
    side.unlink()
    side.mkdir()
    store.path.write_bytes(pem(2))
    assert store.refresh()
    store.flush()
    assert store.take_changes() == (frozenset({NAME[2]}), frozenset({NAME[1]}))
    store.flush(everything=True)
    assert store.take_changes() == NOTHING


def test_a_client_added_by_hand_is_recorded_as_such_and_seen(tmp_path: Path) -> None:
    store = written(tmp_path / "certs", pem(1))
    store.seen(NAME[1], 1234.5)
    store.seen(NAME[7], 1.0)
    store.flush()
    [record] = opened(tmp_path / "certs").records()
    assert (record.fingerprint, record.how, record.last_seen) == (NAME[1], "by hand", 1234.5)


def test_losing_the_side_file_loses_no_trust(tmp_path: Path) -> None:
    store = enrolled(tmp_path / "certs", 1)
    side = store.directory / trust_store.CLIENTS_NAME
    side.unlink()
    side.symlink_to("/dev/zero")
    again = opened(tmp_path / "certs")
    assert again.add(der(2), "passphrase", 0)
    assert again.remove(NAME[1], 0)
    assert again.fingerprints() == {NAME[2]}
    assert again.records()[0].how == "by hand"
    assert any(str(side) in each for each in again.problems)


def test_refresh_reads_only_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = written(tmp_path / "certs", pem(1))
    monkeypatch.setattr(time, "monotonic", lambda: 1e12)
    store.refresh()
    store.add(der(2), "passphrase", 0)
    monkeypatch.setattr(pem_text, "parse", None)
    assert not store.refresh()


def test_a_change_by_hand_within_a_tick_of_our_own_has_another_time_stamp(tmp_path: Path) -> None:
    """The kernel gives a change one moment for both stamps, and the same within a tick."""
    store = opened(tmp_path / "certs")
    for number in (1, 2):  # made, then appended to
        store.add(der(number), "passphrase", 0)
        status = store.path.stat()
        assert status.st_mtime_ns != status.st_ctime_ns
    store.path.write_bytes(pem(1) + pem(3))
    assert store.refresh()
    assert store.fingerprints() == {NAME[1], NAME[3]}
