"""What is cut off, damaged or another file than promised: found before it boots, told with what to
do, and not fetched over and over."""

import asyncio
import hashlib
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from multipassd.images.cache import REFUSED_SECONDS
from multipassd.images.errors import ImageError
from multipassd.images.library import Images
from multipassd.images.worker import partitions
from multipassd.images.worker.partitions import SECTOR
from tests.multipassd.images.conftest import launched
from tools.imageserver import ImageServer
from tools.imagetree import ImageTree

MakeImages = Callable[..., Images]
LENGTH = 1 << 20


def refusal(images: Images, image: str = "noble") -> str:
    with pytest.raises(ImageError) as caught:
        launched(images, image)
    return caught.value.message


def table(*entries: tuple[int, int, int, int]) -> bytes:
    """A master boot record; each entry is status, type, first sector and count."""
    packed = b"".join(struct.pack("<B3xB3xII", *entry) for entry in entries)
    return bytes(446) + packed.ljust(64, b"\0") + b"\x55\xaa"


def gpt(last: int) -> bytes:
    return table((0, 0xEE, 1, 0xFFFFFFFF)) + b"EFI PART".ljust(32, b"\0") + struct.pack("<Q", last)


def sized(path: Path, head: bytes, length: int = LENGTH) -> Path:
    path.write_bytes(head)
    os.truncate(path, length)
    return path


@pytest.mark.parametrize("cut", [65536, 131072, 300_000, 700_000])
def test_a_qcow2_that_is_cut_off_is_refused(
    make_images: MakeImages, qcow2: Path, tmp_path: Path, cut: int
) -> None:
    image = tmp_path / "cut.img"
    image.write_bytes(qcow2.read_bytes()[:-cut])
    said = refusal(make_images(), f"file://{image}")
    assert said.startswith("The image is refused: it is cut off or damaged. qemu-img check finds ")
    assert f" errors in its {image.stat().st_size} bytes, the first: " in said
    assert said.endswith(
        " Fetch or copy it again, and compare its size or checksum with its source's."
    )


def test_a_qcow2_whose_tables_are_damaged_is_refused(
    make_images: MakeImages, qcow2: Path, tmp_path: Path
) -> None:
    image = tmp_path / "damaged.img"
    data = bytearray(qcow2.read_bytes())
    data[131072:131080] = bytes(8)  # counts of references: none
    image.write_bytes(data)
    assert "cut off or damaged" in refusal(make_images(), f"file://{image}")


@pytest.mark.parametrize("head", [table((0x80, 0x83, 64, 4096)), gpt(4095)], ids=["mbr", "gpt"])
def test_a_raw_disk_shorter_than_its_partition_table_says_is_refused(
    make_images: MakeImages, tmp_path: Path, head: bytes
) -> None:
    image = sized(tmp_path / "cut.raw", head)
    end = partitions.end(image.read_bytes()[: partitions.HEAD])
    assert end > LENGTH
    assert refusal(make_images(), f"file://{image}") == (
        f"The image is refused: it is cut off. By its partition table it has {end} bytes, and "
        f"{LENGTH} are there. Fetch or copy it again, and compare its size or checksum with its "
        "source's."
    )
    whole = sized(tmp_path / "whole.raw", head, end)
    assert launched(make_images(), f"file://{whole}").virtual_size == end


@pytest.mark.parametrize(
    ("head", "sectors"),
    [
        (table((0x80, 0x83, 2048, 1000), (0, 0x82, 4000, 96)), 4096),
        (table((0, 0, 2048, 1000)), 0),  # no type: unused
        (table((0, 0x17, 0, 1000)), 0),  # from the first sector on, as hybrid CDs have it
        (table((0x42, 0x83, 2048, 1000)), 0),  # code, not a table
        (bytes(510) + b"\x55\xaa", 0),
        (gpt(8191), 8192),
        (table((0, 0xEE, 1, 0xFFFFFFFF)), 0),  # a GPT of larger sectors
        (gpt(8191)[:SECTOR], 0),
    ],
)
def test_a_partition_table_tells_where_the_disk_ends(head: bytes, sectors: int) -> None:
    padded = head.ljust(partitions.HEAD, b"\0") if len(head) != SECTOR or sectors else head
    assert partitions.end(padded) == sectors * SECTOR


