"""The instances' network on a real Debian 13: its unit starts on demand and is taken down again."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from multipassd.drivers.qemu.helper import main
from tests import waiting
from tests.system.host import Host, new_host
from tools import cloudimage

STORAGE = "/var/lib/multipassd"
IMAGE = "/srv/tiny.qcow2"
DROP_IN = """
[Unit]
Wants=multipass-network.socket
[Service]
Environment=MULTIPASS_ACCELERATOR=tcg
Environment=MULTIPASS_NETWORK_SOCKET=/run/multipass_network
"""
SECONDS = 90.0  # an unused service stays for 10
BRIDGE = "mpqemubr0"
SERVICE, SOCKET = "multipass-network.service", "multipass-network.socket"
TAP = "mp-525400000001"
ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect("/run/multipass_network")
    asked.sendall(sys.stdin.buffer.readline())
    print(asked.makefile().readline())
"""
# What it may not have: another's files, memory by two ways, and sockets.
INTRUDER = """
import ctypes, sys
victim, errors = sys.argv[1], []
for path in (f"/proc/{victim}/root/var/lib/multipassd/machines/foo/seed.iso",
             f"/proc/{victim}/mem", "/run/multipass-instance-foo/qmp"):
    try:
        open(path, "rb").read(1)
    except OSError as error:
        errors.append(error.errno)
libc, buffer = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(8)
vector = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
if libc.process_vm_readv(int(victim), vector, 1, vector, 1, 0) < 0:
    errors.append(ctypes.get_errno())
print(*(f"Errno {number}" for number in errors), sep="\\n")
"""

# A log-in of a user, while the service is asked to close guests to that user.
LOG_IN = """
import json, os, socket, sys
def connect():
    return socket.create_connection((sys.argv[1], 22), 10)
up, told = os.pipe()
if os.fork() == 0:
    os.setuid(60001)
    connection = connect()
    connection.settimeout(30)
    connection.recv(64)
    os.write(told, b"x")
    for attempt in (lambda: connection.recv(64), connect):
        try:
            attempt()
            print("fine")
        except OSError as error:
            print(type(error).__name__)
    sys.stdout.flush()
    os._exit(0)
os.read(up, 1)
request = {"do": "close", "uids": [[60001, 60001]], "once": [], "ports": [], "seconds": 60}
for uids in (request["uids"], []):
    with socket.socket(socket.AF_UNIX) as asked:
        asked.connect("/run/multipass_network")
        asked.sendall(json.dumps(request | {"uids": uids}).encode() + b"\\n")
        answer = asked.makefile().readline()
    if uids:
        os.wait()
        print(answer.strip())
"""

pytestmark = pytest.mark.host


@pytest.fixture
def host() -> Iterator[Host]:
    with new_host(kind="instances") as one:
        shutil.copyfile(cloudimage.kept(), f"{one.root}{IMAGE}")
        place = one.root / "etc/systemd/system/multipassd.service.d/test.conf"
        place.parent.mkdir(parents=True)
        place.write_text(DROP_IN)
        one.boot()
        one.run("chmod", "666", "/dev/net/tun")  # as udev has it, which containers lack
        yield one


def test_the_network_is_there_while_an_instance_needs_it(host: Host) -> None:
    nothing_is_set_up_before(host)
    the_first_instance_sets_it_up(host)
    instances_stay_connected_while_it_restarts(host)
    the_last_instance_takes_it_down(host)
    a_launched_instance_is_reached_by_its_address(host)
    removing_the_package_leaves_nothing(host)


def nothing_is_set_up_before(host: Host) -> None:
    host.run("multipass", "list")
    assert host.show(SOCKET, "ActiveState") == "active"
    assert host.show(SERVICE, "ActiveState") == "inactive"
    assert BRIDGE not in links(host)


def the_first_instance_sets_it_up(host: Host) -> None:
    address = attach(host)
    assert {BRIDGE, TAP} <= links(host)
    assert host.show(SERVICE, "ActiveState") == "active"
    assert "masquerade" in host.run("nft", "list", "ruleset").stdout
    listening = host.run("ss", "-lnu").stdout
    assert f"%{BRIDGE}:67 " in listening and f" {address.rpartition('.')[0]}.1:53 " in listening
    assert " 0.0.0.0:53 " not in listening
    assert address in host.run("cat", "/var/lib/multipass-network/hosts").stdout
    assert host.run("ps", "-o", "user=", "-C", "dnsmasq").stdout.split() == ["dnsmasq"]
    assert host.exposure(SERVICE) < 3.0


