"""Certificates that end soon are renewed by the CLI after a command, on the real service."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from client import renewal
from client.certificate import CERTIFICATE, EARLIER, KEY, PENDING
from client.errors import StatusError
from client.expiry import ATTEMPTED
from client.server import Server
from client.transport.roots import Roots
from multipassd.trust.store import TrustStore
from protocol import client_certificate
from protocol.addresses import parse
from protocol.certificates import CLIENT_LIFE, KeyPair, load, make_client
from protocol.client_certificate import ensure
from protocol.pem import fingerprint, pem_to_der
from protocol.roles import Role
from protocol.status import Status
from tests.conftest import DaemonFactory
from tests.interop.grpc_client import GrpcClient
from tests.interop.test_removal import launching, server  # noqa: F401
from tests.multipassd.admin.trust import Trust
from tests.multipassd.trust.store_samples import opened
from tests.waiting import until
from tools.daemon import Daemon
from tools.imageserver import ImageServer
from tools.sandbox import MULTIPASS, Sandbox

DAY = timedelta(days=1)
NEW_LIFE = CLIENT_LIFE - DAY  # at least what a renewed certificate has left


KILLS = 5
LONGEST_EXCHANGE = 0.06  # seconds: kills fall everywhere in one, and beyond


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


# A kill of the client, at each of its steps


class Killed(BaseException):
    pass


class Steps:
    """Stops the renewal, as kill -9 does, before its step with the number `stop_at`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stop_at = self.count = 0
        for module, name in (
            (renewal, "_note_attempt"), (client_certificate, "write"), (renewal, "_call"),
            (renewal, "_keep"), (renewal, "_sync"), (os, "rename"), (os, "link"), (os, "unlink"),
        ):  # fmt: skip
            self._watch(monkeypatch, module, name)

    def _watch(self, monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> None:
        original = getattr(module, name)

        def step(*arguments: object) -> object:
            self.count += 1
            if self.count > self.stop_at:
                raise Killed
            return original(*arguments)

        monkeypatch.setattr(module, name, step)


def server_of(running: Daemon) -> Server:
    return Server(parse(running.address), Roots([str(running.root_cert)]))


def test_killed_at_any_step_the_client_gets_in_and_ends_the_work(
    running: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(running.store_path.parent)
    store.add(pem_to_der(make_client().certificate), "", None, "keeper")
    for stop_at in range(30):
        name = f"alice{stop_at}"
        home = Home(running.sandbox, name)
        old, key = home.make(20), home.key.read_bytes()
        store.add(pem_to_der(home.certificate.read_bytes()), "passphrase", None, name)
        with monkeypatch.context() as patched:
            steps = Steps(patched)
            steps.stop_at = stop_at
            with suppress(Killed):
                renewal.renew(server_of(running), (str(home.certificate), str(home.key)))
        store.refresh()
        if store.trusts(old):  # else the work is to be ended at once, for 1.16's client
            (home.directory / ATTEMPTED).unlink(missing_ok=True)  # a day passes
        done = running.cli(name, "list")
        assert (done.returncode, done.stderr) == (0, ""), stop_at
        until(lambda: home.fingerprint != old and not home.pending.exists(), "the new one")  # noqa: B023
        store.refresh()
        mine = [each.fingerprint for each in store.records() if each.name == name]
        assert mine == [home.fingerprint] and home.key.read_bytes() == key, stop_at
        assert name_of(home.earlier[0]) == old
        if steps.count <= stop_at:
            return
    raise AssertionError("it never ended")


def test_a_service_that_is_killed_in_exchanges_knows_each_client_by_one_certificate(
    running: Daemon,
) -> None:
    moments = random.Random(7)
    directory = running.store_path.parent
    opened(directory).add(pem_to_der(make_client().certificate), "", None, "keeper")
    for number in range(KILLS):
        name = f"alice{number}"
        home = Home(running.sandbox, name)
        old = home.make(20)
        opened(directory).add(
            pem_to_der(home.certificate.read_bytes()), "passphrase", None, name, role=Role.USER
        )
        assert running.cli(name, "list").returncode == 0
        until(lambda: home.pending.exists() or home.fingerprint != old, "the exchange")  # noqa: B023
        time.sleep(moments.random() * LONGEST_EXCHANGE)
        running.kill()
        certificates_of(opened(directory), name)
        running.start()
        (home.directory / ATTEMPTED).unlink(missing_ok=True)  # a day passes
        assert running.cli(name, "list").returncode == 0, number
        until(lambda: home.fingerprint != old and not home.pending.exists(), "the new one")  # noqa: B023
        assert certificates_of(opened(directory), name) == {home.fingerprint}, number


def certificates_of(store: TrustStore, name: str) -> set[str]:
    """The certificates of the person, each with its role."""
    found = {each.fingerprint for each in store.records() if each.name == name}
    assert found and {store.role_of(each) for each in found} == {Role.USER}
    return found


# Several at once


def test_of_many_commands_at_once_one_renews_and_none_fails(running: Daemon, trust: Trust) -> None:
    home = Home(running.sandbox, "alice")
    old = enrol(trust, home, 20, "alice")
    environment = running.env("alice")
    for _ in range(2):
        commands = [
            subprocess.Popen([MULTIPASS, "list"], env=environment, stdout=PIPE, stderr=PIPE)
            for _ in range(6)
        ]
        for each in commands:
            out, err = each.communicate(timeout=60)
            assert (each.returncode, out, err) == (0, b"No instances found.\n", b"")
    new = renewed(home, old)
    assert set(clients(trust)) == {new}
    assert running.log_text().count("has taken the place of") == 1


def test_a_connection_and_a_call_that_run_go_on_as_the_new_certificates(
    daemon: DaemonFactory,
    server: ImageServer,  # noqa: F811
) -> None:
    """Until the new one is removed."""
    running = daemon(
        options=("--verbosity", "debug"), env={"MULTIPASS_IMAGE_REMOTES": server.remotes()}
    )
    trust, home = Trust(running.sandbox), Home(running.sandbox, "alice")
    enrol(trust, Home(running.sandbox, "keeper"), 300, "keeper")
    old = enrol(trust, home, 20, "alice")
    pair = home.pair()
    with GrpcClient(running, pair) as open_since, launching(running, pair) as launch:
        assert open_since.call("list").status is Status.OK
        assert running.cli("alice", "list").returncode == 0
        new = renewed(home, old)
        assert open_since.call("list").status is Status.OK
        with GrpcClient(running, pair) as late:
            assert late.call("list").status is Status.UNAUTHENTICATED
        assert not launch.done()
        trust.done("remove", new)
        assert launch.result(60).status is Status.UNAUTHENTICATED
        assert open_since.call("list").status is Status.UNAUTHENTICATED


def test_a_service_that_was_not_used_meanwhile_still_lets_the_client_in(
    daemon: DaemonFactory,
) -> None:
    """One certificate for all services: each exchanges it when it is used next."""
    first, second = daemon(), daemon()
    one, other = Trust(first.sandbox), Trust(second.sandbox)
    home = Home(first.sandbox, "alice")
    old = enrol(one, home, 20, "alice")
    other.done("add", str(home.certificate), "--name", "alice")
    there = {
        "MULTIPASS_SERVER_ADDRESS": second.address,
        "MULTIPASS_ROOT_CERT": str(second.root_cert),
    }
    assert first.cli("alice", "list").returncode == 0
    new = renewed(home, old)
    assert set(clients(one)) == {new} and set(clients(other)) == {old}
    done = first.cli("alice", "list", env=there)
    assert (done.returncode, done.stderr) == (0, "")
    until(lambda: set(clients(other)) == {new}, "the exchange at the second service")
    assert home.fingerprint == new and name_of(home.earlier[0]) == old


# Clocks


@pytest.mark.parametrize("days", [-365, 365])
def test_a_wrong_clock_of_the_client_costs_one_attempt_a_day_and_no_certificate(
    running: Daemon, trust: Trust, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    home = Home(running.sandbox, "alice")
    old = enrol(trust, home, 200 if days > 0 else 20, "alice")
    service, identity = server_of(running), (str(home.certificate), str(home.key))
    calls: list[str] = []
    original = renewal._call

    def counted(*call: Any) -> None:
        calls.append("call")
        original(*call)

    monkeypatch.setattr(renewal, "_call", counted)
    right = time.time
    with monkeypatch.context() as wrong:
        wrong.setattr(time, "time", lambda: right() + days * DAY.total_seconds())
        for _ in range(3):
            with suppress(StatusError):
                renewal.renew(service, identity)
    assert len(calls) == (days > 0) and home.fingerprint == old
    assert set(clients(trust)) == {old}
    if days > 0:  # nothing is due by the right clock, and what was made is no use
        assert running.cli("alice", "list").returncode == 0
        renewal.renew(service, identity)
        assert len(calls) == 1 and home.fingerprint == old
        home.make(20)
        trust.done("add", str(home.certificate), "--name", "alice")
    old = home.fingerprint
    renewal.renew(service, identity)  # the attempt lies in the other year
    assert home.fingerprint != old and home.left > NEW_LIFE and home.fingerprint in clients(trust)


# What the service refuses


def test_no_client_names_another_ones_certificate_as_its_next(
    daemon: DaemonFactory,
) -> None:
    """Its access to instances would go on after it was revoked, for as long as that is trusted."""
    running = daemon(start=False)
    home, keeper = Home(running.sandbox, "bob"), Home(running.sandbox, "keeper")
    old, other = home.make(20), keeper.make(20)
    holders = running.data / "guest-access.jsonl"
    holders.parent.mkdir(exist_ok=True)
    holders.write_text(json.dumps({"fingerprint": old, "uids": [1], "key": None}) + "\n")
    holders.chmod(0o600)
    trust = Trust(running.sandbox)
    for each, name in ((home, "bob"), (keeper, "keeper")):
        trust.done("add", str(each.certificate), "--name", name)
    running.start()
    with GrpcClient(running, home.pair()) as bob:
        for der, why in (
            (pem_to_der(keeper.certificate.read_bytes()), "it has another key"),
            (pem_to_der(home.certificate.read_bytes()), "its dates don't fit"),
            (b"rubbish", "it is no certificate"),
        ):
            status, message, _ = bob.call("Trust/renew", certificate=der)
            assert status is Status.FAILED_PRECONDITION and why in message
    assert set(clients(trust)) == {old, other} and "renewed_by" not in holders.read_text()
