"""Calls to Incus: their answers, operations, files. Everything is of one project."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, Awaitable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp

from multipassd.drivers.incus.api import addresses, answers, errors, membership, operations
from multipassd.drivers.incus.api.members import MAX_LISTING, Members, Request
from multipassd.drivers.incus.api.membership import Membership

# How long an instance's other operation is waited for: a change of its configuration by another
# program takes parts of a second, a stop up to `guest.STOP_SECONDS`.
BUSY_SECONDS, BUSY_AGAIN_SECONDS = 30.0, 0.2
CALL_SECONDS = 30.0  # a cluster answers slowly while it elects a leader
FILE_SECONDS = 60.0  # a file of some KiB; the member may have to start a process for it

Query = str | int | bool


class Pulled(NamedTuple):
    """`kind`: "file", "directory" or "symlink"."""

    kind: str
    data: bytes


class Api:
    """One cluster, as a client with a certificate for one project sees it.

    All methods raise IncusError; of its subclasses Unreachable, MemberUnreachable and TookTooLong
    wherever they wait. `what`, where it is given, says in errors what was attempted: "Incus could
    not ...".
    """

    def __init__(self, membership: Membership, directory: Path) -> None:
        """`directory`: where the membership is kept."""
        self.membership = membership
        self.directory = directory
        place = directory / membership.credentials
        self._members = Members(membership.addresses, place)

    @property
    def addresses(self) -> list[str]:
        """Of the members, in the order in which they are tried."""
        return self._members.addresses

    # -- calls ------------------------------------------------------------------------------------

    async def get(
        self, path: str, /, *, seconds: float = CALL_SECONDS, what: str = "", **query: Query
    ) -> Any:
        """The answer's metadata."""
        return (await self._call("GET", path, None, seconds, what, query)).get("metadata")

    async def listing(
        self, path: str, /, *, seconds: float = CALL_SECONDS, what: str = "", **query: Query
    ) -> list[dict[str, Any]]:
        """All of a kind, which may be many; BadAnswer for what is no list of objects."""
        request = self._request("GET", path, what, query, limit=MAX_LISTING)
        found = (await self._sent(request, seconds)).get("metadata")
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise errors.bad_answer(request.what, "it is no list of objects")
        return found

    async def change(
        self,
        method: str,
        path: str,
        body: object = None,
        /,
        *,
        seconds: float = CALL_SECONDS,
        what: str = "",
        **query: Query,
    ) -> Any:
        """A call that is done when it answers; its metadata."""
        return (await self._call(method, path, body, seconds, what, query)).get("metadata")

    async def operate(
        self,
        method: str,
        path: str,
        body: object = None,
        /,
        *,
        seconds: float,
        what: str = "",
        **query: Query,
    ) -> dict[str, Any]:
        """A call that begins an operation, and the operation to its end; what Incus tells of it.
        It waits for its turn where another operation on the instance is under way."""
        what = what or _default(method, path)
        loop = asyncio.get_running_loop()
        end = loop.time() + min(seconds, BUSY_SECONDS)
        while True:
            try:
                return await self._ended(
                    self._call(method, path, body, seconds, what, query), seconds, what
                )
            except errors.Busy:
                if loop.time() > end:
                    raise
                await asyncio.sleep(BUSY_AGAIN_SECONDS)

    async def start(
        self,
        method: str,
        path: str,
        body: object = None,
        /,
        *,
        seconds: float = CALL_SECONDS,
        what: str = "",
        **query: Query,
    ) -> dict[str, Any]:
        """The same without waiting: `wait` takes its "id"."""
        answer = await self._call(method, path, body, seconds, what, query)
        if (found := answers.operation(answer, what)) is None:
            raise errors.bad_answer(what or path, "it began no operation")
        return found

    async def post_stream(
        self,
        path: str,
        headers: Mapping[str, str],
        data: AsyncIterable[bytes] | bytes,
        *,
        seconds: float,
        what: str = "",
        **query: Query,
    ) -> dict[str, Any]:
        """POST of a body as it comes, and the operation that this begins to its end."""
        request = self._request("POST", path, what, query, data, headers)
        return await self._ended(self._sent(request, seconds), seconds, request.what)

    async def wait(self, operation: str, *, seconds: float, what: str = "") -> dict[str, Any]:
        """The operation when it has ended well. Raises what its error is; Lost if no member tells
        how it ended."""
        what = what or f"complete operation {operation}"
        return await operations.wait(self.get, operation, seconds, what)

    def websocket(
        self,
        path: str,
        *,
        seconds: float = CALL_SECONDS,
        heartbeat: float | None = None,
        what: str = "",
        **query: Query,
    ) -> AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
        """`seconds`: to open it. `heartbeat`: seconds between pings, whose answer must come in half
        of that; none where the peer may wait for its own reader."""
        request = self._request("GET", path, what, query)
        return self._members.websocket(request, seconds, heartbeat)

    # -- files of instances -----------------------------------------------------------------------

    async def push_file(
        self,
        name: str,
        path: str,
        data: bytes = b"",
        *,
        uid: int = 0,
        gid: int = 0,
        mode: int = 0o644,
        directory: bool = False,
        seconds: float = FILE_SECONDS,
    ) -> None:
        """Write a file into an instance, or make a directory whose parents are there."""
        headers = {
            "X-Incus-uid": str(uid),
            "X-Incus-gid": str(gid),
            "X-Incus-mode": f"{mode:04o}",
            "X-Incus-type": "directory" if directory else "file",
            "X-Incus-write": "overwrite",
            "Content-Type": "application/octet-stream",
        }
        what = f"write {path} into {name}"
        body = None if directory else data
        query: dict[str, Query] = {"path": path}
        request = self._request("POST", _files_of(name), what, query, body, headers)
        await self._sent(request, seconds)

    async def pull_file(
        self, name: str, path: str, limit: int, *, seconds: float = FILE_SECONDS
    ) -> Pulled:
        """A file, or the names in a directory as JSON; BadAnswer if it has over `limit` bytes."""
        request = self._request(
            "GET", _files_of(name), f"read {path} in {name}", {"path": path}, limit=limit
        )
        answer = await self._members.send(request, seconds)
        if answer.status >= 400:
            answers.envelope(answer, request.what)  # raises
        return Pulled(answer.headers.get("x-incus-type", "file"), answer.body)

    async def read_text(self, path: str, limit: int, *, seconds: float, what: str) -> str:
        """An answer that is plain text; BadAnswer if it has over `limit` bytes."""
        request = self._request("GET", path, what, {}, limit=limit)
        answer = await self._members.send(request, seconds)
        if answer.status >= 400:
            answers.envelope(answer, request.what)  # raises
        return answer.body.decode("utf-8", "replace")

    async def remove_file(self, name: str, path: str, *, seconds: float = FILE_SECONDS) -> None:
        """Raises NotFound."""
        what = f"remove {path} in {name}"
        await self.change("DELETE", _files_of(name), seconds=seconds, what=what, path=path)

    # -- the cluster ------------------------------------------------------------------------------

    async def members(self, *, seconds: float = CALL_SECONDS) -> list[dict[str, Any]]:
        """What Incus tells of each member: "server_name", "status", "url", ...; none of a server
        that is no cluster."""
        if not self.membership.clustered:
            return []
        what = "list the members of the cluster"
        return await self.listing("/1.0/cluster/members", seconds=seconds, what=what, recursion=1)

    async def refresh_addresses(self) -> None:
        """Keep the members' present addresses; a server may have become a cluster. Raises
        StorageFailed, too."""
        if not self.membership.clustered and answers.is_clustered(await self.get("/1.0")):
            self.membership = self.membership.replace(clustered=True)
        found = addresses.usable(each.get("url") for each in await self.members())
        if found and set(found) != set(self.membership.addresses):
            changed = self.membership.replace(addresses=found)
            await asyncio.to_thread(membership.keep_addresses, changed, self.directory)
            self.membership = changed
            self._members.update(found)

    async def close(self) -> None:
        await self._members.close()

    # -- how --------------------------------------------------------------------------------------

    def _request(
        self,
        method: str,
        path: str,
        what: str,
        query: Mapping[str, Query],
        body: AsyncIterable[bytes] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **more: int,
    ) -> Request:
        whole = {"project": self.membership.project, **query}
        what = what or _default(method, path)
        return Request(method, path, what, whole, body, headers or {}, **more)

    async def _call(
        self,
        method: str,
        path: str,
        body: object,
        seconds: float,
        what: str,
        query: Mapping[str, Query],
    ) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        return await self._sent(self._request(method, path, what, query, data, headers), seconds)

    async def _sent(self, request: Request, seconds: float) -> dict[str, Any]:
        return answers.envelope(await self._members.send(request, seconds), request.what)

    async def _ended(
        self, call: Awaitable[dict[str, Any]], seconds: float, what: str
    ) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        answer = await call
        operation = answers.operation(answer, what)
        if operation is None:
            metadata = answer.get("metadata")
            return metadata if isinstance(metadata, dict) else {}
        left = max(1.0, end - loop.time())
        return await self.wait(operation["id"], seconds=left, what=what)


def _default(method: str, path: str) -> str:
    return f"answer {method} {path}"


def name_in_path(name: str) -> str:
    """An instance's or a snapshot's name as a part of a path."""
    return quote(name, safe="")


def _files_of(name: str) -> str:
    return f"/1.0/instances/{name_in_path(name)}/files"
