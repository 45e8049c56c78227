"""The three states, and what changes them."""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from multipassd.trust import store as trust_store
from multipassd.trust import view
from multipassd.trust.disk import StoreDisk
from multipassd.trust.lock import StoreError
from multipassd.trust.state import TrustState
from multipassd.trust.store import TrustStore
from tests.multipassd.trust.store_samples import NAME, der, enrolled, opened, pem, written

NONE: frozenset[str] = frozenset()
NOTHING = (NONE, NONE)
BAD = b"-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n"


# EMPTY


def test_nothing_there_is_empty_and_the_directory_is_made_private(tmp_path: Path) -> None:
    store = opened(tmp_path / "certs")
    assert store.state is TrustState.EMPTY
    assert (store.damage, store.problems, len(store)) == ("", [], 0)
    assert store.directory.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("data", [b"", b"\n", b" \r\n\t\n"])
def test_white_space_is_empty(tmp_path: Path, data: bytes) -> None:
    assert written(tmp_path / "certs", data).state is TrustState.EMPTY


def test_removing_the_last_client_empties_the_store_at_once(tmp_path: Path) -> None:
    store = enrolled(tmp_path / "certs", 1)
    assert store.remove(NAME[1], 0)
    assert store.state is TrustState.EMPTY
    assert not store.path.read_bytes().strip()
    assert opened(tmp_path / "certs").state is TrustState.EMPTY
    store.path.unlink()
    store.refresh()
    assert store.state is TrustState.EMPTY


# TRUSTING


@pytest.mark.parametrize("data", [pem(1), b"\n" + pem(1) + BAD, b"text" + pem(1)[:-1]])
def test_one_valid_certificate_is_trusting(tmp_path: Path, data: bytes) -> None:
    store = written(tmp_path / "certs", data)
    assert store.state is TrustState.TRUSTING
    assert store.trusts(NAME[1]) and not store.trusts(NAME[2])
    assert store.fingerprints() == {NAME[1]}


def test_a_bad_block_is_a_problem_with_a_line_and_survives_every_change(tmp_path: Path) -> None:
    store = written(tmp_path / "certs", pem(1) + BAD)
    [problem] = store.problems
    line = len(pem(1).splitlines()) + 1
    assert problem.startswith(f"line {line}: ")
    store.add(der(2), "passphrase", 0)
    store.remove(NAME[1], 0)
    assert BAD in store.path.read_bytes()
    assert len(store.problems) == 1


# DAMAGED


def loosen_file(store: TrustStore) -> None:
    store.path.chmod(0o664)


def loosen_directory(store: TrustStore) -> None:
    store.directory.chmod(0o777)


def give_away(store: TrustStore) -> None:
    os.chown(store.path, 12345, 12345)


def link(store: TrustStore) -> None:
    store.path.rename(store.directory / "elsewhere")
    store.path.symlink_to("elsewhere")


def dangle(store: TrustStore) -> None:
    store.path.unlink()
    store.path.symlink_to("nowhere")


def make_directory(store: TrustStore) -> None:
    store.path.unlink()
    store.path.mkdir()


def make_fifo(store: TrustStore) -> None:
    store.path.unlink()
    os.mkfifo(store.path, 0o600)


def unlink(store: TrustStore) -> None:
    store.path.unlink()


def spoil(store: TrustStore) -> None:
    store.path.write_bytes(BAD)


def scribble(store: TrustStore) -> None:
    store.path.write_bytes(b"not a certificate")


def tear(store: TrustStore) -> None:
    store.path.write_bytes(pem(1)[:100])


def cut_to_nothing(store: TrustStore) -> None:
    store.path.write_bytes(b"")


def blank(store: TrustStore) -> None:
    store.path.write_bytes(b" \n\n")


def tear_apart(store: TrustStore) -> None:
    store.path.write_bytes(b"\x00" * 4096)


def remove_directory(store: TrustStore) -> None:
    for each in store.directory.iterdir():
        each.unlink()
    store.directory.rmdir()


