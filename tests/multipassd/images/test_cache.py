"""What is kept, for how long, and what a full disk or a death in the middle leaves."""

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from multipassd.images.cache import MAX_AGE
from multipassd.images.errors import ImageError, NoRoom
from multipassd.images.library import Images
from tests import smalldisk
from tests.multipassd.images.conftest import begun, launched, run
from tools.imageserver import ImageServer
from tools.imagetree import ImageTree

MakeImages = Callable[..., Images]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Half a MB for the cache."""
    with smalldisk.mounted(tmp_path / "images", "512k") as place:
        yield place


def age(images: Path, name: str, seconds: float) -> None:
    record = images / name / "image.json"
    then = record.stat().st_mtime - seconds
    os.utime(record, (then, then))


def test_images_that_nobody_used_for_two_weeks_go_and_others_stay(
    tree: ImageTree, make_images: MakeImages, qcow2: Path, raw: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "images"
    old = launched(make_images(), f"file://{qcow2}").id
    used = launched(make_images(), f"file://{raw}").id
    fresh = tree.publish(qcow2)
    launched(make_images())
    age(cache, old, MAX_AGE + 60)
    age(cache, used, MAX_AGE + 60)
    (cache / "mine").mkdir()  # an administrator's
    os.utime(cache / "mine", (0, 0))
    run(make_images().prune({used}))
    assert {path.name for path in cache.iterdir()} == {"lists", "mine", used, fresh}
    run(make_images().prune(set()))  # the one in use counts as used until now
    assert (cache / used / "disk.img").exists()


def test_a_launch_counts_as_use(make_images: MakeImages, qcow2: Path, tmp_path: Path) -> None:
    image = launched(make_images(), f"file://{qcow2}").id
    age(tmp_path / "images", image, MAX_AGE + 60)
    launched(make_images(), f"file://{qcow2}")
    run(make_images().prune(set()))
    assert (tmp_path / "images" / image / "disk.img").exists()


@pytest.mark.root
@pytest.mark.parametrize("listed", [True, False])
def test_a_full_disk_is_a_sentence_and_leaves_nothing(
    tree: ImageTree,
    make_images: MakeImages,
    server: ImageServer,
    qcow2: Path,
    small_disk: Path,
    listed: bool,
) -> None:
    tree.publish(qcow2)
    url = server.url + "own.img"
    (server.root / "own.img").write_bytes(qcow2.read_bytes())
    with pytest.raises(NoRoom, match=f"free in {small_disk}. Make room"):
        launched(make_images(), "noble" if listed else url)
    with pytest.raises(NoRoom, match=f"No space left on device in {small_disk}"):
        launched(make_images(), f"file://{qcow2}")
    assert {path.name for path in small_disk.iterdir()} <= {"lists"}


def test_a_killed_worker_is_told_and_the_next_launch_goes_on(
    tree: ImageTree, make_images: MakeImages, server: ImageServer, qcow2: Path
) -> None:
    tree.publish(qcow2)
    server.faults.gate = gate = threading.Event()
    images = make_images()

    async def story() -> None:
        image = await images.resolve("noble", "")
        seen: list[int] = []

        def kill(_: object, percent: int) -> None:
            if not seen:
                seen.append(percent)
                os.kill(worker(), signal.SIGKILL)

        with pytest.raises(ImageError, match="ended without an answer"):
            await images.fetch(image, kill)
        gate.set()
        await images.fetch(image)

    run(story())
    assert server.fetched(".img")[-1].status == 206


def test_a_worker_ends_with_whoever_asked(
    tree: ImageTree, server: ImageServer, make_images: MakeImages, qcow2: Path
) -> None:
    tree.publish(qcow2)
    server.faults.rate = 100_000
    images = make_images()

    async def story() -> int:
        image = await images.resolve("noble", "")
        fetch = await begun(images, image)
        pid = worker()
        fetch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetch
        return pid

    pid = run(story())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def worker() -> int:
    """The worker of this process; there is one at a time in these tests."""
    found = subprocess.run(
        ["pgrep", "-P", str(os.getpid()), "-f", "bin/multipass-images"],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(found.stdout.split()[0])