def instances_stay_connected_while_it_restarts(host: Host) -> None:
    before = links(host)
    host.run("systemctl", "restart", SERVICE)
    until(lambda: "dnsmasq" in host.run("ps", "-e", "-o", "comm=").stdout)
    host.run("systemctl", "kill", "--signal=KILL", SERVICE)
    until(lambda: host.show(SERVICE, "NRestarts") == "1")
    until(lambda: "dnsmasq" in host.run("ps", "-e", "-o", "comm=").stdout)
    assert links(host) == before


def the_last_instance_takes_it_down(host: Host) -> None:
    ask(host, do="forget", mac="52:54:00:00:00:01")
    until(lambda: host.show(SERVICE, "ActiveState") == "inactive")
    assert not {BRIDGE, TAP} & links(host)
    assert host.run("nft", "list", "ruleset").stdout == ""
    assert host.run("cat", "/var/lib/multipass-network/hosts").stdout == ""


def a_launched_instance_is_reached_by_its_address(host: Host) -> None:
    began = time.monotonic()
    host.run(
        "multipass", "launch", "--name", "foo", "--memory", "160M", "--disk", "1G",
        f"file://{IMAGE}",
    )  # fmt: skip
    print(f"\nlaunched in {time.monotonic() - began:.1f} s")
    said = host.run("multipass", "list", "--format", "json").stdout
    (address,) = json.loads(said)["list"][0]["ipv4"]
    addresses = host.run("multipass", "exec", "foo", "--", "ip", "-4", "address").stdout
    assert f"{address}/24" in addresses
    assert address in host.run("cat", "/var/lib/multipass-network/leases").stdout
    host.run("systemctl", "restart", SERVICE)
    host.run("systemctl", "stop", SERVICE)  # who does so does not mean guests to starve
    until(lambda: "dnsmasq" in host.run("ps", "-e", "-o", "comm=").stdout)
    host.run("systemctl", "stop", SERVICE, SOCKET)  # a stop that includes the socket
    host.run("systemctl", "start", SERVICE)
    until(lambda: "dnsmasq" in host.run("ps", "-e", "-o", "comm=").stdout)
    host.run("multipass", "exec", "foo", "--", "true")
    a_user_is_logged_out_and_kept_out(host, address)
    who_took_one_qemu_over_has_no_other(host)
    host.run("multipass", "delete", "--purge", "foo")
    until(lambda: host.show(SERVICE, "ActiveState") == "inactive")
    assert BRIDGE not in links(host)


def a_user_is_logged_out_and_kept_out(host: Host, address: str) -> None:
    said = host.run("python3", "-c", LOG_IN, address).stdout.splitlines()
    assert said[:2] == ["ConnectionAbortedError", "ConnectionRefusedError"]
    assert json.loads(said[2])["done"] == {"ended": 1, "left": [], "why": ""}


def who_took_one_qemu_over_has_no_other(host: Host) -> None:
    """They run as the same user, and this one may run any program that a unit of QEMU's may."""
    victim = host.show("multipass-instance-foo.service", "MainPID")
    given = (*main.PROPERTIES, *main.own_properties("intruder", Path(STORAGE)))
    said = host.run(
        "systemd-run", "--quiet", "--pipe", "--wait", "--collect",
        *(f"--property={key}={value}" for key, value in given),
        "--", "python3", "-c", INTRUDER, victim,
    ).stdout  # fmt: skip
    assert said.splitlines() == ["Errno 13", "Errno 13", "Errno 2", "Errno 1"]


def removing_the_package_leaves_nothing(host: Host) -> None:
    attach(host)
    host.run("dpkg", "--purge", "multipass")
    assert not {BRIDGE, TAP} & links(host)
    assert host.run("nft", "list", "ruleset").stdout == ""
    assert "dnsmasq" not in host.run("ps", "-e", "-o", "comm=").stdout
    host.run("test", "-e", "/var/lib/multipass-network", code=1)


def attach(host: Host) -> str:
    return str(ask(host, do="attach", name="one", mac="52:54:00:00:00:01", user="root"))


def ask(host: Host, **request: str) -> Any:
    said = host.run("python3", "-c", ASK, given=json.dumps(request) + "\n").stdout
    answer = json.loads(said or "{}")
    assert "done" in answer, said + host.run("journalctl", "-n40", "--no-pager").stdout
    return answer["done"]


def links(host: Host) -> set[str]:
    lines = host.run("ip", "-brief", "link").stdout.splitlines()
    return {line.split()[0].partition("@")[0] for line in lines}


def until(true: Callable[[], bool]) -> None:
    waiting.until(true, seconds=SECONDS, every=0.1)
