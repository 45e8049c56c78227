"""From an image that is asked for to a base in the cache, through the real worker."""

import asyncio
import hashlib
import lzma
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from multipassd.images.errors import ImageError, UnknownImage, Unreachable
from multipassd.images.image import UNKNOWN, Progress, Transfer
from multipassd.images.library import Images
from tests.multipassd.images.conftest import ME, begun, launched, make_qcow2, run
from tools.imageserver import CHUNK, ImageServer
from tools.imagetree import ImageTree

MakeImages = Callable[..., Images]


def left(images: Path) -> set[str]:
    """What an attempt leaves in the cache, the lists aside."""
    return {
        path.relative_to(images).as_posix()
        for path in images.rglob("*")
        if path.is_file() and "lists" not in path.parts
    }


def test_an_alias_becomes_a_checked_image_in_the_cache(
    tree: ImageTree, make_images: MakeImages, qcow2: Path
) -> None:
    digest = tree.publish(qcow2)
    images = make_images()
    seen: list[tuple[Progress, int]] = []

    base = launched(images, "noble", lambda kind, percent: seen.append((kind, percent)))
    assert (base.id, base.sha256, base.release) == (digest, digest, "24.04 LTS")
    assert (base.format, base.virtual_size) == ("qcow2", 64 << 20)
    assert Path(base.path).read_bytes() == qcow2.read_bytes()
    assert Path(base.path).stat().st_mode & 0o777 == 0o444
    assert seen[-1] == (Progress.VERIFY, UNKNOWN)
    assert (Progress.IMAGE, 100) in seen


def test_a_cached_image_is_not_asked_for_again_even_with_the_server_gone(
    tree: ImageTree, make_images: MakeImages, server: ImageServer, qcow2: Path
) -> None:
    tree.publish(qcow2)
    first = launched(make_images())
    server.faults.status = {"": 503}
    assert launched(make_images()) == first
    assert len(server.fetched(".img")) == 1


def test_two_launches_share_one_download(
    tree: ImageTree, make_images: MakeImages, server: ImageServer, qcow2: Path
) -> None:
    tree.publish(qcow2)
    server.faults.gate = gate = threading.Event()
    images = make_images()
    seen: list[Progress] = []

    async def story() -> None:
        image = await images.resolve("noble", "")
        first = await begun(images, image)

        def joined(kind: Progress, _: int) -> None:
            seen.append(kind)
            gate.set()

        assert await images.fetch(image, joined) == await first

    run(story())
    assert seen == [Progress.WAITING]
    assert len(server.fetched(".img")) == 1


def test_one_of_two_callers_may_leave_and_the_last_one_ends_the_download(
    tree: ImageTree,
    make_images: MakeImages,
    server: ImageServer,
    qcow2: Path,
    tmp_path: Path,
) -> None:
    tree.publish(qcow2)
    server.faults.rate = 200_000
    images = make_images()

    async def story() -> None:
        image = await images.resolve("noble", "")
        first = await begun(images, image)
        second = asyncio.create_task(images.fetch(image))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert not second.done()
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        server.faults.rate = 0
        await images.fetch(image)  # goes on with what is there

    run(story())
    assert [bool(each.range) for each in server.fetched(".img")] == [False, True]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_goes_on_after_breaks(
    tree: ImageTree, make_images: MakeImages, server: ImageServer, qcow2: Path, ranges: bool
) -> None:
    tree.publish(qcow2)
    server.faults.break_after = {".img": [200_000, 300_000]}
    server.faults.no_ranges = not ranges
    assert Path(launched(make_images()).path).read_bytes() == qcow2.read_bytes()
    asked = [(each.range, each.status) for each in server.fetched(".img")]
    if ranges:
        assert asked == [("", 200), ("bytes=200000-", 206), ("bytes=500000-", 206)]
    else:
        assert [status for _, status in asked] == [200, 200, 200]


