"""Trust taken back counts for calls that run: they are ended as the next one would be refused."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest
from h2.settings import SettingCodes

from protocol.certificates import KeyPair, make_client
from protocol.grpc import frame
from protocol.messages.access import AuthenticateRequest
from protocol.messages.launch import LaunchRequest
from protocol.pem import fingerprint, pem_to_der
from protocol.status import Status
from tests.conftest import DaemonFactory
from tests.interop.grpc_client import Answer, GrpcClient
from tests.interop.test_calls import NOT_TRUSTED
from tests.multipassd.admin.trust import Trust
from tests.multipassd.transport.tls_client import H2Client
from tests.waiting import PATIENCE
from tools.daemon import Daemon
from tools.imageserver import ImageServer, serving
from tools.imagetree import ImageTree

STAYS, GOES = make_client(), make_client()
SECONDS = PATIENCE

pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageServer]:
    """Of `noble`, which never comes whole."""
    place = tmp_path_factory.mktemp("images")
    disk = place / "disk.raw"
    disk.write_bytes(bytes(4 << 20))
    tree = ImageTree(place / "www")
    tree.publish(disk)
    with serving(tree.root) as running:
        running.faults.gate = Event()
        yield running


@pytest.fixture
def both(daemon: DaemonFactory, server: ImageServer) -> Daemon:
    """A daemon that trusts STAYS and GOES."""
    running = daemon(
        options=("--verbosity", "debug"), env={"MULTIPASS_IMAGE_REMOTES": server.remotes()}
    )
    trust(running, STAYS, GOES)
    return running


def trust(running: Daemon, *pairs: KeyPair) -> None:
    """Trust only those, by hand; wait until the daemon has read it."""
    beside = running.store_path.with_suffix(".new")
    beside.write_bytes(b"".join(pair.certificate for pair in pairs))
    os.rename(beside, running.store_path)
    with GrpcClient(running, pairs[0]) as client:
        wait_for(lambda: client.call("list").status is Status.OK)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def launching(
    running: Daemon, pair: KeyPair = GOES, name: str = "foo", *, half_close: bool = True
) -> Iterator[Future[Answer]]:
    """While the image is on its way, which is for ever."""
    with GrpcClient(running, pair) as client, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(
            lambda: client.call("launch", half_close=half_close, instance_name=name, image="noble")
        )
        wait_for(lambda: f"launch of {name}: image" in running.log_text() or answer.done())
        assert not answer.done()
        yield answer
        answer.result(SECONDS)


def children(running: Daemon) -> str:
    return Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text()


def remove_by_call(running: Daemon) -> None:
    with GrpcClient(running, STAYS) as client:
        name = fingerprint(pem_to_der(GOES.certificate))
        assert client.call("Trust/remove", fingerprint=name).replies[0].removed


def remove_by_hand(running: Daemon) -> None:
    running.store_path.write_bytes(STAYS.certificate)


def remove_by_program(running: Daemon) -> None:
    Trust(running.sandbox).done("remove", fingerprint(pem_to_der(GOES.certificate)))


@pytest.mark.parametrize("remove", [remove_by_call, remove_by_hand, remove_by_program])
@pytest.mark.parametrize("half_close", [True, False])
def test_a_launch_under_way_ends_and_its_work_too(
    both: Daemon, remove: Callable[[Daemon], None], half_close: bool
) -> None:
    with launching(both, half_close=half_close) as answer:
        wait_for(lambda: bool(children(both)))
        remove(both)
        ended = answer.result(SECONDS)
    assert ended[:2] == (Status.UNAUTHENTICATED, NOT_TRUSTED)
    assert ended.replies, "what it was told before, it has"
    wait_for(lambda: not children(both))  # no download is running any more
    assert "ended a running call" in both.log_text()


def test_others_go_on(both: Daemon) -> None:
    with launching(both, STAYS, "bar") as others, launching(both) as answer:
        remove_by_call(both)
        assert answer.result(SECONDS).status is Status.UNAUTHENTICATED
        with GrpcClient(both, STAYS) as client:
            assert client.call("list").status is Status.OK
        assert not others.done()
        trust(both, GOES)
        assert others.result(SECONDS)[:2] == (Status.UNAUTHENTICATED, NOT_TRUSTED)


def test_who_was_the_last_is_not_adopted_anew_by_what_still_runs(both: Daemon) -> None:
    trust(both, GOES)
    with launching(both) as answer:
        Trust(both.sandbox).done("remove", fingerprint(pem_to_der(GOES.certificate)))
        assert answer.result(SECONDS)[:2] == (Status.UNAUTHENTICATED, NOT_TRUSTED)
    assert not both.store_path.read_text().strip()


def test_a_launch_whose_client_does_not_read_ends_too(both: Daemon) -> None:
    with H2Client(both, GOES) as client:
        client.http2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
        stream = client.begin("launch")
        client.http2.send_data(stream, frame(LaunchRequest(image="noble").encode()))
        client.flush()
        wait_for(lambda: bool(children(both)))
        remove_by_call(both)
        wait_for(lambda: not children(both))
        client.http2.increment_flow_control_window(1 << 16, stream)
        client.flush()
        assert client.answer(stream)[0] == "16"


def test_authenticate_is_open_to_all_and_goes_on(both: Daemon) -> None:
    """The second wrong guess is answered a second later; the removal comes in between."""
    with GrpcClient(both, STAYS) as client:
        assert client.call("set", key="local.passphrase", val="open").status is Status.OK
    wrong = AuthenticateRequest(passphrase="shut").encode()
    with H2Client(both, GOES) as guessing, GrpcClient(both, GOES) as client:
        assert guessing.call("authenticate", wrong)[0] == "3"
        second = guessing.begin("authenticate")
        guessing.http2.send_data(second, frame(wrong))
        guessing.flush()
        remove_by_call(both)
        assert client.call("list").status is Status.UNAUTHENTICATED
        assert guessing.answer(second) == ("3", "Passphrase is not correct. Please try again.")


def test_who_takes_its_own_trust_back_is_told_that_it_is_done(both: Daemon) -> None:
    with GrpcClient(both, GOES) as client:
        name = fingerprint(pem_to_der(GOES.certificate))
        answer = client.call("Trust/remove", fingerprint=name)
        assert answer.status is Status.OK and answer.replies[0].removed
        assert client.call("list").status is Status.UNAUTHENTICATED


def test_a_moment_s_damage_ends_nothing(both: Daemon) -> None:
    """As by an editor that writes in place."""
    with launching(both) as answer, GrpcClient(both, STAYS) as client:
        both.store_path.write_text("half")
        assert client.call("list").status is Status.DATA_LOSS
        trust(both, STAYS, GOES)
        assert not answer.done()
        remove_by_call(both)
        assert answer.result(SECONDS)[:2] == (Status.UNAUTHENTICATED, NOT_TRUSTED)


def test_damage_that_stays_does(both: Daemon) -> None:
    with launching(both) as answer:
        both.store_path.write_text("half")
        assert answer.result(SECONDS).status is Status.DATA_LOSS
