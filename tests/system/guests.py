"""The instance `foo` on a host, as `multipass` shows it there."""

from collections.abc import Callable

from tests.system.host import Host
from tests.waiting import until

SECONDS = 300.0  # as the service itself waits for a guest to boot, emulated on a busy machine


def in_guest(host: Host, command: str) -> str:
    return host.run("multipass", "exec", "foo", "--", "sh", "-c", command).stdout


def guests_boot(host: Host) -> str:
    """Which boot of its own it is in, once it runs."""
    wait_until(lambda: state(host) == "Running")
    return in_guest(host, "cat /proc/sys/kernel/random/boot_id")


def state(host: Host) -> str:
    rows = host.run("multipass", "list", "--format", "csv").stdout.splitlines()[1:]
    return dict(row.split(",")[:2] for row in rows).get("foo", "none")


def wait_until(true: Callable[[], bool]) -> None:
    until(true, seconds=SECONDS, every=0.1)  # a look takes a while itself
