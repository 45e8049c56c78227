"""Images for containers: which are listed, what is taken for one, and what is refused as a disk."""

import gzip
import lzma
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from multipassd.images import cache, exported
from multipassd.images.errors import (
    ImageError,
    NoContainerForm,
    NothingListed,
    UnknownImage,
)
from multipassd.images.image import DISK, ROOTFS, SQUASHFS, TAR, Base
from multipassd.images.library import Images
from tests.multipassd.images.conftest import ME, launched, run
from tools import rootfs
from tools.imageserver import ImageServer
from tools.imagetree import JAMMY, ImageTree

MakeImages = Callable[..., Images]


@pytest.fixture
def squashfs(tmp_path: Path) -> Path:
    if not shutil.which("mksquashfs"):
        pytest.skip("mksquashfs is missing (package squashfs-tools)")
    root = tmp_path / "root"
    for name, data in rootfs.FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "usr/noise").write_bytes(os.urandom(64 << 10))  # which no packing makes smaller
    return rootfs.make_squashfs(tmp_path / "root.squashfs", root)


@pytest.fixture
def unified(tmp_path: Path) -> Path:
    packed = tmp_path / "container.tar.gz"
    packed.write_bytes(gzip.compress(rootfs.make_unified(tmp_path / "unified.tar").read_bytes()))
    return packed


def contents(path: str) -> dict[str, bytes]:
    with tarfile.open(path, "r:gz") as tar:
        return {each.name: tar.extractfile(each).read() for each in tar}  # type: ignore[union-attr]


def refusal(images: Images, image: str, kind: str = ROOTFS) -> str:
    with pytest.raises(ImageError) as caught:
        launched(images, image, kind=kind)  # type: ignore[arg-type]
    return caught.value.message


def test_of_a_release_the_squashfs_is_taken_for_a_container_and_the_disk_for_a_machine(
    tree: ImageTree, make_images: MakeImages, qcow2: Path, squashfs: Path, tmp_path: Path
) -> None:
    disk, root = tree.publish(qcow2), tree.publish(squashfs, item="squashfs")
    images = make_images()
    base = launched(images, kind=ROOTFS)
    assert (base.id, base.sha256, base.format, base.kind) == (root, root, SQUASHFS, ROOTFS)
    assert (base.release, base.virtual_size) == ("24.04 LTS", 0)
    assert Path(base.path).read_bytes() == squashfs.read_bytes()
    assert launched(images).id == disk
    kept = [cache.load(tmp_path / "images" / each) for each in (disk, root)]
    assert [each.kind for each in kept if each] == [DISK, ROOTFS], "both of one release"


def test_a_release_without_squashfs_gives_its_tar_archive(
    tree: ImageTree, make_images: MakeImages, qcow2: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "root.tar.xz"
    packed.write_bytes(lzma.compress(rootfs.make_tar(tmp_path / "root.tar").read_bytes()))
    tree.publish(qcow2)
    root = tree.publish(packed, item="root.tar.xz")
    base = launched(make_images(), kind=ROOTFS)
    assert (base.id, base.format) == (root, TAR)
    assert contents(base.path) == rootfs.FILES


def test_an_image_with_a_disk_alone_is_refused_for_a_container_with_what_to_do(
    tree: ImageTree, make_images: MakeImages, qcow2: Path, squashfs: Path
) -> None:
    tree.publish(qcow2, release=JAMMY)
    tree.publish(squashfs, item="squashfs")
    images = make_images()
    for remote in ("", "release"):
        with pytest.raises(NoContainerForm) as caught:
            run(images.resolve("jammy", remote, ME, ROOTFS))
        assert caught.value.message == (
            'The image "jammy" has no container form: its remote has a disk of it alone. '
            "Containers can be made of what `multipass find` lists. `multipass set "
            "local.incus.type=virtual-machine` makes the next instances virtual machines, which "
            "have disks."
        )
    with pytest.raises(UnknownImage):
        run(images.resolve("nobel", "daily", ME, ROOTFS))


def test_find_lists_for_containers_what_has_a_container_form(
    tree: ImageTree, make_images: MakeImages, qcow2: Path, squashfs: Path
) -> None:
    tree.publish(qcow2, release=JAMMY)
    tree.publish(qcow2, "daily")
    tree.publish(squashfs, item="squashfs")
    images = make_images()

    def found(query: str, kind: str, remote: str = "") -> list[str]:
        listed = run(images.find(query, remote, kind=kind))  # type: ignore[arg-type]
        return sorted({each.release for each in listed})

    assert found("", DISK) == ["22.04 LTS", "24.04 LTS"]
    assert found("", ROOTFS) == found("", ROOTFS, "release") == ["24.04 LTS"]
    assert found("jammy", ROOTFS) == []
    with pytest.raises(NothingListed, match="disks for virtual machines alone"):
        found("", ROOTFS, "daily")


def test_a_list_of_a_former_worker_is_fetched_again_before_it_says_there_are_no_containers(
    tree: ImageTree, make_images: MakeImages, squashfs: Path, qcow2: Path, tmp_path: Path
) -> None:
    tree.publish(qcow2)
    tree.publish(squashfs, item="squashfs")
    run(make_images().resolve("noble", ""))
    (tmp_path / "images" / "lists" / "release.rootfs.json").unlink()
    assert run(make_images().resolve("noble", "", ME, ROOTFS)).url.endswith(".squashfs")


PACKING: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "xz": lzma.compress,
    "zst": zstandard.compress,
    "tar": lambda data: data,
}


