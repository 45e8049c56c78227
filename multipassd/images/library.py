"""The images of this host: found by name, fetched once, kept while they are used."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path

from multipassd.auth.peer import Credentials
from multipassd.images import cache, remotes, search
from multipassd.images.catalogue import Catalogue
from multipassd.images.errors import (
    ImageError,
    NoContainerForm,
    NoImageNamed,
    NotFoundSoFar,
    NothingListed,
    NoUrl,
    RemoteUnreachable,
    UnknownImage,
    Unreachable,
)
from multipassd.images.image import DISK, ROOTFS, Base, Image, Kind, Transfer
from multipassd.images.remotes import CORE, CORE_NAME, DEFAULT, HIDDEN, Remote
from multipassd.images.shared_download import Fetch, Report
from multipassd.images.worker_client import Workers, ignore
from multipassd.images.worker_protocol import Caller, Describe, Prepare
from multipassd.settings.settings import Settings
from multipassd.system import log
from protocol.messages.information import ImageInfo
from protocol.settings import MIRROR

_log = log.get("images")

DEFAULT_IMAGE = "default"
OWN_IMAGES = ("http://", "https://", "file://")
PATHS = ("/", "./", "../", "~")  # no image's name begins so
PROXY = "proxy"
NO_CONTAINERS = "It lists disks for virtual machines alone, and this service makes containers."


class Images:
    """All images. `directory` is the cache; nothing is read or made there before it is needed."""

    def __init__(self, directory: Path, settings: Settings, environ: Mapping[str, str]) -> None:
        self._directory = directory
        self._settings = settings
        self._environ = environ
        self._workers = Workers(environ)
        self._catalogue = Catalogue(directory, self._workers, self._remotes)
        self._fetches: dict[str, Fetch] = {}
        self._logged: set[str] = set()  # problems with the settings

    async def resolve(
        self, image: str, remote: str, caller: Credentials | None = None, kind: Kind = DISK
    ) -> Image:
        """The image of this kind that a launch names; `caller` is the user of this host who
        launches, None over TCP. Raises RpcError."""
        if image.startswith(OWN_IMAGES):
            return await self._describe(image, caller, kind)
        if image.startswith(PATHS) and not remote:
            raise NoUrl(image)
        if remote and not image:
            raise NoImageNamed
        name = image or DEFAULT_IMAGE
        found = await self._listed(name, remote, kind)
        if found is None and kind == ROOTFS and await self._listed(name, remote, DISK):
            raise NoContainerForm(name)
        if found is None:
            raise UnknownImage(name, remote)
        return found

    async def _listed(self, image: str, remote: str, kind: Kind) -> Image | None:
        if remote:
            return search.pick(await self._catalogue.images(remote, kind=kind), image)
        return await self._anywhere(image, kind)

    async def fetch(
        self,
        image: Image,
        progress: Report = ignore,
        name: str = "",
        caller: Credentials | None = None,
        kind: Kind = DISK,
    ) -> Base:
        """The image in the cache, for the instance `name`; `kind` is what `resolve` was asked for.
        A download is cancelled with the last caller that waits for it.

        Raises ImageError, Unreachable (the next call resumes the download) or NoRoom.
        """
        directory = self._directory / image.id
        base = await asyncio.to_thread(cache.load, directory)
        if base is None:
            base = await self._fetch_of(image, caller, kind).wait(progress, name)
        await asyncio.to_thread(cache.touch, directory)
        return base

    async def find(
        self,
        query: str,
        remote: str,
        unsupported: bool = False,
        force: bool = False,
        kind: Kind = DISK,
    ) -> list[ImageInfo]:
        """What `find` shows of this kind; `force` also lets refused images be fetched again. Raises
        UnknownRemote, NothingListed or RemoteUnreachable."""
        if force:
            await asyncio.to_thread(cache.remove_refusals, self._directory)
        if remote:
            images = await self._of_remote(remote, force, kind)
            if query:
                return search.in_remote(images, query, unsupported)
            return search.of_remote(images, unsupported)
        names = [name for name in self._catalogue.names() if query or name not in HIDDEN]
        names = _of_kind(names, kind)
        lists = await self._lists(names, force, kind)

        def listed(name: str) -> list[Image]:
            return lists.get(name, [])

        if query:
            return search.anywhere(listed, query, unsupported)
        return search.overview(listed, names, unsupported)

    def downloads(self) -> list[tuple[list[str], Transfer]]:
        """Running downloads: which instances wait for each, and its progress."""
        return [
            (fetch.names, fetch.transfer)
            for fetch in self._fetches.values()
            if fetch.transfer is not None and not fetch.over
        ]

    async def prune(self, in_use: set[str]) -> None:
        """Remove images not used for two weeks; `in_use` are the ids that instances need."""
        for gone in await asyncio.to_thread(cache.prune, self._directory, in_use):
            _log.info("image %s was removed, as it was not used for two weeks", gone[:12])

    async def _anywhere(self, query: str, kind: Kind) -> Image | None:
        failures: list[RemoteUnreachable] = []
        names = _of_kind(self._order(query), kind)
        for name in names:
            try:
                images = await self._catalogue.images(name, kind=kind)
            except RemoteUnreachable as error:
                failures.append(error)
                continue
            if found := search.pick(images, query):
                return found
        if failures and len(failures) == len(names):
            raise failures[0]
        if failures:
            raise NotFoundSoFar(query, failures)
        return None

    def _order(self, query: str) -> list[str]:
        """The remotes in the order of the search: Ubuntu Core is first for its own names, and after
        Ubuntu's for all others, which mostly need no request to it."""
        names = self._catalogue.names()
        if CORE not in names or query.startswith(CORE_NAME):
            return names
        return sorted(names, key=lambda name: name not in search.UBUNTU_HOST)

    async def _of_remote(self, remote: str, force: bool, kind: Kind) -> list[Image]:
        try:
            images = await self._catalogue.images(remote, force, kind)
        except RemoteUnreachable as error:
            raise NothingListed(remote, error.message) from error
        if not images:
            raise NothingListed(remote, NO_CONTAINERS if kind == ROOTFS else "")
        return images

    async def _lists(self, names: list[str], force: bool, kind: Kind) -> dict[str, list[Image]]:
        """The lists that can be fetched. Raises ImageError if none can, the default remote's if
        that is among them."""
        asked = [self._catalogue.images(name, force, kind) for name in names]
        found: dict[str, list[Image]] = {}
        failures: dict[str, ImageError] = {}
        results = await asyncio.gather(*asked, return_exceptions=True)
        for name, result in zip(names, results, strict=True):
            if isinstance(result, ImageError):
                failures[name] = result
            elif isinstance(result, BaseException):
                raise result
            else:
                found[name] = result
        if failures and not found:
            raise failures.get(DEFAULT) or next(iter(failures.values()))
        return found

    def _fetch_of(self, image: Image, caller: Credentials | None, kind: Kind) -> Fetch:
        fetch = self._fetches.get(image.id)
        if fetch is None or fetch.over:
            fetch = Fetch(lambda me: self._prepare(image, caller, kind, me))
            self._fetches[image.id] = fetch
        return fetch

    async def _prepare(
        self, image: Image, caller: Credentials | None, kind: Kind, me: Fetch
    ) -> Base:
        task = Prepare(
            kind="prepare-rootfs" if kind == ROOTFS else "prepare",
            image=image,
            directory=str(self._directory),
            proxy=self._proxy(),
            caller=Caller.of(caller),
        )
        try:
            answer = await self._workers.run(task, me.report, me.move)
        finally:
            if self._fetches.get(image.id) is me:
                self._fetches.pop(image.id, None)
        assert answer.base is not None
        return answer.base

    async def _describe(self, url: str, caller: Credentials | None, kind: Kind) -> Image:
        try:
            task = Describe(url=url, proxy=self._proxy(), caller=Caller.of(caller))
            answer = await self._workers.run(task)
        except Unreachable as error:
            base = await asyncio.to_thread(cache.newest_of, self._directory, url, kind)
            if base is None:
                raise
            _log.warning("%s The image from an earlier download is used.", error.message)
            return Image(id=base.id, url=url)
        assert answer.image is not None
        return answer.image if kind == DISK else _apart(answer.image)

    def _remotes(self) -> tuple[dict[str, Remote], str]:
        section = self._settings.section(remotes.SECTION)
        found, problems = remotes.table(self._settings.get(MIRROR), section, self._environ)
        for problem in problems:
            if problem not in self._logged:
                self._logged.add(problem)
                _log.warning("%s", problem)
        return found, section.get(PROXY, "")

    def _proxy(self) -> str:
        return self._settings.section(remotes.SECTION).get(PROXY, "")


def _of_kind(remotes: list[str], kind: Kind) -> list[str]:
    """Those that may have images of this kind: Ubuntu Core is made as disks alone."""
    return [name for name in remotes if kind == DISK or name != CORE]


def _apart(image: Image) -> Image:
    """The same file as an image for containers: what it is refused for as a disk does not count."""
    return image.replace(id=hashlib.sha256(f"{ROOTFS}\0{image.id}".encode()).hexdigest())
