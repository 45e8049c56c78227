"""TCP on a real Debian 13: off until an administrator switches it on, with its user enrolled; and
what the journal then says about it.

One test, as each step stands on the one before; what it measured is printed (`pytest -s`).
"""

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from multipassd.certificates import certificate_checks
from tests.system import host_trust
from tests.system.hammer import hammered, table
from tests.system.host import Host, new_host
from tests.system.host_trust import CLIENT, ROOT_CERTIFICATE, STORE, client_of
from tests.system.site import EMPTY_LIST
from tests.waiting import until

ADDRESS = "MULTIPASS_SERVER_ADDRESS=localhost:50051"
SOCKET, SERVICE = "multipassd-tcp.socket", "multipassd.service"
CERTIFICATE = f"{CLIENT}/multipass_cert.pem"
DROP_IN = f"/etc/systemd/system/{SOCKET}.d/multipass-trust.conf"
SERVER_CERTIFICATE = "/var/lib/multipassd/data/certificates/localhost.pem"
PASSPHRASE = "correct horse"
SWITCHES = 2

pytestmark = pytest.mark.host


@pytest.fixture
def host() -> Iterator[Host]:
    with new_host() as one:
        host_trust.let_sudo_ask_nothing(one)
        one.boot()
        yield one


def test_tcp_from_first_to_last(host: Host) -> None:
    it_is_off_and_refuses_to_guess_a_user(host)
    enabling_enrols_who_called_sudo_on_an_empty_store(host)
    others_need_the_passphrase_over_tcp(host)
    it_is_done_once(host)
    the_journal_explains_who_was_trusted(host)
    each_change_is_on_record_once(host)
    switching_loses_no_call(host)
    it_is_on_after_a_reboot(host)
    other_machines_reach_it_where_the_administrator_says_so(host)
    what_fails_leaves_it_where_it_was(host)
    disabling_ends_tcp_and_nothing_else(host)
    what_systemd_refuses_is_told_in_a_sentence(host)


def trust(host: Host, *words: str, sudo: str = "", code: int = 0) -> str:
    """multipass-trust as root, or by that user's sudo."""
    command = ("multipass-trust", *words)
    if sudo:
        return host_trust.sudo(host, *command, by=sudo, code=code).stdout
    return host.run(*command, code=code).stdout


def over_tcp(host: Host, user: str, *words: str, code: int = 0) -> str:
    return host.run("env", ADDRESS, "multipass", *words, user=user, code=code).stdout


def state(host: Host) -> tuple[str, str]:
    return host.show(SOCKET, "ActiveState"), host.show(SOCKET, "UnitFileState")


def listeners(host: Host) -> str:
    return host.run("ss", "-Hltn", "sport = :50051").stdout


def it_is_off_and_refuses_to_guess_a_user(host: Host) -> None:
    assert state(host) == ("inactive", "disabled")
    assert listeners(host) == ""
    assert "--user" in trust(host, "tcp", "enable", code=1)
    assert "no user called 'eve'" in trust(host, "tcp", "enable", "--user", "eve", code=1)
    said = trust(host, "tcp", "enable", "--dry-run", sudo="alice")
    assert said.count("Would do: ") == 3 and "/home/alice/" in said
    assert state(host) == ("inactive", "disabled")
    host.run("test", "-e", STORE, code=1)
    host.run("test", "-e", f"/home/alice/{CERTIFICATE}", code=1)


def enabling_enrols_who_called_sudo_on_an_empty_store(host: Host) -> None:
    began = time.monotonic()
    said = trust(host, "tcp", "enable", sudo="alice")
    print(f"\nenabled in {time.monotonic() - began:.1f} s")
    assert "(alice) is trusted now" in said and "TCP is on: 127.0.0.1:50051" in said
    assert state(host) == ("active", "enabled")
    assert over_tcp(host, "alice", "list") == EMPTY_LIST  # at once
    assert "127.0.0.1:50051" in listeners(host)
    # The client knows the service by its root certificate: with another one it refuses.
    host.run("mv", ROOT_CERTIFICATE, "/root/kept.pem")
    host.run("cp", f"/home/alice/{CERTIFICATE}", ROOT_CERTIFICATE)
    host.run("chmod", "644", ROOT_CERTIFICATE)
    assert "certificate" in over_tcp(host, "alice", "list", code=2)
    host.run("mv", "/root/kept.pem", ROOT_CERTIFICATE)
    assert over_tcp(host, "alice", "list") == EMPTY_LIST


