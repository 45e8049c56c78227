"""Waiting for an operation: in calls that end, so that a member that died is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from multipassd.drivers.incus.api import answers, errors
from multipassd.drivers.incus.api.errors import (
    MemberUnreachable,
    NotFound,
    TookTooLong,
    Unreachable,
)

WAIT_SECONDS = 10.0  # of one call that waits: a member that died is noticed after it
GRACE_SECONDS = 20.0  # more that such a call may take, so that half of both is enough to wait
# How long no member may tell how an operation goes: a cluster whose leader was killed needs 65 s.
SILENT_SECONDS = 90.0
AGAIN_SECONDS = 1.0

Get = Callable[..., Coroutine[Any, Any, Any]]  # of the client


async def wait(get: Get, operation: str, seconds: float, what: str) -> dict[str, Any]:
    """The operation when it has ended well. Raises what its error is; Lost if no member tells how
    it ended; TookTooLong."""
    loop = asyncio.get_running_loop()
    end, silent_since = loop.time() + seconds, loop.time()
    while (left := end - loop.time()) > 0:
        try:
            found = await _look(get, f"/1.0/operations/{operation}", left, what)
        except (Unreachable, TookTooLong) as error:
            if loop.time() - silent_since > SILENT_SECONDS:
                raise errors.lost(what, error.said or error.message) from None
            await asyncio.sleep(AGAIN_SECONDS)
            continue
        except NotFound:  # Incus forgets operations seconds after their end
            raise errors.lost(what, "the cluster does not know the operation any more") from None
        silent_since = loop.time()
        if answers.has_ended(found, what):
            return dict(found)
    raise errors.too_long(what, seconds, operation)


async def _look(get: Get, path: str, left: float, what: str) -> Any:
    """What the operation's state is, at its end or after some seconds."""
    step = max(1, int(min(left, WAIT_SECONDS)))
    try:
        return await get(f"{path}/wait", seconds=step + GRACE_SECONDS, what=what, timeout=step)
    except (MemberUnreachable, NotFound):
        # It may be the operation's own, with which Incus answers as if it was the call's.
        return await get(path, what=what)
