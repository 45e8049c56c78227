"""A disk that is full or read-only: nothing new, nothing lost, and who was removed is out."""

import contextlib
import errno
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from multipassd.trust import view
from multipassd.trust.clients import Clients
from multipassd.trust.lock import StoreError
from multipassd.trust.names import of_fingerprint
from multipassd.trust.state import TrustState
from multipassd.trust.store import CLIENTS_NAME, TrustStore
from protocol.pem import fingerprint
from tests import smalldisk
from tests.multipassd.trust.store_samples import NAME, der, opened, pem

PAGE = 4096  # what tmpfs gives out at a time

KILLS = 100
CHILD_S_SHARE = 4  # clients that a child removes
LONGEST_REMOVAL = 0.005  # seconds: kills fall everywhere in one, and beyond


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with smalldisk.mounted(tmp_path / "disk", "128k") as place:
        yield place


def fill(place: Path) -> Path:
    """Take every byte that is left, so that not even a page is free."""
    ballast = place / "ballast"
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 512):
            pass
    return ballast


def test_on_a_full_disk_nothing_is_half_written_and_the_error_says_what_to_do(
    small_disk: Path,
) -> None:
    store = opened(small_disk / "certs")
    store.add(der(0), "first", 0)
    ballast = fill(small_disk)
    added = [0]
    with pytest.raises(StoreError, match=r"No space left on device\. Free some") as caught:
        for number in range(1, 100):  # the rest of the file's last page takes some
            store.add(der(number), "passphrase", 0)
            added.append(number)
    assert caught.value.errno == errno.ENOSPC
    assert store.path.read_bytes() == b"".join(pem(number) for number in added)
    store.refresh()
    assert store.fingerprints() == {fingerprint(der(number)) for number in added}
    ballast.unlink()
    assert store.add(der(200), "passphrase", 0)
    assert store.remove(fingerprint(der(0)), 0)
    again = opened(store.directory)
    assert (
        again.fingerprints()
        == store.fingerprints()
        == {fingerprint(der(number)) for number in [*added[1:], 200]}
    )


def test_the_first_client_on_a_full_disk_leaves_the_store_empty(small_disk: Path) -> None:
    store = opened(small_disk / "certs")
    fill(small_disk)
    with pytest.raises(StoreError, match="No space left"):
        store.add(der(0), "first", 0)
    assert store.state is TrustState.EMPTY
    assert opened(store.directory).state is TrustState.EMPTY
    assert not any(each.name.endswith(".tmp") for each in store.directory.iterdir())


def test_a_full_disk_for_the_side_file_alone_does_not_stop_an_enrolment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path / "certs")

    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Clients, "_append", full)
        assert store.add(der(0), "first", 0)
    assert store.trusts(fingerprint(der(0)))
    [problem] = store.problems
    assert "could not be written down: No space left" in problem
    store.flush()
    assert store.problems == []
    store.path.unlink()
    store.refresh()
    assert store.state is TrustState.DAMAGED


def test_a_read_only_disk_is_served_from_and_refuses_changes(small_disk: Path) -> None:
    store = opened(small_disk / "certs")
    store.add(der(0), "first", 0)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    again = opened(store.directory)
    assert again.trusts(fingerprint(der(0)))
    with pytest.raises(StoreError, match="Read-only file system"):
        again.add(der(1), "passphrase", 0)
    with pytest.raises(StoreError, match="Read-only file system"):
        again.remove(fingerprint(der(0)), 0)
    assert again.trusts(fingerprint(der(0)))


# Removals on a full disk


def enrolled(directory: Path, *numbers: int) -> TrustStore:
    store = opened(directory)
    for number in numbers:
        assert store.add(der(number), "passphrase", 0, f"client {number}")
    return store


def fill_up(store: TrustStore) -> Path:
    """Not even the last page of the side file has room for a line."""
    side = store.directory / CLIENTS_NAME
    with side.open("ab") as file:
        file.write(b"{}".ljust(-side.stat().st_size % PAGE - 1) + b"\n")
    return fill(store.directory.parent)


def newlines(number: int) -> bytes:
    return b"\n" * len(pem(number))


