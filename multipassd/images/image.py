"""The values of this package: an image that can be had, and a base that is there. Pure."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from protocol.messages.launch import LaunchProgress

Progress = LaunchProgress.ProgressTypes
UNKNOWN = -1  # percent, where nobody knows how much there is


class Transfer(NamedTuple):
    """How far the fetching of one file is, in bytes."""

    received: int  # of the file, what an earlier try has left among them
    size: int  # of the file; 0: unknown
    fetched: int  # by this try, twice what it had to fetch twice: never less than before

    @property
    def percent(self) -> int:
        return min(self.received * 100 // self.size, 100) if self.size else UNKNOWN


class Image(BaseModel):
    """One image as its remote, its server or its file describes it."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    id: str  # listed ones: the file's SHA-256; others: of what tells one state from the next
    url: str
    remote: str = ""  # empty: Ubuntu Core, or an image of the user's own
    aliases: tuple[str, ...] = ()
    os: str = ""
    release: str = ""
    codename: str = ""
    version: str = ""
    supported: bool = True
    size: int = 0  # bytes to fetch; 0: unknown
    sha256: str = ""  # what the file must hash to; empty: nobody promised anything


class Base(BaseModel):
    """An image in the cache, checked and ready: a read-only backing file for overlays."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    id: str  # the Image's; what `prune` is told to keep
    path: str
    format: str  # qcow2 or raw: always said to QEMU, never guessed by it
    virtual_size: int  # bytes
    os: str = ""
    release: str = ""
    url: str = ""
    version: str = ""
    sha256: str = ""  # of the file as fetched
