"""Images on a real cluster: each form of them is taken, uploaded once, and makes an instance."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from multipassd.drivers.incus import images, split_image
from multipassd.drivers.incus.api import joining
from multipassd.drivers.incus.api.client import Api
from multipassd.drivers.incus.api.errors import NoRoom
from multipassd.drivers.incus.images import DAEMON, ensure, prune
from multipassd.images.image import QCOW2, SQUASHFS, TAR, Base
from multipassd.images.worker import archive
from tests.multipassd.drivers.incus.namespaces import run_inside
from tests.system.host import Host
from tests.system.incus_cluster import NETWORK, PROJECT, Cluster, cluster
from tools import containerimage, rootfs

pytestmark = pytest.mark.host

KEPT = ("--project", PROJECT)
SIZE = 64 << 20  # bytes
OURS, OTHERS = "a" * 32, "b" * 32
Result = TypeVar("Result")


@pytest.fixture(scope="module")
def fabric(incus_base: Host) -> Iterator[Cluster]:
    with cluster(incus_base, members=1) as formed:
        yield formed


@pytest.fixture(scope="module")
def place(fabric: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A membership."""
    directory = tmp_path_factory.mktemp("incus")
    token = fabric.token()
    run_inside(fabric.namespace, lambda: joining.join(token, directory, PROJECT))
    return directory


Ask = Callable[[Callable[[Api], Awaitable[Result]]], Result]


@pytest.fixture
def ask(fabric: Cluster, place: Path) -> Ask[Result]:
    """Runs what gets a client of the cluster."""

    def ask(work: Callable[[Api], Awaitable[Result]]) -> Result:
        from multipassd.drivers.incus.api import membership

        async def story() -> Result:
            found = membership.read(place)
            assert found is not None
            api = Api(found, place)
            try:
                return await work(api)
            finally:
                await api.close()

        return run_inside(fabric.namespace, story)

    return ask


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root file system of the tiny image, as the image worker writes it."""
    path = tmp_path_factory.mktemp("tiny") / "disk.img"
    with containerimage.kept().open("rb") as source, path.open("wb") as target:
        archive.rewrite(source, target, lambda percent: None)
    return path


def base(path: Path, format: str, digit: str) -> Base:
    return Base(id=digit * 64, path=str(path), format=format, virtual_size=0, os="tiny",
                release="1.0", version="20260815")  # fmt: skip


def images_of(fabric: Cluster) -> list[dict[str, object]]:
    found = fabric.member(1).query(f"/1.0/images?recursion=1&project={PROJECT}")
    assert isinstance(found, list)
    return found


def fingerprints(fabric: Cluster) -> set[object]:
    return {each["fingerprint"] for each in images_of(fabric)}


def launch(fabric: Cluster, fingerprint: str, name: str) -> str:
    """Makes a container and says what is in its file of the release."""
    first = fabric.member(1)
    first.run("incus", "init", fingerprint, name, *KEPT, "-s", "default", "-n", NETWORK)
    said = first.run("incus", "file", "pull", f"{name}/etc/os-release", "-", *KEPT).stdout
    first.run("incus", "delete", "-f", name, *KEPT)
    return said


def test_an_archive_is_uploaded_once_and_makes_a_container(
    fabric: Cluster, ask: Ask[list[str]], tiny: Path
) -> None:
    one = base(tiny, TAR, "1")
    seen: list[int] = []

    async def work(api: Api) -> list[str]:
        at_once = await asyncio.gather(*(ensure(api, one, OURS, seen.append) for _ in range(3)))
        return [*at_once, await ensure(api, one, OURS), await ensure(api, one, OTHERS)]

    (fingerprint,) = set(ask(work))
    assert [percent for percent in seen if percent >= 0][-1] == 100
    (shown,) = images_of(fabric)
    assert (shown["fingerprint"], shown["type"]) == (fingerprint, "container")
    properties = shown["properties"]
    assert isinstance(properties, dict)
    assert (properties[split_image.IMAGE], properties[DAEMON]) == (one.id, OURS)
    assert "tiny" in launch(fabric, fingerprint, "foo").lower()


def test_two_daemons_that_upload_at_once_both_have_the_image(
    fabric: Cluster, ask: Ask[list[str]], tiny: Path
) -> None:
    two = base(tiny, TAR, "2")

    async def work(api: Api) -> list[str]:
        return await asyncio.gather(*(ensure(api, two, each) for each in (OURS, OTHERS)))

    assert len(set(ask(work))) == 1


@pytest.fixture(scope="module")
def zeros(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A large file without content: what an image holds Incus sees when it makes an instance."""
    path = tmp_path_factory.mktemp("zeros") / "disk.img"
    with path.open("wb") as file:
        file.truncate(SIZE)
    return path