def later(store: TrustStore) -> TrustStore:
    """As another process finds it when no process may be writing it any more."""
    then = time.time() - view.TORN_SECONDS - 1
    os.utime(store.path, (then, then))
    return opened(store.directory)


def test_on_a_full_disk_a_removal_blanks_every_copy(
    small_disk: Path,
) -> None:
    store = enrolled(small_disk / "certs", 1, 2, 3)
    broken = b"-----BEGIN CERTIFICATE-----\nno end\n"
    with store.path.open("ab") as file:
        file.write(b"# again\n" + pem(2).replace(b"\n", b"\r\n") + broken + pem(4) + pem(2)[:-1])
    store.refresh()
    ballast = fill_up(store)
    inode = store.path.stat().st_ino
    assert store.remove(NAME[2], 0)
    crlf = b"\n" * len(pem(2).replace(b"\n", b"\r\n"))
    whole = (pem(1), newlines(2), pem(3), b"# again\n", crlf, broken, pem(4), newlines(2)[:-1])
    assert store.path.read_bytes() == b"".join(whole)
    assert store.path.stat().st_ino == inode
    for each in (store, later(store)):
        assert each.fingerprints() == {NAME[1], NAME[3], NAME[4]}
        assert not each.remove(NAME[2], 0)
    ballast.unlink()
    assert store.remove(NAME[1], 0)
    assert store.path.read_bytes() == b"".join((newlines(1), *whole[1:]))
    store.flush()
    assert not any("written down" in each for each in store.problems)
    found = {record.name for record in opened(store.directory).records()}
    assert found == {"client 3", of_fingerprint(NAME[4])}


def test_the_last_one_removed_on_a_full_disk_leaves_the_store_empty_for_all(
    small_disk: Path,
) -> None:
    """The removal takes the place of the enrolment in the side file, which has room for no more."""
    store = enrolled(small_disk / "certs", 1, 2)
    store.seen(NAME[1], 5.0)
    store.flush()
    fill_up(store)
    other = opened(store.directory)
    for number in (2, 1):
        assert store.remove(NAME[number], 0)
    assert store.state is TrustState.EMPTY
    assert not store.path.read_bytes().strip()
    assert other.refresh() and other.state is TrustState.EMPTY
    other.flush()
    assert other.take_changes() == (frozenset(), frozenset())
    store.path.unlink()
    assert opened(store.directory).state is TrustState.EMPTY


def test_the_first_client_after_that_is_one_again_once_there_is_room(small_disk: Path) -> None:
    store = enrolled(small_disk / "certs", 1)
    ballast = fill_up(store)
    assert store.remove(NAME[1], 0)
    ballast.unlink()
    assert store.add(der(2), "first", 0, only_first=True)
    store.flush()
    again = opened(store.directory)
    assert again.fingerprints() == {NAME[2]}
    assert [record.how for record in again.records()] == ["first"]
    store.path.unlink()
    assert store.refresh() and store.state is TrustState.DAMAGED


def test_a_removal_that_the_side_file_has_room_for_is_on_record_for_all(small_disk: Path) -> None:
    store = enrolled(small_disk / "certs", 1)
    other = opened(store.directory)
    fill(small_disk)
    assert store.remove(NAME[1], 0)
    assert other.refresh() and other.state is TrustState.EMPTY
    other.flush()
    assert other.take_changes() == (frozenset(), frozenset())


def test_a_removal_seen_on_a_full_disk_is_told_once_and_written_down_later(
    small_disk: Path,
) -> None:
    daemon = enrolled(small_disk / "certs", 1, 2)
    daemon.flush()
    ballast = fill_up(daemon)
    assert opened(daemon.directory).remove(NAME[2], 0)  # another process, which ends
    assert daemon.refresh()
    daemon.flush(everything=True)
    assert daemon.take_changes() == (frozenset(), frozenset({NAME[2]}))
    ballast.unlink()
    daemon.flush(everything=True)
    assert daemon.take_changes() == (frozenset(), frozenset())
    again = opened(daemon.directory)
    again.flush()
    assert again.take_changes() == (frozenset(), frozenset())


