import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multipassd.trust import clients as module
from multipassd.trust import event_file
from multipassd.trust.client_record import BY_HAND, TEXT_LIMIT, ClientRecord
from multipassd.trust.clients import Clients
from protocol.roles import Role

A, B = "a" * 64, "b" * 64
OWNERS = frozenset({os.geteuid()})


def opened(directory: Path) -> Clients:
    clients = Clients(directory / "clients.jsonl", OWNERS)
    clients.refresh()
    return clients


def test_what_is_noted_is_known_to_the_next_process(tmp_path: Path) -> None:
    clients = opened(tmp_path)
    clients.enrolled(A, "laptop", "passphrase", 1000, 5.0)
    clients.found([B], 6.0, lambda _: None)
    clients.seen(A, 7.0)
    clients.write_seen(everything=False)
    again = opened(tmp_path)
    assert again.describe(A) == ClientRecord(A, "laptop", "passphrase", 1000, 5.0, 7.0)
    assert again.describe(B) == ClientRecord(B, "client-bbbbbbbb", BY_HAND, None, 6.0, None)
    assert (tmp_path / "clients.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_removed_client_is_off_the_record_and_a_restored_one_is_back(tmp_path: Path) -> None:
    clients = opened(tmp_path)
    clients.enrolled(A, "laptop", "first", 0, 5.0)
    clients.refresh()
    record = clients.describe(A)
    clients.removed([A], 0, 6.0)
    assert not opened(tmp_path).on_record(Role.ADMIN)
    clients.restore([record])
    assert opened(tmp_path).describe(A) == record


def test_a_removal_that_came_to_nothing_leaves_no_moment_with_nobody_on_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing store would be an empty one in it, for the thread that looks."""
    clients = opened(tmp_path)
    clients.enrolled(A, "laptop", "first", 0, 5.0)
    clients.refresh()
    record = clients.describe(A)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(event_file, "write_all", full)
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError):
        clients.removed([A], 0, 6.0)
    assert not clients.on_record(Role.ADMIN)
    clients.restore([record])
    assert clients.on_record(Role.ADMIN)


def test_another_process_s_events_are_picked_up_without_reading_all_again(tmp_path: Path) -> None:
    one, two = opened(tmp_path), opened(tmp_path)
    one.enrolled(A, "", "first", 0, 1.0)
    two.refresh()
    one.enrolled(B, "", "passphrase", 1, 2.0)
    two.refresh()
    assert two.unknown([A, B, "c" * 64]) == ["c" * 64]


@given(st.lists(st.binary(max_size=80), max_size=6))
def test_rubbish_lines_cost_nothing_but_themselves(
    tmp_path_factory: pytest.TempPathFactory, rubbish: list[bytes]
) -> None:
    directory = tmp_path_factory.mktemp("side")
    good = json.dumps({"event": "enrolled", "fingerprint": A, "at": 1, "how": "first"}).encode()
    lines = b"\n".join([*rubbish, good, *rubbish])
    (directory / "clients.jsonl").write_bytes(lines + b"\n")
    clients = opened(directory)
    assert clients.problem == ""
    assert clients.describe(A).how == "first"


@pytest.mark.parametrize(
    "event",
    [
        {"at": float("nan")}, {"at": 10**400}, {"at": True}, {"at": "now"}, {"uid": "0"},
        {"uid": True}, {"name": 5}, {"name": "x" * 10**5}, {"how": None}, {"name": "\x1b[2J\ud800"},
    ],
)  # fmt: skip
def test_values_of_the_wrong_kind_are_dropped(tmp_path: Path, event: dict[str, object]) -> None:
    whole = {"event": "enrolled", "fingerprint": A} | event
    (tmp_path / "clients.jsonl").write_text(json.dumps(whole) + "\n")
    record = opened(tmp_path).describe(A)
    assert record.enrolled_at is None and record.uid is None
    assert record.name.isprintable() and len(record.name) <= TEXT_LIMIT
    assert record.how == BY_HAND


def test_a_torn_line_is_ignored_and_the_next_event_starts_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "clients.jsonl"
    path.write_bytes(b'{"event":"enrolled","finger')
    clients = opened(tmp_path)
    clients.enrolled(A, "", "first", 0, 1.0)
    assert opened(tmp_path).unknown([A]) == []


@pytest.mark.parametrize("kind", ["symlink", "writable", "directory", "fifo"])
def test_a_file_that_is_not_safe_to_believe_is_ignored_and_reported(
    tmp_path: Path, kind: str
) -> None:
    path, other = tmp_path / "clients.jsonl", tmp_path / "other"
    Clients(other, OWNERS).enrolled(A, "", "first", 0, 1.0)
    if kind == "symlink":
        path.symlink_to(other)
    elif kind == "writable":
        other.rename(path)
        path.chmod(0o666)
    elif kind == "directory":
        path.mkdir()
    else:
        os.mkfifo(path)
    clients = opened(tmp_path)
    assert not clients.on_record(Role.ADMIN)
    assert str(path) in clients.problem and clients.problem.endswith(".")
    with pytest.raises(OSError):
        clients.enrolled(B, "", "first", 0, 1.0)


def test_seen_is_written_once_an_hour_even_when_the_clock_goes_back(tmp_path: Path) -> None:
    clients = opened(tmp_path)
    clients.enrolled(A, "", "first", 0, 1.0)
    path = tmp_path / "clients.jsonl"

    def lines_after(at: float, everything: bool = False) -> int:
        clients.seen(A, at)
        clients.write_seen(everything)
        return len(path.read_bytes().splitlines())

    assert lines_after(10_000.0) == 2
    assert lines_after(10_010.0) == 2
    assert lines_after(10_020.0, everything=True) == 3
    assert lines_after(10_020.0, everything=True) == 3
    assert lines_after(13_700.0) == 4
    assert lines_after(50.0) == 5
    assert clients.describe(A).last_seen == 50.0


def test_history_is_compacted_away_and_the_records_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMPACT_SLACK", 3)
    clients = opened(tmp_path)
    clients.enrolled(A, "laptop", "first", 0, 1.0)
    for hour in range(6):
        clients.seen(A, hour * 3600.0)
        clients.write_seen(everything=False)
    clients.refresh()
    before = clients.describe(A)
    clients.compact()
    assert len((tmp_path / "clients.jsonl").read_bytes().splitlines()) == 1
    assert opened(tmp_path).describe(A) == before
