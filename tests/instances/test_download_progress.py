"""Launches that download an image: what a terminal shows, and what a foreign client receives."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from protocol.certificates import make_client
from protocol.messages.downloads import Download
from protocol.status import Status
from tests.instances.site import WAIT_SECONDS, Site
from tests.interop.grpc_client import GrpcClient
from tools import terminal
from tools.imageserver import CHUNK, Faults, ImageServer
from tools.sandbox import MULTIPASS

OWNER = make_client()
STRANGER = make_client()
SIZE = 4 << 20  # of the image
REDRAW = "\x1b[2K\x1b[0A\x1b[0E"
RATE = r"Retrieving image: \d+% of 4\.2 MB, [\d.]+ [kM]B/s"
LEFT = RATE + r", \d+ s left"


def slow() -> Faults:
    """All of it comes, with another first byte: then the launch ends, and no machine begins."""
    return Faults(rate=500_000, corrupt={".img"})


def launched(here: Site, name: str) -> terminal.Session:
    command = [str(MULTIPASS), "launch", "--name", name, "noble"]
    return terminal.converse(command, [], here.daemon.env("alice"))


def shows(session: terminal.Session, pattern: str) -> bool:
    return any(re.fullmatch(pattern, text) for text in session.output.split(REDRAW))


def test_a_terminal_shows_size_rate_and_time_left(served: Site, server: ImageServer) -> None:
    server.faults = slow()
    session = launched(served, "foo")
    assert session.returncode == 2
    assert shows(session, RATE) and shows(session, LEFT), session
    assert "launch failed: Hash of " in session.output


def test_two_who_want_one_image_see_the_same_download(served: Site, server: ImageServer) -> None:
    server.faults = slow()
    before = len(server.fetched(".img"))
    first = served.begin("launch", "--name", "foo", "noble")
    served.wait_for(lambda: len(server.fetched(".img")) > before, "the download")
    second = launched(served, "bar")
    out, _ = first.communicate(timeout=WAIT_SECONDS)
    assert "Preparing image: " in second.output
    assert shows(second, RATE), second
    assert len(server.fetched(".img")) == before + 1
    steps = [line for line in out.splitlines() if line.startswith("Retrieving")]
    assert steps and all(re.fullmatch(r"Retrieving image: \d+%", line) for line in steps)


def test_a_foreign_client_is_told_of_downloads_if_it_is_known(
    served: Site, server: ImageServer
) -> None:
    gate = threading.Event()
    server.faults = Faults(gate=gate, corrupt={".img"})
    with GrpcClient(served.daemon, OWNER) as owner, ThreadPoolExecutor() as pool:
        assert owner.call("Images/downloads").status is Status.UNAUTHENTICATED  # enrols no client
        assert owner.call("list").status is Status.OK
        assert owner.call("Images/downloads").replies[0].downloads == []
        launch = pool.submit(owner.call, "launch", instance_name="foo", image="noble")
        try:
            told = first_download(owner)
            assert told.instance_name == ["foo"]
            assert (told.size, told.received) == (SIZE, told.fetched)
            assert 0 < told.fetched <= CHUNK
            with GrpcClient(served.daemon, STRANGER) as stranger:
                refused = stranger.call("Images/downloads")
                assert (refused.status, refused.replies) == (Status.UNAUTHENTICATED, [])
        finally:
            gate.set()
        assert "Hash of " in launch.result().message
        assert owner.call("Images/downloads").replies[0].downloads == []


def first_download(client: GrpcClient) -> Download:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        for download in client.call("Images/downloads").replies[0].downloads:
            assert isinstance(download, Download)
            return download
        time.sleep(0.05)
    raise AssertionError("no download came under way")
