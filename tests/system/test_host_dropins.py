"""What docs/deb.md tells administrators to write into drop-ins, written there and tried."""

import time
from pathlib import Path

import pytest

from tests.system.host import Host
from tests.waiting import until
from tools.sandbox import CHECKOUT

SOCKET = "/run/multipass_socket"
EMPTY_LIST = "No instances found.\n"
DENIED = "list failed: multipass socket access denied"
TCP = "MULTIPASS_SERVER_ADDRESS=localhost:50052"
WHERE_OLD_CLIENTS_LOOK = "/usr/local/etc/multipassd/multipass_root_cert.pem"
LONG_ENOUGH = 3.0  # several times what --idle-exit 1 takes

pytestmark = pytest.mark.host


def documented(unit: str, name: str) -> tuple[str, str]:
    """The path and the text of a drop-in, as docs/deb.md shows it: an indented block that begins
    with its path in a comment."""
    path = f"/etc/systemd/system/{unit}.d/{name}.conf"
    text = (CHECKOUT / "docs/deb.md").read_text(encoding="utf-8")
    block = text.split(f"\n    # {path}\n")[1].split("\n\n")[0]
    return path, "".join(f"{line.strip()}\n" for line in block.splitlines())


def write(host: Host, path: str, text: str) -> None:
    host.run("mkdir", "-p", str(Path(path).parent))
    host.run("tee", path, given=text)
    host.run("systemctl", "daemon-reload")


def state(host: Host) -> str:
    return host.show("multipassd.service", "ActiveState")


def test_another_group_than_sudo_may_be_the_administrators(machine: Host) -> None:
    machine.run("groupadd", "wheel")
    machine.run("usermod", "-aG", "wheel", "bob")
    write(machine, *documented("multipassd.socket", "group"))
    machine.run("systemctl", "stop", "multipassd.service")
    machine.run("systemctl", "restart", "multipassd.socket")
    assert machine.run("stat", "-c", "%U:%G %a", SOCKET).stdout == "root:wheel 660\n"
    assert machine.run("multipass", "list", user="alice", code=2).stdout.startswith(DENIED)
    assert machine.run("multipass", "list", user="bob").stdout == EMPTY_LIST
    assert machine.run("stat", "-c", "%U:%G %a", SOCKET).stdout == "root:wheel 666\n"
    machine.run("systemctl", "stop", "multipassd.service")
    machine.run("systemctl", "restart", "multipassd.socket")  # as after a boot: no call yet
    assert machine.run("stat", "-c", "%U:%G %a", SOCKET).stdout == "root:wheel 666\n"


def test_tcp_may_listen_elsewhere_and_a_client_finds_the_root_certificate_by_a_link(
    machine: Host,
) -> None:
    machine.run("multipass", "list", user="alice")
    write(machine, *documented("multipassd-tcp.socket", "port"))
    machine.run("systemctl", "stop", "multipassd.service")
    machine.run("systemctl", "start", "multipassd-tcp.socket")
    assert machine.run("env", TCP, "multipass", "list", user="alice").stdout == EMPTY_LIST

    only_there = ("env", TCP, f"MULTIPASS_ROOT_CERT={WHERE_OLD_CLIENTS_LOOK}", "multipass", "list")
    machine.run(*only_there, user="alice", code=2)
    machine.run("mkdir", "-p", str(Path(WHERE_OLD_CLIENTS_LOOK).parent))
    machine.run("ln", "-s", "/var/lib/multipassd/multipass_root_cert.pem", WHERE_OLD_CLIENTS_LOOK)
    assert machine.run(*only_there, user="alice").stdout == EMPTY_LIST


def test_the_daemon_may_stay_however_idle(machine: Host) -> None:
    path, text = documented("multipassd.service", "stay")
    write(machine, path, text.replace("--idle-exit 0", "--idle-exit 1"))
    machine.run("multipass", "list", user="alice")
    until(lambda: state(machine) == "inactive", "the idle exit")

    write(machine, path, text)
    machine.run("multipass", "list", user="alice")
    deadline = time.monotonic() + LONG_ENOUGH
    while time.monotonic() < deadline:
        assert state(machine) == "active", machine.units()
        time.sleep(0.5)