def test_what_came_before_the_server_went_is_used_by_the_next_launch(
    tree: ImageTree,
    make_images: MakeImages,
    server: ImageServer,
    qcow2: Path,
    tmp_path: Path,
) -> None:
    digest = tree.publish(qcow2)
    server.faults.break_after = {".img": [100_000, 0, 0, 0, 0, 0]}

    with pytest.raises(Unreachable, match="the next launch goes on from there"):
        launched(make_images())
    assert f"{digest}/download.part" in left(tmp_path / "images")
    server.faults.break_after = {}
    assert Path(launched(make_images()).path).read_bytes() == qcow2.read_bytes()
    assert server.fetched(".img")[-1].range == "bytes=100000-"
    assert left(tmp_path / "images") == {f"{digest}/disk.img", f"{digest}/image.json"}


def test_a_partial_file_that_a_crash_spoiled_is_fetched_anew(
    tree: ImageTree, make_images: MakeImages, server: ImageServer, qcow2: Path, tmp_path: Path
) -> None:
    digest = tree.publish(qcow2)
    server.faults.break_after = {".img": [100_000, 0, 0, 0, 0, 0]}

    with pytest.raises(Unreachable):
        launched(make_images())
    part = tmp_path / "images" / digest / "download.part"
    part.write_bytes(bytes(part.stat().st_size))
    server.faults.break_after = {}
    assert Path(launched(make_images()).path).read_bytes() == qcow2.read_bytes()


@pytest.mark.parametrize("pack", ["xz", "zst", "raw"])
def test_a_url_is_fetched_unpacked_and_kept_sparse(
    make_images: MakeImages, server: ImageServer, raw: Path, pack: str
) -> None:
    data = raw.read_bytes()
    packed = {
        "xz": lambda: lzma.compress(data[: 1 << 20]) + lzma.compress(data[1 << 20 :]),
        "zst": lambda: zstandard.compress(data),
        "raw": lambda: data,
    }[pack]()
    (server.root / "own.img").write_bytes(packed)
    base = launched(make_images(), server.url + "own.img")
    assert (base.format, base.virtual_size) == ("raw", len(data))
    assert base.sha256 == hashlib.sha256(packed).hexdigest()
    disk = Path(base.path)
    assert disk.read_bytes() == data
    assert disk.stat().st_blocks * 512 < len(data) // 4


def test_a_url_is_fetched_again_only_when_it_changed(
    make_images: MakeImages, server: ImageServer, qcow2: Path, raw: Path
) -> None:
    own = server.root / "own.img"
    own.write_bytes(qcow2.read_bytes())
    images = make_images()
    url = server.url + "own.img"
    assert launched(images, url) == launched(images, url)
    assert len(server.fetched("own.img")) == 3  # two looks, one download
    own.write_bytes(raw.read_bytes())
    assert launched(images, url).format == "raw"
    server.faults.status = {"own.img": 503}
    assert launched(images, url).format == "raw"  # the last one fetched from there


def test_a_file_is_imported_once_and_survives_its_original(
    make_images: MakeImages, qcow2: Path, tmp_path: Path
) -> None:
    images = make_images()
    first = launched(images, f"file://{qcow2}").path
    inode = Path(first).stat().st_ino
    assert launched(images, f"file://{qcow2}").path == first
    assert Path(first).stat().st_ino == inode
    content = qcow2.read_bytes()
    qcow2.unlink()
    assert Path(first).read_bytes() == content


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("file:///no/such.img", "Custom image `/no/such.img` does not exist."),
        ("file://home/me.img", "Invalid file URL `file://home/me.img`; did you forget a slash?"),
        ("file:///dev/null", "Custom image `/dev/null` is not a regular file."),
        ("file:///%00", "Invalid file URL `file:///%00`; no file has a zero byte in its name."),
    ],
)
def test_a_file_that_is_none_is_refused(make_images: MakeImages, url: str, text: str) -> None:
    with pytest.raises(ImageError) as caught:
        run(make_images().resolve(url, "", ME))
    assert caught.value.message == text


def test_a_file_that_becomes_a_pipe_or_device_is_not_read(
    make_images: MakeImages, raw: Path, tmp_path: Path
) -> None:
    images = make_images()
    image = run(images.resolve(f"file://{raw}", "", ME))
    raw.unlink()
    os.mkfifo(raw)

    async def story() -> None:
        async with asyncio.timeout(30):
            await images.fetch(image, caller=ME)

    with pytest.raises(ImageError, match="is not a regular file"):
        run(story())
    assert not left(tmp_path / "images")


