"""Locked out on a host with the package, and each way back in that is documented."""

from collections.abc import Iterator

import pytest

from tests.system.host import Host
from tests.system.host_trust import (
    CLIENT,
    SET_REFUSED,
    STORE,
    at_terminal,
    client_of,
    gets_in,
    locked_out,
    refused,
    stored,
    sudo,
)
from tests.system.site import ASK, ASK_AGAIN, EMPTY_LIST, NOT_AUTHENTICATED, ROOT_AUTHENTICATED
from tests.waiting import until

PASSPHRASE = "given by root"
# As it is documented, but for the paths of this package.
APPEND = f"cat ~/{CLIENT}/multipass_cert.pem | sudo tee -a {STORE} > /dev/null"

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def dave_came_first(untouched: Host) -> Iterator[Host]:
    """Off again; alice and dave are in the group sudo, and no passphrase is set."""
    with untouched.copy() as one:
        one.boot()
        assert one.run("multipass", "list", user="dave").stdout == EMPTY_LIST
        assert stored(one) == [client_of(one, "dave")]
        one.stop()
        yield one


@pytest.fixture
def host(dave_came_first: Host) -> Iterator[Host]:
    """A fresh copy of that, booted, in which alice has found out that nothing works."""
    with dave_came_first.copy() as one:
        one.boot()
        locked_out(one, "alice")
        yield one


# Who came first


@pytest.mark.parametrize("keeping_home", [False, True])
def test_sudo_came_first_and_took_the_place_for_root_with_nothing_left_in_the_users_home(
    machine: Host, keeping_home: bool
) -> None:
    how = ("env", "HOME=/home/alice") if keeping_home else ()
    assert sudo(machine, *how, "multipass", "list").stdout == EMPTY_LIST
    assert stored(machine) == [client_of(machine, "root")]
    assert machine.run("find", "/home", "-user", "root", "-path", "/home/*/*").stdout == ""

    locked_out(machine, "alice")
    assert machine.run("find", "/home/alice", "-not", "-user", "alice").stdout == ""
    sudo(machine, "multipass", "set", f"local.passphrase={PASSPHRASE}")  # root is trusted
    machine.run("multipass", "authenticate", PASSPHRASE, user="alice")
    assert gets_in(machine, "alice")


def test_another_administrator_came_first_and_neither_sudo_nor_the_group_helps(host: Host) -> None:
    assert "sudo" in host.run("id", "-nG", user="alice").stdout.split()
    not_set = host.run("multipass", "authenticate", user="alice", code=2, given="guess\n")
    assert "Passphrase is not set." in not_set.stdout
    assert sudo(host, "multipass", "list", code=2).stdout == NOT_AUTHENTICATED
    said = sudo(host, "multipass", "set", "local.passphrase=x", code=2).stdout
    assert said == SET_REFUSED
    assert stored(host) == [client_of(host, "dave")]
    assert gets_in(host, "dave")


# The ways out


def test_out_by_sudo_authenticate_and_a_passphrase(host: Host) -> None:
    assert sudo(host, "multipass", "authenticate").stdout == ROOT_AUTHENTICATED
    refused(host, "alice")  # only root's client is trusted now
    answers = [(ASK, PASSPHRASE), (ASK_AGAIN, PASSPHRASE)]
    talk = at_terminal(host, "alice", "sudo multipass set local.passphrase", answers)
    assert (talk.returncode, PASSPHRASE in talk.output) == (0, False)
    refused(host, "alice")  # a member of the group sudo needs the passphrase as all do
    talk = at_terminal(host, "alice", "multipass authenticate", [(ASK, PASSPHRASE)])
    assert (talk.returncode, talk.output) == (0, f"{ASK}\n")
    _in_with_dave(host, "root", "alice")


def test_out_by_multipass_trust(host: Host) -> None:
    said = sudo(host, "multipass-trust", "add", "--user", "alice").stdout
    assert said.startswith(f"{client_of(host, 'alice')[:16]} (alice) is trusted now")
    _in_with_dave(host, "alice")


def test_out_by_the_documented_line_and_a_restart(host: Host) -> None:
    host.run("sh", "-c", APPEND, user="alice")
    sudo(host, "systemctl", "restart", "multipassd")
    _in_with_dave(host, "alice")


def test_out_by_the_documented_line_without_a_restart(host: Host) -> None:
    before = host.show("multipassd.service", "MainPID")
    host.run("sh", "-c", APPEND, user="alice")
    took = until(lambda: gets_in(host, "alice"), "the appended certificate to count")
    print(f"counted after {took:.2f} s")
    assert host.show("multipassd.service", "MainPID") == before != "0"
    _in_with_dave(host, "alice")


def test_out_by_the_documented_line_while_the_daemon_is_down(host: Host) -> None:
    host.run("systemctl", "stop", "multipassd.service")
    host.run("sh", "-c", APPEND, user="alice")
    assert host.show("multipassd.service", "ActiveState") == "inactive"
    _in_with_dave(host, "alice")


def _in_with_dave(host: Host, *others: str) -> None:
    """Only they and dave are trusted."""
    assert stored(host) == [client_of(host, user) for user in ("dave", *others)]
    for user in ("dave", *others):
        assert host.run("multipass", "list", user=user).stdout == EMPTY_LIST
    refused(host, "bob")
