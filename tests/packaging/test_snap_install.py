"""The snap on a real snapd: installed, used by its own commands, restarted, stopped, rebooted."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.packaging.snaphost import (
    CERTIFICATE,
    COMMON,
    PLUG,
    ROOT_CERTIFICATE,
    SERVICE,
    SNAP,
    SOCKET,
    SOCKET_UNIT,
    STORE,
    WAKE_SERVICE,
    SnapHost,
)  # fmt: skip
from tests.system.hammer import BEGUN, LOOP, PATIENCE
from tests.system.site import DENIED, EMPTY_LIST, NOT_AUTHENTICATED
from tests.waiting import until
from tools import roots
from tools.snap import foreign

PASSPHRASE = "correct horse"
RESTARTS = 6
FAILURES = 6  # one more than systemd puts up with in ten seconds
MOST_BYTES = 40_000_000  # of the snap
TCP = "env", "MULTIPASS_SERVER_ADDRESS=localhost:50051", "multipass", "list"
CALLERS = 2

# As LOOP, by connections alone, which retry nothing; and how long they failed at a stretch.
RAW_LOOP = f"""
import os, socket, time
calls = lost = 0
since = longest = 0.0
while not os.path.exists("/tmp/enough"):
    time.sleep(0.005)
    calls += 1
    with socket.socket(socket.AF_UNIX) as one:
        try:
            one.connect("{SOCKET}")
            since = 0.0
        except OSError:
            lost += 1
            since = since or time.monotonic()
            longest = max(longest, time.monotonic() - since)
print(f"calls: {{calls}} lost: {{lost}} at most {{longest:.2f}} s at a stretch")
"""

pytestmark = pytest.mark.host


@pytest.mark.parametrize("connected", [False, True], ids=["unconnected", "connected"])
def test_the_story_of_an_installation(machine: SnapHost, connected: bool) -> None:
    if connected:
        machine.run("snap", "connect", PLUG)
    nothing_was_started(machine)
    only_an_administrator_comes_first(machine, connected)
    others_get_in_by_passphrase(machine)
    places_are_those_of_multipass(machine)
    the_service_is_known_to_snapd(machine)
    restarts_are_noticed_by_nobody(machine)
    stop_and_start_are_obeyed(machine)
    trust_outlives_a_reboot(machine)


def test_a_plug_connected_or_disconnected_later_counts_at_once(machine: SnapHost) -> None:
    machine.run("multipass", "version", user="alice")  # starts the service, enrols no client
    assert socket_mode(machine) == "root:root 666"
    machine.run("snap", "connect", PLUG)
    assert machine.run("multipass", "list", user="bob", code=2).stdout.splitlines()[0] == (
        f"list failed: {DENIED.strip()}"
    )
    assert socket_mode(machine) == "root:sudo 660"
    machine.run("snap", "disconnect", PLUG)
    # Narrow until the socket is made anew; the daemon may still open it, which it must.
    assert machine.run("multipass", "list", user="alice").stdout == EMPTY_LIST
    assert machine.run("multipass", "list", user="bob", code=2).stdout == NOT_AUTHENTICATED


def test_restarts_under_load_and_failures_lose_no_call_of_the_cli(machine: SnapHost) -> None:
    machine.run("multipass", "list", user="alice")
    callers = [
        subprocess.Popen([*machine.entering("alice"), *command], stdout=subprocess.PIPE, text=True)
        for command in (*[("sh", "-c", LOOP)] * CALLERS, ("python3", "-c", RAW_LOOP))
    ]
    try:
        for caller in callers[:CALLERS]:
            assert caller.stdout is not None
            assert (first := caller.stdout.readline()) == BEGUN, first
        for _ in range(RESTARTS):
            machine.run("snap", "restart", "multipass")
            # snapd leaves systemd's limit of five starts in ten seconds, which people don't reach.
            machine.run("systemctl", "reset-failed", SERVICE, SOCKET_UNIT, WAKE_SERVICE)
    finally:
        machine.run("touch", "/tmp/enough")
        said = [caller.communicate(timeout=PATIENCE)[0] for caller in callers]
    *by_cli, raw = said
    print(f"\n{RESTARTS} restarts; CLI: {' '.join(by_cli)}; raw connections: {raw}")
    assert not [text for text in by_cli if "LOST" in text], by_cli
    failures_over_and_over_are_waited_for(machine)


def failures_over_and_over_are_waited_for(machine: SnapHost) -> None:
    for _ in range(FAILURES):
        machine.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", SERVICE)
        assert machine.run("multipass", "list", user="alice").stdout == EMPTY_LIST
    assert machine.show(SOCKET_UNIT, "ActiveState") == "active"


def test_what_snap_set_sets_is_checked_and_used_and_lasts(machine: SnapHost) -> None:
    machine.run("multipass", "list", user="alice")
    said = machine.run("snap", "set", "multipass", "verbosity=loud", code=1).stdout
    assert "verbosity=loud is not used: it must be one of error, warning, info" in said
    machine.run("snap", "get", "multipass", "verbosity", code=1)
    machine.run(*TCP, user="alice", code=2)

    machine.run("snap", "set", "multipass", "address=127.0.0.1:50051", "verbosity=debug")
    until(lambda: over_tcp(machine) == EMPTY_LIST, "TCP to be served")
    machine.stop()
    machine.boot()
    until(lambda: over_tcp(machine) == EMPTY_LIST, "TCP to be served after a boot")
    machine.run("snap", "unset", "multipass", "address")
    until(lambda: "refused" in over_tcp(machine), "TCP to end")
    assert machine.run("multipass", "list", user="alice").stdout == EMPTY_LIST


def over_tcp(machine: SnapHost) -> str:
    return machine.run(*TCP, user="alice", code=None).stdout


def test_the_snap_is_small_and_holds_nothing_of_another_python(untouched: SnapHost) -> None:
    size = Path(f"{untouched.root}{SNAP}").stat().st_size  # of a root that is not booted
    print(f"\nthe snap has {size / 1e6:.1f} MB")
    assert size < MOST_BYTES
    listed = roots.run_in(untouched.root, "unsquashfs", "-ls", "-dest", "", SNAP)
    names = listed.stdout.splitlines()
    assert foreign(names) == []
    assert any(name.endswith(".cpython-312.pyc") for name in names)
    for package in ("qemu-system-x86", "openssh-client", "ovmf"):
        assert f"/usr/share/doc/{package}/copyright" in names


def socket_mode(machine: SnapHost) -> str:
    return machine.run("stat", "-c", "%U:%G %a", SOCKET).stdout.strip()


def nothing_was_started(machine: SnapHost) -> None:
    assert "socket-activated" in machine.run("snap", "services", "multipass.multipassd").stdout
    assert machine.show(SERVICE, "ActiveState") == "inactive"
    assert socket_mode(machine) == "root:root 666"


def only_an_administrator_comes_first(machine: SnapHost, connected: bool) -> None:
    """By the caller's uid and groups, for any mode of the socket; with the same message."""
    for _ in range(2):  # the first wakes the service, which narrows the mode if it may
        said = machine.run("multipass", "list", user="bob", code=2).stdout
        assert f"list failed: {DENIED}" in said
    assert socket_mode(machine) == ("root:sudo 660" if connected else "root:root 666")
    assert machine.run("multipass", "list", user="alice").stdout == EMPTY_LIST
    assert socket_mode(machine) == ("root:sudo 666" if connected else "root:root 666")
    assert machine.run("multipass", "list", user="bob", code=2).stdout == NOT_AUTHENTICATED


