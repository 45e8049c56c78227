"""Finds the images that a query names, for `launch` and `find`. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from multipassd.images.errors import AmbiguousImage
from multipassd.images.image import Image
from multipassd.images.remotes import CORE, DEFAULT, HIDDEN
from protocol.messages.information import AliasInfo, ImageInfo

ID_DIGITS = 12  # of an id that is shown
UBUNTU_HOST = (DEFAULT, "daily")  # one host with two lists: `find` searches both

Lists = Callable[[str], Sequence[Image]]  # a remote's images; empty if there are none


def matching(images: Iterable[Image], query: str) -> list[Image]:
    """By alias; where no alias matches, by the beginning of the id."""
    images = list(images)
    named = [image for image in images if query in image.aliases]
    if named:
        return named[:1]
    found = {image.id: image for image in images if image.id.startswith(query.lower())}
    return list(found.values())


def pick(images: Iterable[Image], query: str) -> Image | None:
    """The one image to launch. Raises AmbiguousImage."""
    found = matching(images, query)
    if len(found) > 1:
        raise AmbiguousImage(query)
    return found[0] if found else None


def overview(lists: Lists, remotes: Iterable[str], unsupported: bool) -> list[ImageInfo]:
    """What `find` shows without a query: of each host the first image of each release."""
    shown: list[ImageInfo] = []
    of_ubuntu: set[str] = set()
    for remote in remotes:
        if remote in HIDDEN:
            continue
        titles = of_ubuntu if remote in UBUNTU_HOST else set()
        for image in _wanted(lists(remote), unsupported):
            if image.release not in titles and image.aliases:
                titles.add(image.release)
                shown.append(_entry(image, image.aliases, "" if remote == DEFAULT else remote))
    return shown


def of_remote(images: Iterable[Image], unsupported: bool) -> list[ImageInfo]:
    """What `find REMOTE:` shows: all images."""
    return [
        _entry(image, image.aliases or (image.id[:ID_DIGITS],), image.remote)
        for image in _wanted(images, unsupported)
    ]


def in_remote(images: Iterable[Image], query: str, unsupported: bool) -> list[ImageInfo]:
    """What `find REMOTE:QUERY` shows."""
    found = _wanted(matching(images, query), unsupported)
    return [_entry(image, (_shown(image, query),), image.remote) for image in found]


def anywhere(lists: Lists, query: str, unsupported: bool) -> list[ImageInfo]:
    """What `find QUERY` shows: the matches of the first host that has any."""
    for host in ((CORE,), UBUNTU_HOST, ("snapcraft",), ("appliance",)):
        found: list[Image] = []
        for remote in host:
            found += _wanted(matching(lists(remote), query), unsupported)
        if found:
            several = len(found) > 1
            return [
                _entry(
                    image,
                    (_shown(image, query),),
                    image.remote if several and image.remote != DEFAULT else "",
                )
                for image in found
            ]
    return []


def _wanted(images: Iterable[Image], unsupported: bool) -> list[Image]:
    return [image for image in images if image.supported or unsupported]


def _shown(image: Image, query: str) -> str:
    return query if query in image.aliases else image.id[:ID_DIGITS]


def _entry(image: Image, aliases: Iterable[str], remote: str) -> ImageInfo:
    return ImageInfo(
        os=image.os,
        release=image.release,
        version=image.version,
        codename=image.codename,
        aliases_info=[AliasInfo(remote_name=remote, alias=alias) for alias in aliases],
    )
