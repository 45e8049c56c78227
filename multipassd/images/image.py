"""The values of this package: an image that can be fetched, and a base image in the cache. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

from multipassd.images.exported import Manifest
from multipassd.models.model import Model
from protocol.messages.launch import LaunchProgress

Progress = LaunchProgress.ProgressTypes
UNKNOWN = -1  # percent, where the size is unknown

# Kinds of images: of a whole disk, for virtual machines; of the files of a system, for containers.
Kind = Literal["disk", "rootfs"]
DISK: Kind = "disk"
ROOTFS: Kind = "rootfs"

QCOW2, RAW = "qcow2", "raw"  # formats of disks
SQUASHFS, TAR = "squashfs", "tar"  # of root file systems; the latter packed by gzip


class Transfer(NamedTuple):
    """Progress of a download, in bytes."""

    received: int  # of the file, with what an earlier try received
    size: int  # of the file; 0: unknown
    fetched: int  # by this try, what was fetched twice counted twice: it only grows

    @property
    def percent(self) -> int:
        return min(self.received * 100 // self.size, 100) if self.size else UNKNOWN


class Image(Model):
    """An image as its remote, its server or its file describes it."""

    id: str  # the file's SHA-256 if a list has it, else a hash that changes with the file
    url: str
    remote: str = ""  # empty: Ubuntu Core, or a URL of the user's
    aliases: tuple[str, ...] = ()
    os: str = ""
    release: str = ""
    codename: str = ""
    version: str = ""
    supported: bool = True
    size: int = 0  # bytes to fetch; 0: unknown
    sha256: str = ""  # of the file, by the list; empty: unknown


class Base(Model):
    """An image in the cache, checked and ready: a read-only backing file for overlays."""

    id: str  # the Image's; `prune` keeps images by it
    path: str
    format: str  # one of those above; a disk's is passed to QEMU, which must not guess
    virtual_size: int  # bytes; 0: unknown, of a root file system
    os: str = ""
    release: str = ""
    url: str = ""
    version: str = ""
    sha256: str = ""  # of the file as fetched
    export: Manifest | None = None  # of an exported instance, whose seed lies beside the disk

    @property
    def kind(self) -> Kind:
        return ROOTFS if self.format in {SQUASHFS, TAR} else DISK
