"""What is left of the snap once it is removed, and what comes back with its snapshot."""

import pytest

from tests.packaging.snaphost import CERTIFICATE, COMMON, SOCKET, SnapHost
from tests.system.site import EMPTY_LIST

pytestmark = pytest.mark.host


def test_removal_keeps_a_snapshot_without_caches_and_purge_keeps_nothing(
    machine: SnapHost,
) -> None:
    machine.run("multipass", "list", user="alice")
    machine.run("mkdir", "-p", f"{COMMON}/cache")
    machine.run("touch", f"{COMMON}/cache/large")
    machine.run("snap", "remove", "multipass")
    nothing_runs(machine)
    saved = machine.run("snap", "saved").stdout
    number = next(line.split()[0] for line in saved.splitlines() if "multipass" in line)

    machine.install()
    machine.run("snap", "restore", number)
    machine.run("snap", "restart", "multipass")  # it swapped the directory that has the socket
    machine.run("test", "!", "-e", f"{COMMON}/cache/large")
    assert machine.run("multipass", "list", user="alice").stdout == EMPTY_LIST  # still the one
    assert machine.run("multipass", "list", user="dave", code=2).stdout

    machine.run("snap", "remove", "--purge", "multipass")
    nothing_runs(machine)
    machine.run("test", "!", "-e", COMMON)
    machine.run("test", "!", "-e", f"/home/alice/{CERTIFICATE}")
    machine.install()
    assert machine.run("multipass", "list", user="dave").stdout == EMPTY_LIST  # first of all


def nothing_runs(machine: SnapHost) -> None:
    machine.run("test", "!", "-e", SOCKET)
    assert machine.run("pgrep", "-f", "bin/multipassd", code=1).stdout == ""
    units = machine.run("systemctl", "list-units", "--all", "--no-legend", "snap.multipass*")
    assert units.stdout == ""
