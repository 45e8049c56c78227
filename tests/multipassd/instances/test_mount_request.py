"""The request of `mount` and the targets in a guest, by example and by property. Pure."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multipassd.auth.peer import Credentials
from multipassd.instances import mount_request
from multipassd.instances.attachments import mount_targets
from multipassd.instances.mount_request import MOST_PAIRS, InvalidMount
from multipassd.instances.records.record import LOGIN_USER, IdPair, MountKind
from protocol.messages.mounts import IdMap, MountMaps, MountRequest

ALICE = Credentials(1000, 1001, 7, frozenset({1001}))
HOME = "/home/ubuntu"
IDS = st.integers(min_value=0, max_value=5)
PAIRS = st.lists(st.tuples(IDS, st.integers(min_value=LOGIN_USER, max_value=5)), max_size=6)
PARTS = st.lists(st.sampled_from(["..", ".", "", "home", "ubuntu", "dev", "x", ".ssh"]), max_size=8)


def maps(pairs: list[tuple[int, int]]) -> list[IdMap]:
    return [IdMap(host_id=host, instance_id=guest) for host, guest in pairs]


def request(source: str = "/srv", **fields: object) -> MountRequest:
    return MountRequest(source_path=source, **fields)


@pytest.mark.parametrize(
    "target",
    [
        "/", "//", "/.", "/../", "/home", "/home/", "//home//ubuntu///", "/home/ubuntu", ".", "./",
        "..", "../..", "../ubuntu", "/home/ubuntu/.ssh", ".ssh/", "/dev", "/dev/", "///dev//shm",
        "/proc/1", "/sys/../sys/x", "/x/../proc", "../../proc/1", "/home/ubuntu/a/..", "a\nb",
        "a\x1b[31m", "x" * 5000,
        "/etc", "/usr/", "//bin", "/lib64", "/etc/ssh", "/usr/bin", "/var", "/run", "/boot",
    ],
)  # fmt: skip
def test_what_the_guest_needs_is_no_target(target: str) -> None:
    assert mount_targets.refused(target, HOME)


@pytest.mark.parametrize(
    "target",
    [
        "/data",
        "/etc/nginx",
        "/var/www",
        "/usr/local",
        "Home",
        "/home/ubuntu/src",
        "/home/bob",
        "/device",
        "/procs",
        "/mnt/dev",
        "ä b",
        "~",
    ],
)
def test_anything_else_is(target: str) -> None:
    assert not mount_targets.refused(target, HOME)


@given(PARTS, st.booleans())
def test_every_spelling_of_a_path_is_the_same_target(parts: list[str], absolute: bool) -> None:
    spelling = ("/" if absolute else "") + "/".join(parts)
    found = mount_targets.path(spelling, HOME)
    assert found.startswith("/") and not found.startswith("//") and ".." not in found.split("/")
    for other in (spelling + "/", spelling + "/.", found, "//" + found, found + "/x/.."):
        if spelling:
            assert mount_targets.path(other, HOME) == found
            assert mount_targets.refused(other, HOME) == mount_targets.refused(spelling, HOME)
    hidden = {"/", "/home", HOME, HOME + "/.ssh"} | {"/dev"}
    if found in hidden or found.startswith("/dev/"):
        assert mount_targets.refused(found, HOME)


def test_a_target_that_is_not_named_is_below_the_home() -> None:
    assert mount_targets.default("/srv/projects/", HOME) == "/home/ubuntu/projects"
    assert mount_targets.refused(mount_targets.default("/", HOME), HOME)
    assert mount_targets.home("") == HOME
    assert mount_targets.home("debian") == "/home/debian"
    assert mount_targets.home("root") == "/root"


def test_without_maps_the_caller_stands_for_the_login_user() -> None:
    mount = mount_request.read(request(), ALICE)
    assert (mount.uid, mount.gid) == (1000, 1001)
    assert mount.uids == (IdPair(host=1000, guest=LOGIN_USER),)
    assert mount.gids == (IdPair(host=1001, guest=LOGIN_USER),)
    assert mount.kind is MountKind.CLASSIC


def test_a_caller_over_tcp_is_no_user_of_this_host() -> None:
    with pytest.raises(InvalidMount, match="over TCP"):
        mount_request.read(request(), None)


@given(PAIRS, PAIRS)
def test_maps_are_one_to_one_both_ways_or_named(
    uids: list[tuple[int, int]], gids: list[tuple[int, int]]
) -> None:
    asked = request(mount_maps=MountMaps(uid_mappings=maps(uids), gid_mappings=maps(gids)))
    wrong = [
        which
        for which, pairs in (("uids", uids), ("gids", gids))
        if any(len({pair[side] for pair in pairs}) < len(pairs) for side in (0, 1))
    ]
    try:
        mount = mount_request.read(asked, ALICE)
    except InvalidMount as error:
        first, *lines = error.message.split("\n")
        assert first == "Mount cannot apply mapping with duplicate ids:"
        assert [line.partition(":")[0] for line in lines] == wrong
    else:
        assert not wrong
        expected = uids or [(1000, LOGIN_USER)]
        assert [(pair.host, pair.guest) for pair in mount.uids] == expected


def test_the_pairs_that_share_an_id_are_shown_and_no_others() -> None:
    pairs = maps([(1, LOGIN_USER), (2, 2), (3, 5), (4, 5)])
    with pytest.raises(InvalidMount) as caught:
        mount_request.read(request(mount_maps=MountMaps(uid_mappings=pairs)), ALICE)
    assert caught.value.message.endswith("duplicate ids:\nuids: 3:5, 4:5")


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (request("srv"), "is not absolute"),
        (request(""), "is not absolute"),
        (request("/a\x1b[2J"), "can't be shown"),
        (request("/" + "a" * 5000), "longer than"),
        (request(mount_type=7), "no mount of type 7"),
        (request(mount_maps=MountMaps(uid_mappings=maps([(-1, 0)]))), "-1 is an invalid id"),
        (request(mount_maps=MountMaps(gid_mappings=maps([(0, -2)]))), "-2 is an invalid id"),
        (
            request(mount_maps=MountMaps(gid_mappings=[IdMap()] * (MOST_PAIRS + 1))),
            f"At most {MOST_PAIRS} pairs",
        ),
    ],
)  # fmt: skip
def test_what_no_mount_can_be_made_of_is_said(asked: MountRequest, text: str) -> None:
    with pytest.raises(InvalidMount) as caught:
        mount_request.read(asked, ALICE)
    assert text in caught.value.message
    assert "\x1b" not in caught.value.message


def test_a_source_has_one_spelling() -> None:
    for spelling in ("/srv/a", "//srv//a/", "/srv/./a", "/srv/b/../a"):
        source = mount_request.read(request(spelling), ALICE).source
        assert source == "/srv/a" == posixpath.normpath(source)
