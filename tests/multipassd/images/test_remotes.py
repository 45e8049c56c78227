"""Which places are asked for images."""

import pytest

from multipassd.images.remotes import CORE, OFFICIAL, table

MIRROR = "https://mirror.example/ubuntu/"


def test_the_official_places_hold_unless_somebody_says_otherwise() -> None:
    remotes, problems = table("", {}, {})
    assert not problems
    assert {name: each.base for name, each in remotes.items()} == {
        "": "https://cdimage.ubuntu.com/ubuntu-core/",
        "release": "https://cloud-images.ubuntu.com/releases/",
        "daily": "https://cloud-images.ubuntu.com/daily/",
        "snapcraft": "https://cloud-images.ubuntu.com/buildd/daily/",
        "appliance": "https://cdimage.ubuntu.com/ubuntu-core/appliances/",
    }


def test_a_mirror_stands_beside_the_ubuntu_remotes_alone() -> None:
    remotes, _ = table(MIRROR, {}, {})
    mirrored = {remote.name for remote in remotes.values() if remote.mirror}
    assert mirrored == {"release", "daily", "snapcraft"}
    assert remotes["release"].mirror == MIRROR + "releases/"
    assert remotes["release"].base == OFFICIAL[1].base


def test_the_environment_wins_over_the_file() -> None:
    section = {"remote.release": "https://file.example/r", "remote.core": "https://file.example/c/"}
    variable = {"MULTIPASS_IMAGE_REMOTES": "release=http://127.0.0.1:8000/releases"}
    remotes, problems = table("", section, variable)
    assert not problems
    assert remotes["release"].base == "http://127.0.0.1:8000/releases/"
    assert remotes[CORE].base == "https://file.example/c/"


@pytest.mark.parametrize(
    "url", ["http://images.lan/r/", "http://127.0.0.1.evil.example/", "ftp://localhost/", "here"]
)
def test_an_unsafe_or_senseless_place_switches_the_remote_off(url: str) -> None:
    remotes, problems = table("", {"remote.daily": url}, {})
    assert "daily" not in remotes
    assert len(problems) == 1 and "'daily'" in problems[0]


def test_plain_http_is_taken_when_it_is_marked() -> None:
    remotes, problems = table("", {"remote.daily": "insecure+http://images.lan/d"}, {})
    assert not problems
    assert (remotes["daily"].base, remotes["daily"].insecure) == ("http://images.lan/d/", True)


def test_a_remote_without_a_place_is_off_and_an_unknown_one_is_told() -> None:
    remotes, problems = table("", {"remote.daily": "", "remote.dialy": "https://a.example/"}, {})
    assert "daily" not in remotes
    assert problems == ["There is no remote 'dialy' that could be replaced."]
