"""A disk that fills up: under a download nothing is left, under a guest it waits for room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.instances.site import SIZE, SMALL, Site, site

pytestmark = pytest.mark.root


@pytest.fixture
def small(tiny_image: None) -> Iterator[Site]:
    """A daemon whose storage has 64 MiB."""
    with site(storage_size="64m") as one:
        yield one


def fill(one: Site) -> Path:
    path = one.storage / "filler"
    with path.open("wb") as file:
        try:
            while True:
                file.write(b"\0" * (1 << 20))
                file.flush()
        except OSError:
            return path


def test_a_full_disk_under_a_download_leaves_nothing(small: Site, tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(os.urandom(80 << 20))
    answer = small.cli("launch", "--name", "foo", *SMALL, f"file://{image}")
    assert answer.returncode == 2 and "launch failed: " in answer.stderr, answer
    assert small.kept_of("foo") == []
    assert small.states() == {}
    assert small.done("list") == "No instances found.\n"


def test_a_guest_waits_for_room_and_goes_on(small: Site) -> None:
    small.done("launch", "--name", "foo", *SIZE, small.url)
    before = small.boot_id("foo")
    filler = fill(small)
    writing = small.begin(
        "exec", "foo", "--", "sh", "-c", "dd if=/dev/zero of=f bs=1M count=40; sync; echo end"
    )
    small.wait_for(lambda: small.logged("foo: the host's disk is full"), "the full disk")
    filler.unlink()
    small.wait_for(lambda: small.logged("foo goes on"), "the guest")
    assert "end" in writing.communicate()[0]
    assert small.boot_id("foo") == before
