"""The daemon exits when idle, and the next caller starts it.

What was measured is printed (`pytest -s`) and recorded as properties of the test.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.system.hammer import grpc_caller
from tests.system.host import Host, new_host
from tests.system.site import EMPTY_LIST
from tests.waiting import until

SERVICE = "multipassd.service"
STATUS = "idle; the next caller wakes it"
IDLE_SECONDS = 2
PATIENCE = 60.0
IDLE_AT_ONCE = f"""
[Service]
ExecStart=
ExecStart=/usr/sbin/multipassd --idle-exit {IDLE_SECONDS}
"""

pytestmark = pytest.mark.host


@pytest.fixture
def host() -> Iterator[Host]:
    with new_host() as one:
        one.boot()
        drop_in = "/etc/systemd/system/multipassd.service.d/idle.conf"
        one.run("install", "-D", "/dev/stdin", drop_in, given=IDLE_AT_ONCE)
        one.run("systemctl", "daemon-reload")
        yield one


def test_it_leaves_when_idle_and_the_next_caller_wakes_it(
    host: Host, record_property: Callable[[str, object], None]
) -> None:
    assert host.run("multipass", "list", user="alice").stdout == EMPTY_LIST
    with held(host):
        active = resident(host)
    print(f"\nresident: {active} KiB (PSS) active", end="")
    record_property("resident when active, KiB", active)
    assert active > 0

    until(lambda: host.show(SERVICE, "ActiveState") == "inactive", "the idle exit")
    idle = resident(host)
    print(f", {idle} KiB idle")
    record_property("resident when idle, KiB", idle)
    assert idle == 0
    assert host.run("pgrep", "-f", "multipass", code=None).stdout == ""
    assert host.show(SERVICE, "Result") == "success"
    assert host.show(SERVICE, "ExecMainStatus") == "0"
    status = host.run("systemctl", "status", "--no-pager", "multipassd", code=3).stdout
    assert STATUS in status
    assert host.show("multipassd.socket", "SubState") == "listening"

    assert host.run("multipass", "list", user="alice").stdout == EMPTY_LIST
    with held(host):
        assert host.show(SERVICE, "ActiveState") == "active"
        assert host.show(SERVICE, "NRestarts") == "0"


def test_a_connection_that_a_trusted_client_holds_keeps_it(host: Host) -> None:
    assert host.run("multipass", "list", user="alice").stdout == EMPTY_LIST
    with held(host):
        served_by = host.show(SERVICE, "MainPID")
        # Who calls once in a while and leaves does not keep it; only the other connection does.
        deadline = time.monotonic() + 2 * IDLE_SECONDS
        while time.monotonic() < deadline:
            assert host.show(SERVICE, "MainPID") == served_by
            time.sleep(0.1)
    until(lambda: host.show(SERVICE, "ActiveState") == "inactive", "the idle exit")
    assert host.show(SERVICE, "StatusText") == STATUS


@contextmanager
def held(host: Host) -> Iterator[None]:
    """While a connection keeps it: how long a look at it takes is the machine's business."""
    caller = grpc_caller(host, "hold")
    try:
        assert caller.stdout is not None
        assert caller.stdout.readline() == "held\n"
        yield
    finally:
        caller.communicate(timeout=PATIENCE)


def resident(host: Host) -> int:
    """KiB of memory that all processes of the service account for; shared pages in proportion."""
    group = host.show(SERVICE, "ControlGroup")
    if not group:
        return 0
    pids = host.run("sh", "-c", f"cat /sys/fs/cgroup{group}/cgroup.procs").stdout.split()
    maps = "".join(host.run("cat", f"/proc/{pid}/smaps_rollup").stdout for pid in pids)
    return sum(int(size) for size in re.findall(r"^Pss: +(\d+) kB", maps, re.MULTILINE))
