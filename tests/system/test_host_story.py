"""The story of authentication by the real CLI, as real users of a host with the package."""

import pytest

from tests.system.host import Host
from tests.system.host_trust import (
    CLOSED,
    OPEN,
    SOCKET,
    STORE,
    at_terminal,
    client_of,
    gets_in,
    records,
    refused,
    socket_mode,
    stored,
    uid,
)
from tests.system.site import ASK, ASK_AGAIN, DENIED, EMPTY_LIST, WRONG

SET_PASSPHRASE = "multipass set local.passphrase"
AUTHENTICATE = "multipass authenticate"
PASSPHRASE = "correct horse = battery staple"
SETTINGS = "/etc/multipassd/multipassd.conf"

pytestmark = pytest.mark.host


def test_from_the_first_client_to_the_first_call_after_a_reboot(machine: Host) -> None:
    nobody_but_administrators_comes_first(machine)
    the_first_client_opens_the_socket(machine)
    the_passphrase_is_set_unseen(machine)
    others_authenticate_at_the_prompt(machine)
    the_passphrase_is_nowhere_in_clear(machine)
    after_a_reboot_who_was_trusted_may_come_first(machine)


def nobody_but_administrators_comes_first(host: Host) -> None:
    said = host.run("multipass", "list", user="bob", code=2).stdout
    assert said.startswith(f"list failed: {DENIED}")
    assert host.show("multipassd.service", "ActiveState") == "inactive"  # it was the socket
    assert socket_mode(host) == CLOSED


def the_first_client_opens_the_socket(host: Host) -> None:
    assert host.run("multipass", "list", user="alice").stdout == EMPTY_LIST
    assert socket_mode(host) == OPEN
    assert stored(host) == [client_of(host, "alice")]
    refused(host, "bob")


def the_passphrase_is_set_unseen(host: Host) -> None:
    """Both answers stand on no screen; an answer to a question that is no secret does."""
    seen = at_terminal(host, "alice", "multipass set client.primary-name", [(": ", "shown")])
    assert (seen.returncode, "shown" in seen.output) == (0, True)

    differs = [(ASK, PASSPHRASE), (ASK_AGAIN, f"{PASSPHRASE}!")]
    talk = at_terminal(host, "alice", SET_PASSPHRASE, differs)
    assert (talk.returncode, talk.output) == (1, f"{ASK}\n{ASK_AGAIN}\nPassphrases do not match\n")

    answers = [(ASK, PASSPHRASE), (ASK_AGAIN, PASSPHRASE)]
    talk = at_terminal(host, "alice", SET_PASSPHRASE, answers)
    assert talk.returncode == 0
    assert talk.output.startswith(f"{ASK}\n{ASK_AGAIN}\n")
    assert "horse" not in talk.output
    assert host.run("multipass", "get", "local.passphrase", user="alice").stdout == "true\n"


def others_authenticate_at_the_prompt(host: Host) -> None:
    talk = at_terminal(host, "bob", AUTHENTICATE, [(ASK, "open sesame")])
    assert (talk.returncode, talk.output) == (2, f"{ASK}\n{WRONG}")
    refused(host, "bob")
    talk = at_terminal(host, "bob", AUTHENTICATE, [(ASK, PASSPHRASE)])
    assert (talk.returncode, talk.output) == (0, f"{ASK}\n")
    assert host.run("multipass", "list", user="bob").stdout == EMPTY_LIST
    assert stored(host) == [client_of(host, "alice"), client_of(host, "bob")]
    refused(host, "dave")  # in the group sudo, which is not enough to be trusted
    refused(host, "root")


def the_passphrase_is_nowhere_in_clear(host: Host) -> None:
    assert host.run("stat", "-c", "%U %a", SETTINGS).stdout.strip() == "root 600"
    files = ("/etc/multipassd", "/var/lib/multipassd", "/home")
    assert host.run("grep", "-rl", "horse", *files, code=1).stdout == ""
    journal = host.journal("-o", "export")
    assert "MULTIPASS_SETTING=local.passphrase" in journal
    assert "horse" not in journal


def after_a_reboot_who_was_trusted_may_come_first(host: Host) -> None:
    host.stop()
    host.boot()
    assert socket_mode(host) == OPEN
    assert host.show("multipassd.service", "ActiveState") == "inactive"  # it has not run yet
    assert host.run("multipass", "list", user="bob").stdout == EMPTY_LIST
    assert gets_in(host, "alice")
    refused(host, "carol")
    host.run("multipass", "authenticate", PASSPHRASE, user="carol")
    assert gets_in(host, "carol")


def test_a_handshake_with_a_client_certificate_works_in_the_sandbox_and_the_journal_knows_who(
    machine: Host,
) -> None:
    machine.run("multipass", "list", user="alice")
    (granted,) = records(machine, "granted")
    assert granted["MULTIPASS_UID"] == str(uid(machine, "alice"))
    assert granted["MULTIPASS_CLIENT"] == client_of(machine, "alice")
    assert granted["MULTIPASS_HOW"] == "first client"
    assert granted["_SYSTEMD_UNIT"] == "multipassd.service"
    assert "NoNewPrivs:\t1" in machine.run("cat", f"/proc/{granted['_PID']}/status").stdout
    assert machine.run("stat", "-c", "%U %a", STORE).stdout.strip() == "root 600"


def test_the_daemon_itself_asks_for_the_admin_group_whatever_the_sockets_mode(
    machine: Host,
) -> None:
    """Through the sandboxed unit it sees callers' uids and groups: sudo is not dave's own group."""
    machine.run("chmod", "666", SOCKET)
    said = machine.run("multipass", "list", user="bob", code=2).stdout
    assert said.startswith(f"list failed: {DENIED}")
    assert not machine.inside(STORE).exists()
    (denied,) = records(machine, "denied")
    assert denied["MULTIPASS_UID"] == str(uid(machine, "bob"))
    assert denied["MULTIPASS_REASON"] == "not in the admin group"

    assert machine.run("id", "-gn", user="dave").stdout == "dave\n"
    assert machine.run("multipass", "list", user="dave").stdout == EMPTY_LIST
    (granted,) = records(machine, "granted")
    assert granted["MULTIPASS_UID"] == str(uid(machine, "dave"))
