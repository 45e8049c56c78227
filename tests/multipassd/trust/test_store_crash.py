"""Killed at any moment, two at once: what was acknowledged is there."""

import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from multipassd.trust.state import TrustState
from protocol.pem import fingerprint
from tests.multipassd.trust.store_samples import der, opened, pem

KILLS = 500
MOST_LINES = 6  # that a child gets to say before its last change; half of them tell of one made
LONGEST_CHANGE = 0.003  # seconds: kills fall everywhere in one, and beyond
CLIENTS = 40


@pytest.fixture
def memory_directory(tmp_path: Path) -> Iterator[Path]:
    """On tmpfs where there is one: a killed process leaves the same there, and fsync is quick."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="truststore-") as directory:
        yield Path(directory)


def churn(directory: Path, report: int, seed: int) -> None:
    """Enrol and remove for ever; announce every change before it starts, confirm it after."""
    store = opened(directory)
    dice = random.Random(seed)
    while True:
        number = dice.randrange(CLIENTS)
        removing = dice.random() < 0.5
        sign = b"-" if removing else b"+"
        os.write(report, b"%c%d?\n" % (sign, number))
        if removing:
            store.remove(fingerprint(der(number)), 0)
        else:
            store.add(der(number), "passphrase", 0)
        os.write(report, b"%c%d!\n" % (sign, number))


def run_and_kill(directory: Path, seed: int) -> list[bytes]:
    """A life is measured by what was done in it: the machine may have much else to do."""
    dice = random.Random(-seed)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            churn(directory, writing, seed)
        finally:
            os._exit(1)  # only reached by an exception
    os.close(writing)
    with open(reading, "rb") as pipe:
        lines = [pipe.readline().strip() for _ in range(dice.randrange(MOST_LINES + 1))]
        time.sleep(dice.random() * LONGEST_CHANGE)
        os.kill(child, signal.SIGKILL)
        lines += pipe.read().splitlines()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the child failed by itself"
    return lines


def test_killed_at_random_moments_it_holds_all_that_was_acknowledged(
    memory_directory: Path,
) -> None:
    directory = memory_directory / "certs"
    der(0)  # make the template before the children need it
    names = [fingerprint(der(number)) for number in range(CLIENTS)]
    trusted: set[str] = set()
    acknowledged = interrupted = 0
    for seed in range(KILLS):
        pending = ""
        for line in run_and_kill(directory, seed):
            name = names[int(line[1:-1])]
            if line.endswith(b"?"):
                pending = name
                continue
            pending = ""
            acknowledged += 1
            (trusted.discard if line.startswith(b"-") else trusted.add)(name)
        interrupted += bool(pending)
        store = opened(directory)
        found = set(store.fingerprints())
        assert found - {pending} == trusted - {pending}, f"seed {seed}"
        # The kernel may end a write that crosses pages between two of them: what is left of that
        # block is reported.
        assert all(problem.startswith("line ") for problem in store.problems), store.problems
        if found or not store.problems:
            assert store.state is (TrustState.TRUSTING if found else TrustState.EMPTY), store.damage
        trusted = found
    assert acknowledged > KILLS and interrupted > KILLS / 10
    leftovers = [each.name for each in directory.iterdir() if each.name.endswith(".tmp")]
    assert leftovers == []


@pytest.mark.parametrize("first", [False, True])
def test_two_processes_adding_at_once_lose_nothing(tmp_path: Path, first: bool) -> None:
    directory = tmp_path / "certs"
    der(0)
    if not first:
        opened(directory).add(der(0), "first", 0)
    children = []
    for half in (1, 2):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                store = opened(directory)
                for number in range(15):
                    store.add(der(100 * half + number), "passphrase", 0)
                    store.add(der(50), "passphrase", 0)
                store.remove(fingerprint(der(100 * half)), 0)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    numbers = {50} | {100 * half + number for half in (1, 2) for number in range(1, 15)}
    numbers |= set() if first else {0}
    store = opened(directory)
    assert store.fingerprints() == {fingerprint(der(number)) for number in numbers}
    assert store.path.read_bytes().count(pem(50)) == 1
    assert {record.how for record in store.records()} <= {"first", "passphrase"}


def test_of_many_first_clients_in_many_processes_one_wins(tmp_path: Path) -> None:
    directory = tmp_path / "certs"
    der(0)
    children = []
    for number in range(12):
        child = os.fork()
        if child == 0:
            code = 2
            try:
                code = int(opened(directory).add(der(number), "first", 0, only_first=True))
            finally:
                os._exit(code)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert sorted(codes) == [0] * 11 + [1]
    assert opened(directory).fingerprints() == {fingerprint(der(codes.index(1)))}


def test_the_other_process_s_change_is_seen_and_is_that_one_s_to_tell(tmp_path: Path) -> None:
    ours, other = opened(tmp_path / "certs"), opened(tmp_path / "certs")
    other.add(der(1), "first", 0)
    assert ours.refresh() and ours.trusts(fingerprint(der(1)))
    assert not ours.add(der(1), "passphrase", 0)
    other.remove(fingerprint(der(1)), 0)
    assert ours.refresh() and ours.state is TrustState.EMPTY
    ours.flush()
    assert ours.take_changes() == (frozenset(), frozenset())


def test_a_store_copied_back_from_a_backup_is_taken_at_once(tmp_path: Path) -> None:
    store = opened(tmp_path / "certs")
    store.add(der(0), "first", 0)
    shutil.copy2(store.path, tmp_path / "backup")
    store.path.unlink()
    store.refresh()
    assert store.state is TrustState.DAMAGED
    shutil.copy2(tmp_path / "backup", store.path)
    assert store.refresh() and store.trusts(fingerprint(der(0)))