def others_need_the_passphrase_over_tcp(host: Host) -> None:
    refused = over_tcp(host, "bob", "list", code=2)
    assert "The client is not authenticated with the Multipass service." in refused
    assert "multipass authenticate" in refused
    host.run("multipass", "set", f"local.passphrase={PASSPHRASE}", user="alice")
    over_tcp(host, "bob", "authenticate", PASSPHRASE)
    assert over_tcp(host, "bob", "list") == EMPTY_LIST


def it_is_done_once(host: Host) -> None:
    before = host.show(SERVICE, "MainPID")
    said = trust(host, "tcp", "enable", sudo="alice")
    assert "is trusted already" in said and "TCP was on already" in said
    assert "Would do: Enable" in trust(host, "tcp", "enable", "--dry-run", sudo="alice")
    assert host.show(SERVICE, "MainPID") == before  # the daemon was not restarted


def the_journal_explains_who_was_trusted(host: Host) -> None:
    uid = host_trust.uid(host, "alice")
    said = host.journal("-x", "MULTIPASS_EVENT=granted", f"MULTIPASS_UID={uid}")
    assert "(installer)" in said and "Subject: A client of Multipass is trusted" in said
    assert "multipass-trust remove" in said
    assert "@MULTIPASS" not in said
    said = host.journal("-x", "MULTIPASS_EVENT=denied")
    assert "Subject: The Multipass service refused a client" in said
    assert "Documentation: man:multipass-trust(8)" in said and "Why: " in said
    everything = host.journal("-o", "export")
    assert PASSPHRASE not in everything and "PRIVATE KEY" not in everything


def granted(host: Host, fingerprint: str) -> list[str]:
    wanted = ("MULTIPASS_EVENT=granted", f"MULTIPASS_CLIENT={fingerprint}")
    return host.journal("-o", "cat", *wanted).splitlines()


def each_change_is_on_record_once(host: Host) -> None:
    """The tool's by the tool, one by hand by the daemon, though that sees both in the file."""
    assert over_tcp(host, "carol", "list", code=2)  # makes the certificate
    trust(host, "add", "--user", "dave", sudo="alice")
    host.run("sh", "-c", f"cat /home/carol/{CERTIFICATE} >> {STORE}")
    assert over_tcp(host, "carol", "list") == EMPTY_LIST
    until(lambda: bool(granted(host, client_of(host, "carol"))), "the record")
    # A change that the daemon noticed before the one by hand would be logged by now.
    assert [each.count("(by hand)") for each in granted(host, client_of(host, "carol"))] == [1]
    told = granted(host, client_of(host, "dave"))
    assert [each.count("(multipass-trust)") for each in told] == [1]


def switching_loses_no_call(host: Host) -> None:
    took = []

    def switch() -> None:
        for _ in range(SWITCHES):
            trust(host, "tcp", "disable")
            began = time.monotonic()
            trust(host, "tcp", "enable", sudo="alice")
            took.append(time.monotonic() - began)
            assert over_tcp(host, "alice", "list") == EMPTY_LIST

    counts = hammered(host, switch)
    refused = host.journal("-u", SOCKET, "-o", "cat").count("already active, refusing")
    print(table(f"TCP off and on {SWITCHES} times", counts))
    print(f"switching on took at most {max(took):.1f} s, and systemd refused it {refused} times")
    for kind, count in counts.items():
        assert count.calls > 0, kind
        assert not count.failed, (kind, count.failed)


def it_is_on_after_a_reboot(host: Host) -> None:
    host.stop()
    host.boot()
    assert state(host) == ("active", "enabled")
    assert host.show(SERVICE, "ActiveState") == "inactive"
    assert over_tcp(host, "bob", "list") == EMPTY_LIST  # wakes it


