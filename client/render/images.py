"""The images of `find`. Pure."""

from __future__ import annotations

from client import instance_messages
from client.render import CSV, JSON, TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocol.messages.information import FindReply, ImageInfo

WIDTHS = (28, 18, 17)
IMAGE, BLUEPRINT = "Image", "Blueprint (deprecated)"
BLUEPRINTS_KEY = "blueprints (deprecated)"
COMMON_ALIASES = ("ubuntu", "default")  # and those of one letter: shown only if there is no other


class Categories:
    """Which kinds of images the user asked for."""

    def __init__(self, images: bool, blueprints: bool) -> None:
        self.images = images
        self.blueprints = blueprints

    def nothing(self) -> str:
        if not self.blueprints:
            return instance_messages.NO_IMAGES_FOUND
        return (
            instance_messages.NOTHING_FOUND
            if self.images
            else instance_messages.NO_BLUEPRINTS_FOUND
        )


def render(reply: FindReply, shown: Categories, form: str) -> str:
    images = [_Entry(entry) for entry in reply.images_info if entry.aliases_info]
    blueprints = [_Entry(entry) for entry in reply.blueprints_info if entry.aliases_info]
    if form == TABLE:
        return _table(images, blueprints) or shown.nothing() + "\n"
    if form == CSV:
        return _csv(images, blueprints)
    return _json(images, blueprints) if form == JSON else _yaml(images, blueprints)


class _Entry:
    """An image with the alias that names it and the others."""

    def __init__(self, image: ImageInfo) -> None:
        self.os = image.os
        self.release = image.release
        self.version = image.version
        aliases = [info.alias for info in image.aliases_info]
        self.remote = image.aliases_info[0].remote_name
        self.name, *self.aliases = _telling(aliases)
        self.full_name = f"{self.remote}:{self.name}" if self.remote else self.name

    def record(self) -> dict[str, str | Sequence[str]]:
        return {
            "aliases": self.aliases,
            "os": self.os,
            "release": self.release,
            "version": self.version,
            "remote": self.remote,
        }


def _telling(aliases: list[str]) -> list[str]:
    """Drop common aliases, from the end, while more than one is left."""
    kept = list(aliases)
    for alias in reversed(aliases):
        if len(kept) > 1 and (len(alias) == 1 or alias in COMMON_ALIASES):
            kept.remove(alias)
    return kept


def _table(images: Sequence[_Entry], blueprints: Sequence[_Entry]) -> str:
    from client.render import table

    text = ""
    for heading, entries in ((IMAGE, images), (BLUEPRINT, blueprints)):
        if not entries:
            continue
        rows = [(heading, "Aliases", "Version", "Description")]
        rows += [
            (
                entry.full_name,
                ",".join(entry.aliases),
                entry.version,
                f"{entry.os} {entry.release}".strip(),
            )
            for entry in entries
        ]
        text += table.render(rows, WIDTHS) + "\n"
    return text


def _csv(images: Sequence[_Entry], blueprints: Sequence[_Entry]) -> str:
    lines = ["Image,Remote,Aliases,OS,Release,Version,Type\n"]
    for kind, entries in (("Cloud Image", images), (BLUEPRINT, blueprints)):
        for entry in entries:
            aliases = ";".join(entry.aliases)
            cells = (
                entry.full_name,
                entry.remote,
                aliases,
                entry.os,
                entry.release,
                entry.version,
                kind,
            )
            lines.append(",".join(cells) + "\n")
    return "".join(lines)


def _json(images: Sequence[_Entry], blueprints: Sequence[_Entry]) -> str:
    from client.render import json

    return json.render(
        {
            "errors": [],
            BLUEPRINTS_KEY: {entry.full_name: entry.record() for entry in blueprints},
            "images": {entry.full_name: entry.record() for entry in images},
        }
    )


def _yaml(images: Sequence[_Entry], blueprints: Sequence[_Entry]) -> str:
    from client.render import yaml

    def by_key(entries: Sequence[_Entry]) -> dict[str, dict[str, str | Sequence[str]]]:
        ordered = sorted(entries, key=lambda entry: entry.full_name)
        return {entry.full_name: entry.record() for entry in ordered}

    return yaml.render({"errors": [], BLUEPRINTS_KEY: by_key(blueprints), "images": by_key(images)})
