"""Snapshots on a disk without room: what is said, and that record and disks agree after it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from multipassd.cloudinit import seed
from multipassd.cloudinit.seed import Seed
from multipassd.instances.records.record import Record
from tests import smalldisk, waiting
from tests.conftest import DaemonFactory
from tests.multipassd.instances.snapshots.disks import Disks
from tools import records
from tools.daemon import Daemon
from tools.sandbox import Sandbox

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(
        shutil.which("qemu-img") is None or shutil.which("qemu-io") is None,
        reason="needs qemu-utils",
    ),
]
OLD, NEW = 17, 34


@pytest.fixture
def small(sandbox: Sandbox) -> Iterator[Sandbox]:
    sandbox.storage.mkdir(exist_ok=True)
    smalldisk.mount(sandbox.storage, "96m")
    yield sandbox
    subprocess.run(["umount", "--lazy", str(sandbox.storage)], check=True)


@pytest.fixture
def disks(small: Sandbox) -> Disks:
    made = Disks(small, "foo")
    made.write(OLD)
    return made


@pytest.fixture
def service(daemon: DaemonFactory, small: Sandbox, disks: Disks) -> Daemon:
    running = daemon(sandbox=small)
    assert running.cli("alice", "snapshot", "--name", "kept", "foo").returncode == 0
    disks.write(NEW)
    return running


def fill(place: Path, room: int) -> Path:
    """So that this many bytes are left."""
    filler = place / "filler"
    free = os.statvfs(place)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - room)
    return filler


def record_of(service: Daemon) -> Record:
    known = records.registry(service.sandbox)
    known.read()
    return known.get("foo")


def agree(service: Daemon, disks: Disks) -> list[str]:
    """The names of the snapshots, which the disks have, and no more."""
    waiting.until(lambda: record_of(service).pending is None, "the change to be settled")
    record = record_of(service)
    tags = [each.tag for each in record.snapshots]
    assert disks.tags() == [tags, tags]
    disks.check()
    return [each.name for each in record.snapshots]


# Enough for nothing, for the record, for the record and a part of what qemu-img writes.
ROOMS = (0, 8 << 10, 40 << 10, 72 << 10, 136 << 10)


@pytest.mark.parametrize("room", ROOMS)
def test_a_snapshot_that_does_not_fit_leaves_nothing(
    service: Daemon, disks: Disks, room: int
) -> None:
    filler = fill(service.sandbox.storage, room)
    answer = service.cli("alice", "snapshot", "foo")
    filler.unlink()
    if answer.returncode:
        assert "No space left on device" in answer.stderr
        service.restart()  # what could not be undone without room is undone
        assert agree(service, disks) == ["kept"]
    else:
        assert agree(service, disks) == ["kept", "snapshot2"]
    assert disks.hold(NEW)
    answer = service.cli("alice", "restore", "--destructive", "foo.kept")
    assert answer.returncode == 0 and disks.hold(OLD)


@pytest.mark.parametrize("room", ROOMS)
def test_a_deletion_on_a_full_disk_is_made_or_not(service: Daemon, disks: Disks, room: int) -> None:
    filler = fill(service.sandbox.storage, room)
    answer = service.cli("alice", "delete", "--purge", "foo.kept")
    filler.unlink()
    service.restart()
    assert agree(service, disks) == (["kept"] if answer.returncode else [])
    assert disks.hold(NEW)


@pytest.mark.parametrize("room", ROOMS)
def test_a_restore_on_a_full_disk_is_made_or_completed_later(
    service: Daemon, disks: Disks, room: int
) -> None:
    filler = fill(service.sandbox.storage, room)
    answer = service.cli("alice", "restore", "--destructive", "foo.kept")
    filler.unlink()
    begun = record_of(service).pending is not None or answer.returncode == 0
    service.restart()
    again = service.cli("alice", "snapshot", "--name", "after", "foo")
    assert again.returncode == 0, again
    assert agree(service, disks) == ["kept", "after"]
    assert disks.hold(OLD if begun else NEW)


def test_a_clone_that_does_not_fit_leaves_nothing(service: Daemon, disks: Disks) -> None:
    seed.write(disks.paths[0].with_name("seed.iso"), Seed("foo", "foo-1", "{}", ()))
    filler = fill(service.sandbox.storage, 4 << 20)
    answer = service.cli("alice", "clone", "foo")
    filler.unlink()
    assert answer.returncode == 2
    assert "The files of foo-clone1 can't be written: No space left on device." in answer.stderr
    assert not records.registry(service.sandbox).has_traces_of("foo-clone1")
    answer = service.cli("alice", "clone", "foo")
    assert answer.stdout == "Cloned from foo to foo-clone1.\n", answer