DAMAGES = [
    loosen_file, loosen_directory, link, dangle, make_directory, make_fifo, unlink, spoil,
    scribble, tear, cut_to_nothing, blank, tear_apart, remove_directory,
    pytest.param(give_away, marks=pytest.mark.root),
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_seen_trusts_nobody_takes_nobody_in_and_says_why(
    tmp_path: Path, damage: Callable[[TrustStore], None]
) -> None:
    store = enrolled(tmp_path / "certs", 1)
    damage(store)
    assert store.refresh()
    assert store.state is TrustState.DAMAGED
    assert not store.trusts(NAME[1]) and len(store) == 0
    assert str(store.directory) in store.damage and store.damage.endswith(".")
    with pytest.raises(StoreError):
        store.add(der(2), "first", 0)
    with pytest.raises(StoreError):
        store.remove(NAME[1], 0)
    if damage is not remove_directory:
        assert opened(tmp_path / "certs").state is TrustState.DAMAGED


@pytest.mark.parametrize("damage", [each for each in DAMAGES if each is not remove_directory])
def test_reset_makes_any_damage_empty_and_keeps_what_was_there(
    tmp_path: Path, damage: Callable[[TrustStore], None]
) -> None:
    store = enrolled(tmp_path / "certs", 1)
    damage(store)
    kept = store.reset()
    assert store.state is TrustState.EMPTY
    assert (kept / trust_store.FILE_NAME).is_symlink() or damage is not dangle
    assert (kept / trust_store.CLIENTS_NAME).exists()
    assert opened(tmp_path / "certs").state is TrustState.EMPTY
    assert store.add(der(2), "first", 0)
    assert opened(tmp_path / "certs").fingerprints() == {NAME[2]}


def test_reset_refuses_to_touch_a_store_in_order(tmp_path: Path) -> None:
    store = enrolled(tmp_path / "certs", 1)
    with pytest.raises(StoreError, match="in order"):
        store.reset()
    assert store.trusts(NAME[1])


def test_a_store_put_right_by_hand_is_trusted_again(tmp_path: Path) -> None:
    store = enrolled(tmp_path / "certs", 1)
    store.path.chmod(0o666)
    store.refresh()
    store.path.chmod(0o644)
    assert store.refresh()
    assert store.trusts(NAME[1])
    store.flush()
    assert store.take_changes() == NOTHING


def test_a_read_error_is_damage_until_reading_works_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = enrolled(tmp_path / "certs", 1)

    def fails(_disk: StoreDisk) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(StoreDisk, "read", fails)
        os.utime(store.path)
        assert store.refresh()
        assert store.state is TrustState.DAMAGED and "Input/output error" in store.damage
    monkeypatch.setattr(time, "monotonic", lambda: 1e12)
    assert store.refresh()
    assert store.trusts(NAME[1])


def test_a_directory_that_can_not_be_made_is_damage_and_no_exception(tmp_path: Path) -> None:
    (tmp_path / "certs").write_bytes(b"")
    store = opened(tmp_path / "certs")
    assert store.state is TrustState.DAMAGED
    assert "not a directory" in store.damage
    with pytest.raises(StoreError):
        store.add(der(1), "first", 0)
    with pytest.raises(StoreError):
        store.reset()


def test_clients_added_by_hand_guard_a_missing_file_too(tmp_path: Path) -> None:
    store = written(tmp_path / "certs", pem(1))
    store.flush()
    store.path.unlink()
    assert store.refresh()
    assert store.state is TrustState.DAMAGED


# Time


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> float:
    """The time stands still: a moment is one on any machine."""
    moment = time.time()
    monkeypatch.setattr(time, "time", lambda: moment)
    return moment


@pytest.mark.usefixtures("now")
def test_a_certificate_being_written_opens_no_door_and_says_so(tmp_path: Path) -> None:
    store = written(tmp_path / "certs", pem(1)[:50], age=0.0)
    assert store.state is TrustState.DAMAGED and "just being written" in store.damage
    then = time.time() - view.TORN_SECONDS - 1
    os.utime(store.path, (then, then))
    store.refresh()
    assert store.state is TrustState.DAMAGED and "no valid certificate" in store.damage


def test_a_torn_tail_becomes_a_problem_by_time_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: float
) -> None:
    store = written(tmp_path / "certs", pem(1) + pem(2)[:50], age=0.0)
    assert store.state is TrustState.TRUSTING and store.problems == []
    later = now + view.TORN_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    monkeypatch.setattr(time, "monotonic", lambda: 1e12)
    store.refresh()
    assert store.trusts(NAME[1])
    [problem] = store.problems
    line = len(pem(1).splitlines()) + 1
    assert problem.startswith(f"line {line}: ") and "never finished" in problem


@pytest.mark.parametrize("shift", [-1e8, 1e8])
def test_a_clock_set_wrong_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shift: float
) -> None:
    store = enrolled(tmp_path / "certs", 1)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + shift)
    with store.path.open("ab") as held:
        assert store.add(der(2), "passphrase", 0)
        assert store.remove(NAME[1], 0)
        held.write(pem(3)[:90])
        held.flush()
        store.refresh()
        held.write(pem(3)[90:])
    store.refresh()
    assert store.fingerprints() == {NAME[2], NAME[3]}
    again = opened(tmp_path / "certs")
    assert again.fingerprints() == {NAME[2], NAME[3]}


def test_a_store_cut_to_nothing_with_clients_on_record_is_damaged_and_opens_no_door(
    tmp_path: Path, now: float
) -> None:
    store = enrolled(tmp_path / "certs", 1)
    os.truncate(store.path, 0)
    os.utime(store.path, (now, now))
    store.refresh()
    assert "emptied just now" in store.damage
    then = now - view.TORN_SECONDS - 1
    os.utime(store.path, (then, then))
    store.refresh()
    assert "clients are on record" in store.damage
    assert opened(store.directory).state is TrustState.DAMAGED
    with pytest.raises(StoreError, match="clients are on record"):
        store.add(der(2), "first", 0, only_first=True)
    store.reset()
    assert store.state is TrustState.EMPTY
