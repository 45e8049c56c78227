"""Paths that are resolved below a directory, as in the snap, which has no mount namespace."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multipassd.mounts.paths import Paths, PathsBelow

# What leads out of the directory `inside`, to `outside` beside it, if it is followed.
OUT = ("absolute", "dots", "chain", "magic", "deep")


class Place:
    """A directory to serve, and one beside it that nothing may reach."""

    def __init__(self, root: Path) -> None:
        self.root, self.inside, self.outside = root, root / "inside", root / "outside"
        for each in (self.inside / "d" / "e", self.outside / "sub"):
            each.mkdir(parents=True)
        (self.inside / "f").write_text("inner")
        (self.outside / "f").write_text("secret")
        self.link("absolute", str(self.outside))
        self.link("dots", "../" * 20 + str(self.outside).lstrip("/"))
        self.link("chain", "d/e/up/outside")
        self.link("d/e/up", "../../..")
        self.descriptor = os.open(self.outside, os.O_PATH)
        self.link("magic", f"/proc/self/fd/{self.descriptor}")
        self.link("deep", "d/../../outside")
        self.paths = PathsBelow(os.open(self.inside, os.O_PATH))

    def link(self, name: str, target: str) -> None:
        (self.inside / name).symlink_to(target)

    def outer(self) -> list[tuple[str, int, int, float]]:
        """All that a change of the directory outside would change."""
        found = [self.outside, *sorted(self.outside.rglob("*"))]
        return [(str(each), *_state(each.lstat())) for each in found]


def _state(found: os.stat_result) -> tuple[int, int, float]:
    return found.st_mode, found.st_size, found.st_mtime


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    before = made.outer()
    yield made
    assert made.outer() == before
    os.close(made.descriptor)


CALLS: dict[str, Callable[[Paths, bytes], object]] = {
    "open": lambda paths, path: paths.open(path + b"/f", os.O_RDONLY, 0),
    "create": lambda paths, path: paths.open(path + b"/new", os.O_WRONLY | os.O_CREAT, 0o600),
    "stat": lambda paths, path: paths.stat(path + b"/f"),
    "lstat": lambda paths, path: paths.lstat(path + b"/f"),
    "list": lambda paths, path: paths.entries(path),
    "statvfs": lambda paths, path: paths.statvfs(path),
    "readlink": lambda paths, path: paths.readlink(path + b"/f"),
    "truncate": lambda paths, path: paths.truncate(path + b"/f", 0),
    "chmod": lambda paths, path: paths.chmod(path + b"/f", 0o777),
    "chmod of the link": lambda paths, path: paths.chmod(path, 0o777),
    "chown": lambda paths, path: paths.chown(path + b"/f", os.geteuid(), -1),
    "utime": lambda paths, path: paths.utime(path + b"/f", (1, 1)),
    "mkdir": lambda paths, path: paths.mkdir(path + b"/new", 0o755),
    "unlink": lambda paths, path: paths.unlink(path + b"/f"),
    "rmdir": lambda paths, path: paths.rmdir(path + b"/sub"),
    "rename out": lambda paths, path: paths.rename(b"/f", path + b"/g"),
    "rename in": lambda paths, path: paths.rename(path + b"/f", b"/g"),
    "symlink": lambda paths, path: paths.symlink(b"x", path + b"/new"),
    "hard link in": lambda paths, path: paths.link(path + b"/f", b"/g"),
    "hard link out": lambda paths, path: paths.link(b"/f", path + b"/g"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("link", OUT)
def test_no_call_gets_out_by_a_link(place: Place, call: str, link: str) -> None:
    with pytest.raises(OSError):
        CALLS[call](place.paths, b"/" + link.encode())


@pytest.mark.parametrize("dots", [b"..", b"/..", b"d/../..", b"d/e/../../..", b"../" * 300])
def test_dots_end_at_the_directory(place: Place, dots: bytes) -> None:
    here = place.inside.stat().st_ino
    assert place.paths.lstat(dots).st_ino == place.paths.stat(dots).st_ino == here
    assert {os.fsencode(each.name) for each in place.paths.entries(dots)} == {
        os.fsencode(name) for name in os.listdir(place.inside)
    }
    with pytest.raises(OSError):
        place.paths.open(dots + b"/outside/f", os.O_RDONLY, 0)
    for call in (place.paths.unlink, place.paths.rmdir):
        with pytest.raises(OSError):
            call(dots)
    with pytest.raises(OSError):
        place.paths.rename(dots, b"/x")
    place.paths.utime(dots, (5, 5))
    assert place.inside.stat().st_mtime == 5


def test_links_inside_are_followed_as_in_a_root_directory_of_its_own(place: Place) -> None:
    place.link("to-f", "/f")
    place.link("to-e", "./d/./e/.")
    place.link("to-new", "to-e/../new")
    for path in (b"/to-f", b"to-e/../../f", b"/d/e/up/f", b"//d//e/./../../f"):
        assert place.paths.stat(path).st_size == len("inner")
    os.close(place.paths.open(b"/to-new", os.O_WRONLY | os.O_CREAT, 0o640))
    assert stat.S_IMODE((place.inside / "d/new").stat().st_mode) == 0o640
    with pytest.raises(FileExistsError):
        place.paths.open(b"/to-f", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    assert stat.S_ISLNK(place.paths.lstat(b"/to-f").st_mode)
    assert place.paths.readlink(b"/absolute") == bytes(place.outside)  # its text is no secret
    place.paths.chmod(b"/to-f", 0o400)
    assert stat.S_IMODE((place.inside / "f").stat().st_mode) == 0o400
    assert place.paths.realpath(b".") == b"/"


def test_links_without_an_end_and_long_ways_are_given_up(place: Place) -> None:
    place.link("self", "self/x")
    place.link("a", "b")
    place.link("b", "a")
    for path in (b"/self", b"/a", b"/a/x", b"d/e/../" * 600 + b"d/e/../.." * 900):
        before = len(os.listdir("/proc/self/fd"))
        try:
            place.paths.stat(path)
        except OSError:
            pass
        else:
            assert path.startswith(b"d/")
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_directory_that_is_swapped_for_a_link_all_the_time_leads_nowhere(place: Place) -> None:
    swapped, link, aside = (place.inside / name for name in ("swapped", "link", "aside"))
    swapped.mkdir()
    (swapped / "f").write_text("inner")
    place.link("link", str(place.outside))
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            swapped.rename(aside)
            link.rename(swapped)
            swapped.rename(link)
            aside.rename(swapped)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        for _ in range(3000):
            for path in (b"/swapped/f", b"/swapped/../swapped/f"):
                try:
                    descriptor = place.paths.open(path, os.O_RDONLY, 0)
                except OSError:
                    continue
                assert os.read(descriptor, 10) == b"inner"
                os.close(descriptor)
    finally:
        done.set()
        swapping.join()


def test_a_listing_has_no_descriptor_left_also_if_it_is_not_read(place: Place) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        entries = place.paths.entries(b"/")
        assert next(entries).stat(follow_symlinks=False)
        del entries
    assert len(os.listdir("/proc/self/fd")) == before


NAMES = st.sampled_from(
    [b"..", b".", b"", b"d", b"e", b"f", b"up", b"none", *(name.encode() for name in OUT)]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(parts=st.lists(NAMES, min_size=1, max_size=8))
def test_any_path_leads_where_it_leads_in_a_root_directory(
    place: Place, parts: list[bytes]
) -> None:
    """By the real call: what is reached is inside, or there is an error."""
    inodes = {each.lstat().st_ino for each in [place.inside, *place.inside.rglob("*")]}
    for call in (place.paths.stat, place.paths.lstat):
        try:
            found = call(b"/".join(parts) or b".")
        except OSError:
            continue
        assert found.st_ino in inodes
