"""A disk that fills up: under a download nothing is left, under a guest it waits for room."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.instances.site import LAUNCH_SECONDS, SMALL, Site, silent_disk, site
from tools.imageserver import ImageServer

pytestmark = pytest.mark.root

# Without a disk size: one that is asked for has to fit the file system as a whole.
SIZE = ("--memory", "160M")
FULL = "foo: the host's disk is full"
STOOD = 1000  # seconds


@pytest.fixture
def small(tiny_image: None) -> Iterator[Site]:
    """A daemon whose storage has 64 MiB."""
    with site(storage_size="64m") as here:
        yield here


def clock_of(here: Site, name: str) -> int:
    return int(here.inside(name, "date +%s"))


def fill(here: Site) -> Path:
    path = here.storage / "filler"
    with path.open("wb") as file:
        try:
            while True:
                file.write(b"\0" * (1 << 20))
                file.flush()
        except OSError:
            return path


@pytest.mark.parametrize("more", [("--memory", "9999G"), ("--disk", "9999G")])
def test_more_than_the_host_has_is_refused_before_anything_is_made(
    small: Site, more: tuple[str, str]
) -> None:
    answer = small.cli("launch", "--name", "foo", *more, "noble")
    assert answer.returncode == 2
    assert f"Ask for less with {more[0]}." in answer.stderr
    assert small.kept_of("foo") == []


def test_a_full_disk_under_a_download_leaves_nothing(small: Site, tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(os.urandom(80 << 20))
    answer = small.cli("launch", "--name", "foo", *SMALL, f"file://{image}")
    assert answer.returncode == 2 and "launch failed: " in answer.stderr, answer
    assert small.kept_of("foo") == []
    assert small.states() == {}
    assert small.done("list") == "No instances found.\n"


def test_a_disk_that_fills_up_while_the_image_comes_is_a_sentence(server: ImageServer) -> None:
    server.faults.gate = threading.Event()
    with site({"MULTIPASS_IMAGE_REMOTES": server.remotes()}, storage_size="16m") as here:
        launching = here.begin("launch", "--name", "foo", *SMALL, "noble")
        here.wait_for(lambda: here.logged("launch of foo: download"), "the download")
        filler = fill(here)
        server.faults.gate.set()
        told = launching.communicate()[1]
        assert launching.returncode == 2
        assert "launch failed: The image was not stored: No space left on device" in told
        assert f"in {here.storage}/images. Make room there." in told
        assert here.done("list") == "No instances found.\n"
        assert {path.name for path in (here.storage / "images").iterdir()} <= {"lists"}
        why = here.cli("launch", "--name", "foo", *SMALL, "noble").stderr  # told before it begins
        assert "The image was not downloaded: it needs 4.0MiB and there are " in why
        filler.unlink()
        here.run_silent("foo", "noble")


def test_a_full_disk_under_what_a_launch_makes_leaves_nothing(small: Site, tmp_path: Path) -> None:
    image = silent_disk(tmp_path / "disk.raw")
    small.run_silent("foo", image)  # from now on the image is here
    small.done("stop", "--force", "foo")
    filler = fill(small)
    answer = small.cli("launch", "--name", "bar", *SMALL, image)
    assert answer.returncode == 2 and "No space left on device" in answer.stderr, answer
    assert small.states() == {"foo": "Stopped"}
    assert small.kept_of("bar") == []
    filler.unlink()
    small.run_silent("bar", image)


def test_a_guest_waits_for_room_at_its_first_boot_and_goes_on(small: Site) -> None:
    launching = small.begin("launch", "--name", "foo", *SIZE, "--timeout", "600", small.url)
    small.wait_for(lambda: small.logged("launch of foo: boot"), "the boot")
    filler = fill(small)
    full = "the host's disk is full, and it stands still until there is room"
    small.wait_for(lambda: small.logged(FULL), "it", LAUNCH_SECONDS)
    assert f"foo does not answer; {full}" in small.cli("info", "-v", "foo").stderr
    assert small.state("foo") == "Starting"
    answer = small.cli("start", "--timeout", "1", "foo")
    assert answer.returncode == 5, answer
    filler.unlink()
    told = launching.communicate(timeout=LAUNCH_SECONDS)
    assert launching.returncode == 0, told
    small.wait_for(lambda: small.logged("foo goes on"), "the word that it goes on")
    before = small.boot_id("foo")
    stalls = small.daemon.log_text().count(FULL)
    # As if it were to stand still for so long.
    small.inside("foo", f"sudo date -u -s @$(( $(date +%s) - {STOOD} ))")
    filler = fill(small)
    writing = small.begin(
        "exec", "foo", "--", "sh", "-c", "dd if=/dev/zero of=f bs=1M count=20; sync; echo end"
    )
    small.wait_for(
        lambda: small.daemon.log_text().count(FULL) > stalls, "the full disk", LAUNCH_SECONDS
    )
    assert small.state("foo") == "Unknown"
    assert f"foo does not answer; {full}" in small.cli("info", "-v", "foo").stderr
    assert "in unknown state" in small.cli("exec", "foo", "true").stderr
    filler.unlink()
    assert "end" in writing.communicate()[0]
    small.wait_for(lambda: small.state("foo") == "Running", "the word that it goes on")
    assert small.boot_id("foo") == before
    small.wait_for(lambda: abs(clock_of(small, "foo") - time.time()) < STOOD / 2, "the right time")

    filler = fill(small)
    refused = small.cli("suspend", "foo")
    assert refused.returncode == 2, refused
    assert "foo can't be suspended: its memory takes up to 160.0MiB, and" in refused.stderr
    assert f"free in {small.storage}/machines. Make room there; it runs on." in refused.stderr
    filler.unlink()
    small.wait_for(lambda: small.state("foo") == "Running", "the guest")
    assert small.boot_id("foo") == before
    assert not (small.storage / "machines/foo/suspended").exists()
