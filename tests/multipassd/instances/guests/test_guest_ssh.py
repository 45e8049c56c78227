"""Commands inside guests without a guest: known errors are reported at once."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
import socket
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from multipassd.drivers.interface import DriverError
from multipassd.instances.guests import guest_ssh, reachability
from multipassd.instances.guests.guest_ssh import Endpoint
from multipassd.instances.states.errors import GuestSilent
from multipassd.system import ssh_command
from multipassd.system.programs import ProgramMissing
from tests.client.guests import sshd
from tests.waiting import PATIENCE

NOBODY = 3_999_999  # in no list of users
SECONDS = PATIENCE
CLOSED = Endpoint("foo", "127.0.0.1", 1, "ssh-ed25519 AAAA")

needs_ssh = pytest.mark.skipif(shutil.which(ssh_command.SSH) is None, reason="needs ssh")


def said(endpoint: Endpoint = CLOSED) -> str:
    try:
        return asyncio.run(guest_ssh.run(endpoint, Path("/no/such/key"), "true", SECONDS))
    except (DriverError, ProgramMissing, GuestSilent) as error:
        return f"{type(error).__name__}: {error}"


def say_as_nobody(end: Connection) -> None:
    os.setresuid(NOBODY, NOBODY, NOBODY)
    end.send(said())


@needs_ssh
def test_a_port_where_nobody_listens_is_a_silent_guest() -> None:
    assert said() == "GuestSilent: foo: ssh ended with 255"


@needs_ssh
@pytest.mark.root
def test_a_user_for_whom_ssh_does_not_work_is_told_and_not_waited_for() -> None:
    fork = multiprocessing.get_context("fork")  # another user may not read this checkout
    ours, theirs = fork.Pipe()
    child = fork.Process(target=say_as_nobody, args=(theirs,))
    child.start()
    told = ours.recv() if ours.poll(2 * SECONDS) else "nothing"
    child.join(SECONDS)
    assert told.startswith(
        f"DriverError: Instances can't be reached: the service runs with user id {NOBODY}"
    )


def test_a_missing_ssh_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Please install the package openssh-client." in said()


def test_a_guest_that_goes_on_and_on_is_not_listened_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    babbling = tmp_path / ssh_command.SSH
    babbling.write_text("#!/bin/sh\nexec yes\n")
    babbling.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert said() == f"GuestSilent: foo said more than {guest_ssh.MAX_OUTPUT} bytes"


@needs_ssh
def test_an_attempt_at_a_guest_that_greets_no_connection_ends_in_the_endpoints_time() -> None:
    """As while it boots: QEMU's own network accepts for it, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert said(replace(CLOSED, port=port, answer_seconds=1)) == said()


def test_a_guest_may_take_longer_to_greet_the_longer_its_start_takes() -> None:
    assert [reachability.patience(passed) for passed in (0, 11, 12, 29, 30, 300)] == [
        1, 1, 2, 4, 5, ssh_command.CONNECT_SECONDS
    ]  # fmt: skip


@pytest.mark.skipif(bool(sshd.missing()), reason=sshd.missing())
def test_a_guest_with_another_host_key_than_was_made_for_it_is_not_talked_to(
    tmp_path: Path,
) -> None:
    server = sshd.Sshd(tmp_path)

    def says(host_key: str) -> str:
        endpoint = Endpoint("foo", "127.0.0.1", server.port, host_key, server.user)
        return asyncio.run(guest_ssh.run(endpoint, tmp_path / "user_key", "echo hello", SECONDS))

    try:
        assert says(server.host_key) == "hello\n"
        with pytest.raises(GuestSilent, match="ssh ended with 255"):
            says(sshd.make_key(tmp_path / "other_key")[1])
    finally:
        server.close()


@pytest.mark.skipif(bool(sshd.missing()), reason=sshd.missing())
def test_a_guest_of_another_service_is_believed_once_and_its_host_key_is_learned(
    tmp_path: Path,
) -> None:
    server = sshd.Sshd(tmp_path)
    endpoint = Endpoint("foo", "127.0.0.1", server.port, "", server.user)
    try:
        key = tmp_path / "user_key"
        learned = asyncio.run(guest_ssh.learn(endpoint, key, "echo hello", SECONDS))
        assert learned == ("hello\n", server.host_key)
        with pytest.raises(GuestSilent):  # not at a log-in that fails
            asyncio.run(guest_ssh.learn(endpoint, tmp_path / "none", "echo hello", SECONDS))
    finally:
        server.close()
