"""An exported instance as an image: taken apart where it is whole, refused where it is not."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multipassd.images import exported
from multipassd.images.errors import ImageError
from multipassd.images.exported import DISK, MANIFEST, SEED, SUMS, VARIABLES
from multipassd.images.library import Images
from tests.multipassd.images.conftest import launched, make_qcow2
from tests.multipassd.images.test_fetch import left

MakeImages = Callable[..., Images]
ABOUT: dict[str, object] = {
    "format": "multipass-export", "version": 1, "name": "foo", "cpus": 2, "memory": 1 << 30,
    "disk": 5 << 30, "instance_id": "foo-1", "mac": "52:54:00:00:00:01",
    "host_key": "ssh-ed25519 AAAA", "firmware": "uefi",
}  # fmt: skip
REFUSED = "The exported instance is refused: "


def manifest(**fields: object) -> bytes:
    return json.dumps({**ABOUT, **fields}).encode()


def body(*members: tuple[str, bytes]) -> bytes:
    return b"".join(
        exported.header(name, len(data)) + data + exported.padding(len(data))
        for name, data in members
    )


def packed(*members: tuple[str, bytes], sums: bytes | None = None) -> bytes:
    """As `export` writes it; `sums`: others than are right."""
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in members}
    right = exported.sums(digests) if sums is None else sums
    return body(*members, (SUMS, right)) + exported.END


@pytest.fixture
def disk(qcow2: Path) -> bytes:
    return qcow2.read_bytes()


def test_its_parts_lie_beside_the_base_for_root_alone(
    tmp_path: Path, make_images: MakeImages, disk: bytes
) -> None:
    path = tmp_path / "foo.export"
    variables = make_qcow2(tmp_path / "variables", size="1M").read_bytes()
    path.write_bytes(
        packed((MANIFEST, manifest()), (SEED, b"seed"), (VARIABLES, variables), (DISK, disk))
    )
    base = launched(make_images(), f"file://{path}")
    assert base.export is not None and (base.export.name, base.export.cpus) == ("foo", 2)
    place = Path(base.path).parent
    assert Path(base.path).read_bytes() == disk
    assert (place / SEED).read_bytes() == b"seed"
    assert (place / SEED).stat().st_mode & 0o777 == 0o600
    assert (place / VARIABLES).read_bytes() == variables
    assert not (place / "download.part").exists()
    assert launched(make_images(), f"file://{path}") == base  # from the cache, as it was checked


def cut(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def refusals(disk: bytes, place: Path) -> dict[str, bytes]:
    """Files that are refused, by why."""
    first, seed, last = (MANIFEST, manifest()), (SEED, b"seed"), (DISK, disk)
    make_qcow2(place / "b", "-u", "-F", "raw", "-b", "/etc/shadow")
    option = f"data_file={place / 'data'},data_file_raw=on"
    outside = make_qcow2(place / "d", "-o", option).read_bytes()
    link = bytearray(exported.header(SEED, 0))
    link[156] = ord("2")
    link[148:156] = b" " * 8
    link[148:156] = b"%06o\0 " % sum(link)
    huge = exported.header(DISK, 1 << 50)
    return {
        "it is cut off": cut(packed(first, seed, last)),
        "it was changed or damaged": packed(first, seed, last, sums=b"0" * 100),
        "its seed.iso is too large": packed(first, (SEED, bytes(17 << 20)), last),
        "its manifest is not valid": packed((MANIFEST, b"{}"), seed, last),
        "it lacks a part": packed(first, last),
        "its seed.iso is in the wrong place": packed(first, last, seed),
        "its manifest.json is in the wrong place": packed(first, first, seed, last),
        "based on another file": packed(first, seed, (DISK, (place / "b").read_bytes())),
        "data is in another file": packed(first, seed, (DISK, outside)),
        "its UEFI variables": packed(first, seed, (VARIABLES, (place / "b").read_bytes()), last),
        "a member that belongs to no": packed(first, ("../../etc/passwd", b"x"), seed, last),
        "member that belongs to no exported": body(first) + bytes(link),
        "cut off": body(first, seed) + huge + bytes(512),
    }  # fmt: skip


def test_what_is_not_whole_or_asks_for_other_files_is_refused(
    tmp_path: Path, make_images: MakeImages, disk: bytes
) -> None:
    images = make_images()
    path = tmp_path / "bad.export"
    for why, data in refusals(disk, tmp_path).items():
        path.write_bytes(data)
        with pytest.raises(ImageError) as refused:
            launched(images, f"file://{path}")
        assert why in refused.value.message, (why, refused.value.message)
        assert left(images._directory) == set(), why


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "../x"}, {"name": "x" * 64}, {"cpus": 0}, {"cpus": 1000}, {"memory": 1},
        {"mac": "52:54:00:00:00:00,x"}, {"mac": "53:00:00:00:00:00"}, {"host_key": "a\nb c"},
        {"host_key": "ssh-ed25519 A A"}, {"ssh_user": "-oProxyCommand=x"}, {"firmware": "x"},
        {"instance_id": "a b"}, {"sha256": "/"}, {"version": 2}, {"disk": 1 << 60},
    ],
    ids=str,
)  # fmt: skip
def test_a_manifest_says_nothing_that_could_do_harm(fields: dict[str, object]) -> None:
    exported.Manifest.from_json(manifest())
    with pytest.raises(ValueError, match=next(iter(fields))):
        exported.Manifest.from_json(manifest(**fields))


@given(st.binary(max_size=600))
def test_any_first_block_is_an_export_or_not(data: bytes) -> None:
    assert exported.begins(data) is False


@given(st.sampled_from(exported.ORDER), st.integers(0, 1 << 40))
def test_a_header_is_read_as_it_was_written(name: str, size: int) -> None:
    block = exported.header(name, size)
    assert len(block) == exported.BLOCK
    if size <= exported.LIMITS[name]:
        assert exported.member(block) == (name, size)
    else:
        with pytest.raises(exported.NoExport):
            exported.member(block)


def test_no_export_is_taken_for_another_user(tmp_path: Path, make_images: MakeImages) -> None:
    if os.geteuid():
        pytest.skip("needs root")
    from multipassd.auth.peer import Credentials

    path = tmp_path / "foo.export"
    path.write_bytes(packed((MANIFEST, manifest())))
    path.chmod(0o600)
    stranger = Credentials(65534, 65534, 1, frozenset())
    with pytest.raises(ImageError, match="can't be read"):
        launched(make_images(), f"file://{path}", caller=stranger)
