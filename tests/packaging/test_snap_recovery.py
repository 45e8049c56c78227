"""Locked out in the snap: the documented ways back in, typed as documented."""

import pytest

from tests.packaging.snaphost import STORE, SnapHost
from tests.system.host_trust import refused
from tests.system.site import EMPTY_LIST
from tests.waiting import until

# The documented commands, to the letter.
APPEND = (
    "cat ~/snap/multipass/current/data/multipass-client-certificate/multipass_cert.pem | "
    "sudo tee -a /var/snap/multipass/common/data/multipassd/authenticated-certs/"
    "multipass_client_certs.pem > /dev/null"
)
CERTIFICATE = "~/snap/multipass/current/data/multipass-client-certificate/multipass_cert.pem"

pytestmark = pytest.mark.host


@pytest.fixture
def locked(machine: SnapHost) -> SnapHost:
    """Dave was the first client; alice administers the machine and is not trusted."""
    assert machine.run("multipass", "list", user="dave").stdout == EMPTY_LIST
    locked_out(machine)
    return machine


def locked_out(machine: SnapHost) -> None:
    refused(machine, "alice")
    said = machine.run("multipass", "authenticate", "guess", user="alice", code=2).stdout
    assert "Passphrase is not set." in said


def shell(machine: SnapHost, command: str, user: str = "alice") -> str:
    return machine.run("bash", "-c", f"export HOME=/home/{user}; {command}", user=user).stdout


def gets_in(machine: SnapHost, user: str = "alice") -> bool:
    done = machine.run("multipass", "list", user=user, code=None)
    return done.returncode == 0 and done.stdout == EMPTY_LIST


def test_the_documented_commands_let_their_user_in_again(locked: SnapHost) -> None:
    assert shell(locked, APPEND) == ""
    until(lambda: gets_in(locked), "the appended certificate to count without a restart")
    locked.run("multipass", "list", user="dave")
    for name in ("multipass", "multipass.multipassd"):
        shell(locked, f"sudo sed -i '/-BEGIN/,$d' {STORE}; cat {CERTIFICATE} | sudo tee {STORE}")
        shell(locked, f"sudo snap restart {name}")
        assert gets_in(locked)


@pytest.mark.parametrize("name", ["multipass", "multipass.multipassd"])
def test_the_documented_restart_is_obeyed_while_the_service_sleeps(
    locked: SnapHost, name: str
) -> None:
    shell(locked, "sudo snap stop multipass.multipassd")
    shell(locked, APPEND)
    shell(locked, f"sudo snap start {name}; sudo snap restart {name}")
    assert gets_in(locked)


def test_a_certificate_from_a_pipe_is_trusted(locked: SnapHost) -> None:
    said = shell(locked, f"cat {CERTIFICATE} | sudo multipass.trust add -")
    assert "is trusted now" in said
    until(lambda: gets_in(locked), "the added certificate to count")


def test_add_user_says_what_to_type_where_it_may_not_act_as_the_user(locked: SnapHost) -> None:
    """A strict snap's root may not take on a user's groups: so the user hands it over."""
    done = locked.run("sudo", "multipass.trust", "add", "--user", "alice", user="alice", code=1)
    assert "A snap may not act for its users." in done.stdout
    shell(locked, next(line for line in done.stdout.splitlines() if "trust add" in line))
    until(lambda: gets_in(locked), "alice to be let in")


def test_root_gets_in_by_itself_and_lets_others_in(locked: SnapHost) -> None:
    shell(locked, "sudo multipass authenticate && sudo multipass set local.passphrase=open")
    locked.run("multipass", "authenticate", "open", user="alice")
    assert gets_in(locked)
