"""With the daemon up: changes count at once, and check says what it finds."""

from __future__ import annotations

import json
import os

from protocol.status import Status
from tests.conftest import DaemonFactory
from tests.interop.grpc_client import GrpcClient
from tests.multipassd.admin.trust import Trust, client
from tests.waiting import until

PASSPHRASE_SET = "0" * 128  # what 1.16 would have written


def test_an_addition_counts_on_a_running_daemon_and_opens_the_socket(
    daemon: DaemonFactory,
) -> None:
    running = daemon()
    trust = Trust(running.sandbox)
    pair, _ = client()
    trust.done("add", "-", "--name", "alice", input=pair.certificate)
    until(lambda: running.socket_path.stat().st_mode & 0o777 == 0o666)
    with GrpcClient(running, pair) as caller:
        assert caller.call("list").status is Status.OK
    (found,) = json.loads(trust.done("list", "--format", "json"))["clients"]
    assert found["name"] == "alice"
    assert found["uid"] == os.getuid()


def test_a_removal_refuses_the_next_call_on_an_open_connection(daemon: DaemonFactory) -> None:
    running = daemon()
    trust = Trust(running.sandbox)
    (stays, _), (goes, who) = client(), client()
    trust.done("add", "-", input=stays.certificate + goes.certificate)
    with GrpcClient(running, goes) as caller:
        assert caller.call("ping").status is Status.OK
        trust.done("remove", who)
        assert caller.call("ping").status is Status.UNAUTHENTICATED
    with GrpcClient(running, stays) as caller:
        assert caller.call("ping").status is Status.OK


def test_the_daemon_tells_of_a_change_by_hand_and_leaves_the_tool_s_to_the_tool(
    daemon: DaemonFactory,
) -> None:
    running = daemon()
    trust = Trust(running.sandbox)
    (tools, told), (other, _), (hands, who) = client(), client(), client()
    trust.done("add", "-", input=tools.certificate + other.certificate)
    trust.done("remove", told)
    with trust.store.open("ab") as file:
        file.write(hands.certificate)
    until(lambda: f"trusts client {who[:16]}" in running.log_text())
    trust.store.write_bytes(other.certificate)
    until(lambda: f"no longer trusts client {who[:16]}" in running.log_text())
    running.stop()
    trust.store.write_bytes(other.certificate + hands.certificate)
    running.start()  # no daemon ran to see that
    again = f"trusts client {who[:16]} from now on (by hand)"
    until(lambda: running.log_text().count(again) == 2)
    said = running.log_text()
    assert said.count("from now on") == 2 and said.count("no longer") == 1


def test_damage_is_told_once_with_the_repair(daemon: DaemonFactory) -> None:
    running = daemon()
    running.store_path.write_bytes(b"rubbish")
    until(lambda: "holds no valid certificate" in running.log_text())
    running.stop()
    assert running.log_text().count("[audit] The trust store") <= 2  # being written, and damaged
    assert "multipass-trust reset" in running.log_text()


def test_check_finds_a_running_service_sound_and_enrols_nobody(daemon: DaemonFactory) -> None:
    running = daemon()
    trust = Trust(running.sandbox)
    said = trust.done("check")
    assert "no client is trusted yet" in said and "the service answers" in said
    assert not trust.store.exists()
    settings = running.sandbox.settings_path
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(f"[General]\nlocal.passphrase={PASSPHRASE_SET}\n", encoding="ascii")
    settings.chmod(0o600)
    pair, _ = client()
    trust.done("add", "-", input=pair.certificate)
    until(lambda: running.socket_path.stat().st_mode & 0o777 == 0o666)
    before = trust.store.read_bytes()
    said = trust.done("check")
    assert "1 trusted" in said and "is set" in said and "Everything is sound" in said
    assert trust.store.read_bytes() == before


def test_check_names_each_problem_and_ends_with_1(daemon: DaemonFactory) -> None:
    running = daemon()
    trust = Trust(running.sandbox)
    key = running.data / "certificates" / "localhost_key.pem"
    key.chmod(0o644)
    running.socket_path.chmod(0o666)
    done = trust.run("check")
    assert done.returncode == 1
    assert f"others may read the key {key}" in done.stdout
    assert "though no client is trusted yet" in done.stdout
    assert done.stdout.count("next: ") == 2
    running.root_cert.unlink()
    assert str(running.root_cert) in trust.run("check").stdout


def test_check_says_that_the_service_is_not_there(daemon: DaemonFactory) -> None:
    running = daemon()
    trust = Trust(running.sandbox)
    running.kill()
    done = trust.run("check")
    assert done.returncode == 1
    assert "no process listens" in done.stdout
    running.socket_path.unlink()
    assert "No such file" in trust.run("check").stdout


def test_check_names_damage_and_mends_what_loose_modes_did(trust: Trust) -> None:
    pair, who = client()
    trust.done("add", "-", input=pair.certificate)
    trust.store.chmod(0o666)
    assert "--repair" in trust.run("check").stdout
    assert "1 trusted" in trust.run("check", "--repair").stdout
    assert who in trust.done("list", "--format", "json")
