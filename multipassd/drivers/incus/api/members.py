"""HTTPS to a cluster, by whichever member answers. Bounded answers, no redirects, no cookies.

A request that may change something goes to another member only where the first one certainly did
not get it: connecting failed, or it answered that it does not serve now.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from multipassd.drivers.incus.api import dead_peers, errors, tls
from multipassd.drivers.incus.api.tls import CONNECT_SECONDS
from multipassd.system import log

IDLE_SECONDS = 3.0  # a connection that was idle for longer may be one to a host that is off by now
# Bytes of an answer, all of which is in memory at once with what it is read into, some ten times as
# much. A listing of 500 instances with state and snapshots is some 3 MiB; anything else a few KiB.
MAX_ANSWER, MAX_LISTING = 1 << 20, 16 << 20
MAX_ERROR = 1 << 16  # bytes of an answer that is an error's
MAX_MESSAGE = 1 << 20  # bytes of a websocket's message; Incus sends up to 128 KiB
CHUNK = 1 << 16
NOT_SERVING = 503  # also of a member that starts or stops
# What a member says that is cut off from the others, so has no database: with status 500.
NO_DATABASE = re.compile(rb"no available \w+ leader|RAFT cluster is unavailable|begin transaction")
CLOSE_SECONDS = 2.0  # that a peer has to answer the end of a websocket
# Debian 13's aiohttp 3.11 and later ones warn of a number, and those before take nothing else.
_CLOSE: Any = (
    aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS)
    if hasattr(aiohttp, "ClientWSTimeout")
    else CLOSE_SECONDS
)

CLOSED = "The service has closed its connections to the Incus cluster. Please try again."

Body = bytes | AsyncIterable[bytes] | None
# Raised before anything was sent: there is no time limit for reading that could raise the second.
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError)

_log = log.get("incus")


class Request(NamedTuple):
    """`what`: what it is to do, for an error: Incus could not ...; `path`: from / on, quoted."""

    method: str
    path: str
    what: str
    query: Mapping[str, object] = {}
    body: Body = None
    headers: Mapping[str, str] = {}
    limit: int = MAX_ANSWER  # bytes of the answer

    @property
    def harmless(self) -> bool:
        return self.method == "GET"

    @property
    def repeatable(self) -> bool:
        """Can its body be sent twice?"""
        return self.body is None or isinstance(self.body, bytes)


class Answer(NamedTuple):
    """The status code of HTTP, headers with names in lower case, and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Members:
    """The members of one cluster, and connections to them."""

    def __init__(self, addresses: tuple[str, ...], credentials: Path) -> None:
        self._credentials = credentials
        self._order = list(addresses)  # what answered last comes first
        self._session: aiohttp.ClientSession | None = None
        self._closed = False  # a call under way must not open another session

    @property
    def addresses(self) -> list[str]:
        return list(self._order)

    def update(self, addresses: tuple[str, ...]) -> None:
        kept = [each for each in self._order if each in addresses]
        self._order = kept + [each for each in addresses if each not in kept]

    async def send(self, request: Request, seconds: float) -> Answer:
        """Raises Unreachable, Lost, TookTooLong, BadAnswer, MembershipDamaged."""
        tried: list[str] = []
        try:
            async with asyncio.timeout(seconds):
                return await self._send_to_each(request, tried, seconds)
        except TimeoutError:
            self._put_last(*tried[-1:])
            raise errors.too_long(request.what, seconds) from None

    async def _send_to_each(self, request: Request, tried: list[str], seconds: float) -> Answer:
        why, refused = "it has no address", None
        for address in self.addresses:
            tried.append(address)
            seconds /= 2  # for this one, of what is left
            try:
                if request.harmless and len(tried) < len(self._order):
                    answer = await self._soon(self._send_to(address, request), seconds)
                else:
                    answer = await self._send_to(address, request)
            except _NOT_SENT as error:
                why = self._failed(address, error)
                continue
            except (aiohttp.ClientError, OSError, ValueError) as error:
                why = self._failed(address, error)
                if not request.harmless:
                    raise errors.lost(request.what, why) from None
                continue
            if not _serves(answer):
                self._put_last(address)
                refused = answer
                if request.harmless or (answer.status == NOT_SERVING and request.repeatable):
                    continue
                return answer
            self._put_first(address)
            return answer
        if refused is not None:
            return refused
        raise errors.unreachable(tried, why)

    @staticmethod
    async def _soon(call: Coroutine[Any, Any, Answer], seconds: float) -> Answer:
        """One that is cut off from the others may be silent, where those answer. Raises
        ClientError."""
        try:
            async with asyncio.timeout(seconds):
                return await call
        except aiohttp.ServerTimeoutError:  # a TimeoutError, too, of connecting
            raise
        except TimeoutError:
            raise aiohttp.ClientError(f"it did not answer within {seconds:.0f} s") from None

    async def _send_to(self, address: str, request: Request) -> Answer:
        url = _url("https", address, request)
        async with self._connections().request(
            request.method, url, data=request.body, headers=request.headers, allow_redirects=False
        ) as response:
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise errors.bad_answer(request.what, "it is compressed, which was not asked for")
            limit = request.limit if response.status < 400 else max(request.limit, MAX_ERROR)
            body = bytearray()
            async for chunk in response.content.iter_chunked(CHUNK):
                body += chunk
                if len(body) > limit:
                    raise errors.bad_answer(request.what, f"it has over {limit} bytes")
            names = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, names, bytes(body))

    @asynccontextmanager
    async def websocket(
        self, request: Request, seconds: float, heartbeat: float | None = None
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Closed at the end. Raises IncusError."""
        try:
            async with asyncio.timeout(seconds):
                socket = await self._open_websocket(request, heartbeat)
        except TimeoutError:
            raise errors.too_long(request.what, seconds) from None
        try:
            yield socket
        finally:
            await socket.close()

    async def _open_websocket(
        self, request: Request, heartbeat: float | None
    ) -> aiohttp.ClientWebSocketResponse:
        why: str = "it has no address"
        for address in self.addresses:
            try:
                found = await self._connections().ws_connect(
                    _url("wss", address, request),
                    heartbeat=heartbeat,
                    max_msg_size=MAX_MESSAGE,
                    timeout=_CLOSE,
                )
            except aiohttp.WSServerHandshakeError as error:
                why = f"{address}: status {error.status}"
                if error.status != NOT_SERVING:
                    raise errors.failure(request.what, error.status, error.message) from None
                self._put_last(address)
            except (aiohttp.ClientError, OSError, ValueError) as error:
                why = self._failed(address, error)
            else:
                dead_peers.let_wait(found)
                self._put_first(address)
                return found
        raise errors.unreachable(self.addresses, why)

    async def close(self) -> None:
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _connections(self) -> aiohttp.ClientSession:
        """Made in the loop that uses it. Raises MembershipDamaged; Unreachable once closed."""
        if self._closed:
            raise errors.Unreachable(CLOSED)
        if self._session is None:
            connector = dead_peers.Connector(
                ssl=tls.context(self._credentials), keepalive_timeout=IDLE_SECONDS, limit=0
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # a few bytes could become gigabytes
                headers={"Accept-Encoding": "identity", "User-Agent": "multipassd"},
            )
        return self._session

    def _failed(self, address: str, error: BaseException) -> str:
        self._put_last(address)
        cause = (
            getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
        )
        why = f"{address}: {tls.why(cause)}"
        _log.debug("Incus: %s", why)
        return why

    def _put_first(self, address: str) -> None:
        if address in self._order and self._order[0] != address:
            self._order.remove(address)
            self._order.insert(0, address)

    def _put_last(self, *addresses: str) -> None:
        for address in addresses:
            if address in self._order:
                self._order.remove(address)
                self._order.append(address)


def _serves(answer: Answer) -> bool:
    if answer.status == NOT_SERVING:
        return False
    return answer.status < 500 or not NO_DATABASE.search(answer.body[:MAX_ERROR])


def _url(scheme: str, address: str, request: Request) -> URL:
    query = urlencode({name: _word(value) for name, value in request.query.items()})
    return URL(f"{scheme}://{address}{request.path}?{query}", encoded=True)


def _word(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
