"""The protocol of image workers, in JSON lines: a task, progress, and a final answer. Pure."""

from __future__ import annotations

from typing import Literal, Self

from multipassd.auth.peer import Credentials
from multipassd.images.image import DISK, ROOTFS, Base, Image, Kind
from multipassd.models.model import Model


class Caller(Model):
    """The process with whose rights a file is opened."""

    uid: int
    gid: int
    pid: int
    groups: tuple[int, ...]

    @classmethod
    def of(cls, peer: Credentials | None) -> Self | None:
        if peer is None:
            return None
        return cls(uid=peer.uid, gid=peer.gid, pid=peer.pid, groups=tuple(peer.groups))

    @property
    def credentials(self) -> Credentials:
        return Credentials(self.uid, self.gid, self.pid, frozenset(self.groups))


class Refresh(Model):
    """Fetch a remote's list, and write its images to `file` as a Listing, those of other kinds
    to files beside it (`cache.listing`)."""

    kind: Literal["refresh"] = "refresh"
    remote: str
    base: str
    mirror: str = ""
    insecure: bool = False
    file: str
    proxy: str = ""


class Describe(Model):
    """Describe the image at an http, https or file URL. Answered by an Image."""

    kind: Literal["look"] = "look"
    url: str
    proxy: str = ""
    caller: Caller | None = None  # with whose rights a file is opened; None: it is not opened


class Prepare(Model):
    """Fetch an image into the cache. Answered by a Base."""

    # A former worker ends at the second one: it would refuse the file, and keep that in the cache.
    kind: Literal["prepare", "prepare-rootfs"] = "prepare"
    image: Image
    directory: str
    proxy: str = ""
    caller: Caller | None = None  # as above

    @property
    def wanted(self) -> Kind:
        return ROOTFS if self.kind == "prepare-rootfs" else DISK


Task = Refresh | Describe | Prepare


class _Kind(Model):
    """What each task has."""

    kind: Literal["refresh", "look", "prepare", "prepare-rootfs"]


def task_of(text: bytes) -> Task:
    """Raises ValueError."""
    match _Kind.from_json(text).kind:
        case "refresh":
            return Refresh.from_json(text)
        case "look":
            return Describe.from_json(text)
        case "prepare" | "prepare-rootfs":
            return Prepare.from_json(text)


class Listing(Model):
    """A remote's images, and the URLs that they were listed at."""

    base: str
    mirror: str = ""
    images: tuple[Image, ...] = ()  # of one kind


class Answer(Model):
    """One line from the worker. The last one has `done` or `error`."""

    progress: tuple[int, int] | None = None  # a kind of Progress, per cent
    # A Transfer, only together with progress, for daemons that know only that.
    transfer: tuple[int, int, int] | None = None
    done: bool = False
    image: Image | None = None
    base: Base | None = None
    error: str = ""
    no_room: bool = False
    unreachable: bool = False