@pytest.mark.parametrize("pack", PACKING)
@pytest.mark.parametrize("make", [rootfs.make_tar, rootfs.make_unified], ids=["plain", "unified"])
def test_an_archive_becomes_one_with_the_systems_files_alone(
    make_images: MakeImages,
    server: ImageServer,
    tmp_path: Path,
    pack: str,
    make: Callable[[Path], Path],
) -> None:
    data = make(tmp_path / "own.tar").read_bytes()
    (server.root / "own.tar").write_bytes(PACKING[pack](data))
    images = make_images()
    base = launched(images, server.url + "own.tar", kind=ROOTFS)
    assert (base.format, contents(base.path)) == (TAR, rootfs.FILES)
    assert launched(images, server.url + "own.tar", kind=ROOTFS) == base
    assert len(server.fetched("own.tar")) == 3  # two looks, one download


def test_a_file_of_this_host_is_taken_by_what_is_in_it(
    make_images: MakeImages, unified: Path, squashfs: Path
) -> None:
    misnamed = unified.with_name("image.img")
    misnamed.write_bytes(unified.read_bytes())
    images = make_images()
    assert launched(images, f"file://{misnamed}", kind=ROOTFS).format == TAR
    assert launched(images, f"file://{squashfs}", kind=ROOTFS).format == SQUASHFS


def test_the_same_archive_is_written_alike_on_each_host(
    make_images: MakeImages, unified: Path, tmp_path: Path
) -> None:
    def written() -> bytes:
        base: Base = launched(make_images(), f"file://{unified}", kind=ROOTFS)
        data = Path(base.path).read_bytes()
        shutil.rmtree(tmp_path / "images")
        return data

    assert written() == written()


def test_a_disk_is_refused_where_containers_are_made(
    make_images: MakeImages, qcow2: Path, raw: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "disk.img.xz"
    packed.write_bytes(lzma.compress(raw.read_bytes()))
    for path, name in ((qcow2, "qcow2"), (raw, "raw"), (packed, "raw")):
        text = refusal(make_images(), f"file://{path}")
        assert text.startswith(
            f"The image is refused: it is a disk, {name}, for virtual machines, and this service "
            "makes containers. Launch a squashfs, "
        )
        assert text.endswith("makes the next instances virtual machines, which have disks.")


def test_a_root_file_system_is_refused_where_machines_are_made_and_can_be_launched_as_one(
    make_images: MakeImages, server: ImageServer, unified: Path, squashfs: Path
) -> None:
    texts = {unified: "a tar archive", squashfs: "a squashfs"}
    images = make_images()
    for path, name in texts.items():
        text = refusal(images, f"file://{path}", DISK)
        assert text.startswith(f"The image is refused: it is {name}, which containers are made of")
        shutil.copyfile(path, server.root / path.name)
        assert refusal(images, server.url + path.name, DISK) == text
        base = launched(images, server.url + path.name, kind=ROOTFS)  # what was refused is apart
        assert base.kind == ROOTFS


def test_a_squashfs_that_is_cut_off_is_refused(
    make_images: MakeImages, squashfs: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut"
    cut.write_bytes(squashfs.read_bytes()[:-8192])
    assert refusal(make_images(), f"file://{cut}").startswith(
        "The image is refused: it is cut off. It has "
    )


def test_what_no_container_can_be_made_of_is_refused_by_name(
    make_images: MakeImages, tmp_path: Path
) -> None:
    page, packed = tmp_path / "page", tmp_path / "packed"
    page.write_text("<html>" * 1000, encoding="ascii")
    packed.write_bytes(b"BZh91AY" * 100)
    home = rootfs.make_tar(tmp_path / "home.tar", {"alice/secret": b"x"})
    export = tmp_path / "foo.tar"
    export.write_bytes(exported.header(exported.MANIFEST, 2) + b"{}" + exported.END)
    texts = {
        page: "neither a squashfs nor a tar",
        packed: "bzip2",
        home: "other files than a",
        export: "it is an exported instance, with a disk, for virtual machines",
    }
    for path, text in texts.items():
        assert text in refusal(make_images(), f"file://{path}")
    directories = [each for each in (tmp_path / "images").iterdir() if each.name != "lists"]
    assert not directories
