"""kill -9 of the packaged daemon while it launches and purges: what runs then is in units and on a
bridge that others keep for it, and its next start leaves nothing of that stray.

The image is a disk without a system: QEMU runs it, and no test waits for a boot.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.instances.site import silent_disk
from tests.system.host import Host, new_host
from tests.waiting import until

SERVICE = "multipassd.service"
STORAGE = "/var/lib/multipassd"
LOG = "/var/log/multipassd.log"
HOSTS, LEASES = "/var/lib/multipass-network/hosts", "/var/lib/multipass-network/leases"
DROP_IN = f"""
[Unit]
Wants=multipass-network.socket
[Service]
Environment=MULTIPASS_ACCELERATOR=tcg
Environment=MULTIPASS_NETWORK_SOCKET=/run/multipass_network
ExecStart=
ExecStart=/usr/sbin/multipassd --idle-exit 5 --verbosity debug --logger stderr
StandardError=append:{LOG}
"""
UNIT_STAGE = "start"  # when the network is asked for a tap and the unit is made
TIMES = 2
TRIES = 8  # to kill in a stage that is short
SMALL = ("--memory", "128M", "--disk", "512M", "file:///srv/disk.raw")
PATIENCE = 60.0

pytestmark = pytest.mark.host


@pytest.fixture
def host() -> Iterator[Host]:
    with new_host(kind="instances") as booted:
        silent_disk(Path(f"{booted.root}/srv/disk.raw"))
        booted.drop_in(DROP_IN)
        booted.boot()
        booted.run("chmod", "666", "/dev/net/tun")  # as udev has it, which containers lack
        yield booted


def test_a_killed_daemon_leaves_no_stray_unit_tap_or_lease(host: Host) -> None:
    hits: list[str] = []
    while hits.count(UNIT_STAGE) < TIMES:
        assert len(hits) < TRIES, hits
        hits.append(killed_at(host, f"foo{len(hits)}", UNIT_STAGE))
    assert killed_at(host, "foo", "boot") == "boot"
    left = [killed_while_it_purges(host, f"bar{number}") for number in range(TIMES)]
    print(f"\nkilled in {hits}; states after purges: {left}")
    nothing_is_left(host)


def killed_at(host: Host, name: str, stage: str) -> str:
    """The last stage that the log tells of."""
    launching = begin(host, "launch", "--name", name, *SMALL)
    wait_until(lambda: f"launch of {name}: {stage}" in log(host))
    host.run("systemctl", "kill", "--signal=KILL", SERVICE)
    ended(launching)
    mark = f"launch of {name}: "
    hit = next(line for line in reversed(log(host).splitlines()) if mark in line).partition(mark)[2]
    check_nothing_is_stray(host)
    state = states(host).get(name)
    if hit == "boot":
        assert state == "Starting"
    if state == "Stopped":
        starting = begin(host, "start", name)
        wait_until(lambda: states(host)[name] == "Starting" and units(host) == [unit(name)])
        ended(starting)
    if state is not None:
        host.run("multipass", "delete", "--purge", name)
    check_nothing_is_stray(host)
    return hit


def killed_while_it_purges(host: Host, name: str) -> str:
    """Its state afterwards; empty where it is gone."""
    launching = begin(host, "launch", "--name", name, *SMALL)
    wait_until(lambda: f"launch of {name}: boot" in log(host))
    record = host.root / f"{STORAGE[1:]}/data/instances/{name}.json"
    purging = begin(host, "delete", "--purge", name)
    wait_until(lambda: not record.exists())
    host.run("systemctl", "kill", "--signal=KILL", SERVICE)
    ended(launching)
    ended(purging)
    check_nothing_is_stray(host)
    return states(host).get(name, "")


def check_nothing_is_stray(host: Host) -> None:
    """Each unit, tap, address and directory belongs to an instance that is listed."""
    wait_until(lambda: sound(host))


def sound(host: Host) -> bool:
    known = states(host)
    running = sorted(name for name, state in known.items() if state != "Stopped")
    return (
        units(host) == [unit(name) for name in running]
        and len(taps(host)) == len(running)
        and sorted(names(host, f"{STORAGE}/machines")) == sorted(known)
        and len(host.run("pgrep", "-u", "multipass-vm", code=None).stdout.split()) == len(running)
        and all(line.split(",")[2] in known for line in lines(host, HOSTS))
    )


def nothing_is_left(host: Host) -> None:
    for name in states(host):
        host.run("multipass", "delete", "--purge", name)
    wait_until(lambda: not units(host) and not taps(host) and not lines(host, HOSTS))
    assert lines(host, LEASES) == []
    wait_until(lambda: host.show("multipass-network.service", "ActiveState") == "inactive")
    assert host.run("nft", "list", "ruleset").stdout == ""


def states(host: Host) -> dict[str, str]:
    listed = host.run("multipass", "list", "--format", "json").stdout
    return {each["name"]: each["state"] for each in json.loads(listed)["list"]}


def units(host: Host) -> list[str]:
    command = ("systemctl", "list-units", "--all", "--plain", "--no-legend", "multipass-instance-*")
    return sorted(line.split()[0] for line in host.run(*command).stdout.splitlines())


def unit(name: str) -> str:
    return f"multipass-instance-{name}.service"


def taps(host: Host) -> list[str]:
    links = host.run("ip", "-brief", "link").stdout.splitlines()
    return [line.split()[0] for line in links if line.startswith("mp-")]


def lines(host: Host, path: str) -> list[str]:
    try:
        return (host.root / path[1:]).read_text().splitlines()
    except FileNotFoundError:  # not there yet, or not any more
        return []


def names(host: Host, path: str) -> list[str]:
    return [each.name for each in (host.root / path[1:]).iterdir()]


def log(host: Host) -> str:
    return "\n".join(lines(host, LOG))


def begin(host: Host, *arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [*host.entering(), "multipass", *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def ended(waiting: "subprocess.Popen[bytes]") -> None:
    waiting.kill()
    waiting.wait()


def wait_until(true: Callable[[], bool]) -> None:
    until(true, seconds=PATIENCE, every=0.01)
