"""What `find` and `launch` mean by a query."""

import pytest

from multipassd.images import search
from multipassd.images.errors import AmbiguousImage
from multipassd.images.image import Image
from protocol.messages.information import ImageInfo


def image(digits: str, remote: str, title: str, *aliases: str, supported: bool = True) -> Image:
    return Image(
        id=digits.ljust(64, "0"), url="", remote=remote, aliases=aliases, os="Ubuntu",
        release=title, version="20260815", supported=supported,
    )  # fmt: skip


LISTS = {
    "": [image("c0", "", "Core 24", "core24")],
    "release": [
        image("1a", "release", "22.04 LTS", "22.04", "j", "jammy"),
        image("2a", "release", "23.10", "23.10", "mantic", supported=False),
        image("3a", "release", "24.04 LTS", "24.04", "n", "noble"),
        image("3b", "release", "24.04 LTS"),
    ],
    "daily": [
        image("4a", "daily", "24.04 LTS", "24.04", "n", "noble"),
        image("5a", "daily", "26.10", "26.10", "devel"),
    ],
    "snapcraft": [image("6a", "snapcraft", "24.04 LTS", "core24", "24.04")],
    "appliance": [image("7a", "appliance", "Nextcloud", "nextcloud")],
}


def lists(remote: str) -> list[Image]:
    return LISTS[remote]


def shown(found: list[ImageInfo]) -> list[str]:
    return [
        ",".join(f"{each.remote_name}:{each.alias}" if each.remote_name else each.alias
                 for each in info.aliases_info)
        for info in found
    ]  # fmt: skip


def test_the_overview_has_each_supported_release_of_each_host_once() -> None:
    assert shown(search.overview(lists, LISTS, unsupported=False)) == [
        "core24",
        "22.04,j,jammy",
        "24.04,n,noble",
        "daily:26.10,daily:devel",
        "appliance:nextcloud",
    ]


def test_unsupported_releases_are_shown_on_request() -> None:
    assert "23.10,mantic" in shown(search.overview(lists, LISTS, unsupported=True))


@pytest.mark.parametrize(
    ("query", "result"),
    [
        ("noble", ["noble", "daily:noble"]),
        ("jammy", ["jammy"]),
        ("devel", ["devel"]),
        ("core24", ["core24"]),
        ("nextcloud", ["nextcloud"]),
        ("mantic", []),
        ("3b", ["3b0000000000"]),
        ("3", ["3a0000000000", "3b0000000000"]),
        ("nobl", []),
    ],
)
def test_a_query_is_answered_by_the_first_host_that_knows_it(query: str, result: list[str]) -> None:
    assert shown(search.anywhere(lists, query, unsupported=False)) == result


def test_within_a_remote_the_remote_is_always_shown() -> None:
    assert shown(search.in_remote(LISTS["release"], "noble", False)) == ["release:noble"]
    assert shown(search.in_remote(LISTS["snapcraft"], "core24", False)) == ["snapcraft:core24"]
    assert shown(search.of_remote(LISTS["release"], False)) == [
        "release:22.04,release:j,release:jammy",
        "release:24.04,release:n,release:noble",
        "release:3b0000000000",
    ]


def test_launch_takes_one_image_or_none() -> None:
    found = search.pick(LISTS["release"], "mantic")
    assert found is not None and found.id.startswith("2a")
    assert search.pick(LISTS["release"], "nothing") is None
    with pytest.raises(AmbiguousImage, match='Too many images matching "3"'):
        search.pick(LISTS["release"], "3")
