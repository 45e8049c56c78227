"""Instances on a real Debian 13: each in a unit of its own, which outlives the daemon, ends in order
with the host and is started again with it.

What was measured is printed (`pytest -s`).
"""

import shutil
import time
from collections.abc import Callable, Iterator

import pytest

from tests.system.host import Host, new_host
from tools import cloudimage

SERVICE = "multipassd.service"
UNIT = "multipass-instance-foo.service"
STORAGE = "/var/lib/multipassd"
IMAGE = "/srv/tiny.qcow2"
RUNNING_MARK = f"{STORAGE}/data/running/foo"
MOST_EXPOSED = 2.0
PATIENCE = 90.0
DROP_IN = """
[Service]
Environment=MULTIPASS_ACCELERATOR=tcg
ExecStart=
ExecStart=/usr/sbin/multipassd --idle-exit 2
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
        yield one


def test_an_instance_outlives_the_daemon_and_comes_back_with_the_host(host: Host) -> None:
    launched(host)
    only_its_own_files_are_reachable_for_qemu(host)
    the_daemon_comes_and_goes(host)


def launched(host: Host) -> None:
    began = time.monotonic()
    host.run(
        "multipass", "launch", "--name", "foo", "--memory", "160M", "--disk", "1G",
        f"file://{IMAGE}",
    )  # fmt: skip
    print(f"\nlaunched in {time.monotonic() - began:.1f} s")
    assert host.show(UNIT, "ActiveState") == "active"
    assert state(host) == "Running"


def only_its_own_files_are_reachable_for_qemu(host: Host) -> None:
    pid = host.show(UNIT, "MainPID")
    assert host.run("ps", "-o", "user=", "-p", pid).stdout.strip() == "multipass-vm"


def the_daemon_comes_and_goes(host: Host) -> None:
    boot = guests_boot(host)
    host.run("systemctl", "kill", "--signal=KILL", SERVICE)
    assert guests_boot(host) == boot
    host.run("systemctl", "restart", SERVICE)
    assert guests_boot(host) == boot
    host.run("systemctl", "stop", SERVICE)
    assert host.show(UNIT, "ActiveState") == "active"
    assert guests_boot(host) == boot


def guests_boot(host: Host) -> str:
    command = ("multipass", "exec", "foo", "--", "cat", "/proc/sys/kernel/random/boot_id")
    return host.run(*command).stdout


def state(host: Host) -> str:
    rows = host.run("multipass", "list", "--format", "csv").stdout.splitlines()[1:]
    return dict(row.split(",")[:2] for row in rows).get("foo", "none")


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)
