"""multipass-trust on a host with the package, by administrators and their real sudo."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from protocol.status import Status
from tests.interop.grpc_client import GrpcClient
from tests.system.host import Host
from tests.system.host_trust import (
    CLOSED,
    OPEN,
    STORE,
    ServiceIn,
    certificate_text,
    client_of,
    gets_in,
    key_pair_of,
    records,
    refused,
    socket_mode,
    stored,
    sudo,
    uid,
)
from tests.system.site import DENIED, EMPTY_LIST

STATE = "/var/lib/multipassd"
LOCKED_OUT = "alice is locked out: not trusted, and there is no passphrase to give"
# Owners, modes and contents of everything that a verb may change.
EVERYTHING = """
cd / && for place in var/lib/multipassd etc/multipassd home root run/multipass_socket; do
    find $place -exec stat -c '%n %U:%G %a %s' {} + | sort
    find $place -type f -exec sha256sum {} + | sort
done
"""

pytestmark = pytest.mark.host


@pytest.fixture
def host(machine: Host) -> Iterator[Host]:
    """Dave came first; alice and carol, each with a certificate, were refused."""
    assert machine.run("multipass", "list", user="dave").stdout == EMPTY_LIST
    refused(machine, "alice")
    refused(machine, "carol")
    yield machine


def trust(host: Host, *arguments: str, code: int = 0, given: str = "") -> str:
    """The output for alice, who has sudo."""
    return sudo(host, "multipass-trust", *arguments, code=code, given=given).stdout


def clients(host: Host) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(trust(host, "list", "--format", "json"))["clients"]
    return found


def test_a_client_given_on_standard_input_is_in_at_once_and_listed_with_who_let_it_in(
    host: Host,
) -> None:
    said = trust(host, "add", "--name", "laptop", "-", given=certificate_text(host, "carol"))
    carol, dave = client_of(host, "carol"), client_of(host, "dave")
    assert f"{carol[:16]} (laptop) is trusted now" in said
    assert gets_in(host, "carol")

    known = {each["fingerprint"]: each for each in clients(host)}
    assert known.keys() == {dave, carol}
    first, second = known[dave], known[carol]
    assert first["enrolled"] <= second["enrolled"], "to the second"
    assert (first["how"], first["uid"]) == ("first client", uid(host, "dave"))
    assert (second["name"], second["how"]) == ("laptop", "multipass-trust")
    assert second["uid"] == uid(host, "alice")  # the human behind sudo

    headings, *rows = (re.split(r"  +", line)[:5] for line in trust(host, "list").splitlines())
    assert headings == ["NAME", "FINGERPRINT", "ROLE", "HOW", "BY"]
    assert sorted(rows) == [
        ["dave", dave[:16], "admin", "first client", f"dave ({first['uid']})"],
        ["laptop", carol[:16], "admin", "multipass-trust", f"alice ({second['uid']})"],
    ]


@pytest.mark.parametrize("by", ["name", "prefix"])
def test_who_is_removed_is_out_at_once_on_an_open_connection_too(host: Host, by: str) -> None:
    trust(host, "add", "--user", "carol")
    carol = client_of(host, "carol")
    with GrpcClient(ServiceIn(host), key_pair_of(host, "carol")) as connected:
        assert connected.call("ping").status is Status.OK
        said = trust(host, "remove", "carol" if by == "name" else carol[:6])
        assert said == f"{carol[:16]} (carol) is no longer trusted.\n"
        assert connected.call("ping").status is Status.UNAUTHENTICATED
    refused(host, "carol")
    assert gets_in(host, "dave")
    assert socket_mode(host) == OPEN
    (removed,) = [each for each in records(host, "removed") if "MULTIPASS_UID" in each]
    assert removed["MULTIPASS_CLIENT"] == carol
    assert removed["MULTIPASS_UID"] == str(uid(host, "alice"))


def test_removing_the_last_one_narrows_the_socket_though_the_daemon_sleeps(host: Host) -> None:
    host.run("systemctl", "stop", "multipassd.service")
    assert socket_mode(host) == OPEN
    said = trust(host, "remove", client_of(host, "dave")[:16])
    assert "That was the last one" in said
    assert socket_mode(host) == CLOSED
    assert host.run("multipass", "list", user="bob", code=2).stdout.startswith(
        f"list failed: {DENIED}"
    )
    assert host.show("multipassd.service", "ActiveState") == "inactive"
    assert host.run("multipass", "list", user="alice").stdout == EMPTY_LIST  # first, once more
    assert socket_mode(host) == OPEN
    refused(host, "dave")


def test_an_installer_enrolled_by_hand_is_trusted_by_the_packaged_service_and_on_record(
    host: Host,
) -> None:
    host.run("systemctl", "stop", "multipassd.service")
    assert sudo(host, "multipassd", "--enrol-installer", "carol").stdout == (
        "The client of carol is now authenticated.\n"
    )
    assert stored(host) == [client_of(host, user) for user in ("dave", "carol")]
    assert records(host, "granted")[-1]["MULTIPASS_HOW"] == "installer"
    told = host.journal("-u", "multipassd")
    carol = client_of(host, "carol")[:16]
    assert f"trusts client {carol} (carol, admin) from now on (installer)" in told
    assert gets_in(host, "carol")


def test_check_names_who_is_locked_out_and_what_to_type_and_typing_it_helps(host: Host) -> None:
    before = stored(host)
    said = trust(host, "check", code=1)
    assert "the service answers" in said
    problem, cure = said.partition("PROBLEM")[2].splitlines()[:2]
    assert problem.strip() == LOCKED_OUT
    typed = re.search("next: `(sudo .*)`", cure)
    assert typed is not None, said
    assert "1 problem found." in said
    assert stored(host) == before  # no client was added

    host.run(*typed[1].split(), user="alice")
    assert trust(host, "check").endswith("Everything is sound.\n")
    assert host.run("multipass", "list", user="alice").stdout == EMPTY_LIST


def test_check_wakes_a_sleeping_daemon_and_says_when_the_socket_is_not_there(host: Host) -> None:
    host.run("systemctl", "stop", "multipassd.service")
    assert "the service answers" in trust(host, "check", code=1)
    assert host.show("multipassd.service", "ActiveState") == "active"
    host.run("systemctl", "stop", "multipassd.socket", "multipassd.service")
    said = trust(host, "check", code=1)
    assert "next: `sudo systemctl start multipassd.socket`" in said

    host.run("systemctl", "mask", "multipassd.socket")
    cure = re.search("next: `(sudo .*)`, then `(sudo .*)`", trust(host, "check", code=1))
    assert cure is not None
    assert cure[1] == "sudo systemctl unmask multipassd.socket"
    for typed in cure.groups():
        host.run(*typed.split(), user="alice")
    assert "the service answers" in trust(host, "check", code=1)


def test_check_finds_a_state_directory_that_others_may_write_to_or_users_cannot_enter(
    host: Host,
) -> None:
    trust(host, "add", "--user", "alice")
    for mode, found in (("777", "others may write to"), ("700", "users can't enter")):
        host.run("chmod", mode, STATE)
        said = trust(host, "check", code=1)
        typed = re.search(f"PROBLEM  {found} {STATE} .*\n *next: `(sudo [^`]*)`", said)
        assert typed is not None, said
        host.run(*typed[1].split(), user="alice")
        assert trust(host, "check").endswith("Everything is sound.\n")


def test_the_services_journal_tells_what_administrators_did_beside_it(host: Host) -> None:
    trust(host, "add", "--user", "carol")
    trust(host, "remove", "carol")
    carol = client_of(host, "carol")[:16]
    host.run("journalctl", "--sync")
    for command in (("journalctl", "-u", "multipassd"), ("systemctl", "status", "multipassd")):
        told = host.run(*command, "--no-pager").stdout
        assert f"trusts client {carol} (carol, admin) from now on (multipass-trust), uid" in told
        assert f"no longer trusts client {carol}" in told
    log_shows_who_did_it_and_nothing_that_others_wrote(host)


# All that a user can send: fields that begin with an underscore are the journal's own.
FORGE = """
from systemd import journal
journal.sendv("MESSAGE=forged", "MULTIPASS_EVENT=granted", "MULTIPASS_NAME=mallory",
              "SYSLOG_IDENTIFIER=multipassd", "OBJECT_SYSTEMD_UNIT=multipassd.service",
              "_SYSTEMD_UNIT=multipassd.service", "_UID=0", "_TRANSPORT=journal")
