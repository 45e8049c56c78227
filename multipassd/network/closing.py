"""The daemon's side of closing guests to users of this host, which takes the right to change its
network: by the network service, or by one run of its program with the daemon's own rights."""

from __future__ import annotations

import asyncio
import hashlib
import os
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multipassd.network import tools
from multipassd.network.helper_process import PROGRAM
from multipassd.system.json_request import Line, RequestFailed, encode
from multipassd.system.json_request_async import ask_at

SECONDS = 30.0  # the network service may be setting up a device for another request
MAX_ANSWER = 1 << 20

Uids = Iterable[tuple[int, int]]  # ranges, both ends included


@dataclass(frozen=True)
class Closed:
    """What came of it."""

    ended: int = 0  # connections
    # The guest's address and the local port of those that the kernel can't end.
    left: tuple[tuple[str, int], ...] = ()
    why: str = ""  # guests are not closed to new connections; a sentence


class Closing:
    """Closes guests to users of this host."""

    def __init__(self, service: Path | None, storage: Path) -> None:
        """`service`: the socket of the network service; None: there is none. `storage`: the
        daemon's, which tells its rules from those of other daemons without one."""
        self._service = service
        self._mark = mark(storage)

    async def close(
        self, uids: Uids, once: Uids, ports: set[int], elsewhere: set[str], seconds: int
    ) -> Closed:
        """Close guests to the users of `uids`, and to no one else, for this time; of `once` only
        the connections of now end. `ports`: of guests' SSH servers on the loopback interface;
        `elsewhere`: IPv4 addresses of guests on networks of others. Never fails."""
        request = {
            "do": "close", "uids": sorted(uids), "once": sorted(once), "ports": sorted(ports),
            "elsewhere": sorted(elsewhere), "seconds": seconds,
        }  # fmt: skip
        if self._service is None and os.geteuid() != 0:
            return Closed(why="multipassd does not run as root.")
        try:
            answer = await (self._asked(request) if self._service else self._run(request))
            done = answer["done"]
            left = tuple((str(address), int(port)) for address, port in done["left"])
            return Closed(int(done["ended"]), left, str(done["why"]))
        except (RequestFailed, OSError, TimeoutError) as error:
            return Closed(why=f"The network service can't be asked: {error}.")
        except (KeyError, TypeError, ValueError):
            return Closed(why=str(answer.get("error") or "The network service is another version."))

    async def _asked(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._service is not None
        return await ask_at(self._service, request, dict, limit=MAX_ANSWER, seconds=SECONDS)

    async def _run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Raises RequestFailed, OSError, TimeoutError."""
        process = await asyncio.create_subprocess_exec(
            PROGRAM, "close", stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={"PATH": tools.PATH}
        )
        try:
            async with asyncio.timeout(SECONDS):
                said, _ = await process.communicate(encode(request | {"mark": self._mark}))
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        line = Line(MAX_ANSWER)
        line.feed(said)
        return line.decode(dict)


def mark(storage: Path) -> str:
    """What ends the name of the table of a daemon with this storage."""
    return hashlib.sha256(os.fsencode(storage.absolute())).hexdigest()[:8]
