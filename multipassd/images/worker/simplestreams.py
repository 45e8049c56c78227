"""Parses simplestreams, the JSON in which remotes list images. Pure.

An image of a mirror is used only if the official list has an equal entry.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from urllib.parse import urljoin

from pydantic import BaseModel, ConfigDict, Field

from multipassd.images.image import DISK, ROOTFS, Image, Kind

INDEX = "streams/v1/index.json"
DOWNLOADS = "image-downloads"
# Of each kind the first item that exists is used.
ITEMS: dict[Kind, tuple[str, ...]] = {
    DISK: ("uefi1.img", "disk1.img"),
    ROOTFS: ("squashfs", "root.tar.xz"),
}
OS = "Ubuntu"
DEVEL = "devel"  # in development: not supported yet, but listed
ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "armhf",
    "ppc64le": "ppc64el",
    "s390x": "s390x",
}
# Snapcraft's build images have names of their own.
BUILDERS = {
    "bionic": ("core18", "18.04"),
    "focal": ("core20", "20.04"),
    "jammy": ("core22", "22.04"),
    "noble": ("core24", "24.04"),
}
SHA256 = r"^[0-9a-f]{64}$"
CORE_VERSIONS = ("16", "18", "20", "22", "24", "26")
CORE_ARCHITECTURE = "amd64"
SUMS = "SHA256SUMS"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class IndexEntry(_Model):
    """One list that an index names."""

    datatype: str = ""
    path: str = ""


class Index(_Model):
    """The file at INDEX."""

    index: dict[str, IndexEntry]

    def downloads(self) -> str:
        """Path of the list of images, relative to the base; empty if there is none."""
        entries = self.index.values()
        return next((entry.path for entry in entries if entry.datatype == DOWNLOADS), "")


class Item(_Model):
    """A file of one version of an image."""

    path: str
    sha256: str = Field(pattern=SHA256)
    size: int = Field(ge=1)


class Version(_Model):
    """One version of an image, with its files."""

    # Other items (manifests, checksums) have other fields, which are not used here.
    items: dict[str, dict[str, object]] = {}

    def item(self, kind: Kind) -> Item | None:
        """The file of this kind; None if there is no valid one."""
        for name in ITEMS[kind]:
            if name in self.items:
                try:
                    return Item.model_validate(self.items[name])
                except ValueError:
                    return None
        return None


class Product(_Model):
    """A release for one architecture, with its versions."""

    arch: str = ""
    aliases: str = ""
    release: str = ""
    release_title: str = ""
    release_codename: str = ""
    supported: bool = False
    versions: dict[str, Version] = {}

    def names(self) -> tuple[str, ...]:
        return tuple(name.strip() for name in self.aliases.split(",") if name.strip())


class Stream(_Model):
    """The list of images."""

    products: dict[str, Product]


def host_architecture() -> str:
    machine = platform.machine()
    return ARCHITECTURES.get(machine, machine)


def images(
    remote: str,
    base: str,
    official: Stream,
    mirror: Stream | None,
    architecture: str,
    kind: Kind = DISK,
) -> list[Image]:
    """Newest version first within each product; `base` is the URL that files are relative to."""
    found: list[Image] = []
    for key, product in sorted(official.products.items()):
        if product.arch == architecture:
            twin = mirror.products.get(key) if mirror else product
            found += _of_product(remote, base, product, twin, kind)
    return found


def _of_product(
    remote: str, base: str, product: Product, twin: Product | None, kind: Kind
) -> Iterator[Image]:
    aliases = _aliases(remote, product)
    supported = product.supported or DEVEL in product.names()
    for version in sorted(product.versions, reverse=True):
        item = product.versions[version].item(kind)
        if item is None or twin is None or not _same(product, twin, version, kind):
            continue
        yield Image(
            id=item.sha256,
            url=urljoin(base, item.path),
            remote=remote,
            aliases=aliases,
            os=OS,
            release=product.release_title or product.release,
            codename=product.release_codename,
            version=version,
            supported=supported,
            size=item.size,
            sha256=item.sha256,
        )
        aliases = ()  # of the newest version only


def _same(product: Product, twin: Product, version: str, kind: Kind) -> bool:
    other = twin.versions.get(version)
    return other is not None and other.item(kind) == product.versions[version].item(kind)


def _aliases(remote: str, product: Product) -> tuple[str, ...]:
    names = product.names()
    if remote == "snapcraft":
        return BUILDERS.get(product.release, (DEVEL,) if DEVEL in names else ())
    extra = (product.release,) if product.release and product.release not in names else ()
    return names + extra


def core_file(version: str) -> str:
    return f"{version}/stable/current/ubuntu-core-{version}-{CORE_ARCHITECTURE}.img.xz"


def core_sums(version: str) -> str:
    return f"{version}/stable/current/{SUMS}"


def core_image(version: str, base: str, sums: str) -> Image | None:
    """Ubuntu Core's image, with its hash from the file `sums`; None if it is not there."""
    path = core_file(version)
    name = path.rpartition("/")[2]
    found = re.search(rf"^([0-9a-f]{{64}})[ *]+{re.escape(name)}$", sums, re.MULTILINE)
    if found is None:
        return None
    aliases = (f"core{version}",) if version != CORE_VERSIONS[0] else ("core", "core16")
    return Image(
        id=found[1],
        url=urljoin(base, path),
        aliases=aliases,
        os=OS,
        release=f"Core {version}",
        codename=f"Core {version}",
        sha256=found[1],
    )
