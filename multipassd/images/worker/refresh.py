"""The worker's task Refresh: from a remote's JSON to the images for this host."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urljoin

from pydantic import ValidationError

from multipassd.images import cache
from multipassd.images.cache_directory import CacheDirectory
from multipassd.images.errors import ImageError
from multipassd.images.image import DISK, ROOTFS, Image, Kind
from multipassd.images.remotes import CORE
from multipassd.images.worker import simplestreams
from multipassd.images.worker.http import Http
from multipassd.images.worker.simplestreams import Index, Stream
from multipassd.images.worker_protocol import Listing, Refresh

MODE = 0o600


def refresh(task: Refresh, lists: CacheDirectory) -> None:
    """Fetch the list and store it. Raises ImageError; then the old one is unchanged."""
    http = Http(task.proxy, plain=task.insecure)
    found: dict[Kind, list[Image]] = (
        {DISK: _core(http, task.base)} if task.remote == CORE else _streamed(http, task)
    )
    for kind in (ROOTFS, DISK):
        images = tuple(found.get(kind, ()))
        listing = Listing(base=task.base, mirror=task.mirror, images=images)
        name = cache.listing(Path(task.file).stem, kind)
        lists.write(name, listing.to_json(defaults=False), MODE)


def _streamed(http: Http, task: Refresh) -> dict[Kind, list[Image]]:
    architecture = simplestreams.host_architecture()
    official = _stream(http, task.base)
    mirror = _stream(Http(task.proxy), task.mirror) if task.mirror else None
    base = task.mirror or task.base
    return {
        kind: simplestreams.images(task.remote, base, official, mirror, architecture, kind)
        for kind in simplestreams.ITEMS
    }


def _stream(http: Http, base: str) -> Stream:
    url = urljoin(base, simplestreams.INDEX)
    try:
        path = Index.model_validate_json(http.get(url)).downloads()
        if not path:
            raise ImageError(f"{url} lists no images to download.")
        url = urljoin(base, path)
        return Stream.model_validate_json(http.get(url))
    except ValidationError as error:
        first = error.errors()[0]
        raise ImageError(f"{url} is no list of images: {first['msg']}.") from error


def _core(http: Http, base: str) -> list[Image]:
    if simplestreams.host_architecture() != simplestreams.CORE_ARCHITECTURE:
        return []
    found: list[Image] = []
    failure: ImageError | None = None
    for version in simplestreams.CORE_VERSIONS:
        try:
            listed = http.get(urljoin(base, simplestreams.core_sums(version)))
            sums = listed.decode("utf-8", "replace")
        except ImageError as error:  # not every version is published
            failure = failure or error
            continue
        image = simplestreams.core_image(version, base, sums)
        found += [image] if image else []
    if not found and failure is not None:
        raise failure
    return found
