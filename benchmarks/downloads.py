"""Speed of an image download beside curl's, and the daemon's latency during it."""

import multiprocessing
import os
import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe

from benchmarks.measure import run_seconds, take_turns
from benchmarks.place import Place
from benchmarks.report import Goal, Row
from benchmarks.site import DOWNLOADED, HALT, SECTOR, SIGNATURE, Site, site
from tools.imagetree import NOBLE, ImageTree

LIMIT = 100_000_000  # bytes a second
RATE = Goal(0.8, at_most=False)
PING = Goal(3)
PING_CALL = "/multipass.Rpc/ping"
IDLE_SECONDS = 3.0
BLOCK = 1 << 20


def rows(place: Place) -> Iterator[Row]:
    if shutil.which("curl") is None:
        raise RuntimeError("curl is missing")
    size = place.scaled(500, 400) * BLOCK
    with site(LIMIT) as target:
        publish(target, size)
        yield rate_row(target, size, place.scaled(3, 1), "100 MB/s", RATE)
        yield ping_row(target)
    with site() as target:
        publish(target, size)
        yield rate_row(target, size, place.scaled(3, 1), "unlimited", None)


def publish(target: Site, size: int) -> None:
    image = target.sandbox.root / "image"
    block = HALT + os.urandom(SECTOR - 2 - len(HALT)) + SIGNATURE + os.urandom(BLOCK - SECTOR)
    with image.open("wb") as file:
        for _ in range(size // BLOCK):
            file.write(block)
    target.publish(NOBLE, image)
    image.unlink()


def rate_row(target: Site, size: int, rounds: int, server: str, goal: Goal | None) -> Row:
    copy = target.sandbox.root / "copy"
    url = f"{target.url}releases/{ImageTree.path_of()}"

    def by_curl() -> float:
        copy.unlink(missing_ok=True)
        return run_seconds(["/usr/bin/curl", "-s", "-f", "-o", str(copy), url], os.environ)

    curl, ours = take_turns(rounds, by_curl, lambda: download(target))
    copy.unlink()
    figures = f"{size / ours / 1e6:.0f} MB/s, curl {size / curl / 1e6:.0f} MB/s"
    what = f"download of {size / 1e6:.0f} MB, hashed, server {server}"
    return Row(what, "curl -o", curl / ours, goal, figures)


def download(target: Site) -> float:
    seconds = target.launch("bench", "noble", DOWNLOADED)
    target.forget_images()
    return seconds


def ping_row(target: Site) -> Row:
    with pinging(target) as stop:
        time.sleep(IDLE_SECONDS)
        idle = stop()
    with pinging(target) as stop:
        download(target)
        busy = stop()
    figures = f"{busy * 1e3:.2f} ms, idle {idle * 1e3:.2f} ms"
    return Row("`ping` p99 during a download", "idle", busy / idle, PING, figures)


@contextmanager
def pinging(target: Site) -> Iterator["Pinger"]:
    pinger = Pinger(target)
    try:
        yield pinger
    finally:
        pinger.end()


class Pinger:
    """Calls `ping` in a process of its own; a call of this object ends it and returns the p99."""

    def __init__(self, target: Site) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("fork")
        self._process = context.Process(target=_ping, args=(target, theirs), daemon=True)
        self._process.start()
        self._pipe.recv()

    def __call__(self) -> float:
        self._pipe.send(None)
        p99: float = self._pipe.recv()
        return p99

    def end(self) -> None:
        self._process.kill()
        self._process.join()


def _ping(target: Site, pipe: "Pipe[float | None, None]") -> None:
    connection = target.connect()
    connection.call(PING_CALL, b"")
    pipe.send(None)
    took: list[float] = []
    while not pipe.poll():
        started = time.perf_counter()
        connection.call(PING_CALL, b"")
        took.append(time.perf_counter() - started)
        time.sleep(0.002)  # a moderate rate of calls, not a flood that takes a core
    pipe.send(statistics.quantiles(took, n=100)[-1])
