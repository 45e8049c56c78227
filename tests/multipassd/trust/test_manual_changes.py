"""Appends by hand while the store is being changed: nothing of them is ever lost."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from multipassd.trust.disk import StoreDisk
from multipassd.trust.store import TrustStore
from tests.multipassd.trust.store_samples import NAME, der, opened, pem


@pytest.fixture
def store(tmp_path: Path) -> TrustStore:
    store = opened(tmp_path / "certs")
    store.add(der(0), "first", 0)
    store.add(der(1), "passphrase", 0)
    return store


class Tee:
    """`tee -a`: opens once, writes as input comes."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, data: bytes) -> None:
        os.write(self._descriptor, data)

    def close(self) -> None:
        os.close(self._descriptor)


class Reopening(Tee):
    """`cat half >> file; cat half >> file`: opens the path for each part."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, data: bytes) -> None:
        with self._path.open("ab") as file:
            file.write(data)

    def close(self) -> None:
        pass


def enrol(store: TrustStore) -> None:
    assert store.add(der(2), "passphrase", 0)


def remove(store: TrustStore) -> None:
    assert store.remove(NAME[0], 0)


def both(store: TrustStore) -> None:
    enrol(store)
    remove(store)
    enrol_again = store.add(der(4), "passphrase", 0)
    assert enrol_again and store.remove(NAME[4], 0)


def restart(store: TrustStore) -> None:
    remove(store)
    TrustStore(store.directory).load()


CHANGES = [enrol, remove, both, restart]


def settled(store: TrustStore) -> frozenset[str]:
    """The trusted clients, which a new daemon agrees on."""
    store.refresh()
    again = TrustStore(store.directory)
    again.load()
    assert again.fingerprints() == store.fingerprints()
    assert again.problems == []
    return store.fingerprints()


def expected(change: Callable[[TrustStore], None]) -> set[str]:
    names = {NAME[0], NAME[1], NAME[3]}
    if change in (enrol, both):
        names.add(NAME[2])
    return names if change is enrol else names - {NAME[0]}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("writer", [Tee, Reopening])
def test_an_appender_that_holds_the_file_open_across_a_change_is_heard(
    store: TrustStore, writer: type[Tee], change: Callable[[TrustStore], None]
) -> None:
    tee = writer(store.path)
    change(store)
    tee.write(pem(3))
    assert settled(store) == expected(change)
    store.flush(everything=True)
    assert store.take_changes() == (frozenset({NAME[3]}), frozenset())
    tee.close()


@pytest.mark.parametrize("cut", [1, 11, 27, 28, 200, len(pem(3)) - 26, len(pem(3)) - 2])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("writer", [Tee, Reopening])
def test_a_certificate_appended_in_two_writes_survives_a_change_between_them(
    store: TrustStore, writer: type[Tee], change: Callable[[TrustStore], None], cut: int
) -> None:
    tee = writer(store.path)
    tee.write(pem(3)[:cut])
    change(store)
    store.refresh()
    tee.write(pem(3)[cut:])
    assert settled(store) == expected(change)
    tee.close()


@pytest.mark.parametrize("change", CHANGES)
def test_three_parts_with_a_look_after_each_arrive_whole(
    store: TrustStore, change: Callable[[TrustStore], None]
) -> None:
    tee = Tee(store.path)
    change(store)
    for start in range(0, len(pem(3)), 99):
        tee.write(pem(3)[start : start + 99])
        store.refresh()
    assert settled(store) == expected(change)
    tee.close()


def test_a_removed_certificate_does_not_come_back_through_an_open_file(store: TrustStore) -> None:
    tee = Tee(store.path)
    remove(store)
    tee.write(pem(3))
    assert store.remove(NAME[3], 0)
    assert settled(store) == {NAME[1]}
    tee.write(pem(4))
    assert settled(store) == {NAME[1], NAME[4]}
    tee.close()


@pytest.mark.parametrize("change", [*CHANGES, lambda store: store.reset()])
def test_nothing_but_a_reset_replaces_the_file(
    store: TrustStore, change: Callable[[TrustStore], object]
) -> None:
    inode = store.path.stat().st_ino
    if change in CHANGES:
        change(store)
        assert store.path.stat().st_ino == inode
    else:
        store.path.write_bytes(b"*")
        change(store)
        assert not store.path.exists()


@pytest.mark.parametrize("cut", [1, 11, 27, 28, 120, len(pem(3)) - 26, len(pem(3)) - 2])
@pytest.mark.parametrize("writer", [Tee, Reopening])
@pytest.mark.parametrize("step", [60, 1000])
def test_an_append_between_our_look_and_our_write_is_taken_apart(
    store: TrustStore, monkeypatch: pytest.MonkeyPatch, writer: type[Tee], cut: int, step: int
) -> None:
    append = StoreDisk._append
    hand = [pem(3)[:cut]]
    tee = writer(store.path)

    def late(disk: StoreDisk, text: bytes) -> tuple[int, int]:
        if hand:
            tee.write(hand.pop())
        return append(disk, text)

    monkeypatch.setattr(StoreDisk, "_append", late)
    enrol(store)
    for start in range(cut, len(pem(3)), step):
        tee.write(pem(3)[start : start + step])
        store.refresh()
    assert settled(store) == expected(enrol)
    tee.close()


@pytest.mark.parametrize("times", [1, 3])
def test_an_editor_that_replaces_the_file_under_our_append_does_not_swallow_it(
    store: TrustStore, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    append = StoreDisk._append
    left = [times]

    def overtaken(disk: StoreDisk, text: bytes) -> tuple[int, int]:
        descriptor = os.open(disk.path, os.O_RDONLY)  # keeps the inode number from being reused
        if left[0]:
            left[0] -= 1
            edited = disk.path.with_name("edited")
            edited.write_bytes(disk.path.read_bytes() + pem(3 + left[0]))
            monkeypatch.setattr(os, "write", then_replace(edited, disk.path))
        try:
            return append(disk, text)
        finally:
            os.close(descriptor)

    write = os.write

    def then_replace(edited: Path, path: Path) -> Callable[[int, bytes], int]:
        def late(descriptor: int, data: bytes) -> int:
            monkeypatch.setattr(os, "write", write)
            written = write(descriptor, data)
            edited.rename(path)
            return written

        return late

    monkeypatch.setattr(StoreDisk, "_append", overtaken)
    enrol(store)
    assert settled(store) == {NAME[0], NAME[1], NAME[2]} | set(NAME[3 : 3 + times])


def test_a_client_that_was_removed_by_hand_and_let_in_anew_at_once_keeps_its_new_name(
    store: TrustStore,
) -> None:
    store.flush(everything=True)
    store.path.write_bytes(pem(0))
    store.refresh()
    assert NAME[1] not in store.fingerprints()
    assert store.add(der(1), "invitation", None, "bob")
    store.flush(everything=True)
    assert store.name_of(NAME[1]) == "bob"
    assert opened(store.directory).holder_of(NAME[1])[1] == "bob"
    assert NAME[1] not in store.take_changes()[1]
