"""Certificates that end soon are renewed by the CLI after a command, on the real service."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from client.certificate import CERTIFICATE, EARLIER, KEY, PENDING
from client.renewal import ATTEMPTED
from protocol.certificates import CLIENT_LIFE, KeyPair, load, make_client
from protocol.client_certificate import ensure
from protocol.pem import fingerprint, pem_to_der
from protocol.roles import Role
from protocol.status import Status
from tests.conftest import DaemonFactory
from tests.interop.grpc_client import GrpcClient
from tests.multipassd.admin.trust import Trust
from tests.waiting import until
from tools.daemon import Daemon
from tools.sandbox import Sandbox

DAY = timedelta(days=1)
NEW_LIFE = CLIENT_LIFE - DAY  # at least what a renewed certificate has left


class Home:
    """Where a client's certificates lie."""

    def __init__(self, sandbox: Sandbox, client: str) -> None:
        sandbox.env(client)  # makes the home
        self.certificate = sandbox.certificate(client)
        self.directory = self.certificate.parent
        self.key = self.directory / KEY
        self.pending = self.directory / PENDING
        self.earlier = [self.directory / name for name in EARLIER]

    def make(self, days: float) -> str:
        """A certificate that ends in that many days, with the key that is there or a new one."""
        ensure(self.directory)
        now = datetime.now(UTC) + days * DAY - CLIENT_LIFE
        made = make_client(now, self.key.read_bytes())
        self.certificate.write_bytes(made.certificate)
        return self.fingerprint

    @property
    def fingerprint(self) -> str:
        return name_of(self.certificate)

    @property
    def left(self) -> timedelta:
        return load(self.certificate.read_bytes()).not_valid_after_utc - datetime.now(UTC)

    def pair(self) -> KeyPair:
        return KeyPair(self.certificate.read_bytes(), self.key.read_bytes())


def name_of(path: Path) -> str:
    return fingerprint(pem_to_der(path.read_bytes()))


@pytest.fixture
def running(daemon: DaemonFactory) -> Daemon:
    return daemon()


@pytest.fixture
def trust(running: Daemon) -> Trust:
    return Trust(running.sandbox)


def enrol(trust: Trust, home: Home, days: float, name: str, role: Role = Role.ADMIN) -> str:
    old = home.make(days)
    trust.done("add", str(home.certificate), "--name", name, "--role", str(role))
    return old


def clients(trust: Trust) -> dict[str, dict[str, str]]:
    entries = json.loads(trust.done("list", "--format", "json"))["clients"]
    return {each["fingerprint"]: each for each in entries}


def renewed(home: Home, old: str) -> str:
    """Its new fingerprint."""
    until(lambda: home.fingerprint != old, "the renewed certificate")
    until(lambda: not (home.directory / ATTEMPTED).exists(), "the end of the renewal")
    return home.fingerprint


@pytest.mark.parametrize("role", [*Role])
def test_a_certificate_that_ends_soon_is_renewed_after_a_command(
    running: Daemon, trust: Trust, role: Role
) -> None:
    keeper, home = Home(running.sandbox, "keeper"), Home(running.sandbox, "alice")
    enrol(trust, keeper, 300, "keeper")
    old = enrol(trust, home, 20, "alice", role)
    before, key = clients(trust)[old], home.key.read_bytes()
    done = running.cli("alice", "list")
    assert (done.returncode, done.stdout, done.stderr) == (0, "No instances found.\n", "")
    new = renewed(home, old)
    assert home.left > NEW_LIFE and home.key.read_bytes() == key
    assert name_of(home.earlier[0]) == old and not home.pending.exists()
    after = clients(trust)
    assert set(after) == {keeper.fingerprint, new}
    kept = ("name", "role", "how", "uid", "enrolled")
    assert [after[new][each] for each in kept] == [before[each] for each in kept]
    assert running.cli("alice", "list").returncode == 0
    assert f"client {new[:16]}" in running.log_text() and "renewed" in running.log_text()
    with GrpcClient(running, home.pair()) as of_1_16:
        assert of_1_16.call("list").status is Status.OK


def test_a_certificate_that_lasts_is_left_alone(running: Daemon, trust: Trust) -> None:
    home = Home(running.sandbox, "alice")
    old = enrol(trust, home, 40, "alice")
    assert running.cli("alice", "list").returncode == 0
    assert home.fingerprint == old and sorted(os.listdir(home.directory)) == [CERTIFICATE, KEY]
