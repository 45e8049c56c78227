"""The lists of the remotes' images, refreshed after some minutes, kept for use while offline."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

from multipassd.images import cache
from multipassd.images.cache_directory import make_cache
from multipassd.images.errors import ImageError, RemoteUnreachable, UnknownRemote
from multipassd.images.image import DISK, Image, Kind
from multipassd.images.remotes import Remote
from multipassd.images.worker_client import Workers
from multipassd.images.worker_protocol import Listing, Refresh
from multipassd.system import log
from multipassd.system.files import make_directory, read_regular

_log = log.get("images")

MAX_AGE = 300.0  # seconds; images come once a day
PATIENCE = 3.0  # seconds to wait for a new list while there is an old one
REST = 60.0  # seconds before a remote that could not be reached is tried again
MAX_LISTING = 16 << 20

Stamp = tuple[int, int, int]


class Catalogue:
    """The lists of all remotes, on disk and in memory."""

    def __init__(
        self, images: Path, workers: Workers, remotes: Callable[[], tuple[dict[str, Remote], str]]
    ) -> None:
        self._directory = images / cache.LISTS
        self._workers = workers
        self._remotes = remotes  # and the proxy's URL
        self._read: dict[str, tuple[Stamp, Listing]] = {}  # by the file's name
        self._refreshing: dict[Remote, asyncio.Task[None]] = {}
        self._failed: dict[Remote, tuple[float, str]] = {}  # when, and why

    def names(self) -> list[str]:
        return list(self._remotes()[0])

    async def images(self, name: str, force: bool = False, kind: Kind = DISK) -> list[Image]:
        """A remote's images of this kind. Raises UnknownRemote; RemoteUnreachable if there is no
        list of it."""
        remotes, proxy = self._remotes()
        remote = remotes.get(name)
        if remote is None:
            raise UnknownRemote(name)
        listing, age = await asyncio.to_thread(self._load, remote, kind)
        if force or listing is None or age > MAX_AGE:
            patience = None if force or listing is None else PATIENCE
            await self._refresh(remote, proxy, force, patience)
            listing, age = await asyncio.to_thread(self._load, remote, kind)
        if listing is None:
            _, why = self._failed.get(remote, (0.0, "It gave no list."))
            raise RemoteUnreachable(remote.label, why)
        return list(listing.images)

    async def _refresh(
        self, remote: Remote, proxy: str, force: bool, patience: float | None
    ) -> None:
        """Fetch a new list, for at most `patience` seconds. Never fails: the caller reads the list
        that is there afterwards."""
        failed = self._failed.get(remote)
        if failed and not force and time.monotonic() - failed[0] < REST:
            return
        task = self._refreshing.get(remote)
        if task is None:
            task = asyncio.create_task(self._fetch(remote, proxy))
            self._refreshing[remote] = task
        # Not cancelled with this caller: others wait for it, and the list is of use anyway.
        await asyncio.wait([task], timeout=patience)

    async def _fetch(self, remote: Remote, proxy: str) -> None:
        task = Refresh(
            remote=remote.name,
            base=remote.base,
            mirror=remote.mirror,
            insecure=remote.insecure,
            file=str(self._file(remote, DISK)),
            proxy=proxy,
        )
        try:
            await asyncio.to_thread(self._make_directory)
            await self._workers.run(task)
            self._failed.pop(remote, None)
        except (ImageError, OSError) as error:
            why = error.message if isinstance(error, ImageError) else f"{error}."
            self._failed[remote] = time.monotonic(), why
            _log.warning("the images of remote %s could not be listed: %s", remote.label, why)
        finally:
            del self._refreshing[remote]

    def _make_directory(self) -> None:
        """Raises OSError."""
        make_cache(self._directory.parent)
        make_directory(self._directory)

    def _load(self, remote: Remote, kind: Kind) -> tuple[Listing | None, float]:
        """The list from the remote's present place, and its age in seconds."""
        path = self._file(remote, kind)
        try:
            status = os.stat(path)
            stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
            known = self._read.get(path.name)
            if known is None or known[0] != stamp:
                listing = Listing.from_json(read_regular(path, MAX_LISTING))
                self._read[path.name] = known = (stamp, listing)
        except (OSError, ValueError):
            return None, 0.0
        listing = known[1]
        if (listing.base, listing.mirror) != (remote.base, remote.mirror):
            return None, 0.0
        return listing, abs(time.time() - status.st_mtime)  # also old if the clock was set back

    def _file(self, remote: Remote, kind: Kind) -> Path:
        return self._directory / cache.listing(remote.label, kind)
