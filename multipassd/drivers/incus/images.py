"""Images on the cluster: each uploaded once, found again by its id, removed when nothing needs it.

An image has a property with its id, which is in the metadata that we made for it. Incus makes an
image of an upload once all of it has come, so what is there is whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from weakref import WeakValueDictionary

from multipassd.drivers.incus import image_file, split_image
from multipassd.drivers.incus.api import errors
from multipassd.drivers.incus.api.client import Api
from multipassd.drivers.incus.api.errors import (
    AlreadyExists,
    IncusError,
    Lost,
    MemberUnreachable,
    NotFound,
    TookTooLong,
)
from multipassd.drivers.incus.split_image import IMAGE, Body
from multipassd.drivers.interface import DriverError
from multipassd.images.cache import MAX_AGE
from multipassd.images.image import UNKNOWN, Base
from multipassd.system import log

DAEMON = "multipass.daemon"  # the property that names the daemon which uploaded an image
IMAGES = "/1.0/images"
BEGIN_SECONDS = 120.0  # of an upload of no size: the member packs nothing, but may be busy
STALL_SECONDS = 60.0  # without a byte taken; a busy member's disk may stand still for a while
RATE = 1 << 20  # bytes a second, the least that an upload is waited for
DELETE_SECONDS = 120.0
TRIES = 2  # of an upload that a member's end has broken

Report = Callable[[int], None]  # percents; UNKNOWN while another launch uploads
Shown = Mapping[str, Any]  # an image as Incus shows it

_log = log.get("incus")


def ignore(percent: int) -> None:
    pass


# One upload of an image at a time, by the daemon that uploads it and the image's id.
_locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()


async def ensure(api: Api, base: Base, daemon: str, report: Report = ignore) -> str:
    """The fingerprint of the image at the cluster, where it is uploaded if it is not there.
    `daemon`: the id of this daemon. Raises IncusError, DriverError."""
    lock = _locks.setdefault((daemon, base.id), asyncio.Lock())
    if lock.locked():
        report(UNKNOWN)
    async with lock:
        return await _found(api, base) or await _upload(api, base, daemon, report)


async def prune(api: Api, daemon: str, kept: Iterable[str]) -> list[str]:
    """Remove images that this daemon uploaded, and that were not used for two weeks, by no instance
    either; the ids of what was removed. `kept`: the ids of images that stay in any case. Raises
    IncusError."""
    own = [
        each
        for each in await _all(api)
        if _property(each, DAEMON) == daemon
        and _property(each, IMAGE) not in {"", *kept}
        and _unused_seconds(each) > MAX_AGE
    ]
    if not own:
        return []
    needed = await _bases_of_instances(api)
    gone = []
    for image in own:
        if image["fingerprint"] not in needed:
            await _remove(api, str(image["fingerprint"]))
            gone.append(_property(image, IMAGE))
    return gone


async def _upload(api: Api, base: Base, daemon: str, report: Report) -> str:
    for left in reversed(range(TRIES)):
        try:
            return await _send(api, base, daemon, report)
        except (Lost, MemberUnreachable, TookTooLong) as error:
            # It may have come all the same, or another daemon's has.
            if found := await _found(api, base):
                return found
            if not left or isinstance(error, TookTooLong):
                raise
            _log.warning("%s It is sent again.", error.message)
    raise AssertionError("unreachable")


async def _send(api: Api, base: Base, daemon: str, report: Report) -> str:
    what = f"store the image {base.id[:12]}"
    watch = _Watch(what)
    try:
        async with image_file.opened(base) as file:
            body = Body(base, file, report, watch.asked)
            headers = {**body.headers, "X-Incus-properties": f"{DAEMON}={daemon}"}
            seconds = BEGIN_SECONDS + len(body) / RATE
            try:
                async with watch:
                    stored = await api.post_stream(
                        IMAGES, headers, aiter(body), seconds=seconds, what=what
                    )
            except AlreadyExists:  # another daemon was faster
                return await _found(api, base) or body.fingerprint
    except OSError as error:
        raise DriverError(
            f"The image {base.path} can't be read: {error}. `multipass launch` fetches it again "
            "once it was removed from there."
        ) from error
    return await _checked(api, stored, body.fingerprint, what)


class _Watch:
    """Ends an upload of which nothing is taken any more, as by a member that is off by now. Raises
    Lost."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._limit = asyncio.timeout(STALL_SECONDS)

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()

    async def __aexit__(self, *raised: Any) -> None:
        try:
            await self._limit.__aexit__(*raised)
        except TimeoutError:
            why = f"it took nothing of the image for {STALL_SECONDS:.0f} s"
            raise errors.lost(self._what, why) from None

    def asked(self, whole: bool) -> None:
        """What comes behind the body has the upload's own limit."""
        now = asyncio.get_running_loop().time()
        self._limit.reschedule(None if whole else now + STALL_SECONDS)


async def _found(api: Api, base: Base) -> str | None:
    wanted = split_image.type_of(base.kind)
    for image in await _all(api):
        if _property(image, IMAGE) == base.id and image.get("type") == wanted:
            return str(image["fingerprint"])
    return None


async def _all(api: Api) -> list[Shown]:
    what = "list the images of the project"
    found = await api.listing(IMAGES, what=what, recursion=1)
    return [each for each in found if each.get("fingerprint")]


def _property(image: Shown, name: str) -> str:
    properties = image.get("properties")
    return str(properties.get(name, "")) if isinstance(properties, dict) else ""


async def _checked(api: Api, stored: Shown, fingerprint: str, what: str) -> str:
    """The fingerprint of what was stored, if that is what was sent. Raises BadAnswer."""
    metadata = stored.get("metadata")
    found = metadata.get("fingerprint") if isinstance(metadata, dict) else None
    if found == fingerprint:
        return fingerprint
    if isinstance(found, str) and found:
        with suppress(IncusError):
            await _remove(api, found)
    raise errors.bad_answer(what, f"it has fingerprint {found}, and {fingerprint} was sent")


async def _remove(api: Api, fingerprint: str) -> None:
    what = f"remove the image {fingerprint[:12]}"
    try:
        await api.operate("DELETE", f"{IMAGES}/{fingerprint}", seconds=DELETE_SECONDS, what=what)
    except NotFound:
        return


def _unused_seconds(image: Shown) -> float:
    """Since it was last used, or uploaded; 0 where that can't be told."""
    times = []
    for name in ("last_used_at", "uploaded_at"):
        try:
            times.append(datetime.fromisoformat(str(image.get(name))).timestamp())
        except (ValueError, OverflowError):
            continue
    return datetime.now(UTC).timestamp() - max(times) if times else 0.0


async def _bases_of_instances(api: Api) -> set[str]:
    """The fingerprints of images that instances of the project were made of."""
    what = "list the instances of the project"
    found = await api.listing("/1.0/instances", what=what, recursion=1)
    configs = [each.get("config") for each in found]
    known = [config for config in configs if isinstance(config, dict)]
    if len(known) != len(found):  # what it was made of is not known
        raise errors.bad_answer(what, "an instance has no config")
    return {str(config.get("volatile.base_image", "")) for config in known}
