"""Tar archives from strangers: what they may not do, and what of them is written anew."""

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from multipassd.images.errors import Refused
from multipassd.images.worker import archive
from tools import rootfs

TEMPLATES = (
    b"architecture: x86_64\ncreation_date: 1\ntemplates:\n  /etc/passwd: {template: a.tpl}\n"
)


def rewritten(source: Path) -> tarfile.TarFile:
    target = source.with_name("target")
    with source.open("rb") as file, target.open("wb") as written:
        archive.rewrite(file, written, lambda percent: None)
    return tarfile.open(target, "r:gz")


def add(path: Path, change: Callable[[tarfile.TarInfo], None], data: bytes = b"") -> Path:
    info = tarfile.TarInfo("rootfs/added")
    info.size = len(data)
    change(info)
    with tarfile.open(path, "a") as tar:
        tar.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def unified(tmp_path: Path) -> Path:
    return rootfs.make_unified(tmp_path / "unified.tar")


def test_templates_and_metadata_of_the_maker_never_reach_the_cluster(tmp_path: Path) -> None:
    """Incus follows templates with root's rights on the member."""
    path = rootfs.make_unified(tmp_path / "a.tar", TEMPLATES, **{"templates/a.tpl": b"x"})
    add(path, lambda info: setattr(info, "name", "metadata.yaml"), TEMPLATES)
    names = rewritten(path).getnames()
    assert names == list(rootfs.FILES)


def test_modes_owners_links_attributes_and_long_names_stay(unified: Path) -> None:
    long = "rootfs/" + "d/" * 200 + "file"

    def change(info: tarfile.TarInfo) -> None:
        info.name, info.mode, info.uid, info.gid, info.mtime = long, 0o4750, 12, 34, 56
        info.pax_headers = {"SCHILY.xattr.security.capability": "\x01\x00\udcff"}

    add(unified, change, b"x")
    hard = {"type": tarfile.LNKTYPE, "name": "rootfs/hard", "linkname": "rootfs/usr/bin/tool"}
    soft = {"type": tarfile.SYMTYPE, "name": "rootfs/soft", "linkname": "/usr/bin/tool"}
    for fields in (hard, soft):
        add(unified, lambda info, fields=fields: vars_of(info, fields))  # type: ignore[misc]
    with rewritten(unified) as tar:
        found = tar.getmember(long.removeprefix("rootfs/"))
        assert (found.mode, found.uid, found.gid, found.mtime) == (0o4750, 12, 34, 56)
        assert found.pax_headers["SCHILY.xattr.security.capability"] == "\x01\x00\udcff"
        assert tar.getmember("hard").linkname == "usr/bin/tool"
        assert tar.getmember("soft").linkname == "/usr/bin/tool"


def vars_of(info: tarfile.TarInfo, fields: dict[str, object]) -> None:
    for name, value in fields.items():
        setattr(info, name, value)


@pytest.mark.parametrize("name", ["rootfs/../../etc/passwd", "/rootfs/etc/passwd", "rootfs/a/.."])
def test_a_file_that_leads_out_is_refused(unified: Path, name: str) -> None:
    add(unified, lambda info: setattr(info, "name", name))
    with pytest.raises(Refused, match="leads out of it"):
        rewritten(unified)


@pytest.mark.parametrize("target", ["metadata.yaml", "../x", "/etc/passwd"])
def test_a_hard_link_that_leads_out_is_refused(unified: Path, target: str) -> None:
    add(unified, lambda info: vars_of(info, {"type": tarfile.LNKTYPE, "linkname": target}))
    with pytest.raises(Refused, match="leads out of it"):
        rewritten(unified)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("cut", [1024, 10240, 100_000])
def test_what_is_cut_off_is_refused(unified: Path, packed: bool, cut: int) -> None:
    data = unified.read_bytes().rstrip(b"\0")
    data += bytes(-len(data) % 512 + 1024)
    unified.write_bytes(gzip.compress(data, 0)[:-cut] if packed else data[:-cut])
    with pytest.raises(Refused, match="cut off|ends too early"):
        rewritten(unified)


def test_a_damaged_header_is_not_taken_for_the_end(unified: Path) -> None:
    data = bytearray(unified.read_bytes())
    with tarfile.open(unified) as tar:
        data[tar.getmembers()[-1].offset] ^= 1
    unified.write_bytes(data)
    with pytest.raises(Refused, match="damaged or cut off"):
        rewritten(unified)


def test_sizes_and_numbers_have_limits(unified: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_UNPACKED", 1 << 20)
    with pytest.raises(Refused, match="unpacks to more than 1048576 bytes"):
        rewritten(unified)
    monkeypatch.undo()
    monkeypatch.setattr(archive, "MAX_ENTRIES", 3)
    with pytest.raises(Refused, match="more than 3 files"):
        rewritten(unified)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_that_takes_all_memory_is_refused(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "hostile.tar"
    info = tarfile.TarInfo("rootfs/x")
    info.type, info.size = kind, 1 << 33
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    with pytest.raises(Refused, match="unreasonable size"):
        rewritten(path)


def test_a_size_below_zero_is_refused_and_no_way_round_and_round(tmp_path: Path) -> None:
    path = tmp_path / "hostile.tar"
    info = tarfile.TarInfo("rootfs/x")
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = b"\xff" * 10 + (0x10000 - 512).to_bytes(2, "big")  # -512, in base 256
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    path.write_bytes(bytes(block) + bytes(4096))
    with pytest.raises(Refused, match="size below zero"):
        rewritten(path)


def test_a_skipped_file_is_not_held_in_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = rootfs.make_unified(tmp_path / "a.tar", **{"templates/big": bytes(64 << 20)})
    tracemalloc.start()
    try:
        rewritten(path).close()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


def test_an_archive_with_metadata_and_no_files_is_refused(tmp_path: Path) -> None:
    path = rootfs.make_tar(tmp_path / "a.tar", {"metadata.yaml": rootfs.METADATA})
    with pytest.raises(Refused, match="has no `rootfs`"):
        rewritten(path)


def test_holes_of_a_sparse_file_are_filled(tmp_path: Path) -> None:
    import subprocess

    hole = tmp_path / "usr" / "hole"
    hole.parent.mkdir()
    with hole.open("wb") as file:
        file.seek(5 << 20)
        file.write(b"end")
    path = tmp_path / "sparse.tar"
    subprocess.run(["tar", "-S", "-cf", path, "-C", tmp_path, "usr"], check=True)
    assert path.stat().st_size < 1 << 20
    with rewritten(path) as tar:
        member = tar.extractfile("usr/hole")
        assert member is not None and member.read() == hole.read_bytes()
