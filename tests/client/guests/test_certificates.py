"""Log-ins by certificates through OpenSSH's client and a real SSH server."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from client.guests import keypair
from multipassd.cloudinit.ssh_authority import BACKWARD, VALID, Login, SshAuthority
from protocol.messages.guests import CertifyReply, CertifyRequest
from tests.client.guests.sshd import Sshd
from tests.client.program import PROGRAM, Program, Result
from tests.client.service import Answer, Service, failing
from tests.waiting import until

ID = "guest-0123456789abcdef"
SHARED = "it refused a certificate"


class Authority:
    """Answers `certify` as the service does, for the SSH server as its instance."""

    def __init__(self, folder: Path, server: Sshd) -> None:
        self.skew = 0.0  # of the service's clock
        self.authority = SshAuthority(folder, lambda: time.time() + self.skew)
        self.guest = Login(ID, server.user)
        self.certified = self.guest  # what the certificates are for
        self.signer = self.authority
        self.requests: list[CertifyRequest] = []
        self.port = server.port
        self.run = ""  # of the instance, by which a client knows its connection again
        self._server = server

    def answer(self, requests: Any, context: Any) -> Iterable[bytes]:
        request = CertifyRequest.decode(next(requests))
        self.requests.append(request)
        reply = CertifyReply(
            host=self._server.info.host,
            port=self.port,
            username=self._server.user,
            host_key=self._server.host_key,
            connection=self.run,
        )
        if self.run and request.connection == self.run:
            return iter([reply.encode()])
        if request.refused:
            reply.private_key, reply.why_shared = self._server.private_key, SHARED
        else:
            reply.certificate = self.signer.certify(
                request.public_key, self.certified, "alice 0123abcd"
            )
        return iter([reply.encode()])


@pytest.fixture
def authority(server: Sshd, service: Service, tmp_path: Path) -> Iterator[Authority]:
    """The server lets its certificates in, and no key."""
    made = Authority(tmp_path, server)
    server.authorise(made.authority.line(made.guest))
    service.answers["certify"] = made.answer
    yield made
    server.authorise(server.public_key)


def remote(program: Program, *words: str) -> Result:
    return program.run("exec", "guest", "--", *words)


def test_one_call_and_a_certificate_are_enough_and_the_guests_log_names_the_client(
    program: Program, service: Service, authority: Authority, server: Sshd
) -> None:
    result = remote(program, "echo", "here")
    assert (result.code, result.out, result.err) == (0, "here\n", "")
    assert not {"ssh_info", "host_keys"} & service.requests.keys()
    (request,) = authority.requests
    assert request.instance_name == "guest" and not request.refused
    until(lambda: "ID alice 0123abcd (serial " in server.log(), "sshd's log")


def test_each_log_in_has_a_key_of_its_own(program: Program, authority: Authority) -> None:
    for _ in range(2):
        assert remote(program, "true").code == 0
    assert len({request.public_key for request in authority.requests}) == 2


def test_transfers_and_shells_log_in_by_certificates_too(
    program: Program, service: Service, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("content")
    result = program.run("transfer", str(tmp_path / "file"), f"guest:{tmp_path}/copy")
    assert (result.code, result.err) == (0, "")
    assert (tmp_path / "copy").read_text() == "content"
    assert program.run("shell", "guest", input=b"exit\n").code == 0
    assert [request.refused for request in authority.requests] == [False, False]


def test_a_remote_255_or_a_broken_connection_is_no_refusal(
    program: Program, authority: Authority
) -> None:
    assert remote(program, "sh", "-c", "exit 255").code == 255
    assert remote(program, "sh", "-c", "kill -KILL $PPID").code == 2
    assert len(authority.requests) == 2


SKEWS = {"expired": -VALID - 5.0, "from the future": BACKWARD + 60.0}


@pytest.mark.parametrize(
    "how", [*SKEWS, "another instance", "another login user", "another authority"]
)
def test_what_is_not_for_this_guest_and_now_is_refused(
    program: Program, authority: Authority, server: Sshd, tmp_path: Path, how: str
) -> None:
    authority.skew = SKEWS.get(how, 0.0)
    if how == "another instance":
        authority.certified = Login("other-0123456789abcdef", server.user)
    if how == "another login user":
        authority.certified = Login(ID, f"{server.user}2")
    if how == "another authority":
        (tmp_path / "other").mkdir()
        authority.signer = SshAuthority(tmp_path / "other")
    result = remote(program, "touch", str(tmp_path / "ran"))
    assert result.code == 2
    assert result.err.startswith("exec failed: the instance did not accept the service's key\n")
    assert [request.refused for request in authority.requests] == [False, True]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("skew", [-VALID + 30.0, BACKWARD - 30.0])
def test_a_guest_whose_clock_is_minutes_off_lets_certificates_in(
    program: Program, authority: Authority, skew: float
) -> None:
    authority.skew = skew
    assert remote(program, "true").code == 0
    assert len(authority.requests) == 1


def test_a_guest_that_refuses_certificates_is_tried_once_more_with_the_shared_key(
    program: Program, authority: Authority, server: Sshd, tmp_path: Path
) -> None:
    server.authorise(server.public_key)  # as where it was edited, or support is missing
    result = program.run("exec", "guest", "--", "cat", input=b"given once")
    assert (result.code, result.out, result.err) == (0, "given once", "")
    (tmp_path / "file").write_text("content")
    assert program.run("transfer", f"guest:{tmp_path}/file", str(tmp_path / "copy")).code == 0
    result = program.run("exec", "-v", "guest", "--", "true")
    assert result.err.endswith(f"the key that all instances share: {SHARED}\n")
    assert [request.refused for request in authority.requests] == [False, True] * 3


def test_a_server_that_allows_few_attempts_refuses_in_other_words(
    program: Program, service: Service, tmp_path: Path
) -> None:
    server = Sshd(tmp_path, MaxAuthTries="1")  # it lets the shared key in alone
    try:
        authority = Authority(tmp_path, server)
        service.answers["certify"] = authority.answer
        assert remote(program, "true").code == 0
        assert [request.refused for request in authority.requests] == [False, True]
    finally:
        server.close()


def test_if_the_service_keeps_the_shared_key_its_sentence_is_the_error(
    program: Program, authority: Authority, service: Service, server: Sshd
) -> None:
    server.authorise(server.public_key)

    def answer(requests: Any, context: Any) -> Iterable[bytes]:
        request = next(requests)
        if CertifyRequest.decode(request).refused:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not given out")
        return authority.answer(iter([request]), context)

    service.answers["certify"] = answer
    result = remote(program, "true")
    assert (result.code, result.err) == (2, "exec failed: not given out\n")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (failing(grpc.StatusCode.INTERNAL, "broken"), "exec failed: broken\n"),
        (lambda *_: iter([CertifyReply().encode()]), "exec failed: the service did not say how"),
        (
            lambda *_: iter([CertifyReply(host="h", certificate="c").encode()]),
            "exec failed: the service has no host key of 'guest'",
        ),
    ],
)
def test_no_log_in_without_what_it_needs(
    program: Program, service: Service, answer: Answer, sentence: str
) -> None:
    service.answers["certify"] = answer
    result = remote(program, "true")
    assert result.code == 2
    assert result.err.startswith(sentence)


def test_key_and_certificate_are_in_no_file_argument_or_variable(
    program: Program, authority: Authority, tmp_path: Path
) -> None:
    mark = tmp_path / "began"
    command = [str(PROGRAM), "exec", "guest", "--", "sh", "-c", f"touch {mark}; cat"]
    with subprocess.Popen(
        command, env=program.environ, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as client:
        until(mark.exists, "the remote command")
        children = Path(f"/proc/{client.pid}/task/{client.pid}/children").read_text().split()
        seen = b""
        for pid in (str(client.pid), *children):
            seen += Path("/proc", pid, "cmdline").read_bytes()
            seen += Path("/proc", pid, "environ").read_bytes()
        client.send_signal(signal.SIGKILL)
    assert children and b"PRIVATE KEY" not in seen and b"-cert-v01@" not in seen
    for place, _, names in os.walk(tmp_path):
        for name in names:
            path = Path(place, name)
            if path.is_file() and "authority" not in name:
                assert b"OPENSSH PRIVATE KEY" not in path.read_bytes(), path


@pytest.mark.parametrize("make", [keypair._by_libcrypto, keypair._by_cryptography])
def test_a_made_key_is_one_that_openssh_reads(make: Any, tmp_path: Path) -> None:
    pair = keypair.KeyPair(*make())
    path = tmp_path / "key"
    path.write_bytes(pair.private)
    path.chmod(0o600)
    said = subprocess.run(["ssh-keygen", "-y", "-f", path], capture_output=True, check=True)
    assert said.stdout.decode().split() == pair.public.split()


def test_without_libcrypto_in_reach_cryptography_makes_the_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails() -> tuple[bytes, bytes]:
        raise AttributeError("EVP_PKEY_Q_keygen")

    monkeypatch.setattr(keypair, "_by_libcrypto", fails)
    assert keypair.make().public.startswith("ssh-ed25519 AAAA")
