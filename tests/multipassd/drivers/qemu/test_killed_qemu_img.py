"""qemu-img killed anywhere in a change of a disk's snapshots: the change can be undone or repeated,
and neither content nor space is lost.

It is stopped at a system call, and killed there.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from multipassd.drivers.interface import DriverError, SnapshotMissing
from multipassd.drivers.qemu import disks
from tests.instances.stepping import step_until
from tests.multipassd.instances.snapshots.disks import holds, tags_of, write

pytestmark = pytest.mark.skipif(
    shutil.which("qemu-img") is None or shutil.which("qemu-io") is None, reason="needs qemu-utils"
)

OLD, NEW = 17, 34
KEPT, OTHER = "kept", "other"
# Its first calls load it; then there are some hundred. Each run is killed that many later.
FIRST, STEP = 100, 23


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """With OLD in the snapshot KEPT, and NEW now."""
    path = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "64M"], check=True)
    write(path, OLD)
    asyncio.run(disks.take_snapshot(path, KEPT))
    write(path, NEW)
    return path


def killed(disk: Path, *words: str) -> Iterator[Path]:
    """A copy of the disk for each place where qemu-img is killed, until it ends by itself."""
    for calls in count(FIRST, STEP):
        path = disk.with_name(f"{calls}.qcow2")
        shutil.copyfile(disk, path)
        child = subprocess.Popen(["qemu-img", "snapshot", "-q", *words, path])
        try:
            step_until(child.pid, partial(_is_last, count(1), calls))
        except PermissionError:
            pytest.skip("no process may be stepped here")
        except (ProcessLookupError, ChildProcessError):
            child.wait()
            return
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        yield path
        subprocess.run(["qemu-img", "check", "-q", path], check=True)
        assert holds(path, NEW) or "-a" in words
        path.unlink()


def _is_last(steps: Iterator[int], calls: int) -> bool:
    return next(steps) >= calls


def test_a_snapshot_that_was_being_taken_is_dropped(disk: Path) -> None:
    for path in killed(disk, "-c", OTHER):
        with suppress(SnapshotMissing):
            asyncio.run(disks.drop_snapshot(path, OTHER))
        asyncio.run(disks.repair(path))
        assert tags_of(path) == [KEPT]


def test_one_that_was_being_deleted_is_gone(disk: Path) -> None:
    for path in killed(disk, "-d", KEPT):
        with suppress(SnapshotMissing):
            asyncio.run(disks.drop_snapshot(path, KEPT))
        asyncio.run(disks.repair(path))
        assert tags_of(path) == []


def test_a_state_that_was_being_restored_is_restored(disk: Path) -> None:
    for path in killed(disk, "-a", KEPT):
        asyncio.run(disks.repair(path))
        asyncio.run(disks.restore_snapshot(path, KEPT))
        assert holds(path, OLD)
        assert tags_of(path) == [KEPT]


def test_what_is_no_disk_is_not_repaired(tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    path.write_bytes(b"none")
    with pytest.raises(DriverError):
        asyncio.run(disks.repair(path))