def test_what_needs_another_file_or_is_no_image_is_refused_and_removed(
    make_images: MakeImages, qcow2: Path, tmp_path: Path
) -> None:
    overlay = make_qcow2(tmp_path / "overlay", "-b", str(qcow2), "-F", "qcow2")
    outside = make_qcow2(tmp_path / "outside", "-o", f"data_file={tmp_path}/data")
    page = tmp_path / "page"
    page.write_text("<html>" * 1000, encoding="ascii")
    vmdk = tmp_path / "vmdk"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", str(vmdk), "1M"], check=True)
    cut = tmp_path / "cut"
    cut.write_bytes(qcow2.read_bytes()[:80])
    texts = {
        overlay: "backing file", outside: "in another file", page: "no disk image", vmdk: "VMDK",
        cut: "refused",
    }  # fmt: skip
    for path, text in texts.items():
        with pytest.raises(ImageError, match=text):
            launched(make_images(), f"file://{path}")
    assert left(tmp_path / "images") == set()


def test_a_missing_image_is_said_so(
    tree: ImageTree, make_images: MakeImages, server: ImageServer, qcow2: Path
) -> None:
    tree.publish(qcow2)
    with pytest.raises(UnknownImage, match='matching "nobel" in remote "daily"'):
        run(make_images().resolve("nobel", "daily"))
    server.faults.status = {".img": 404}
    with pytest.raises(ImageError, match="404"):
        launched(make_images())


def test_a_download_is_told_in_bytes_with_all_who_wait_for_it(
    tree: ImageTree, make_images: MakeImages, server: ImageServer, qcow2: Path
) -> None:
    tree.publish(qcow2)
    size = qcow2.stat().st_size
    server.faults.gate = gate = threading.Event()
    images = make_images()

    async def story() -> None:
        image = await images.resolve("noble", "")
        assert images.downloads() == []
        first = await begun(images, image, "foo")
        joined = asyncio.Event()
        second = asyncio.create_task(images.fetch(image, lambda *_: joined.set(), "bar"))
        await joined.wait()
        ((names, transfer),) = images.downloads()
        assert names == ["foo", "bar"]
        assert transfer == Transfer(transfer.fetched, size, transfer.fetched)
        assert 0 < transfer.fetched <= CHUNK
        first.cancel()
        await asyncio.wait([first])
        assert [names for names, _ in images.downloads()] == [["bar"]]
        gate.set()
        await second
        assert images.downloads() == []

    run(story())


def test_what_an_earlier_try_has_left_is_received_and_not_fetched(
    tree: ImageTree, make_images: MakeImages, server: ImageServer, qcow2: Path
) -> None:
    tree.publish(qcow2)
    server.faults.break_after = {".img": [300_000, 0, 0, 0]}
    images = make_images()

    async def story() -> None:
        image = await images.resolve("noble", "")
        with pytest.raises(Unreachable):
            await images.fetch(image)
        server.faults.gate = gate = threading.Event()
        going_on = await begun(images, image)
        ((_, transfer),) = images.downloads()
        assert transfer.received == 300_000 + transfer.fetched
        assert 0 < transfer.fetched <= CHUNK
        gate.set()
        await going_on

    run(story())


def test_each_per_cent_is_told_once_however_often_bytes_are(
    tree: ImageTree, make_images: MakeImages, server: ImageServer, qcow2: Path
) -> None:
    tree.publish(qcow2)
    server.faults.rate = 600_000
    seen: list[tuple[Progress, int]] = []
    launched(make_images(), "noble", lambda kind, percent: seen.append((kind, percent)))
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://", "Request URL is missing"),
        ("https://nowhere.invalid/disk.img", "Name or service not known|No address|Temporary"),
        ("http://127.0.0.1:1/disk.img", "Connection refused"),
    ],
)
def test_a_server_that_is_not_there_is_told_in_plain_words(
    make_images: MakeImages, url: str, why: str
) -> None:
    with pytest.raises(Unreachable, match=why) as error:
        launched(make_images(), url)
    assert "Errno" not in error.value.message and ".." not in error.value.message
