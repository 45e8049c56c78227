"""Invitations by the real programs: our client for the admin, 1.16's call for the invited."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor

from protocol.certificates import KeyPair, make_client
from protocol.status import Status
from tests.conftest import DaemonFactory
from tests.interop.grpc_client import GrpcClient
from tests.multipassd.admin.trust import Trust
from tools.daemon import Daemon

CLI = "alice"
LINE = re.compile(r"multipass authenticate (mpi1-\S+)")


def run(daemon: Daemon, *words: str) -> str:
    done = daemon.cli(CLI, *words)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def fails(daemon: Daemon, *words: str) -> str:
    done = daemon.cli(CLI, *words)
    assert done.returncode == 2 and not done.stdout, done
    return done.stderr


def test_an_invited_client_of_1_16_is_let_in_granted_more_and_revoked(
    daemon: DaemonFactory,
) -> None:
    running = daemon()
    run(running, "list")  # the first client
    invited = run(running, "invite", "bob", "--expires", "30m")
    assert "bob is let in once, as viewer, until " in invited
    found = LINE.search(invited)
    assert found
    waiting = json.loads(run(running, "clients", "--format", "json"))["clients"]
    assert any(each["name"] == "bob" and each["how"].startswith("invited") for each in waiting)
    pair = make_client()
    with GrpcClient(running, pair) as bob:
        assert bob.call("list").status is Status.UNAUTHENTICATED
        assert bob.call("authenticate", passphrase=found[1]).status is Status.OK
        assert bob.call("list").status is Status.OK
        assert bob.call("purge").status is Status.PERMISSION_DENIED
        with GrpcClient(running, make_client()) as other:
            again = other.call("authenticate", passphrase=found[1])
            assert again.status is Status.INVALID_ARGUMENT and "was used" in again.message
        running.restart()
        assert run(running, "grant", "bob", "admin") == "1 client of bob has the role admin now.\n"
    with GrpcClient(running, pair) as bob:
        assert bob.call("purge").status is Status.OK
        assert "There is no role 'boss'" in fails(running, "grant", "bob", "boss")
        revoked = run(running, "revoke", "bob")
        assert revoked == "1 client of bob is no longer trusted.\n"
        assert bob.call("list").status is Status.UNAUTHENTICATED
    assert "No client and no invitation" in fails(running, "revoke", "bob")
    log = running.log_text()
    assert "invited bob as viewer" in log and found[1] not in log


def test_of_many_clients_that_offer_a_line_at_once_one_gets_in(daemon: DaemonFactory) -> None:
    """Over connections of their own, and while multipass-trust takes other lines back."""
    running = daemon()
    run(running, "list")
    trust = Trust(running.sandbox)
    pairs = [make_client() for _ in range(8)]
    for turn in range(3):
        found = LINE.search(run(running, "invite", "bob"))
        assert found
        line = found[1]

        def offer(pair: KeyPair, line: str = line) -> Status:
            with GrpcClient(running, pair) as client:
                return client.call("authenticate", passphrase=line).status

        with ThreadPoolExecutor(len(pairs) + 1) as pool:
            answers = [pool.submit(offer, pair) for pair in pairs]
            if turn == 2:  # then perhaps none gets in
                removal = pool.submit(trust.run, "remove", "bob")
            statuses = [each.result() for each in answers]
        assert statuses.count(Status.OK) == 1 or (turn == 2 and Status.OK not in statuses)
        assert statuses.count(Status.INVALID_ARGUMENT) == len(pairs) - statuses.count(Status.OK)
        clients = json.loads(run(running, "clients", "--format", "json"))["clients"]
        bobs = [each for each in clients if each["name"] == "bob"]
        if turn < 2:
            assert [each["how"] for each in bobs] == ["invitation"]
            run(running, "revoke", "bob")
        else:
            removed = removal.result()
            assert removed.returncode == 0 or "no invitation that name" in removed.stderr, removed
            if removed.returncode == 0:
                assert bobs == [], "what was taken back, or removed, is not there"


def test_the_last_admin_stays_without_force_and_a_table_lists_all(daemon: DaemonFactory) -> None:
    running = daemon()
    run(running, "list")
    trust = Trust(running.sandbox)
    trust.done("add", "-", "--name", "carol", "--role", "viewer", input=make_client().certificate)
    heading, *rows = run(running, "clients").splitlines()
    assert heading.split()[:2] == ["Name", "Role"] and len(rows) == 2
    (me,) = [row.split()[0] for row in rows if " admin " in row]
    for words in (("revoke", me), ("grant", me, "viewer")):
        assert "This is the last admin" in fails(running, *words)
    assert run(running, "clients", "--format", "csv").splitlines()[0].startswith("Name,Role,How")
    assert "  - name: carol\n" in run(running, "clients", "--format", "yaml").replace("    ", "  ")


def test_the_passphrase_makes_what_its_role_says(daemon: DaemonFactory) -> None:
    running = daemon()
    run(running, "list")
    run(running, "set", "local.passphrase=open")
    run(running, "set", "local.passphrase-role=viewer")
    assert "would be taken for" in fails(running, "set", "local.passphrase=mpi1-abc")
    with GrpcClient(running, make_client()) as guest:
        assert guest.call("authenticate", passphrase="open").status is Status.OK
        assert guest.call("list").status is Status.OK
        assert guest.call("keys").status is Status.PERMISSION_DENIED
