"""A small Incus for tests: its HTTPS API with members, certificates and one project's instances.

`test_api_cases.py` runs the same cases against this and against a real Incus.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import re
import secrets
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from multipassd.drivers.incus.api import joining, membership
from multipassd.drivers.incus.api.client import Api
from multipassd.drivers.incus.api.membership import Membership
from protocol import certificates
from tests.multipassd.drivers.incus import fake_routes, fake_server
from tests.multipassd.drivers.incus.fake_instances import Instances
from tests.multipassd.drivers.incus.fake_operations import Failure, Json, Operations
from tests.multipassd.drivers.incus.fake_resources import Resources

PROJECT = "multipass"
OF_PROJECTS = tuple(f"/1.0/{each}" for each in ("instances", "images", "operations", "events"))


@dataclass
class Fault:
    """What goes wrong with requests whose "METHOD path" fits the pattern, `times` times. `before`
    is awaited first, and may never end; with a `sentence` the request fails."""

    pattern: str
    sentence: str = ""
    status: int = 500
    times: int = 1
    before: Callable[[], Awaitable[object]] | None = None


class Member:
    """One server of the cluster, on a port of the loopback device."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = 0
        self.runner: web.AppRunner | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


class FakeIncus:
    """A cluster; with one member a server that is none. `async with FakeIncus(directory) as fake`.

    `directory`: where certificates of clients are accepted from, the daemon's `<data>/incus`: the
    handshake of Python's servers can't take one that is not known beforehand. Which of them are
    trusted is a matter of tokens, as it is with Incus.
    """

    def __init__(self, directory: Path, members: int = 1) -> None:
        self.directories = [directory]  # more of them for more daemons
        self.members = [Member(f"m{number + 1}") for number in range(members)]
        self.operations = Operations()
        self.resources = Resources()
        self.images: dict[str, Json] = {}
        self.roots: dict[str, bytes] = {}  # of images; like them by fingerprint
        self.instances = Instances(PROJECT, self.operations, self.runs, self.images)
        self.trusted: dict[str, Json] = {}  # by fingerprint
        self.tokens: dict[str, Json] = {}  # by their secrets
        self.faults: list[Fault] = []
        self.requests: list[str] = []  # "METHOD path" of each, in their order
        self.pair = certificates.make_server(certificates.make_root())

    @property
    def fingerprint(self) -> str:
        return membership.of_pem(self.pair.certificate)

    async def __aenter__(self) -> Self:
        for member in self.members:
            await self.boot(member.name)
        return self

    async def __aexit__(self, *_: object) -> None:
        for member in self.members:
            await self.kill(member.name)
        await self.operations.close()

    # -- members ----------------------------------------------------------------------------------

    def runs(self, name: str) -> bool:
        return any(each.name == name and each.runner is not None for each in self.members)

    def member(self, name: str) -> Member:
        return next(each for each in self.members if each.name == name)

    async def boot(self, name: str) -> None:
        member = self.member(name)
        app = web.Application(middlewares=[self._answer], client_max_size=1 << 26)
        app[fake_server.MEMBER], app[fake_server.FAKE] = member, self
        fake_routes.add(app)
        member.runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
        await member.runner.setup()
        site = web.TCPSite(member.runner, "127.0.0.1", member.port, ssl_context=self._tls())
        await site.start()
        member.port = member.runner.addresses[0][1]

    async def kill(self, name: str) -> None:
        member = self.member(name)
        runner, member.runner = member.runner, None
        if runner is not None:
            assert runner.server is not None
            for connection in list(runner.server.connections):
                transport = connection.transport
                if transport is not None and not transport.is_closing():
                    transport.abort()
            await runner.cleanup()

    def _tls(self) -> ssl.SSLContext:
        made = server_context(self.pair)
        made.verify_mode = ssl.CERT_OPTIONAL
        made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        made.sni_callback = self._accept_clients
        return made

    def _accept_clients(
        self, connection: ssl.SSLObject, _: object, context: ssl.SSLContext
    ) -> None:
        for path in (
            path for place in self.directories for path in place.glob(f"*/{membership.CERTIFICATE}")
        ):
            with contextlib.suppress(OSError, ssl.SSLError):
                context.load_verify_locations(path)

    # -- clients ----------------------------------------------------------------------------------

    def token(self, *, restricted: bool = True, project: str = PROJECT, **fields: object) -> str:
        """As `incus config trust add` prints it; `fields` in place of what is right."""
        secret = secrets.token_hex(32)
        self.tokens[secret] = {
            "restricted": restricted,
            "projects": [project] if restricted else [],
        }
        found = {
            "client_name": "daemon",
            "fingerprint": self.fingerprint,
            "addresses": [each.address for each in self.members],
            "secret": secret,
            "expires_at": "0001-01-01T00:00:00Z",
            **fields,
        }
        return base64.b64encode(json.dumps(found).encode()).decode()

    async def join(self, directory: Path | None = None) -> Membership:
        place = directory or self.directories[0]
        if place not in self.directories:
            self.directories.append(place)
        return await joining.join(self.token(), place, PROJECT)

    @contextlib.asynccontextmanager
    async def api(self) -> AsyncIterator[Api]:
        """A client that has joined."""
        api = Api(await self.join(), self.directories[0])
        try:
            yield api
        finally:
            await api.close()

    # -- requests ---------------------------------------------------------------------------------

    @web.middleware
    async def _answer(self, request: web.Request, handler: Any) -> web.StreamResponse:
        line = f"{request.method} {request.path}"
        self.requests.append(line)
        try:
            await self._break(line)
            self._check_rights(request)
            found = await handler(request)
        except Failure as failure:
            return failed(failure.status or 500, failure.sentence)
        except web.HTTPNotFound:
            return failed(404, "not found")
        assert isinstance(found, web.StreamResponse)
        return found

    async def _break(self, line: str) -> None:
        for fault in self.faults:
            if fault.times and re.search(fault.pattern, line):
                fault.times -= 1
                if fault.before is not None:
                    await fault.before()
                if fault.sentence:
                    raise Failure(fault.status, fault.sentence)

    def _check_rights(self, request: web.Request) -> None:
        open_to_all = request.path in ("/1.0", "/") or (
            request.method == "POST" and request.path == "/1.0/certificates"
        )
        rights = self.trusted.get(client_of(request))
        if rights is None:
            if not open_to_all:
                raise Failure(403, "not authorized")
            return
        project = request.query.get("project", "default")
        if not request.path.startswith(OF_PROJECTS):
            return
        if rights["restricted"] and project not in rights["projects"]:
            raise Failure(403, "User does not have permission for project")


def server_context(pair: certificates.KeyPair) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(pair.certificate + pair.key)
        file.flush()
        made.load_cert_chain(file.name)
    return made


def client_of(request: web.Request) -> str:
    """The fingerprint of its certificate; empty where it has none."""
    assert request.transport is not None
    der = request.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return hashlib.sha256(der).hexdigest() if der else ""


def failed(status: int, sentence: str) -> web.Response:
    body = {"type": "error", "error": sentence, "error_code": status, "metadata": None}
    return web.json_response(body, status=status)


def run(work: Callable[[], Awaitable[object]]) -> None:
    """A test's work, with an end for what waits for ever."""

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await work()

    asyncio.run(bounded())
