"""What `find` prints."""

from __future__ import annotations

import json as library

import pytest

from client.render import images
from client.render.images import Categories
from protocol.messages.information import AliasInfo, FindReply, ImageInfo


def image(os: str, release: str, version: str, remote: str, *aliases: str) -> ImageInfo:
    infos = [AliasInfo(remote_name=remote, alias=alias) for alias in aliases]
    return ImageInfo(os=os, release=release, version=version, aliases_info=infos)


FOUND = FindReply(
    images_info=[
        image("Ubuntu", "24.04 LTS", "20260101", "", "24.04", "noble", "n", "lts", "ubuntu"),
        image("Ubuntu", "26.04", "20260102", "daily", "devel", "d"),
        image("", "Core 24", "20260103", "", "core24"),
        image("Ubuntu", "6.06", "1", "", "d"),
    ],
    blueprints_info=[image("", "A test", "0.1", "", "charm-dev")],
)
BOTH = Categories(images=True, blueprints=True)


def test_table_of_images_and_blueprints() -> None:
    assert images.render(FOUND, BOTH, "table") == (
        "Image                       Aliases           Version          Description\n"
        "24.04                       noble,lts         20260101         Ubuntu 24.04 LTS\n"
        "daily:devel                                   20260102         Ubuntu 26.04\n"
        "core24                                        20260103         Core 24\n"
        "d                                             1                Ubuntu 6.06\n"
        "\n"
        "Blueprint (deprecated)      Aliases           Version          Description\n"
        "charm-dev                                     0.1              A test\n"
        "\n"
    )


def test_csv_of_images() -> None:
    lines = images.render(FOUND, BOTH, "csv").splitlines()
    assert lines[:3] == [
        "Image,Remote,Aliases,OS,Release,Version,Type",
        "24.04,,noble;lts,Ubuntu,24.04 LTS,20260101,Cloud Image",
        "daily:devel,daily,,Ubuntu,26.04,20260102,Cloud Image",
    ]
    assert lines[-1] == "charm-dev,,,,A test,0.1,Blueprint (deprecated)"


def test_json_and_yaml_of_images_are_sorted_by_key() -> None:
    found = library.loads(images.render(FOUND, BOTH, "json"))
    assert list(found) == ["blueprints (deprecated)", "errors", "images"]
    assert found["images"]["daily:devel"] == {
        "aliases": [], "os": "Ubuntu", "release": "26.04", "remote": "daily", "version": "20260102",
    }  # fmt: skip
    assert images.render(FindReply(images_info=FOUND.images_info[:2]), BOTH, "yaml") == (
        "errors:\n  []\nblueprints (deprecated):\n  {}\nimages:\n"
        "  24.04:\n    aliases:\n      - noble\n      - lts\n    os: Ubuntu\n"
        '    release: 24.04 LTS\n    version: 20260101\n    remote: ""\n'
        '  "daily:devel":\n    aliases:\n      []\n    os: Ubuntu\n    release: 26.04\n'
        "    version: 20260102\n    remote: daily\n"
    )


@pytest.mark.parametrize(
    ("shown", "sentence"),
    [
        (BOTH, "No images or blueprints found.\n"),
        (Categories(images=True, blueprints=False), "No images found.\n"),
        (Categories(images=False, blueprints=True), "No blueprints found.\n"),
    ],
)
def test_no_images(shown: Categories, sentence: str) -> None:
    assert images.render(FindReply(), shown, "table") == sentence
    assert len(images.render(FindReply(), shown, "csv").splitlines()) == 1
    assert library.loads(images.render(FindReply(), shown, "json")) == {
        "blueprints (deprecated)": {}, "errors": [], "images": {},
    }  # fmt: skip
