"""Who took the daemon over, on a real Debian 13: what is out of its reach, tried from inside its
sandbox. And what other users reach of the helpers and the files."""

import json
from collections.abc import Iterator

import pytest

from tests.system.host import Host, new_host

SERVICE = "multipassd.service"
STORAGE = "/var/lib/multipassd"
HELPERS = ("disks", "images", "machines", "mounts", "network")
ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect(sys.argv[1])
    asked.sendall(sys.stdin.buffer.readline())
    print(asked.makefile().readline())
"""
# From inside, as root with its rights: what the kernel refuses then is not in sight at all.
REACH = """
import os, socket
for path in ("/run/systemd/private", "/run/dbus/system_bus_socket"):
    with socket.socket(socket.AF_UNIX) as asked:
        try:
            asked.connect(path)
            print("reached", path)
        except OSError:
            pass
for path in ("/etc", "/usr", "/home", "/root", "/run", "/var", "/boot", "/opt"):
    try:
        os.close(os.open(f"{path}/made", os.O_CREAT | os.O_WRONLY))
        print("wrote", path)
    except OSError:
        pass
print("homes", os.listdir("/home") if os.path.isdir("/home") else [])
"""
# Ask for a look at what a server has that never answers, and look at the worker.
AT_WORK = """
import json, socket, subprocess
listener = socket.create_server(("127.0.0.1", 0))
url = f"http://127.0.0.1:{listener.getsockname()[1]}/disk.img"
asked = socket.socket(socket.AF_UNIX)
asked.connect("/run/multipass_images")
asked.sendall(json.dumps({"kind": "look", "url": url}).encode() + b"\\n")
held, _ = listener.accept()
listing = ["systemctl", "list-units", "--plain", "--no-legend", "multipass-images@*"]
unit = subprocess.check_output(listing, text=True).split()[0]
pid = subprocess.check_output(["systemctl", "show", "-P", "MainPID", unit], text=True).strip()
print(open(f"/proc/{pid}/status").read())
enter = ["nsenter", "-t", pid, "-m", "--"]
storage = "/var/lib/multipassd"
for path in (f"{storage}/data", "/etc/multipassd"):
    print("seen", *subprocess.check_output([*enter, "ls", "-A", path], text=True).split())
places = (f"{storage}/machines", f"{storage}/data", "/etc", "/run", "/home", f"{storage}/images")
for path in places:
    made = subprocess.run([*enter, "touch", f"{path}/made"], capture_output=True)
    print("wrote", *([path] if made.returncode == 0 else []))
"""
NETWORK_REQUESTS: tuple[object, ...] = (
    {"do": "attach", "name": "foo", "mac": "52:54:00:00:00:01; id", "user": "root"},
    {"do": "attach", "name": "../foo", "mac": "52:54:00:00:00:01", "user": "multipass-vm"},
    {"do": "attach_to", "to": "../eth0", "mac": "52:54:00:00:00:01", "user": "multipass-vm"},
    {"do": "bridge", "device": "eth0/../x"},
    {"do": "run", "command": ["id"]},
    {"do": "close", "uids": [[0, 1]], "once": [], "ports": [], "seconds": 60},  # root
    {"do": "down"},
    [],
)

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with new_host() as one:
        one.boot()
        one.run("multipass", "list", user="alice")
        yield one


def test_the_daemon_has_no_capability_no_way_to_gain_one_and_a_filter(host: Host) -> None:
    pid = host.show(SERVICE, "MainPID")
    status = host.run("cat", f"/proc/{pid}/status").stdout
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert f"{kind}:\t{0:016x}" in status
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status


def test_from_the_daemon_s_sandbox_neither_systemd_nor_the_bus_nor_other_files_are_reached(
    host: Host,
) -> None:
    pid = host.show(SERVICE, "MainPID")
    said = host.run("nsenter", "-t", pid, "-m", "--", "python3", "-c", REACH).stdout
    assert said.splitlines() == ["homes []"], said


def test_the_helpers_sockets_are_roots_alone(host: Host) -> None:
    for name in HELPERS:
        path = f"/run/multipass_{name}"
        assert host.run("stat", "-c", "%F %U %G %a", path).stdout == "socket root root 600\n"
        said = host.run("python3", "-c", ASK, path, user="bob", given="{}\n", code=1).stdout
        assert "Permission denied" in said


def test_records_keys_and_settings_are_roots_alone(host: Host) -> None:
    host.run("multipass", "set", "local.bridged-network=", user="alice")
    data = f"{STORAGE}/data"
    found = host.run("find", data, "/etc/multipassd", "-type", "f", "-printf", "%m %u %p\n").stdout
    files = [line.split() for line in found.splitlines()]
    assert any(path.endswith(".conf") for *_, path in files)
    public = {("644", "root", f"{data}/certificates/localhost.pem")}  # the server's certificate
    assert {tuple(file) for file in files if file[:2] != ["600", "root"]} <= public, found
    assert host.run("ls", data, user="bob", code=2).stdout.endswith("Permission denied\n")


def test_an_image_worker_at_work_has_no_capability_and_sees_neither_trust_nor_disks(
    host: Host,
) -> None:
    said = host.run("python3", "-c", AT_WORK).stdout.splitlines()
    rights = {line.split()[0]: int(line.split()[1], 16) for line in said if line[:3] == "Cap"}
    assert not rights["CapPrm:"] | rights["CapEff:"] | rights["CapInh:"] | rights["CapAmb:"]
    assert "NoNewPrivs:\t1" in said
    assert [line.strip() for line in said if line.startswith("seen")] == ["seen", "seen"]
    wrote = {word for line in said if line.startswith("wrote") for word in line.split()[1:]}
    assert wrote == {f"{STORAGE}/images"}


def test_the_machines_helper_makes_nothing_but_qemu(host: Host) -> None:
    for command in (["sh", "-c", "id"], ["/tmp/qemu-system-x86_64"], []):
        request = {"do": "start", "name": "foo", "command": command}
        answer = asked(host, "machines", request)
        assert answer["code"] == 1 and "the command is not" in str(answer["said"])
    assert host.run("find", "/run", "-name", "multipass-instance-*").stdout == ""


def test_the_network_s_helper_takes_names_addresses_and_its_own_verbs_only(host: Host) -> None:
    before = host.run("ip", "-o", "link").stdout
    for request in NETWORK_REQUESTS:
        assert "does not understand the request" in str(asked(host, "network", request))
    assert host.run("ip", "-o", "link").stdout == before


def asked(host: Host, helper: str, request: object) -> dict[str, object]:
    given = json.dumps(request) + "\n"
    said = host.run("python3", "-c", ASK, f"/run/multipass_{helper}", given=given).stdout
    answer: dict[str, object] = json.loads(said)
    return answer