def other_machines_reach_it_where_the_administrator_says_so(host: Host) -> None:
    at = ("--address", "0.0.0.0:50051")
    said = trust(host, "tcp", "enable", *at, "--dry-run", sudo="alice")
    assert said.count("Would do: ") == 3 and DROP_IN in said
    assert "127.0.0.1:50051" in listeners(host)
    said = trust(host, "tcp", "enable", *at, sudo="alice")
    name = host.run("hostname").stdout.strip()
    assert "TCP is on: 0.0.0.0:50051, also after a reboot." in said
    assert f"Other machines reach it as {name}:50051. `multipass invite NAME`" in said
    assert "Warning: " in said and "One is set." in said
    assert "0.0.0.0:50051" in listeners(host) and state(host) == ("active", "enabled")
    assert trust(host, "tcp", "status").startswith("TCP is on: 0.0.0.0:50051, also after a reboot.")
    assert host.run("stat", "-c", "%U %a", DROP_IN).stdout == "root 644\n"
    # A client with nothing of the service's but the line that was printed for it.
    said = host.run("multipass", "invite", "erin", user="alice").stdout
    (joining,) = re.findall(r"  (multipass remote add .*)", said)
    fresh = ("env", "XDG_DATA_HOME=/tmp/erin", "XDG_CONFIG_HOME=/tmp/erin")
    words = joining.split()
    assert words[4] == f"{name}:50051"
    assert "is kept." in host.run(*fresh, *words, user="bob").stdout
    host.run(*fresh, "multipass", "remote", "use", words[3], user="bob")
    assert host.run(*fresh, "multipass", "list", user="bob").stdout == EMPTY_LIST
    certificate = host.inside(SERVER_CERTIFICATE).read_bytes()
    assert certificate_checks.names(certificate) == {"localhost", name}


def what_fails_leaves_it_where_it_was(host: Host) -> None:
    for address in ("192.0.2.1:50051", "lab.example:50051"):
        assert "Nothing was changed" in trust(
            host, "tcp", "enable", "--address", address, sudo="alice", code=1
        )
    with occupied(host, 50052):
        at = ("--address", "0.0.0.0:50052")
        said = trust(host, "tcp", "enable", *at, sudo="alice", code=1)
        assert "another program has 0.0.0.0:50052" in said
    assert "0.0.0.0:50051" in listeners(host) and state(host) == ("active", "enabled")
    assert over_tcp(host, "alice", "list") == EMPTY_LIST
    other = f"{DROP_IN.rpartition('/')[0]}/port.conf"  # sorts behind
    host.run("tee", other, given="[Socket]\nListenStream=\nListenStream=127.0.0.1:50053\n")
    said = trust(host, "tcp", "enable", "--address", "0.0.0.0:50054", sudo="alice", code=1)
    assert "another drop-in" in said and "127.0.0.1:50053" in said
    host.run("rm", other)
    host.run("systemctl", "daemon-reload")
    assert trust(host, "tcp", "status").startswith("TCP is on: 0.0.0.0:50051")


def disabling_ends_tcp_and_nothing_else(host: Host) -> None:
    assert "Would do: " in trust(host, "tcp", "disable", "--dry-run")
    assert state(host) == ("active", "enabled")
    said = trust(host, "tcp", "disable")
    assert "TCP is off" in said and f"{DROP_IN} is removed" in said
    host.run("test", "-e", DROP_IN, code=1)
    assert trust(host, "tcp", "status") == "TCP is off.\n"
    assert state(host) == ("inactive", "disabled")
    assert listeners(host) == ""  # the service that ran no longer has it either
    assert "refused" in over_tcp(host, "alice", "list", code=2).lower()
    assert host.run("multipass", "list", user="alice").stdout == EMPTY_LIST
    assert host.run("multipass", "list", user="bob").stdout == EMPTY_LIST
    assert "off already" in trust(host, "tcp", "disable")


@contextmanager
def occupied(host: Host, port: int) -> Iterator[None]:
    """Another program has the port."""
    taken = subprocess.Popen(
        [*host.entering(), "python3", "-c",
         f"import socket; s = socket.create_server(('127.0.0.1', {port}));"
         "print(flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert taken.stdout is not None
        taken.stdout.readline()
        yield
    finally:
        taken.communicate(b"\n", timeout=30)


def what_systemd_refuses_is_told_in_a_sentence(host: Host) -> None:
    host.run("systemctl", "mask", SOCKET)
    assert "masked" in trust(host, "tcp", "enable", sudo="alice", code=1)
    host.run("systemctl", "unmask", SOCKET)
    with occupied(host, 50051):
        said = trust(host, "tcp", "enable", sudo="alice", code=1)
        assert "TCP was not switched on: another program has 127.0.0.1:50051" in said
        typed = re.search("`(sudo ss [^`]*)`", said)
        assert typed is not None
        assert "python3" in host.run(*typed[1].split(), user="alice").stdout
    assert host.run("multipass", "list", user="alice").stdout == EMPTY_LIST
