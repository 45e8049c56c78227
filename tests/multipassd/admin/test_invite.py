"""Invitations by multipass-trust: while the service runs and while it does not."""

from __future__ import annotations

import json
import re
import time

import pytest

from multipassd.trust.reader import INVITATIONS_NAME
from protocol.certificates import KeyPair
from protocol.status import Status
from tests.conftest import DaemonFactory
from tests.interop.grpc_client import Answer, GrpcClient
from tests.multipassd.admin.trust import Trust, client, snapshot
from tools.daemon import Daemon

LINE = re.compile(r"multipass authenticate (mpi1-\S+)")


def invite(trust: Trust, *words: str) -> str:
    found = LINE.search(trust.done("invite", *words))
    assert found
    return found[1]


def offer(running: Daemon, pair: KeyPair, line: str) -> Answer:
    with GrpcClient(running, pair) as caller:
        return caller.call("authenticate", passphrase=line)


def listed(trust: Trust) -> dict[str, list[dict[str, str]]]:
    found = json.loads(trust.done("list", "--format", "json"))
    assert isinstance(found, dict)
    return found


def test_the_first_admin_is_invited_while_no_service_runs_and_gets_in(
    trust: Trust, daemon: DaemonFactory
) -> None:
    assert "--role admin" in trust.refused("invite", "bob")
    line = invite(trust, "bob", "--role", "admin", "--expires", "7d")
    (waiting,) = listed(trust)["invitations"]
    assert (waiting["name"], waiting["role"], waiting["invited_by"]) == ("bob", "admin", "root")
    assert line.split("-")[1] not in json.dumps(waiting)
    table = trust.done("list")
    assert re.search(r"^bob +-- +admin +invited by root ", table, re.MULTILINE)
    assert "No client is trusted yet" in table
    running = daemon(sandbox=trust.sandbox)
    pair, who = client()
    assert offer(running, pair, line).status is Status.OK
    (found,) = listed(trust)["clients"]
    assert (found["fingerprint"], found["name"], found["how"]) == (who, "bob", "invitation")
    assert listed(trust)["invitations"] == []
    assert running.socket_path.stat().st_mode & 0o777 == 0o666


def test_what_multipass_trust_takes_back_is_void_for_the_running_service(
    trust: Trust, daemon: DaemonFactory
) -> None:
    running = daemon(sandbox=trust.sandbox)
    pair, _ = client()
    trust.done("add", "-", "--name", "alice", input=pair.certificate)
    lines = [invite(trust, "bob"), invite(trust, "bob", "--role", "viewer")]
    assert "." in lines[0], "the line names this service's key"
    assert "Would do: Take an invitation of bob back" in trust.done("remove", "bob", "--dry-run")
    assert "2 invitations taken back" in trust.done("remove", "bob")
    for line in lines:
        refused = offer(running, client()[0], line)
        assert refused.status is Status.INVALID_ARGUMENT and "taken back" in refused.message
    line = invite(trust, "bob")
    two, who = client()
    assert offer(running, two, line).status is Status.OK
    waits = invite(trust, "bob")
    said = trust.done("remove", "bob")
    assert f"{who[:16]} (bob) is no longer trusted" in said and "1 invitation taken back" in said
    assert offer(running, two, waits).status is Status.INVALID_ARGUMENT
    assert "no invitation that name" in trust.refused("remove", "bob")
    log = running.log_text()
    assert all(each not in log for each in (*lines, line, waits))


@pytest.mark.parametrize(
    "name",
    [
        "root",
        "Bob",
        "b\u043eb",
        "client-12345678",
        "",
        "b" * 33,
        "b\nob",
        "b\x1b[2Job",
        ".bob",
        "1",
    ],
)
def test_names_that_look_like_others_are_refused(trust: Trust, name: str) -> None:
    for words in (("invite", name, "--role", "admin"), ("add", "-", f"--name={name}")):
        if words[0] == "add" and not name:
            continue  # the default, which is none
        said = trust.refused(*words, input=client()[0].certificate)
        assert "\x1b" not in said and "Traceback" not in said
    found = listed(trust)
    assert (found["clients"], found["invitations"]) == ([], [])


@pytest.mark.parametrize("words", [("--role", "boss"), ("--expires", "1y"), ("--expires", "-1h")])
def test_a_role_or_a_time_that_is_none_is_bad_usage(trust: Trust, words: tuple[str, str]) -> None:
    done = trust.run("invite", "bob", f"{words[0]}={words[1]}")
    assert done.returncode == 2 and "invite" in done.stderr
    assert "1 minute and 30 days" in trust.refused("invite", "bob", "--role=admin", "--expires=59s")
    assert "1 minute and 30 days" in trust.refused("invite", "bob", "--role=admin", "--expires=31d")


def test_a_damaged_file_of_invitations_is_named_and_keeps_no_client_trusted(trust: Trust) -> None:
    pair, _ = client()
    trust.done("add", "-", "--name", "alice", input=pair.certificate)
    path = trust.store.with_name(INVITATIONS_NAME)
    path.write_text("{")
    done = trust.run("list")
    assert done.returncode == 0 and "alice" in done.stdout and str(path) in done.stderr
    assert str(path) in trust.run("check").stdout
    assert str(path) in trust.refused("invite", "bob")
    done = trust.run("remove", "alice")
    assert done.returncode == 1 and str(path) in done.stderr, "done, with a warning"
    assert "(alice) is no longer trusted" in done.stdout
    assert path.read_text() == "{"
    assert listed_clients(trust) == []


def listed_clients(trust: Trust) -> list[dict[str, str]]:
    done = trust.run("list", "--format", "json")
    clients: list[dict[str, str]] = json.loads(done.stdout)["clients"]
    return clients


def test_check_says_how_many_wait_and_that_the_clock_is_before_they_were_made(
    trust: Trust,
) -> None:
    trust.done("add", "-", "--name", "alice", input=client()[0].certificate)
    invite(trust, "bob")
    before = snapshot(trust.store.parent)
    assert "1 invitation waits: bob" in trust.run("check").stdout
    path = trust.store.with_name(INVITATIONS_NAME)
    entries = json.loads(path.read_text())
    (entry,) = entries["invitations"]
    entry["made"], entry["expires"] = time.time() + 86400, time.time() + 2 * 86400
    assert snapshot(trust.store.parent) == before
    path.write_text(json.dumps(entries))
    assert "the clock is before the time at which" in trust.run("check").stdout
