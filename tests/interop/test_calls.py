"""Every call and every documented status, asked for by Google's gRPC."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from multipassd.rpc.methods import HANDLERS
from protocol.certificates import KeyPair, make_client
from protocol.messages.common import InstanceNames, InstanceSnapshotPair
from protocol.messages.information import InfoRequest
from protocol.messages.lifecycle import StartRequest
from protocol.methods import METHODS, Method, Policy
from protocol.pem import fingerprint, pem_to_der
from protocol.status import Status
from protocol.version import VERSION
from tests import ports
from tests.conftest import DaemonFactory
from tests.interop import certificates
from tests.interop.grpc_client import GrpcClient
from tools.daemon import Daemon

NOT_TRUSTED = (
    "The client is not authenticated with the Multipass service.\n"
    "Please use 'multipass authenticate' before proceeding."
)
NOT_SET = "Passphrase is not set. Please `multipass set local.passphrase` with a trusted client."
WRONG = "Passphrase is not correct. Please try again."
LOG_LINE = re.compile(r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\] \[[a-z]+\] \[[a-z]+\] .*\n")
UNSERVED = [method for method in METHODS if method.path not in HANDLERS]


@pytest.fixture(params=["unix", "tcp"])
def address(request: pytest.FixtureRequest, both: tuple[Daemon, str]) -> str:
    daemon, tcp = both
    return daemon.address if request.param == "unix" else tcp


@pytest.fixture
def both(daemon: DaemonFactory) -> tuple[Daemon, str]:
    """A daemon on both kinds of address, and its TCP one."""
    return start_on_both(daemon)


def start_on_both(daemon: DaemonFactory) -> tuple[Daemon, str]:
    running = daemon(start=False)
    with ports.reserved() as port:
        tcp = f"{ports.LOOPBACK}:{port}"
        running.options += ["--address", running.address, "--address", tcp]
        return running.start(), tcp


@pytest.fixture
def first(both: tuple[Daemon, str]) -> Iterator[GrpcClient]:
    """The first client, enrolled, on the Unix socket."""
    with GrpcClient(both[0], FIRST) as client:
        assert client.call("list").status is Status.OK
        yield client


FIRST = make_client()


def test_every_served_call_is_answered(both: tuple[Daemon, str], address: str) -> None:
    daemon, _tcp = both
    with GrpcClient(daemon, FIRST) as enrolling:
        assert enrolling.call("version").replies[0].version == VERSION
    with GrpcClient(daemon, FIRST, address) as client:
        assert client.call("ping").status is Status.OK
        assert client.call("version").replies[0].version == VERSION
        assert client.call("wait_ready").status is Status.OK
        assert "local.driver" in client.call("keys").replies[0].settings_keys
        assert client.call("get", key="local.driver").replies[0].value == "qemu"
        assert client.call("list").replies[0].instance_list.instances == []
        assert client.call("list", snapshots=True).replies[0].snapshot_list is not None
        info = client.call("daemon_info").replies[0]
        assert min(info.available_space, info.cpus, info.memory) > 0
        assert client.call("get", key="local.passphrase").replies[0].value == ""
        assert client.call("set", key="local.passphrase", val="säsame").status is Status.OK
        assert client.call("get", key="local.passphrase").replies[0].value == "true"
        assert client.call("authenticate", passphrase="säsame").status is Status.OK
        listed = client.call("Trust/clients").replies[0]
        assert [each.fingerprint for each in listed.clients] == [fingerprint_of(FIRST)]
        assert listed.state == "trusting"
        assert not client.call("Trust/remove", fingerprint="0" * 64).replies[0].removed
    assert "sesame" not in daemon.log_text() and "säsame" not in daemon.log_text()


@pytest.mark.parametrize("method", UNSERVED, ids=lambda method: method.name)
def test_a_call_not_offered_yet_says_so(shared: GrpcClient, method: Method) -> None:
    answer = shared.call(method.name)
    assert answer.status is Status.UNIMPLEMENTED
    assert answer.message == f"This service does not offer '{method.name}' yet."


@pytest.mark.parametrize("path", ["/multipass.Rpc/nonsense", "/x", "/multipass.Trust/list"])
def test_a_call_that_nobody_knows_is_unimplemented(shared: GrpcClient, path: str) -> None:
    answer = shared.unary(path)
    assert answer.status is Status.UNIMPLEMENTED and answer.message


def test_a_message_of_garbage_is_refused_and_the_channel_goes_on(shared: GrpcClient) -> None:
    answer = shared.unary("/multipass.Rpc/list", b"\xff\xff\xff")
    assert answer.status is Status.INTERNAL
    assert "malformed request" in answer.message
    assert shared.call("list").status is Status.OK


def test_an_answer_that_quotes_much_still_arrives(shared: GrpcClient) -> None:
    name = "a" * 70_000
    pair = InstanceSnapshotPair(instance_name=name)
    answer = shared.unary(
        "/multipass.Rpc/info", InfoRequest(instance_snapshot_pairs=[pair]).encode()
    )
    assert answer.status is Status.NOT_FOUND
    assert answer.message.startswith('The following errors occurred:\ninstance "aaa')
    assert answer.message.endswith("aaa…")
    request = StartRequest(instance_names=InstanceNames(instance_name=[name]))
    answer = shared.unary("/multipass.Rpc/start", request.encode())
    assert (answer.status, answer.message) == (Status.ABORTED, "instance(s) missing")


def test_a_client_that_keeps_its_side_open_gets_its_answer(shared: GrpcClient) -> None:
    for _ in range(20):
        assert shared.call("list", half_close=False).status is Status.OK


@pytest.fixture(scope="module")
def shared() -> Iterator[GrpcClient]:
    """A trusted client of one daemon that all tests of unchanging things share."""
    from tools.sandbox import Sandbox

    sandbox = Sandbox.create()
    daemon = Daemon(sandbox).start()
    try:
        with GrpcClient(daemon, FIRST) as client:
            assert client.call("list").status is Status.OK
            yield client
        daemon.stop()
    finally:
        sandbox.remove()


def fingerprint_of(pair: KeyPair) -> str:
    return fingerprint(pem_to_der(pair.certificate))


class TestStatuses:
    def test_a_large_first_request_is_refused_with_what_to_do(
        self, both: tuple[Daemon, str]
    ) -> None:
        request = InfoRequest(
            instance_snapshot_pairs=[InstanceSnapshotPair(instance_name="a" * 17_000)]
        )
        with GrpcClient(both[0], make_client()) as client:
            answer = client.unary("/multipass.Rpc/info", request.encode())
            assert answer.status is Status.RESOURCE_EXHAUSTED
            assert "Requests of unauthenticated clients are limited to" in answer.message
            assert "`multipass list`" in answer.message
            assert client.call("list").status is Status.OK
            answer = client.unary("/multipass.Rpc/info", request.encode())
            assert answer.status is Status.NOT_FOUND

    def test_empty_store_over_unix(self, both: tuple[Daemon, str]) -> None:
        daemon, _ = both
        with GrpcClient(daemon) as nameless, GrpcClient(daemon, make_client()) as client:
            assert nameless.call("list")[:2] == (Status.INTERNAL, "invalid certificate data")
            assert nameless.call("ping")[:2] == (Status.UNAUTHENTICATED, "")
            assert client.call("ping")[:2] == (Status.UNAUTHENTICATED, "")
            answer = client.call("authenticate", passphrase="guess")
            assert answer[:2] == (Status.FAILED_PRECONDITION, NOT_SET)
            assert client.call("wait_ready").status is Status.OK
            assert not daemon.store_path.exists() or not daemon.store_path.read_text()
            assert client.call("list").status is Status.OK
            assert client.call("ping").status is Status.OK

    def test_tcp_never_enrols_by_itself(self, both: tuple[Daemon, str]) -> None:
        daemon, tcp = both
        with GrpcClient(daemon, make_client(), tcp) as client, GrpcClient(daemon, None, tcp) as no:
            for name in ("list", "version", "get", "launch", "Trust/clients"):
                answer = client.call(name)
                assert answer[:2] == (Status.UNAUTHENTICATED, NOT_TRUSTED), name
            assert no.call("list")[:2] == (Status.UNAUTHENTICATED, NOT_TRUSTED)
            answer = client.call("authenticate", passphrase="")
            assert answer[:2] == (Status.FAILED_PRECONDITION, NOT_SET)
        assert not daemon.store_path.exists() or not daemon.store_path.read_text()

    def test_trusting_store_refuses_all_others(
        self, both: tuple[Daemon, str], address: str, first: GrpcClient
    ) -> None:
        daemon, _ = both
        with (
            GrpcClient(daemon, make_client(), address) as other,
            GrpcClient(daemon, None, address) as nameless,
        ):
            for method in METHODS:
                if method.path.startswith("/multipass.Trust") or method.name in (
                    "ping", "authenticate", "wait_ready",
                ):  # fmt: skip
                    continue
                service = method.path.split("/")[1].removeprefix("multipass.")
                for client in (other, nameless):
                    answer = client.call(f"{service}/{method.name}")
                    words = "" if method.policy is Policy.MEMBERS_ONLY else NOT_TRUSTED
                    assert answer[:2] == (Status.UNAUTHENTICATED, words), method.name
            assert other.call("ping")[:2] == (Status.UNAUTHENTICATED, "")
            answer = other.call("authenticate", passphrase="x")
            assert answer[:2] == (Status.FAILED_PRECONDITION, NOT_SET)

    def test_the_passphrase_enrols_and_nothing_else_does(
        self, both: tuple[Daemon, str], address: str, first: GrpcClient
    ) -> None:
        daemon, _ = both
        assert first.call("set", key="local.passphrase", val="open").status is Status.OK
        with (
            GrpcClient(daemon, make_client(), address) as other,
            GrpcClient(daemon, None, address) as nameless,
        ):
            right = nameless.call("authenticate", passphrase="open")
            assert right[:2] == (Status.INTERNAL, "invalid certificate data")
            wrong = other.call("authenticate", passphrase="shut")
            assert wrong[:2] == (Status.INVALID_ARGUMENT, WRONG)
            assert other.call("list").status is Status.UNAUTHENTICATED
            assert other.call("authenticate", passphrase="open").status is Status.OK
            assert other.call("list").status is Status.OK
        assert first.call("set", key="local.passphrase", val="").status is Status.OK
        answer = first.call("authenticate", passphrase="open")
        assert answer[:2] == (Status.FAILED_PRECONDITION, NOT_SET)

    @pytest.mark.root
    def test_root_needs_no_passphrase_over_unix_and_one_over_tcp(
        self, both: tuple[Daemon, str], first: GrpcClient
    ) -> None:
        daemon, tcp = both
        pair = make_client()
        with GrpcClient(daemon, pair, tcp) as far, GrpcClient(daemon, pair) as near:
            assert far.call("authenticate").status is Status.FAILED_PRECONDITION
            assert near.call("authenticate").status is Status.OK
            assert far.call("list").status is Status.OK


class TestCertificates:
    @pytest.fixture
    def kinds(self, tmp_path: Path) -> dict[str, KeyPair]:
        return {
            "RSA": certificates.rsa_pair(),
            "Ed25519": certificates.ed25519_pair(),
            "expired": certificates.expired_pair(),
            "40 KB": certificates.large_pair(40_000),
            "v1": certificates.version_1_pair(tmp_path),
        }

    def test_every_kind_can_be_trusted(
        self, both: tuple[Daemon, str], first: GrpcClient, kinds: dict[str, KeyPair]
    ) -> None:
        daemon, _ = both
        assert first.call("set", key="local.passphrase", val="open").status is Status.OK
        for kind, pair in kinds.items():
            with GrpcClient(daemon, pair) as client:
                assert client.call("list").status is Status.UNAUTHENTICATED, kind
                assert client.call("authenticate", passphrase="open").status is Status.OK, kind
                assert client.call("list").status is Status.OK, kind
        assert len(first.call("Trust/clients").replies[0].clients) == 1 + len(kinds)

    def test_one_too_large_is_refused_without_harm(
        self, both: tuple[Daemon, str], first: GrpcClient
    ) -> None:
        daemon, _ = both
        with GrpcClient(daemon, certificates.large_pair(120_000)) as client:
            assert client.call("list").status is Status.UNAVAILABLE
        assert first.call("list").status is Status.OK


class TestLogLines:
    def test_a_trusted_caller_sees_what_it_asks_for(self, first: GrpcClient) -> None:
        assert [reply for reply in first.call("list").replies if reply.log_line] == []
        lines = [each.log_line for each in first.call("list", verbosity_level=4).replies]
        lines = [line for line in lines if line]
        assert lines and all(LOG_LINE.fullmatch(line) for line in lines), lines

    def test_an_untrusted_caller_of_authenticate_sees_none(
        self, both: tuple[Daemon, str], first: GrpcClient
    ) -> None:
        daemon, _ = both
        assert first.call("set", key="local.passphrase", val="open").status is Status.OK
        with GrpcClient(daemon, make_client()) as other:
            wrong = other.call("authenticate", passphrase="shut", verbosity_level=4)
            assert wrong.status is Status.INVALID_ARGUMENT and wrong.replies == []
            right = other.call("authenticate", passphrase="open", verbosity_level=4)
            assert right.status is Status.OK
            assert [each for each in right.replies if each.log_line] == []


class TestRemoval:
    def test_removal_by_a_call_counts_for_open_connections(
        self, both: tuple[Daemon, str], first: GrpcClient
    ) -> None:
        daemon, _ = both
        pair = make_client()
        assert first.call("set", key="local.passphrase", val="open").status is Status.OK
        with GrpcClient(daemon, pair) as other:
            assert other.call("authenticate", passphrase="open").status is Status.OK
            removal = first.call("Trust/remove", fingerprint=fingerprint_of(pair))
            assert removal.replies[0].removed
            assert other.call("list")[:2] == (Status.UNAUTHENTICATED, NOT_TRUSTED)
            assert other.call("ping")[:2] == (Status.UNAUTHENTICATED, "")

    def test_removal_by_hand_counts_for_the_very_next_call(
        self, both: tuple[Daemon, str], first: GrpcClient
    ) -> None:
        daemon, _ = both
        daemon.store_path.write_bytes(make_client().certificate)
        assert first.call("list")[:2] == (Status.UNAUTHENTICATED, NOT_TRUSTED)
        daemon.store_path.write_bytes(FIRST.certificate)
        assert first.call("list").status is Status.OK