def test_another_content_than_promised_is_told_with_whose_hash_and_what_to_do(
    tree: ImageTree, make_images: MakeImages, server: ImageServer, qcow2: Path, tmp_path: Path
) -> None:
    digest = tree.publish(qcow2)
    server.faults.corrupt = {".img"}
    file = tree.path_of().rpartition("/")[2]
    lines = refusal(make_images()).splitlines()
    assert lines[0] == f"Hash of {file} does not match {digest}"
    assert 'The list of remote "release" has that hash, and the file from' in lines[1]
    assert f"{server.url}" in lines[1] and file in lines[1]
    (kept,) = (path for path in (tmp_path / "images" / digest).iterdir())
    assert kept.name == "refused.json"


def test_a_mismatch_is_not_fetched_again_for_an_hour(
    tree: ImageTree, make_images: MakeImages, server: ImageServer, qcow2: Path, tmp_path: Path
) -> None:
    digest = tree.publish(qcow2)
    server.faults.corrupt = {".img"}
    first = refusal(make_images())
    fetched = len(server.fetched(".img"))
    again = refusal(make_images())  # by another daemon, too
    assert again == (
        f"{first}\nThat was found before, so it was not fetched again. It will be in "
        f"{REFUSED_SECONDS // 60} min, or at once when its server names another file or after "
        "`multipass find --force-update`."
    )
    assert len(server.fetched(".img")) == fetched
    note = tmp_path / "images" / digest / "refused.json"
    known = json.loads(note.read_text())
    note.write_text(json.dumps(known | {"when": known["when"] - REFUSED_SECONDS}))
    server.faults.corrupt = set()
    assert launched(make_images()).id == digest
    assert {path.name for path in note.parent.iterdir()} == {"disk.img", "image.json"}


def test_a_new_list_is_followed_at_once_after_a_mismatch(
    tree: ImageTree, make_images: MakeImages, server: ImageServer, qcow2: Path, raw: Path
) -> None:
    tree.publish(qcow2)
    server.faults.corrupt = {".img"}
    refusal(make_images())
    server.faults.corrupt = set()
    digest = tree.publish(raw)
    images = make_images()

    async def story() -> None:
        await images.find("", "release", force=True)

    asyncio.run(story())
    assert launched(images).id == digest


def test_a_forced_update_of_the_lists_has_it_fetched_again(
    tree: ImageTree, make_images: MakeImages, server: ImageServer, qcow2: Path
) -> None:
    digest = tree.publish(qcow2)
    server.faults.corrupt = {".img"}
    refusal(make_images())
    server.faults.corrupt = set()
    images = make_images()
    asyncio.run(images.find("", ""))
    assert "not fetched again" in refusal(images)
    asyncio.run(images.find("", "", force=True))
    assert launched(images).id == digest


def test_a_url_that_gives_no_sound_image_is_not_fetched_again_until_it_changes(
    make_images: MakeImages, server: ImageServer, qcow2: Path
) -> None:
    own = server.root / "own.img"
    own.write_bytes(qcow2.read_bytes()[:700_000])
    url = f"{server.url}own.img"
    assert "cut off" in refusal(make_images(), url)
    fetched = len(server.fetched("own.img"))
    assert "not fetched again" in refusal(make_images(), url)
    assert len(server.fetched("own.img")) == fetched + 1  # a look at its state
    own.write_bytes(qcow2.read_bytes())
    assert launched(make_images(), url).sha256 == hashlib.sha256(qcow2.read_bytes()).hexdigest()


def test_a_file_of_this_host_may_be_tried_again_at_once(
    make_images: MakeImages, qcow2: Path, tmp_path: Path
) -> None:
    image = tmp_path / "cut.img"
    image.write_bytes(qcow2.read_bytes()[:700_000])
    for _ in range(2):
        assert "not fetched" not in refusal(make_images(), f"file://{image}")
    assert list((tmp_path / "images").iterdir()) == []