"""


def log_shows_who_did_it_and_nothing_that_others_wrote(host: Host) -> None:
    host.run("multipass", "stop", "nosuch", user="dave", code=2)
    host.run("python3", "-c", FORGE, user="bob")
    host.run("unshare", "--user", "--map-root-user", "python3", "-c", FORGE, user="bob", code=None)
    host.run("logger", "-t", "multipassd", "MULTIPASS_EVENT=granted", user="bob")
    assert "forged" in host.journal("MULTIPASS_EVENT=granted")
    found = json.loads(trust(host, "log", "--format", "json", "--since", "1h"))["records"]
    assert "mallory" not in {each["name"] for each in found} | {each["about"] for each in found}
    told = [(each["name"], each["what"], each["about"], each["outcome"]) for each in found]
    for expected in (
        ("dave", "grant", "dave", "done"),  # the first client
        ("", "grant", "carol", "done"),  # by root's program
        ("", "revoke", "carol", "done"),
        ("dave", "stop", "", "failed"),
    ):
        assert expected in told
    (stop,) = [each for each in found if each["what"] == "stop"]
    assert stop["uid"] == str(uid(host, "dave")) and stop["instances"] == ["nosuch"]
    shown = trust(host, "log", "--instance", "nosuch").splitlines()
    assert len(shown) == 2 and "dave" in shown[1] and "nosuch" in shown[1]
    host.run("/usr/sbin/multipass-trust", "log", user="bob", code=1)


def test_a_damaged_store_lets_nobody_in_until_it_is_reset_with_a_copy_kept(host: Host) -> None:
    host.inside(STORE).write_text("what a careless editor left\n")
    for user in ("dave", "alice", "root"):
        said = host.run("multipass", "list", user=user, code=2).stdout
        assert "can't rely on its list of trusted clients" in said
    assert socket_mode(host) == OPEN  # a damaged store changes nothing about it
    assert "`sudo multipass-trust reset`" in trust(host, "check", code=1)
    assert "Confirm with --yes." in trust(host, "reset", code=1)

    kept = re.search(r"kept in (/\S+)\.\n", trust(host, "reset", "--yes"))
    assert kept is not None
    (copy,) = host.inside(kept[1]).glob("*.pem")
    assert copy.read_text() == "what a careless editor left\n"
    assert socket_mode(host) == CLOSED
    assert not gets_in(host, "bob")
    assert host.run("multipass", "list", user="alice").stdout == EMPTY_LIST
    assert stored(host) == [client_of(host, "alice")]
    refused(host, "dave")
    assert [each["MULTIPASS_CLIENT"] for each in records(host, "granted")][-1] == stored(host)[0]


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(host: Host) -> None:
    host.run("systemctl", "stop", "multipassd.service")
    trust(host, "list")  # by which sudo notes in alice's home that she uses it
    before = host.run("sh", "-c", EVERYTHING).stdout
    dave = client_of(host, "dave")
    assert "Would do: Trust" in trust(host, "add", "--user", "alice", "--dry-run")
    trust(host, "add", "--user", "bob", "--dry-run")  # who has no certificate, and gets none
    assert "Would do: Trust" in trust(
        host, "add", "--dry-run", "-", given=certificate_text(host, "carol")
    )
    assert trust(host, "remove", dave[:8], "--dry-run") == f"Would do: Remove {dave[:16]} (dave).\n"
    assert host.run("sh", "-c", EVERYTHING).stdout == before

    host.inside(STORE).chmod(0o666)
    damaged = host.run("sh", "-c", EVERYTHING).stdout
    assert "Would do: " in trust(host, "reset", "--yes", "--dry-run")
    said = trust(host, "remove", dave[:8], "--repair", "--dry-run")
    assert "Would do: Put owner and mode" in said and f"Would do: Remove {dave[:8]}" in said
    assert host.run("sh", "-c", EVERYTHING).stdout == damaged != before
