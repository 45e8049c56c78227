"""What the fake of Incus does over time: operations, events, and commands in instances."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import WSMsgType, web

RUNNING, SUCCESS, FAILURE = (103, "Running"), (200, "Success"), (400, "Failure")
STREAMS = ("0", "1", "2", "control")
Json = dict[str, Any]


class Failure(Exception):
    """An answer with this status of HTTP, or the end of an operation, with this sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        self.status = status
        self.sentence = sentence
        super().__init__(sentence)


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Operation:
    """One operation, as the API shows it in `shown`."""

    def __init__(self, project: str, description: str, instances: Sequence[str], member: str):
        self.ended = asyncio.Event()
        self.hung_up = asyncio.Event()  # of a command: no client is there any more
        self.sockets: dict[str, asyncio.Future[web.WebSocketResponse]] = {}
        self.secrets: dict[str, str] = {}  # a stream by its secret
        self.task: asyncio.Task[None] | None = None
        self.project = project
        self.shown: Json = {
            "id": str(uuid.uuid4()),
            "class": "task",
            "description": description,
            "created_at": now(),
            "updated_at": now(),
            "status": RUNNING[1],
            "status_code": RUNNING[0],
            "resources": {"instances": [f"/1.0/instances/{each}" for each in instances]},
            "metadata": None,
            "may_cancel": False,
            "err": "",
            "location": member,
        }

    def set_state(self, state: tuple[int, str], err: str = "") -> None:
        self.shown |= {"status_code": state[0], "status": state[1], "err": err, "updated_at": now()}


