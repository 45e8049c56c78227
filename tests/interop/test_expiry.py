"""Certificates that have ended: accepted as in 1.16, or refused where `local.refuse-expired` is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from multipassd.auth.passphrase import make as record_of
from protocol.certificates import CLIENT_LIFE, KeyPair, make_client
from protocol.pem import fingerprint, pem_to_der
from protocol.status import Status
from tests import ports
from tests.conftest import DaemonFactory
from tests.interop.grpc_client import GrpcClient
from tests.interop.test_removal import server  # noqa: F401
from tests.multipassd.admin.trust import Trust
from tests.waiting import PATIENCE, until
from tools.daemon import Daemon
from tools.imageserver import ImageServer

KEEPER = make_client()
REFUSED = "and the service refuses such certificates (local.refuse-expired)."


def ends_in(span: timedelta) -> KeyPair:
    return make_client(datetime.now(UTC) + span - CLIENT_LIFE)


class Site:
    """A daemon on a port, where no caller is root, whose admin is KEEPER."""

    def __init__(self, running: Daemon, tcp: str) -> None:
        self.running = running
        self.tcp = tcp
        self.trust = Trust(running.sandbox)
        self.add(KEEPER, "keeper")

    def add(self, pair: KeyPair, name: str) -> KeyPair:
        self.trust.done("add", "-", "--name", name, input=pair.certificate)
        return pair

    def refuse(self, value: str) -> None:
        with self.client(KEEPER) as client:
            answer = client.call("set", key="local.refuse-expired", val=value)
            assert answer.status is Status.OK

    def client(self, pair: KeyPair) -> GrpcClient:
        return GrpcClient(self.running, pair, self.tcp)


@pytest.fixture
def site(daemon: DaemonFactory, server: ImageServer) -> Iterator[Site]:  # noqa: F811
    running = daemon(start=False, env={"MULTIPASS_IMAGE_REMOTES": server.remotes()})
    with ports.reserved() as port:
        tcp = f"{ports.LOOPBACK}:{port}"
        addresses = ["--address", running.address, "--address", tcp]
        running.options += ["--verbosity", "debug", *addresses]
        yield Site(running.start(), tcp)


def test_it_is_refused_only_as_long_as_that_is_set(site: Site) -> None:
    ended = site.add(ends_in(timedelta(days=-2)), "bob")
    day = f"{datetime.now(UTC) - timedelta(days=2):%Y-%m-%d}"
    with site.client(ended) as bob:
        assert bob.call("list").status is Status.OK, "as in 1.16"
        status, message, _ = bob.call("set", key="local.refuse-expired", val="on")
        assert status is Status.INVALID_ARGUMENT and "you would be refused" in message
        site.refuse("true")
        for name in ("list", "ping", "Trust/clients", "Trust/renew", "authenticate"):
            status, message, _ = bob.call(name)
            assert status is Status.UNAUTHENTICATED, name
            assert message.startswith(f"The client's certificate ended on {day}, {REFUSED}\n")
        assert bob.call("wait_ready").status is Status.OK, "which all may call"
        with GrpcClient(site.running, ended) as local:  # the daemon's user is root, or not
            root = os.geteuid() == 0
            expected = Status.OK if root else Status.UNAUTHENTICATED
            assert local.call("list").status is expected, "root is never locked out by it"
        site.refuse("false")
        assert bob.call("list").status is Status.OK


def test_no_client_is_let_in_by_one(site: Site) -> None:
    with site.client(KEEPER) as keeper:
        keeper.call("set", key="local.passphrase", val=record_of("open sesame"))
    site.refuse("true")
    ended = ends_in(timedelta(days=-1))
    with site.client(ended) as stranger:
        answer = stranger.call("authenticate", passphrase="open sesame")
        assert answer.status is Status.UNAUTHENTICATED and REFUSED in answer.message
    assert fingerprint(pem_to_der(ended.certificate)) not in site.trust.done(
        "list", "--format", "json"
    )


def test_an_open_connection_is_refused_and_its_call_ended(site: Site) -> None:
    """As when it ends in the middle: `test_gate.py` has the clock."""
    pair = site.add(ends_in(timedelta(days=-1)), "bob")
    with site.client(pair) as bob, ThreadPoolExecutor(1) as pool:
        assert bob.call("list").status is Status.OK
        call = pool.submit(lambda: bob.call("launch", instance_name="foo", image="noble"))
        until(lambda: "launch of foo: image" in site.running.log_text() or call.done())
        site.refuse("true")
        status, message, _ = call.result(PATIENCE)
        assert status is Status.UNAUTHENTICATED and REFUSED in message
        assert bob.call("list").status is Status.UNAUTHENTICATED


def test_administrators_see_what_has_ended_and_what_ends_soon(site: Site) -> None:
    site.add(ends_in(timedelta(days=-2)), "bob")
    site.add(ends_in(timedelta(days=9)), "carl")
    listed = site.trust.done("list").splitlines()
    assert [line.split("(")[-1] for line in listed if "bob" in line] == ["ended)"]
    assert [line.split("(")[-1] for line in listed if "carl" in line] == ["soon)"]
    assert not [line for line in listed if "keeper" in line and "(soon)" in line]
    said = site.trust.run("check").stdout
    assert "bob (" in said and "ended, and the client is let in as in Multipass 1.16" in said
    assert "carl (" in said and "ends within 30 days" in said
    site.refuse("true")
    said = site.trust.run("check").stdout
    assert "ended, and the service refuses it (local.refuse-expired)" in said


def test_check_finds_it_a_problem_where_no_admin_is_let_in(daemon: DaemonFactory) -> None:
    sandbox = daemon(start=False).sandbox
    trust = Trust(sandbox)
    ended = ends_in(timedelta(days=-2))
    trust.done("add", "-", "--name", "bob", input=ended.certificate)
    trust.done("add", "-", "--name", "carl", "--role", "viewer", input=KEEPER.certificate)
    sandbox.settings_path.parent.mkdir(parents=True)
    sandbox.settings_path.write_text("[General]\nlocal.refuse-expired=true\n")
    said = trust.run("check").stdout
    assert "PROBLEM  the certificates of all admins have ended" in said
    assert "next: `sudo multipass authenticate`" in said
    sandbox.settings_path.write_text("[General]\nlocal.refuse-expired=false\n")
    assert "all admins" not in trust.run("check").stdout
