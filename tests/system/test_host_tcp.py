"""TCP on a real Debian 13: off until an administrator switches it on, with its user enrolled; and
what the journal then says about it.

One test, as each step stands on the one before; what it measured is printed (`pytest -s`).
"""

import re
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.system import host_trust
from tests.system.hammer import hammered, table
from tests.system.host import Host, new_host
from tests.system.host_trust import CLIENT, ROOT_CERTIFICATE, STORE, client_of
from tests.system.site import EMPTY_LIST
from tests.waiting import until

ADDRESS = "MULTIPASS_SERVER_ADDRESS=localhost:50051"
SOCKET, SERVICE = "multipassd-tcp.socket", "multipassd.service"
CERTIFICATE = f"{CLIENT}/multipass_cert.pem"
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


def disabling_ends_tcp_and_nothing_else(host: Host) -> None:
    assert "Would do: " in trust(host, "tcp", "disable", "--dry-run")
    assert state(host) == ("active", "enabled")
    assert "TCP is off" in trust(host, "tcp", "disable")
    assert state(host) == ("inactive", "disabled")
    assert listeners(host) == ""  # the service that ran no longer has it either
    assert "refused" in over_tcp(host, "alice", "list", code=2).lower()
    assert host.run("multipass", "list", user="alice").stdout == EMPTY_LIST
    assert host.run("multipass", "list", user="bob").stdout == EMPTY_LIST
    assert "off already" in trust(host, "tcp", "disable")


def what_systemd_refuses_is_told_in_a_sentence(host: Host) -> None:
    host.run("systemctl", "mask", SOCKET)
    assert "masked" in trust(host, "tcp", "enable", sudo="alice", code=1)
    host.run("systemctl", "unmask", SOCKET)
    taken = subprocess.Popen(
        [*host.entering(), "python3", "-c",
         "import socket; s = socket.create_server(('127.0.0.1', 50051));"
         "print(flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert taken.stdout is not None
        taken.stdout.readline()
        said = trust(host, "tcp", "enable", sudo="alice", code=1)
        assert "TCP was not switched on: another program has 127.0.0.1:50051" in said
        typed = re.search("`(sudo ss [^`]*)`", said)
        assert typed is not None
        assert "python3" in host.run(*typed[1].split(), user="alice").stdout
    finally:
        taken.communicate(b"\n", timeout=30)
    assert host.run("multipass", "list", user="alice").stdout == EMPTY_LIST
