"""The client against Google's gRPC server, over a Unix socket and over TCP."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import grpc
import pytest

from protocol import certificates
from protocol.messages.access import (
    AuthenticateReply,
    AuthenticateRequest,
    GetReply,
    GetRequest,
    KeysReply,
    PingReply,
    SetReply,
    SetRequest,
    VersionReply,
    WaitReadyReply,
)
from protocol.messages.common import InstanceStatus
from protocol.messages.listing import InstancesList, ListReply, ListRequest, ListVMInstance
from protocol.version import VERSION
from tests.client.program import Program
from tests.client.service import Connect, Service, failing, replying, wants

IS_ROOT = os.geteuid() == 0
NOT_AUTHENTICATED = (
    "The client is not authenticated with the Multipass service.\n"
    "Please use 'multipass authenticate' before proceeding."
)


LISTED = ListReply(
    instance_list=InstancesList(
        instances=[
            ListVMInstance(name=name, instance_status=InstanceStatus(status=4))
            for name in ("b", "primary", "a")
        ]
    )
)


@pytest.mark.parametrize("tcp", [False, True])
def test_list(connect: Connect, tcp: bool) -> None:
    program, service = connect(tcp, list=replying(LISTED))
    result = program.run("list", "--format", "csv")
    assert (result.code, result.err) == (0, "")
    names = [line.partition(",")[0] for line in result.out.splitlines()]
    assert names == ["Name", "primary", "a", "b"]
    assert ListRequest.decode(service.requests["list"][0]) == ListRequest(request_ipv4=True)


def test_list_of_nothing_and_its_request(connect: Connect) -> None:
    program, service = connect(list=replying(ListReply()))
    assert program.run("list").out == "No instances found.\n"
    assert program.run("ls", "--snapshots", "-vvv").out == "No snapshots found.\n"
    assert program.run("list", "--no-ipv4").code == 0
    assert [ListRequest.decode(data) for data in service.requests["list"]] == [
        ListRequest(request_ipv4=True),
        ListRequest(request_ipv4=True, snapshots=True, verbosity_level=3),
        ListRequest(),
    ]


def test_log_lines_go_to_stderr_and_do_not_hide_the_answer(connect: Connect) -> None:
    line = "[2026-01-01T00:00:00.000] [debug] [x] é\n"
    program, _ = connect(list=replying(ListReply(log_line=line), LISTED, ListReply(log_line=line)))
    result = program.run("list", "-vvvv", "--format", "csv")
    assert result.err == line * 2
    assert len(result.out.splitlines()) == 4


def test_a_reply_of_a_megabyte_arrives(connect: Connect) -> None:
    many = [ListVMInstance(name=f"i{n:05}-{'x' * 80}") for n in range(10_000)]
    program, _ = connect(list=replying(ListReply(instance_list=InstancesList(instances=many))))
    assert len(program.run("list", "--format", "csv").out.splitlines()) == 10_001


@pytest.mark.parametrize("tcp", [False, True])
def test_an_error_status_is_told_with_the_command_s_main_name(connect: Connect, tcp: bool) -> None:
    program, _ = connect(tcp, list=failing(grpc.StatusCode.UNAUTHENTICATED, NOT_AUTHENTICATED))
    result = program.run("ls")
    assert (result.code, result.out, result.err) == (2, "", f"list failed: {NOT_AUTHENTICATED}\n")


def test_access_denied_by_the_service_gets_the_closed_socket_s_hint(connect: Connect) -> None:
    denied = failing(grpc.StatusCode.PERMISSION_DENIED, "multipass socket access denied")
    program, _ = connect(list=denied)
    first, second = program.run("list").err.splitlines()
    assert first == "list failed: multipass socket access denied"
    assert program.environ["MULTIPASS_SERVER_ADDRESS"].removeprefix("unix:") in second


def test_an_unknown_method_and_a_reply_of_garbage_are_errors(connect: Connect) -> None:
    def garbage(requests: Any, context: Any) -> Iterable[bytes]:
        next(requests)
        yield b"\xff\xff\xff"

    program, _ = connect(list=garbage)
    result = program.run("list")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("list failed: the service sent a reply that can't be read\n")
    assert program.run("get", "local.driver").code == 2


def test_get(connect: Connect) -> None:
    program, service = connect(get=replying(GetReply(value="qemu")))
    assert program.run("get", "local.driver", "-v").out == "qemu\n"
    request = GetRequest(key="local.driver", verbosity_level=1)
    assert GetRequest.decode(service.requests["get"][0]) == request
    service.answers["get"] = replying(GetReply())
    assert program.run("get", "local.bridged-network").out == "<empty>\n"
    assert program.run("get", "--raw", "local.bridged-network").out == "\n"


@pytest.mark.parametrize(("sent", "shown"), [("", "false"), ("true", "true"), ("f28cb995", "true")])
def test_get_of_the_passphrase_tells_only_whether_there_is_one(
    connect: Connect, sent: str, shown: str
) -> None:
    program, _ = connect(get=replying(GetReply(value=sent)))
    assert program.run("get", "local.passphrase").out == f"{shown}\n"
    assert program.run("get", "local.passphrase", "--raw").out == f"{shown}\n"


def test_keys_are_merged_and_sorted(connect: Connect) -> None:
    program, _ = connect(keys=replying(KeysReply(settings_keys=["local.driver", "a.b"])))
    assert program.run("get", "--keys").out == "a.b\nclient.primary-name\nlocal.driver\n"
    assert program.run("get", "--keys", "local.driver").out == "local.driver\n"


@pytest.mark.parametrize(
    ("pair", "key", "value"),
    [
        ("local.driver=qemu", "local.driver", "qemu"),
        ("local.driver=", "local.driver", ""),
        ("local.passphrase=a=b c=é✓", "local.passphrase", "a=b c=é✓"),
    ],
)
def test_set_prints_nothing(connect: Connect, pair: str, key: str, value: str) -> None:
    program, service = connect(set=replying(SetReply()))
    result = program.run("set", pair)
    assert (result.code, result.out, result.err) == (0, "", "")
    assert SetRequest.decode(service.requests["set"][0]) == SetRequest(key=key, val=value)


def test_setting_a_deprecated_driver_warns(connect: Connect) -> None:
    program, _ = connect(set=replying(SetReply()))
    assert program.run("set", "local.driver=LXD").out.startswith(
        "*** Warning! The lxd driver is deprecated and will be removed in an future release. ***\n"
    )


def test_a_service_that_asks_back_gets_no_from_a_pipe(connect: Connect) -> None:
    def asking(requests: Any, context: Any) -> Iterable[bytes]:
        next(requests)
        yield SetReply(needs_authorization=True, reply_message="eth0").encode()
        answer = SetRequest.decode(next(requests))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"authorized: {answer.authorized}")

    program, _ = connect(set=asking)
    result = program.run("set", "local.i.bridged=true", input=b"yes\n")
    assert (result.code, result.err) == (2, "set failed: authorized: False\n")


@pytest.mark.parametrize("tcp", [False, True])
def test_authenticate_with_an_argument(connect: Connect, tcp: bool) -> None:
    program, service = connect(tcp, authenticate=replying(AuthenticateReply()))
    result = program.run("auth", "p=w é", "-v")
    assert (result.code, result.out, result.err) == (0, "", "")
    request = AuthenticateRequest(passphrase="p=w é", verbosity_level=1)
    assert AuthenticateRequest.decode(service.requests["authenticate"][0]) == request


def test_authenticate_refused(connect: Connect) -> None:
    wrong = "Passphrase is not correct. Please try again."
    program, _ = connect(authenticate=failing(grpc.StatusCode.INVALID_ARGUMENT, wrong))
    result = program.run("auth", "x")
    assert (result.code, result.err) == (2, f"authenticate failed: {wrong}\n")


@pytest.mark.skipif(not IS_ROOT, reason="the rule is for root")
def test_root_is_authenticated_without_a_passphrase(connect: Connect) -> None:
    program, service = connect(authenticate=replying(AuthenticateReply()))
    result = program.run("authenticate")
    assert (result.code, result.err) == (0, "")
    assert result.out == "This client (root) is now authenticated.\n"
    assert service.requests["authenticate"] == [b""]


@pytest.mark.skipif(not IS_ROOT, reason="the rule is for root")
def test_root_is_told_of_other_errors(connect: Connect) -> None:
    program, _ = connect(authenticate=failing(grpc.StatusCode.INTERNAL, "invalid certificate data"))
    result = program.run("authenticate", input=b"secret\n")
    assert (result.code, result.out) == (2, "")
    assert result.err == "authenticate failed: invalid certificate data\n"


@pytest.mark.parametrize(
    "status", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION]
)
@pytest.mark.parametrize("tcp", [False, True])
def test_the_passphrase_is_asked_for(connect: Connect, tcp: bool, status: grpc.StatusCode) -> None:
    program, service = connect(tcp, authenticate=wants("a b=ü", status))
    result = program.run("authenticate", input="a b=ü\nnot this\n".encode())
    assert (result.code, result.out, result.err) == (0, "Please enter passphrase: \n", "")
    sent = [AuthenticateRequest.decode(data) for data in service.requests["authenticate"]]
    asked_first = [""] if IS_ROOT and not tcp else []
    assert [request.passphrase for request in sent] == [*asked_first, "a b=ü"]


@pytest.mark.parametrize(
    ("input", "sentence"), [(b"", "Failed to read value"), (b"\n", "No passphrase given")]
)
def test_an_empty_answer_is_told(connect: Connect, input: bytes, sentence: str) -> None:
    program, _ = connect(authenticate=wants("x", grpc.StatusCode.INVALID_ARGUMENT))
    result = program.run("authenticate", input=input)
    assert (result.code, result.err) == (1, f"{sentence}\n")


@pytest.mark.parametrize(("input", "value"), [(b"one\n", "one"), (b"two\ntwo\n", "two")])
def test_a_new_passphrase_is_taken_from_a_pipe(connect: Connect, input: bytes, value: str) -> None:
    program, service = connect(set=replying(SetReply()))
    result = program.run("set", "local.passphrase", input=input)
    assert (result.code, result.err) == (0, "")
    assert result.out == "Please enter passphrase: \nPlease re-enter passphrase: \n"
    assert SetRequest.decode(service.requests["set"][0]).val == value


def test_new_passphrases_that_differ_are_told(connect: Connect) -> None:
    program, service = connect(set=replying(SetReply()))
    result = program.run("set", "local.passphrase", input=b"one\ntwo\n")
    assert (result.code, result.err) == (1, "Passphrases do not match\n")
    assert "set" not in service.requests


def test_version_shows_both_and_survives_a_refusal(connect: Connect) -> None:
    known = replying(PingReply())  # asked first: a ping never enrols, `version` may
    program, service = connect(ping=known, version=replying(VersionReply(version="1.16.2")))
    assert program.run("version").out == f"multipass   {VERSION}\nmultipassd  1.16.2\n"
    service.answers["version"] = failing(grpc.StatusCode.UNAUTHENTICATED, NOT_AUTHENTICATED)
    result = program.run("version")
    assert (result.code, result.out, result.err) == (0, f"multipass   {VERSION}\n", "")


def test_version_does_not_reach_a_service_that_does_not_know_the_client(connect: Connect) -> None:
    program, service = connect(
        ping=failing(grpc.StatusCode.UNAUTHENTICATED, ""),
        version=replying(VersionReply(version="1.16.2")),
    )
    assert program.run("version").out == f"multipass   {VERSION}\n"
    assert "version" not in service.requests


def test_wait_ready(connect: Connect) -> None:
    program, service = connect(wait_ready=replying(WaitReadyReply()))
    result = program.run("wait-ready")
    assert (result.code, result.out, result.err) == (0, "", "")
    del service.answers["wait_ready"]  # as in 1.16
    assert program.run("wait-ready").code == 0
    service.answers["wait_ready"] = failing(grpc.StatusCode.UNAVAILABLE, "not yet")
    assert program.run("wait-ready", "--timeout", "1").code == 5
    service.answers["wait_ready"] = replying(WaitReadyReply())
    assert program.run("wait-ready", MULTIPASS_NEVER_ENROL="1").code == 0


def test_a_stale_or_missing_root_certificate_is_one_warning_for_one_s_own_service(
    connect: Connect,
) -> None:
    program, service = connect(list=replying(LISTED))
    for content in (None, b"garbage", certificates.make_root().certificate):
        service.root_certificate.unlink(missing_ok=True)
        if content is not None:
            service.root_certificate.write_bytes(content)
        result = program.run("list")
        assert result.code == 0
        assert result.err.startswith("Warning: ")
        assert len(result.err.splitlines()) == 1


def test_over_tcp_nothing_is_sent_to_a_service_that_does_not_verify(connect: Connect) -> None:
    program, service = connect(True, authenticate=replying(AuthenticateReply()))
    for content in (None, b"garbage", certificates.make_root().certificate):
        service.root_certificate.unlink(missing_ok=True)
        if content is not None:
            service.root_certificate.write_bytes(content)
        for words in (["authenticate", "secret"], ["authenticate"]):
            result = program.run(*words, input=b"secret\n")
            assert (result.code, result.out) == (2, "")  # not even asked
            assert "could not be identified" in result.err
            assert "secret" not in result.err
    assert service.requests == {}


def test_a_service_that_appears_is_waited_for(tmp_path: Path) -> None:
    program = Program(tmp_path / "home", f"unix:{tmp_path}/socket", tmp_path / "root.pem")
    # Created beforehand, as that may take longer on a busy machine than the client waits.
    service = Service(f"unix:{tmp_path}/later", tmp_path, list=replying(LISTED))
    appear = threading.Timer(1.0, (tmp_path / "later").rename, [tmp_path / "socket"])
    appear.start()
    try:
        result = program.run("list")
    finally:
        appear.join()
        service.close()
    assert result.code == 0


def test_a_damaged_client_certificate_is_told(connect: Connect) -> None:
    program, _ = connect(list=replying(LISTED))
    folder = program.home / "data" / "multipass-client-certificate"
    folder.mkdir(parents=True)
    for name in ("multipass_cert.pem", "multipass_cert_key.pem"):
        (folder / name).write_text("garbage")
    result = program.run("list")
    assert result.code == 2
    assert result.err.startswith("list failed: cannot use this client's certificate ")
    assert str(folder) in result.err.splitlines()[1]
