"""Calls a second, beside grpcio's server with the same client.

Two clients make many calls at once: grpc.aio, which programs use, and a lean one (`wire.py`).
Client and server share two cores, so of a client that costs as much as the server the rate shows
half of what the server gains; the lean one costs a tenth of grpc.aio, and shows the server alone.
Each row names the processor time of a call, of server and client: other load changes it least.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio

from benchmarks.measure import Figure, rate
from benchmarks.place import CLIENT, Place
from benchmarks.proc import cpu_seconds
from benchmarks.report import Goal, Row
from benchmarks.wire import Connection

PING, LIST = "/multipass.Rpc/ping", "/multipass.Rpc/list"
LIST_REQUEST = b"\x18\x01"  # request_ipv4, as `multipass list` sends it
AT_ONCE = 32
AGAINST = "the same grpcio server"

NEW_CONNECTION = Goal(0.9, at_most=False)
PINGS_AT_ONCE = Goal(1.5, at_most=False, each=True)
LIST_ONE_BY_ONE = Goal(1.0, at_most=False)


@dataclass
class Side:
    """One server: its rates, run by run, and the processor time of a call, its and the client's."""

    path: Path
    pid: int
    rates: list[float]
    calls: float = 0.0
    used: float = 0.0
    client_used: float = 0.0

    def run(self, measure: Callable[[Path], float], seconds: float) -> None:
        server, client = cpu_seconds(self.pid), time.process_time()
        self.rates.append(measure(self.path))
        self.calls += self.rates[-1] * seconds
        self.used += cpu_seconds(self.pid) - server
        self.client_used += time.process_time() - client

    def __str__(self) -> str:
        costs = f"{self.used / self.calls * 1e6:.0f}+{self.client_used / self.calls * 1e6:.0f} us"
        return f"{statistics.median(self.rates):.0f}/s ({costs})"


class Comparison:
    """Runs of both servers, in turns; a first one of each is not counted."""

    def __init__(
        self,
        place: Place,
        seconds: float,
        measure: Callable[[Path], float],
        reference: Path | None = None,
    ) -> None:
        self.ours = Side(place.sandbox.socket_path, place.daemon.pid, [])
        self.reference = Side(reference or place.reference_path, place.reference_pid, [])
        for side in (self.ours, self.reference):
            measure(side.path)
        for _ in range(place.scaled(7, 5)):
            for side in (self.ours, self.reference):
                side.run(measure, seconds)

    def row(self, what: str, against: str, goal: Goal | None) -> Row:
        ratios = Figure(self.ours.rates) / Figure(self.reference.rates)
        figures = f"{self.ours}, grpcio {self.reference} (server+client)"
        return Row(what, against, ratios, goal, figures)


def rows(place: Place) -> Iterator[Row]:
    seconds = 0.4 if place.quick else 1.0

    def connections(path: Path) -> float:
        return rate(lambda: one_connection(place, path), seconds)

    def pings(path: Path) -> float:
        return asyncio.run(pings_at_once(place, path, seconds))

    def lean_pings(path: Path) -> float:
        connection = place.connect(path)
        try:
            return connection.rate_at_once(PING, b"", AT_ONCE, seconds)
        finally:
            connection.close()

    found = Comparison(place, seconds, connections)
    yield found.row("new connection + `ping`", "grpcio server, plain TLS", NEW_CONNECTION)
    found = Comparison(place, seconds, connections, place.mutual_path)
    yield found.row("the same", "grpcio server that asks for the certificate", None)
    found = Comparison(place, seconds, pings)
    what = f"`ping`, {AT_ONCE} at once on a connection"
    yield found.row(f"{what}, by grpc.aio", AGAINST, PINGS_AT_ONCE)
    found = Comparison(place, seconds, lean_pings)
    yield found.row(f"{what}, by a lean client", AGAINST, PINGS_AT_ONCE)

    open_connections = {path: place.connect(path) for path in place.both}

    def lists(path: Path) -> float:
        connection: Connection = open_connections[path]
        return rate(lambda: connection.call(LIST, LIST_REQUEST), seconds)

    try:
        found = Comparison(place, seconds, lists)
    finally:
        for connection in open_connections.values():
            connection.close()
    yield found.row("`list`, one at a time on a connection", AGAINST, LIST_ONE_BY_ONE)


def one_connection(place: Place, path: Path) -> None:
    connection = place.connect(path)
    connection.call(PING, b"")
    connection.close()


async def pings_at_once(place: Place, path: Path, seconds: float) -> float:
    sandbox = place.sandbox
    credentials = grpc.ssl_channel_credentials(
        sandbox.root_cert.read_bytes(),
        sandbox.key(CLIENT).read_bytes(),
        sandbox.certificate(CLIENT).read_bytes(),
    )
    options = [
        ("grpc.ssl_target_name_override", "localhost"),
        ("grpc.default_authority", "localhost"),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    count = 0
    async with grpc.aio.secure_channel(f"unix:{path}", credentials, options) as channel:
        ping = channel.unary_unary(PING)
        await ping(b"")
        started = time.perf_counter()
        end = started + seconds

        async def caller() -> None:
            nonlocal count
            while time.perf_counter() < end:
                await ping(b"")
                count += 1

        await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
        return count / (time.perf_counter() - started)