def test_a_removal_in_the_same_tick_as_the_last_change_is_seen_by_others(small_disk: Path) -> None:
    store = enrolled(small_disk / "certs", 1, 2, 3)
    fill_up(store)
    ahead = time.time_ns() + 10**12  # the next write's stamp is not later, as within a tick
    os.utime(store.path, ns=(ahead, ahead))
    for number in (1, 2):
        assert store.remove(NAME[number], 0)
        assert store.path.stat().st_mtime_ns == ahead + number


def test_what_is_appended_by_hand_around_a_removal_on_a_full_disk_stays(small_disk: Path) -> None:
    store = enrolled(small_disk / "certs", 1, 2)
    fill_up(store)
    with store.path.open("ab", buffering=0) as tee:
        tee.write(pem(3)[:100])
        assert store.remove(NAME[1], 0)
        tee.write(pem(3)[100:])
    store.refresh()
    assert store.fingerprints() == {NAME[2], NAME[3]}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_where_overwriting_needs_room_too_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """As on a file system that copies on write."""
    store = enrolled(tmp_path / "certs", 1)
    before = store.path.read_bytes()

    def full(*_arguments: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(StoreError, match=r"not removed: .*\. Free some space") as caught:
            store.remove(NAME[1], 0)
    assert caught.value.errno == code
    assert store.trusts(NAME[1])
    assert store.path.read_bytes() == before
    assert store.records()[0].how == "passphrase"
    assert store.remove(NAME[1], 0)
    assert opened(store.directory).state is TrustState.EMPTY


def remove_all(store: TrustStore, numbers: list[int], report: int) -> None:
    for number in numbers:
        os.write(report, b"%d?\n" % number)
        store.remove(NAME[number], 0)
        os.write(report, b"%d!\n" % number)


def test_killed_in_a_removal_on_a_full_disk_only_that_one_is_in_doubt(small_disk: Path) -> None:
    numbers = list(range(len(NAME)))
    store = enrolled(small_disk / "certs", *numbers)
    fill_up(store)
    trusted, interrupted = set(numbers), 0
    for seed in range(KILLS):
        share = sorted(trusted)[:CHILD_S_SHARE]
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                remove_all(opened(store.directory), share, writing)
                signal.pause()
            finally:
                os._exit(1)  # only reached by an exception
        os.close(writing)
        with open(reading, "rb") as pipe:
            # Measured by what was done: the machine may have much else to do.
            lines = [pipe.readline().strip() for _ in range(2 * (seed % len(share)) + 1)]
            time.sleep(random.Random(seed).random() * LONGEST_REMOVAL)
            os.kill(child, signal.SIGKILL)
            lines += pipe.read().split()
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1]), "the child failed by itself"
        doubtful = {int(line[:-1]) for line in lines[-1:] if line.endswith(b"?")}
        trusted -= {int(line[:-1]) for line in lines if line.endswith(b"!")}
        found = later(store).fingerprints()
        assert found | {NAME[n] for n in doubtful} == {NAME[n] for n in trusted | doubtful}
        trusted = {number for number in trusted if NAME[number] in found}
        interrupted += bool(doubtful)
        if not trusted:
            break
    assert interrupted


def test_a_certificate_is_renewed_when_there_is_room_again_and_kept_till_then(
    small_disk: Path,
) -> None:
    store = opened(small_disk / "certs")
    store.add(der(1), "passphrase", 1000, "alice")
    store.add(der(2), "passphrase", 1000, "bob")
    ballast = fill(small_disk)
    with contextlib.suppress(StoreError):
        for number in range(10, 100):  # the rest of the files' last pages
            store.add(der(number), "passphrase", 0)
    refused = 0
    while True:
        try:
            store.renew(NAME[1], der(9))
            break
        except StoreError as error:
            assert "Free some space" in str(error)
        refused += 1
        again = opened(store.directory)
        mine = {each for each in (NAME[1], NAME[9]) if again.trusts(each)}
        assert mine and {again.identity(each) for each in mine} == {("alice", "admin")}
        assert again.identity(NAME[2]) == ("bob", "admin")
        os.truncate(ballast, ballast.stat().st_size - PAGE)  # room for one more step
    again = opened(store.directory)
    assert refused and again.trusts(NAME[2]) and not again.trusts(NAME[1])
    assert again.identity(NAME[9]) == ("alice", "admin")
