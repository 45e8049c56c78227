"""Images at a cluster: uploaded once, found again, taken for whole only if they are."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from multipassd.drivers.incus import images, split_image
from multipassd.drivers.incus.api.errors import BadAnswer, Lost, NoRoom
from multipassd.drivers.incus.images import DAEMON, ensure, prune
from multipassd.drivers.interface import DriverError
from multipassd.images.image import QCOW2, RAW, SQUASHFS, TAR, UNKNOWN, Base
from tests.multipassd.drivers.incus.fake_incus import FakeIncus, Fault, run

OURS, OTHERS = "a" * 32, "b" * 32
POST = "POST /1.0/images"
SIZE = (3 << 20) + 5  # some pieces, and a rest


@pytest.fixture
def base(tmp_path: Path) -> Base:
    path = tmp_path / "disk.img"
    path.write_bytes(os.urandom(SIZE))
    return Base(id="1" * 64, path=str(path), format=SQUASHFS, virtual_size=0, os="Ubuntu",
                release="24.04 LTS", version="20260815")  # fmt: skip


def expected(base: Base) -> str:
    data = split_image.metadata(base) + Path(base.path).read_bytes()
    return hashlib.sha256(data).hexdigest()


def test_launches_at_once_upload_an_image_once_and_later_ones_find_it(
    tmp_path: Path, base: Base
) -> None:
    seen: list[int] = []

    async def story() -> None:
        async with FakeIncus(tmp_path / "incus") as fake, fake.api() as api:
            found = await asyncio.gather(*(ensure(api, base, OURS, seen.append) for _ in range(3)))
            found += [await ensure(api, base, OURS), await ensure(api, base, OTHERS)]
            assert set(found) == {expected(base)}
            assert fake.requests.count(POST) == 1
            (shown,) = fake.images.values()
            assert (shown["properties"][split_image.IMAGE], shown["type"]) == (base.id, "container")
            assert shown["properties"][DAEMON] == OURS

    run(story)
    assert seen.count(UNKNOWN) == 2, "the others are told that they wait"
    assert [each for each in seen if each != UNKNOWN] == [33, 66, 99, 100]


def test_a_disk_and_a_root_file_system_of_one_id_are_two_images(tmp_path: Path, base: Base) -> None:
    disk = base.replace(format=QCOW2)

    async def story() -> None:
        async with FakeIncus(tmp_path / "incus") as fake, fake.api() as api:
            await ensure(api, base, OURS)
            fake.images.clear()
            await ensure(api, disk, OURS)
            assert [each["type"] for each in fake.images.values()] == ["virtual-machine"]
            fake.images.clear()
            assert await ensure(api, base, OURS) == expected(base)

    run(story)


def test_a_raw_disk_is_uploaded_as_qcow2_and_leaves_no_copy(tmp_path: Path, base: Base) -> None:
    """Incus takes no other format for a virtual machine."""
    place = tmp_path / "cache"
    place.mkdir()
    raw = place / "disk.img"
    raw.write_bytes(os.urandom(1 << 20))
    sent: list[bytes] = []

    async def story() -> None:
        async with FakeIncus(tmp_path / "incus") as fake, fake.api() as api:
            await ensure(api, base.replace(path=str(raw), format=RAW), OURS)
            (shown,) = fake.images.values()
            assert shown["type"] == "virtual-machine"
            sent.append(fake.roots[shown["fingerprint"]])

    run(story)
    (found,) = sent
    assert found.startswith(b"QFI\xfb")
    made, back = tmp_path / "made.qcow2", tmp_path / "back.raw"
    made.write_bytes(found)
    words = ["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(made), str(back)]
    subprocess.run(words, check=True)
    assert back.read_bytes() == raw.read_bytes()
    assert list(place.iterdir()) == [raw]


def test_the_metadata_is_the_same_everywhere_and_differs_by_image(base: Base) -> None:
    assert split_image.metadata(base) == split_image.metadata(base.replace(path="/elsewhere"))
    others = [base.replace(id="2" * 64), base.replace(version="undated"), base.replace(os='"\n:')]
    assert len({split_image.metadata(each) for each in (base, *others)}) == 4


def test_an_image_that_another_daemon_uploads_at_the_same_time_is_ours_too(
    tmp_path: Path, base: Base
) -> None:
    async def story() -> None:
        async with FakeIncus(tmp_path / "incus") as fake, fake.api() as api:

            async def be_faster() -> None:
                await ensure(api, base, OTHERS)

            fake.faults.append(Fault("^POST /1.0/images", before=be_faster))
            assert await ensure(api, base, OURS) == expected(base)
            assert fake.requests.count(POST) == 2
            (shown,) = fake.images.values()
            assert shown["properties"][DAEMON] == OTHERS
            # Its properties may have been edited there: it is the same image all the same.
            shown["properties"].clear()
            assert await ensure(api, base, OURS) == expected(base)

    run(story)


def test_an_upload_that_a_members_end_breaks_is_sent_to_another_once(
    tmp_path: Path, base: Base
) -> None:
    async def story() -> None:
        async with FakeIncus(tmp_path / "incus", members=4) as fake, fake.api() as api:

            async def die() -> None:
                await fake.kill(next(each.name for each in fake.members if each.runner))

            fake.faults.append(Fault("^POST /1.0/images", before=die))
            assert await ensure(api, base, OURS) == expected(base)
            assert fake.requests.count(POST) == 2
            fake.images.clear()
            fake.faults.append(Fault("^POST /1.0/images", before=die, times=2))
            with pytest.raises(Lost):
                await ensure(api, base, OURS)
            assert fake.requests.count(POST) == 4
            assert not fake.images

    run(story)


def test_an_upload_that_stands_still_is_ended_and_sent_to_another_member(
    tmp_path: Path, base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "STALL_SECONDS", 0.5)
    large = Path(base.path)
    with large.open("wb") as file:
        file.truncate(32 << 20)  # more than a connection holds

    async def story() -> None:
        async with FakeIncus(tmp_path / "incus", members=2) as fake, fake.api() as api:
            fake.faults.append(Fault("^POST /1.0/images", before=asyncio.Event().wait))
            assert await ensure(api, base, OURS) == expected(base)
            assert fake.requests.count(POST) == 2

    run(story)


def test_what_was_stored_otherwise_than_sent_is_removed(
    tmp_path: Path, base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(split_image.Body, "fingerprint", "0" * 64)

    async def story() -> None:
        async with FakeIncus(tmp_path / "incus") as fake, fake.api() as api:
            with pytest.raises(BadAnswer, match="it has fingerprint"):
                await ensure(api, base, OURS)
            assert not fake.images

    run(story)


def test_a_full_cluster_and_a_lost_file_are_told(tmp_path: Path, base: Base) -> None:
    async def story() -> None:
        async with FakeIncus(tmp_path / "incus") as fake, fake.api() as api:
            full = "write /var/lib/incus/images/x: no space left on device"
            fake.faults.append(Fault("^POST /1.0/images", full, status=500))
            with pytest.raises(NoRoom, match=f"store the image 111111111111: {full}"):
                await ensure(api, base, OURS)
            await asyncio.to_thread(Path(base.path).unlink)
            with pytest.raises(DriverError, match="can't be read: .*No such file"):
                await ensure(api, base, OURS)

    run(story)


def test_images_of_other_daemons_and_those_in_use_stay(
    tmp_path: Path, base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    bases = {name: base.replace(id=name * 64, format=TAR) for name in "abcde"}

    async def story() -> None:
        async with FakeIncus(tmp_path / "incus") as fake, fake.api() as api:
            found = {name: await ensure(api, bases[name], OURS) for name in "abc"}
            found["d"] = await ensure(api, bases["d"], OTHERS)
            fake.images["f" * 64] = {"fingerprint": "f" * 64, "type": "container"}
            source = {"type": "image", "fingerprint": found["b"]}
            body = {"name": "foo", "type": "container", "source": source}
            await api.operate("POST", "/1.0/instances", body, seconds=30)
            fake.instances.get("foo").shown["config"]["volatile.base_image"] = found["b"]
            assert await prune(api, OURS, []) == []
            monkeypatch.setattr(images, "MAX_AGE", -1)
            assert await prune(api, OURS, [bases["c"].id]) == [bases["a"].id]
            assert set(fake.images) == {found["b"], found["c"], found["d"], "f" * 64}

    run(story)