def others_get_in_by_passphrase(machine: SnapHost) -> None:
    machine.run("multipass", "set", f"local.passphrase={PASSPHRASE}", user="alice")
    machine.run("multipass", "authenticate", PASSPHRASE, user="bob")
    assert machine.run("multipass", "list", user="bob").stdout == EMPTY_LIST
    machine.run("sudo", "multipass", "authenticate", user="alice")  # root is never locked out
    assert machine.run("sudo", "multipass", "list", user="alice").stdout == EMPTY_LIST


def places_are_those_of_multipass(machine: SnapHost) -> None:
    assert machine.run("stat", "-c", "%U %a", STORE).stdout.strip() == "root 600"
    assert machine.run("stat", "-c", "%U %a", ROOT_CERTIFICATE).stdout.strip() == "root 644"
    for home in ("/home/alice", "/home/bob", "/root"):
        machine.run("test", "-e", f"{home}/{CERTIFICATE}")


def the_service_is_known_to_snapd(machine: SnapHost) -> None:
    journal = machine.journal("-o", "json", f"_SYSTEMD_UNIT={SERVICE}")
    records = [json.loads(line) for line in journal.splitlines()]
    logs = machine.run("snap", "logs", "-n", "100", "multipass").stdout
    assert "is ready" in logs
    assert PASSPHRASE not in logs
    assert {"denied", "granted"} <= {each.get("MULTIPASS_EVENT") for each in records}
    pid = machine.show(SERVICE, "MainPID")
    ready = next(each for each in records if "is ready" in each["MESSAGE"] and each["_PID"] == pid)
    started = int(machine.show(SERVICE, "ExecMainStartTimestampMonotonic"))
    took = (int(ready["__MONOTONIC_TIMESTAMP"]) - started) / 1e6
    print(f"\nfrom start to ready: {took:.2f} s")


def restarts_are_noticed_by_nobody(machine: SnapHost) -> None:
    for name in ("multipass", "multipass.multipassd"):
        before = machine.show(SERVICE, "MainPID")
        machine.run("snap", "restart", name)
        for user in ("alice", "bob"):
            assert machine.run("multipass", "list", user=user).stdout == EMPTY_LIST
        assert machine.show(SERVICE, "MainPID") != before


def stop_and_start_are_obeyed(machine: SnapHost) -> None:
    machine.run("snap", "stop", "--disable", "multipass")
    assert machine.show(SOCKET_UNIT, "ActiveState") == "inactive"
    assert machine.show(SOCKET_UNIT, "UnitFileState") == "disabled"
    said = machine.run("multipass", "list", user="alice", code=2).stdout
    assert "cannot connect to the multipass socket" in said
    assert "sudo snap start multipass" in said
    machine.run("snap", "start", "--enable", "multipass")
    assert machine.show(SOCKET_UNIT, "UnitFileState") == "enabled"
    assert machine.run("multipass", "list", user="alice").stdout == EMPTY_LIST


def trust_outlives_a_reboot(machine: SnapHost) -> None:
    machine.stop()
    machine.boot()
    assert machine.show(SERVICE, "ActiveState") == "inactive"
    assert machine.run("multipass", "list", user="bob").stdout == EMPTY_LIST
    assert Path(machine.inside(f"{COMMON}/multipass_socket")).is_socket()
