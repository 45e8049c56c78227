"""Calls a second, beside grpcio's server with the same client."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import grpc.aio

from benchmarks.measure import rate, take_turns
from benchmarks.place import CLIENT, Place
from benchmarks.report import Goal, Row
from benchmarks.wire import Connection

PING, LIST = "/multipass.Rpc/ping", "/multipass.Rpc/list"
LIST_REQUEST = b"\x18\x01"  # request_ipv4, as `multipass list` sends it
AT_ONCE = 32

NEW_CONNECTION = Goal(0.6, at_most=False)
PINGS_AT_ONCE = Goal(1.2, at_most=False)
LIST_ONE_BY_ONE = Goal(0.6, at_most=False)


def compare(place: Place, measure: Callable[[Path], float]) -> tuple[float, str]:
    """The ratio of ours to the reference, and both rates as text."""
    ours, reference = take_turns(
        place.scaled(7, 3), *(lambda path=path: measure(path) for path in place.both)
    )
    return ours / reference, f"{ours:.0f}/s, grpcio {reference:.0f}/s"


def rows(place: Place) -> Iterator[Row]:
    seconds = 0.4 if place.quick else 1.0

    def connections(path: Path) -> float:
        return rate(lambda: one_connection(place, path), seconds)

    ratio, figures = compare(place, connections)
    yield Row("new connection + `ping`", "grpcio server, plain TLS", ratio, NEW_CONNECTION, figures)

    def pings(path: Path) -> float:
        return asyncio.run(pings_at_once(place, path, seconds))

    ratio, figures = compare(place, pings)
    what = f"`ping`, {AT_ONCE} at once on a connection"
    yield Row(what, "the same grpcio server", ratio, PINGS_AT_ONCE, figures)

    def lean_pings(path: Path) -> float:
        connection = place.connect(path)
        try:
            return connection.rate_at_once(PING, b"", AT_ONCE, seconds)
        finally:
            connection.close()

    ratio, figures = compare(place, lean_pings)
    yield Row("the same, by a client that costs less", "the same", ratio, None, figures)

    open_connections = {path: place.connect(path) for path in place.both}

    def lists(path: Path) -> float:
        connection: Connection = open_connections[path]
        return rate(lambda: connection.call(LIST, LIST_REQUEST), seconds)

    try:
        ratio, figures = compare(place, lists)
    finally:
        for connection in open_connections.values():
            connection.close()
    what = "`list`, one at a time on a connection"
    yield Row(what, "the same grpcio server", ratio, LIST_ONE_BY_ONE, figures)


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
