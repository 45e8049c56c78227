"""`exec`, `transfer` and `shell` over TCP: SSH goes through the service, here Google's gRPC server,
to a real SSH server at an address that the client is not given."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from protocol.messages.guests import RelayReply, RelayRequest
from protocol.messages.information import InfoReply
from protocol.messages.lifecycle import SSHInfo, SSHInfoReply
from tests import ports
from tests.client.guests.background import Background, OnTerminal
from tests.client.guests.sshd import Sshd, keeping
from tests.client.program import PROGRAM, Program
from tests.client.service import Answer, Service, failing, replying
from tests.waiting import PATIENCE, until


def relaying(server: Sshd) -> Answer:
    """As the daemon does it, for one guest."""

    def answer(requests: Any, context: Any) -> Iterable[bytes]:
        assert RelayRequest.decode(next(requests)).instance_name == "guest"
        inside = socket.create_connection((ports.LOOPBACK, server.port))
        context.add_callback(inside.close)

        def forward() -> None:
            try:
                for each in requests:
                    inside.sendall(RelayRequest.decode(each).data)
                inside.shutdown(socket.SHUT_WR)
            except (OSError, grpc.RpcError):
                pass

        threading.Thread(target=forward, daemon=True).start()
        yield RelayReply().encode()
        while data := inside.recv(1 << 16):
            yield RelayReply(data=data).encode()
        yield RelayReply(ended=True).encode()

    return answer


@pytest.fixture
def service(server: Sshd, tmp_path: Path) -> Iterator[Service]:
    nowhere = SSHInfo(
        host="192.0.2.1", port=22, username=server.user, priv_key_base64=server.private_key
    )
    started = Service(
        f"{ports.LOOPBACK}:0",
        tmp_path,
        info=replying(InfoReply()),
        ssh_info=replying(SSHInfoReply(ssh_info={"guest": nowhere})),
        host_keys=keeping(server.host_key),
        relay=relaying(server),
    )
    yield started
    started.close()


@pytest.fixture
def program(service: Service, tmp_path: Path) -> Program:
    return Program(tmp_path / "home", f"{ports.LOOPBACK}:{service.port}", service.root_certificate)


def test_input_output_errors_and_the_exit_code_go_through(program: Program) -> None:
    data = os.urandom(1 << 20)
    done = subprocess.run(
        [PROGRAM, "exec", "guest", "--", "sh", "-c", "cat; echo wrong >&2; exit 9"],
        input=data, capture_output=True, env=program.environ, cwd="/", timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == data
    assert (done.returncode, done.stderr) == (9, b"wrong\n")


def test_files_go_both_ways(program: Program, tmp_path: Path) -> None:
    file, there, back = tmp_path / "file", tmp_path / "there", tmp_path / "back"
    file.write_bytes(os.urandom(3 << 20))
    assert program.run("transfer", str(file), f"guest:{there}").err == ""
    assert program.run("transfer", f"guest:{there}", str(back)).err == ""
    assert back.read_bytes() == file.read_bytes()


def test_a_terminal_and_its_signals_are_ssh_s(
    program: Program, background: list[Background]
) -> None:
    client = OnTerminal(program, "shell", "guest")
    background.append(client)
    client.type(b"stty size; echo re''ady\r")
    client.wait_for(b"33 77")
    client.wait_for(b"ready")
    trap = b"trap 'echo cau''ght; exit 3' INT"
    client.type(b'exec sh -c "' + trap + b"; echo wai''ts; while :; do sleep 0.1; done\"\r")
    client.wait_for(b"waits")
    client.type(b"\x03")
    client.wait_for(b"caught")
    assert client.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("shell", ["/bin/false", "/nonexistent"])
def test_the_user_s_own_shell_is_not_needed_to_connect(program: Program, shell: str) -> None:
    assert program.run("exec", "guest", "--", "echo", "in", SHELL=shell).out == "in\n"


def test_a_client_that_inherits_ignored_ends_of_children_is_served(program: Program) -> None:
    deaf = [
        "env",
        "--ignore-signal=CHLD",
        str(PROGRAM),
        "exec",
        "guest",
        "--",
        "sh",
        "-c",
        "exit 4",
    ]
    assert subprocess.run(deaf, env=program.environ, cwd="/", check=False).returncode == 4


@pytest.mark.parametrize(
    ("status", "message", "sentence"),
    [
        (grpc.StatusCode.UNAVAILABLE, "The guest is silent.", "The guest is silent."),
        (
            grpc.StatusCode.UNAUTHENTICATED, "",
            "the service does not trust this client any more",
        ),
    ],
)  # fmt: skip
def test_a_refusal_is_told_in_the_service_s_words(
    program: Program, service: Service, status: grpc.StatusCode, message: str, sentence: str
) -> None:
    service.answers["relay"] = failing(status, message)
    for words in (["exec", "guest", "true"], ["transfer", "/etc/hostname", "guest:x"]):
        result = program.run(*words)
        assert (result.code, result.out) == (2, "")
        assert result.err.splitlines()[0] == f"{words[0]} failed: {sentence}"


def test_an_end_in_the_middle_is_told_in_the_service_s_words(
    program: Program, service: Service, server: Sshd
) -> None:
    revoked = threading.Event()

    def breaks(requests: Any, context: Any) -> Iterable[bytes]:
        for each in relaying(server)(requests, context):
            yield each
            if revoked.is_set():
                context.abort(grpc.StatusCode.UNAVAILABLE, "The service stops.")

    service.answers["relay"] = breaks
    client = Background(
        program, "exec", "guest", "--", "sh", "-c", "echo up; read x; echo more; sleep 60",
        stdin=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert client.process.stdout.readline() == b"up\n"
        revoked.set()
        client.process.stdin.write(b"\n")
        client.process.stdin.flush()
        _, err = client.process.communicate(timeout=PATIENCE)
        assert (client.process.returncode, err) == (2, b"exec failed: The service stops.\n")
    finally:
        client.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_a_client_that_is_ended(
    program: Program, background: list[Background], number: signal.Signals
) -> None:
    client = Background(program, "exec", "guest", "--", "sh", "-c", "echo up; exec sleep 60")
    background.append(client)
    assert client.process.stdout.readline() == b"up\n"
    assert len(client.session()) >= 3  # the client, its relay, ssh
    client.process.send_signal(number)
    if number is signal.SIGKILL:  # ssh lives on, as without a relay, until its input ends
        client.process.wait(PATIENCE)
        for place in client.session():
            if b"ssh\0" in (place / "cmdline").read_bytes():
                os.kill(int(place.name), signal.SIGTERM)
    until(lambda: not client.session(), "the end of all its processes")


def test_an_ssh_that_is_missing_is_told(program: Program, tmp_path: Path) -> None:
    program.environ["PATH"] = str(tmp_path)
    result = program.run("exec", "guest", "true")
    assert result.code == 2 and "ssh" in result.err


def test_an_older_service_is_reached_at_the_address_that_it_tells(
    program: Program, service: Service, server: Sshd
) -> None:
    """Multipass's own has neither host keys nor a relay."""
    service.answers["ssh_info"] = replying(SSHInfoReply(ssh_info={"guest": server.info}))
    del service.answers["host_keys"], service.answers["relay"]
    assert program.run("exec", "guest", "--", "echo", "in").out == "in\n"
