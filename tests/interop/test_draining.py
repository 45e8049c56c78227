"""A daemon told to stop loses no call: what is under way ends, what is on its way is answered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hyperframe.frame import Frame, GoAwayFrame, HeadersFrame, SettingsFrame

from protocol.grpc import frame
from tests.conftest import DaemonFactory
from tests.multipassd.transport.tls_client import GOOD, H2Client, frames
from tools.daemon import Daemon

SECONDS = 30.0
EVERY_STREAM = 2**31 - 1
GUESS = b"\x0a\x04shut"
SETTING = b"\x0a\x10local.passphrase\x12\x04open"

pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


@contextmanager
def ending(daemon: Daemon) -> Iterator[None]:
    """After it: gone, and in order."""
    yield
    assert daemon.process is not None
    daemon.process.wait(SECONDS)  # a second SIGTERM could meet a Python that is past handling it
    daemon.stop()


def end(daemon: Daemon, witness: H2Client) -> None:
    """Tells it to stop, and waits until another of its clients, with a call behind it, has heard
    of that."""
    assert daemon.process is not None
    daemon.process.terminate()
    assert isinstance(frames(witness.receive())[0], GoAwayFrame)


def statuses(client: H2Client, received: list[Frame]) -> dict[int, str]:
    """By the call's stream. A client's h2 itself takes no answer after a GOAWAY."""
    found = {}
    for each in received:
        if isinstance(each, HeadersFrame):
            decoded = client.http2.decoder.decode(each.data)
            headers = {str(name): str(value) for name, value in decoded}
            if "grpc-status" in headers:
                found[each.stream_id] = headers["grpc-status"]
    return found


def goodbyes(received: list[Frame]) -> list[int]:
    """The last stream of each GOAWAY."""
    return [each.last_stream_id for each in received if isinstance(each, GoAwayFrame)]


def test_a_call_in_flight_ends_and_one_that_crosses_the_goodbye_is_answered(
    daemon: DaemonFactory,
) -> None:
    """A second wrong guess is answered a second later, a third one two more: the daemon is stopped
    in between."""
    running = daemon()
    with ending(running), H2Client(running, GOOD) as witness, H2Client(running, GOOD) as client:
        assert witness.call("set", SETTING)[0] == "0"
        assert client.call("authenticate", GUESS)[0] == "3"
        guessing = [client.begin("authenticate") for _ in range(2)]
        for stream in guessing:
            client.http2.send_data(stream, frame(GUESS))
        client.http2.ping(b"arrived?")
        client.flush()
        while "PingAckReceived" not in [type(event).__name__ for event in client.events()]:
            pass
        end(running, witness)
        crossing = client.begin("list")
        client.http2.send_data(crossing, frame(b""))
        client.flush()
        received = frames(client.receive_all())
        assert goodbyes(received) == [EVERY_STREAM, crossing]
        assert statuses(client, received) == dict.fromkeys(guessing, "3") | {crossing: "0"}


def test_a_handshake_under_way_ends_in_a_call_answered(daemon: DaemonFactory) -> None:
    """And its goodbye does not come together with SETTINGS: grpcio could hang then."""
    running = daemon()
    with ending(running), H2Client(running, GOOD) as witness:
        assert witness.call() == ("0", "")
        with H2Client(running, GOOD, lambda: end(running, witness)) as client:
            begun = frames(client.receive())
            assert begun and not goodbyes(begun) and isinstance(begun[0], SettingsFrame)
            stream = client.begin("list")
            client.http2.send_data(stream, frame(b""))
            client.flush()
            received = frames(client.receive_all())
            assert statuses(client, received) == {stream: "0"}
            assert goodbyes(received) == [EVERY_STREAM, stream]