class Operations:
    """All of a cluster, and the listeners to events."""

    def __init__(self) -> None:
        self._all: dict[str, Operation] = {}
        self._listeners: dict[asyncio.Queue[Json], tuple[str, set[str]]] = {}

    def begin(
        self,
        project: str,
        description: str,
        work: Callable[[Operation], Awaitable[None]],
        *,
        instances: Sequence[str] = (),
        member: str = "",
    ) -> Operation:
        operation = Operation(project, description, instances, member)
        self._all[operation.shown["id"]] = operation
        operation.task = asyncio.get_running_loop().create_task(self._run(operation, work))
        return operation

    async def _run(
        self, operation: Operation, work: Callable[[Operation], Awaitable[None]]
    ) -> None:
        self._tell_of(operation)
        try:
            await work(operation)
        except Failure as failure:
            operation.set_state(FAILURE, failure.sentence)
        except Exception as error:
            operation.set_state(FAILURE, f"fake: {error!r}")
        else:
            operation.set_state(SUCCESS)
        operation.ended.set()
        self._tell_of(operation)

    def get(self, identity: str) -> Operation:
        if identity not in self._all:
            raise Failure(404, "Operation not found")
        return self._all[identity]

    def forget(self, identity: str) -> None:
        """As Incus does 5 seconds after the end."""
        del self._all[identity]

    async def wait(self, identity: str, seconds: int) -> Json:
        operation = self.get(identity)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if seconds < 0 else seconds):
                await operation.ended.wait()
        return operation.shown

    # -- events -----------------------------------------------------------------------------------

    def lifecycle(self, project: str, action: str, source: str, member: str) -> None:
        metadata = {"action": action, "source": f"{source}?project={project}", "context": {}}
        self._tell(project, "lifecycle", metadata, member)

    def _tell_of(self, operation: Operation) -> None:
        shown = dict(operation.shown)
        self._tell(operation.project, "operation", shown, shown["location"])

    def _tell(self, project: str, kind: str, metadata: Json, member: str) -> None:
        event = {
            "type": kind,
            "timestamp": now(),
            "metadata": metadata,
            "location": member,
            "project": project,
        }
        for queue, (wanted, kinds) in self._listeners.items():
            if wanted == project and kind in kinds:
                queue.put_nowait(event)

    async def listen(self, request: web.Request) -> web.WebSocketResponse:
        """Until the listener goes."""
        socket = web.WebSocketResponse()
        queue: asyncio.Queue[Json] = asyncio.Queue()
        kinds = set(request.query.get("type", "").split(","))
        self._listeners[queue] = (request.query.get("project", "default"), kinds)
        sender: asyncio.Task[None] | None = None
        try:
            await socket.prepare(request)
            sender = asyncio.get_running_loop().create_task(_send_all(socket, queue))
            async for _ in socket:
                pass
        finally:
            del self._listeners[queue]
            if sender is not None:
                sender.cancel()
        return socket

    # -- commands ---------------------------------------------------------------------------------

    def execute(self, project: str, name: str, member: str, command: Sequence[str]) -> Operation:
        """By a process of this machine, where an instance would have one."""
        operation = self.begin(
            project, "Executing command", lambda each: _execute(each, command),
            instances=[name], member=member,
        )  # fmt: skip
        operation.shown["class"] = "websocket"
        loop = asyncio.get_running_loop()
        operation.secrets = {secrets.token_hex(32): stream for stream in STREAMS}
        operation.sockets = {stream: loop.create_future() for stream in STREAMS}
        streams = {stream: secret for secret, stream in operation.secrets.items()}
        operation.shown["metadata"] = {"fds": streams, "command": list(command)}
        return operation

    async def connect(self, request: web.Request, identity: str) -> web.WebSocketResponse:
        operation = self.get(identity)
        stream = operation.secrets.pop(request.query.get("secret", ""), None)
        if stream is None:
            raise Failure(403, "Invalid websocket secret")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        operation.sockets[stream].set_result(socket)
        if stream == "0":
            await operation.ended.wait()
        async for _ in socket:
            pass
        operation.hung_up.set()
        return socket

    async def close(self) -> None:
        """End what still goes on."""
        tasks = [each.task for each in self._all.values() if each.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _send_all(socket: web.WebSocketResponse, queue: asyncio.Queue[Json]) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            await socket.send_json(await queue.get())


async def _execute(operation: Operation, command: Sequence[str]) -> None:
    sockets = {stream: await future for stream, future in operation.sockets.items()}
    words = ["cat"] if command[0].endswith("sshd") else command
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        for stream in ("1", "2"):
            await sockets[stream].send_str("")
        operation.shown["metadata"] |= {"return": 127}
        raise Failure(0, f"Command not found: {error}") from None
    loop = asyncio.get_running_loop()
    beside = [loop.create_task(_feed(sockets["0"], process)),
              loop.create_task(_end_with(operation, process))]  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    try:
        await asyncio.gather(
            _show(process.stdout, sockets["1"]), _show(process.stderr, sockets["2"])
        )
        operation.shown["metadata"] = {"return": await process.wait()}
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        if process.returncode is None:
            process.kill()
        assert process.stdin is not None
        process.stdin.close()
        try:
            # To the end of both pipes: asyncio keeps a process open as long as they are.
            await asyncio.gather(process.stdout.read(), process.stderr.read(), process.wait())
        finally:  # also if the test's loop ends first, whose end would be told in another test
            process._transport.close()  # type: ignore[attr-defined]


async def _end_with(operation: Operation, process: asyncio.subprocess.Process) -> None:
    await operation.hung_up.wait()
    with contextlib.suppress(ProcessLookupError):
        process.kill()


async def _feed(socket: web.WebSocketResponse, process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    async for message in socket:
        if message.type is WSMsgType.BINARY:
            process.stdin.write(message.data)
            await process.stdin.drain()
        elif message.type is WSMsgType.TEXT:
            break
    process.stdin.close()


async def _show(reader: asyncio.StreamReader, socket: web.WebSocketResponse) -> None:
    try:
        while data := await reader.read(1 << 15):
            await socket.send_bytes(data)
        await socket.send_str("")
    except ConnectionError:
        pass
