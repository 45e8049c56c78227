"""A server of small fake images, and the daemon's images pointed at it."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from multipassd.auth.peer import Credentials
from multipassd.images.image import DISK, Base, Image, Kind
from multipassd.images.library import Images
from multipassd.images.shared_download import Report
from multipassd.images.worker_client import ignore
from multipassd.settings.settings import Settings
from tools.imageserver import ImageServer, serving
from tools.imagetree import ImageTree

Result = TypeVar("Result")
ME = Credentials(os.geteuid(), os.getegid(), os.getpid(), frozenset(os.getgroups()))
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def run(work: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(work)


def launched(
    images: Images,
    image: str = "noble",
    report: Report = ignore,
    caller: Credentials | None = ME,
    kind: Kind = DISK,
) -> Base:
    """What a launch does up to the base."""

    async def story() -> Base:
        found = await images.resolve(image, "", caller, kind)
        return await images.fetch(found, report, "", caller, kind)

    return run(story())


async def begun(images: Images, image: Image, instance: str = "") -> asyncio.Task[Base]:
    """A launch whose image is on its way."""
    reported = asyncio.Event()
    fetching = asyncio.create_task(images.fetch(image, lambda *_: reported.set(), instance))
    await reported.wait()
    return fetching


def make_qcow2(path: Path, *options: str, size: str = "64M") -> Path:
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", *options, str(path), size], check=True
    )
    return path


@pytest.fixture
def qcow2(tmp_path: Path) -> Path:
    """Some hundred KB, not of zeros alone, so that breaking off in the middle means something."""
    raw = tmp_path / "filled.raw"
    raw.write_bytes(bytes(range(256)) * 4096)
    image = tmp_path / "disk.qcow2"
    subprocess.run(
        ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(image)], check=True
    )
    subprocess.run(["qemu-img", "resize", "-q", "-f", "qcow2", str(image), "64M"], check=True)
    return image


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A boot sector, a hole and a little at the end."""
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.write(b"\0" * 510 + b"\x55\xaa")
        file.seek((8 << 20) - 4)
        file.write(b"end!")
    return path


@pytest.fixture
def tree(tmp_path: Path) -> ImageTree:
    return ImageTree(tmp_path / "www")


@pytest.fixture
def server(tree: ImageTree) -> Iterator[ImageServer]:
    with serving(tree.root) as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "config" / "multipassd.conf")


@pytest.fixture
def make_images(tmp_path: Path, settings: Settings, server: ImageServer) -> Callable[..., Images]:
    """Another daemon's images over the same files, as after a restart."""

    def make(**environ: str) -> Images:
        base = {"PATH": PATH, "MULTIPASS_IMAGE_REMOTES": server.remotes(), "LANG": "C.UTF-8"}
        return Images(tmp_path / "images", settings, base | environ)

    return make
