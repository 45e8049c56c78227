"""A session without sockets: h2 as its client, and doubles of its connection and of the service."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.settings import SettingCodes

from multipassd.auth.peer import Peer
from multipassd.auth.standing import STRANGER, Standing
from multipassd.transport.grpc_stream import Stream
from multipassd.transport.h2_session import Session
from multipassd.transport.quota import limits, request_memory
from protocol.grpc import path
from protocol.roles import Role
from tests.multipassd.transport.tls_client import HEADERS
from tests.waiting import PATIENCE

TRUSTED = Standing(role=Role.ADMIN)
MAX_FRAME = 16384

Serve = Callable[[Stream], Awaitable[None]]


class Service:
    """The handler of all sessions here; a whole request is answered at once."""

    def __init__(self) -> None:
        self.trusted_buffers = request_memory.for_trusted()
        self.strangers_buffers = request_memory.for_strangers()

    async def serve(self, stream: Stream) -> None:
        stream.succeed()


class Answering(Service):
    """Each call is served by `serve`."""

    def __init__(self, serve: Serve) -> None:
        super().__init__()
        self._serve = serve

    async def serve(self, stream: Stream) -> None:
        await self._serve(stream)


class Caller:
    """One connection: h2 as its client, the session, and the link between them. What the client
    received is kept by stream: `statuses`, `headers`, `data`, `ended`, `resets`."""

    def __init__(
        self, service: Service, person: str = "alice", standing: Standing = STRANGER
    ) -> None:
        self.peer: Peer | None = Peer(None, b"", "", person)
        self.person = person
        self.standing = standing
        self.limits = limits.of(standing)
        self.closing = self.stalled = False
        self.control_frames = 1_000_000  # what is left of the ration
        self.charged = 0.0
        self.shut_with: int | None = None
        self.statuses: dict[int, str] = {}
        self.headers: dict[int, dict[str, str]] = defaultdict(dict)
        self.data: dict[int, bytes] = defaultdict(bytes)
        self.ended_streams: set[int] = set()
        self.resets: dict[int, int] = {}
        self.goaways: list[int | None] = []
        self.streams_allowed: list[int] = []
        self.session = Session(self, service)
        self.session.begin()
        self.client = H2Connection(H2Configuration(header_encoding="utf-8"))
        self.client.initiate_connection()
        self.exchange()

    def open(self, method: str = "authenticate", **changed: str) -> int:
        """A call's headers; `changed` by their names, `_path` for `:path`."""
        stream = self.client.get_next_available_stream_id()
        told = {name.replace("_", ":", 1) if name[0] == "_" else name: value
                for name, value in changed.items()}  # fmt: skip
        headers = [(k, told.get(k, path(method) if k == ":path" else v)) for k, v in HEADERS]
        self.client.send_headers(stream, headers)
        return stream

    def begin(self, message: bytes) -> int:
        """A call, and as much of its message as the windows allow."""
        stream = self.open()
        while message and stream not in self.statuses:
            room = min(self.client.local_flow_control_window(stream), MAX_FRAME)
            self.client.send_data(stream, message[:room])
            message = message[room:]
            self.exchange()
        return stream

    def exchange(self) -> None:
        self.session.receive(self.client.data_to_send())
        self.read()

    def read(self) -> None:
        """What the session has ready."""
        for event in self.client.receive_data(self.session.data_to_send()):
            self._note(event)

    def hang_up(self) -> None:
        self.session.abandon()

    def _note(self, event: Event) -> None:
        if isinstance(event, ResponseReceived | TrailersReceived):
            found = {str(name): str(value) for name, value in event.headers or []}
            self.headers[event.stream_id] |= found
            if "grpc-status" in found:
                self.statuses[event.stream_id] = found["grpc-status"]
        elif isinstance(event, DataReceived):
            self.data[event.stream_id] += event.data
        elif isinstance(event, StreamEnded):
            self.ended_streams.add(event.stream_id)
        elif isinstance(event, StreamReset):
            self.resets[event.stream_id] = int(event.error_code)
        elif isinstance(event, ConnectionTerminated):
            self.goaways.append(event.last_stream_id)
        elif isinstance(event, RemoteSettingsChanged):
            changed = event.changed_settings.get(SettingCodes.MAX_CONCURRENT_STREAMS)
            if changed is not None:
                self.streams_allowed.append(changed.new_value)

    # -- the link ---------------------------------------------------------------------------------

    def charge(self, seconds: float) -> None:
        self.charged += seconds

    def standing_changed(self, standing: Standing) -> None:
        self.standing = standing
        self.limits = limits.of(standing)
        self.session.limits_changed()

    def schedule_flush(self) -> None: ...

    def close(self) -> None:
        self.closing = True

    def shut(self, code: int) -> None:
        self.shut_with = code
        self.closing = True

    def take_control_frame(self) -> bool:
        self.control_frames -= 1
        return self.control_frames >= 0

    def ended(self, stream: Stream) -> None:
        self.session.ended(stream)


def told(story: Awaitable[None]) -> None:
    async def run() -> None:
        await asyncio.wait_for(story, PATIENCE)

    asyncio.run(run())


async def turns() -> None:
    """Let the tasks of calls run until they wait."""
    for _ in range(10):
        await asyncio.sleep(0)


async def answered(caller: Caller, stream: int) -> str:
    """The status of the call."""
    for _ in range(1000):
        await asyncio.sleep(0)
        caller.exchange()
        if stream in caller.statuses:
            return caller.statuses[stream]
    raise AssertionError("no answer")