def test_a_squashfs_makes_a_container(
    fabric: Cluster, ask: Ask[str], tiny: Path, tmp_path: Path
) -> None:
    if not shutil.which("mksquashfs"):
        pytest.skip("mksquashfs is missing (package squashfs-tools)")
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(["tar", "-xzf", tiny, "-C", root, "--exclude=dev/*"], check=True)
    packed = rootfs.make_squashfs(tmp_path / "disk.img", root)
    three = base(packed, SQUASHFS, "3")
    fingerprint = ask(lambda api: ensure(api, three, OURS))
    assert "tiny" in launch(fabric, fingerprint, "foo").lower()


def test_a_disk_is_an_image_for_virtual_machines(
    fabric: Cluster, ask: Ask[str], tmp_path: Path
) -> None:
    path = tmp_path / "disk.img"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "1G"], check=True)
    fingerprint = ask(lambda api: ensure(api, base(path, QCOW2, "4"), OURS))
    (shown,) = [each for each in images_of(fabric) if each["fingerprint"] == fingerprint]
    assert shown["type"] == "virtual-machine"


def test_an_upload_that_is_cut_short_is_no_image(
    fabric: Cluster, ask: Ask[str], zeros: Path
) -> None:
    five = base(zeros, SQUASHFS, "5")
    before = fingerprints(fabric)

    async def work(api: Api) -> str:
        half = asyncio.Event()

        def tell(percent: int) -> None:
            if percent > 50:
                half.set()

        first = asyncio.create_task(ensure(api, five, OURS, tell))
        waiting = asyncio.create_task(ensure(api, five, OURS))
        await half.wait()
        first.cancel()
        await asyncio.wait([first])
        assert fingerprints(fabric) == before
        return await waiting  # which begins anew

    assert {ask(work)} == fingerprints(fabric) - before


def test_a_member_whose_disk_is_full_is_told_with_what_to_do(
    fabric: Cluster, ask: Ask[str], zeros: Path
) -> None:
    first = fabric.member(1)
    place = "/var/lib/incus/images"
    first.run("mount", "-t", "tmpfs", "-o", f"size={SIZE // 4}", "tmpfs", place)
    try:
        with pytest.raises(NoRoom) as caught:
            ask(lambda api: ensure(api, base(zeros, SQUASHFS, "6"), OURS))
        assert "no space left" in caught.value.message
        assert first.run("ls", place).stdout == ""
    finally:
        first.run("umount", place)


def test_only_what_this_daemon_uploaded_and_nothing_needs_is_removed(
    fabric: Cluster, ask: Ask[list[str]], tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bases = {name: base(tiny, TAR, name) for name in "abcd"}

    async def upload(api: Api) -> list[str]:
        owners = {"a": OURS, "b": OURS, "c": OURS, "d": OTHERS}
        return [await ensure(api, bases[name], owners[name]) for name in bases]

    found = ask(upload)
    first = fabric.member(1)
    first.run("incus", "init", found[1], "foo", *KEPT, "-s", "default", "-n", NETWORK)
    before = fingerprints(fabric)
    assert ask(lambda api: prune(api, OURS, [])) == []  # all were used a short time ago
    monkeypatch.setattr(images, "MAX_AGE", -3600)
    kept = [each["properties"] for each in images_of(fabric) if each["fingerprint"] not in found]
    ids = [str(each[split_image.IMAGE]) for each in kept if isinstance(each, dict)]
    assert ask(lambda api: prune(api, OURS, [bases["c"].id, *ids])) == [bases["a"].id]
    assert fingerprints(fabric) == before - {found[0]}
    first.run("incus", "delete", "-f", "foo", *KEPT)
