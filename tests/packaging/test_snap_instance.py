"""Instances in the snap, on a real snapd: QEMU is a process of its own, run as snap_daemon, which
outlives a restart of the service and a refresh, comes back with the host and ends with the snap.

One test, as each step stands on the one before and a boot of a guest takes 20 s.
"""

import shutil
import time

import pytest

from tests.packaging.snaphost import COMMON, PLUG_KVM, PLUG_MEDIA, SNAP, SnapHost
from tests.system.guests import guests_boot, in_guest, state, wait_until
from tests.system.webserver import serve
from tools import cloudimage

IMAGE = "/srv/tiny.qcow2"
PORT = 8000
URL = f"http://127.0.0.1:{PORT}/tiny.qcow2"
PLACE = f"{COMMON}/machines/foo"
# 1.16's, which must not be changed.
VAULT = f"{COMMON}/data/multipassd/vault/instances/primary/ubuntu.img"

pytestmark = pytest.mark.host


@pytest.fixture
def served(machine: SnapHost) -> SnapHost:
    """With the tiny image on a server of its own."""
    shutil.copyfile(cloudimage.kept(), machine.inside(IMAGE))
    serve(machine, "/srv", PORT)
    return machine


def test_an_instance_outlives_the_service_and_ends_with_the_snap(served: SnapHost) -> None:
    vault = served.inside(VAULT)
    vault.parent.mkdir(parents=True)
    vault.write_text("a disk\n")
    launched(served)
    qemu_has_no_rights_but_to_its_own(served)
    a_directory_that_is_open_to_all_is_mounted(served)
    the_service_comes_and_goes(served)
    it_is_suspended_and_resumed(served)
    it_is_purged(served)
    assert vault.read_text() == "a disk\n"
    launched(served)
    it_goes_down_and_comes_up_with_the_host(served)
    removal_ends_it_and_keeps_its_disk_in_the_snapshot(served)


def launched(host: SnapHost) -> None:
    began = time.monotonic()
    host.run("multipass", "launch", "--name", "foo", "--memory", "160M", "--disk", "1G", URL)
    print(f"\nlaunched in {time.monotonic() - began:.1f} s")
    assert state(host) == "Running"
    assert in_guest(host, "id -un") == "ubuntu\n"


def qemu_has_no_rights_but_to_its_own(host: SnapHost) -> None:
    pid = qemu(host)
    assert host.run("ps", "-o", "user:20=", "-p", pid).stdout.strip() == "snap_daemon"
    status = host.run("cat", f"/proc/{pid}/status").stdout
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    as_qemu = ("setpriv", "--reuid=snap_daemon", "--regid=snap_daemon", "--clear-groups")
    host.run(*as_qemu, "test", "-w", f"{PLACE}/disk.qcow2")
    for path in (f"{PLACE}/new", f"{COMMON}/machines/new", f"{COMMON}/images/new"):
        host.run(*as_qemu, "touch", path, code=1)
    host.run(*as_qemu, "ls", f"{COMMON}/data/multipassd/instances", code=2)
    for path in (f"{PLACE}/disk.qcow2", f"{COMMON}/images", f"{COMMON}/run"):
        host.run("ls", path, user="bob", code=2)


def a_directory_that_is_open_to_all_is_mounted(host: SnapHost) -> None:
    """By the one user that a strict snap may become, under snapd's own seccomp filter."""
    assert host.run("multipass", "get", "local.privileged-mounts").stdout == "false\n"
    host.run("multipass", "set", "local.privileged-mounts=true")
    host.run("snap", "connect", PLUG_MEDIA)
    host.run("sh", "-c", "mkdir -p -m 777 /mnt/open /mnt/closed && chmod 700 /mnt/closed")
    host.run("sh", "-c", "echo read > /mnt/open/f && ln -s /etc/passwd /mnt/open/out")
    said = host.run("multipass", "mount", "/mnt/closed", "foo:closed", code=2).stdout
    assert 'not all users of this host may list "/mnt/closed"' in said
    host.run("multipass", "mount", "/mnt/open", "foo:open")
    assert in_guest(host, "cat open/f; echo written > open/new; stat -c %U open/new") == (
        "read\nubuntu\n"
    )
    assert host.run("stat", "-c", "%U", "/mnt/open/new").stdout == "snap_daemon\n"
    assert "out" in in_guest(host, "ls open")
    host.run("multipass", "mount", "/mnt/open", "foo:more")
    host.run("multipass", "umount", "foo:more")
    assert in_guest(host, "ls more") == ""


def the_service_comes_and_goes(host: SnapHost) -> None:
    boot, pid = guests_boot(host), qemu(host)
    host.run("snap", "restart", "multipass.multipassd")
    assert guests_boot(host) == boot
    host.run("snap", "connect", PLUG_KVM)  # restarts it, too
    assert guests_boot(host) == boot
    host.run("snap", "install", "--dangerous", SNAP)  # as a refresh does
    assert guests_boot(host) == boot
    assert qemu(host) == pid
    assert in_guest(host, "cat open/f") == "read\n"


def it_is_suspended_and_resumed(host: SnapHost) -> None:
    boot = guests_boot(host)
    host.run("multipass", "suspend", "foo")
    assert state(host) == "Suspended"
    assert nothing_runs(host)
    host.run("multipass", "start", "foo")
    assert guests_boot(host) == boot
    assert in_guest(host, "cat open/f") == "read\n"


def it_is_purged(host: SnapHost) -> None:
    host.run("multipass", "delete", "--purge", "foo")
    assert nothing_runs(host)
    host.run("ls", PLACE, code=2)
    assert host.run("ls", f"{COMMON}/run").stdout == ""


def it_goes_down_and_comes_up_with_the_host(host: SnapHost) -> None:
    """In order, though processes of a snap are not informed of the host's shutdown."""
    in_guest(host, "echo written > last-words")
    host.stop()
    host.boot()
    wait_until(lambda: qemu(host) != "")  # without a call
    wait_until(lambda: state(host) == "Running")
    assert in_guest(host, "cat last-words") == "written\n"


def removal_ends_it_and_keeps_its_disk_in_the_snapshot(host: SnapHost) -> None:
    in_guest(host, "echo written > unsynced")
    host.run("snap", "remove", "multipass")
    assert nothing_runs(host)
    saved = host.run("snap", "saved").stdout.splitlines()[-1].split()[0]
    host.install()
    host.run("snap", "restore", saved)
    host.run("snap", "restart", "multipass")  # it swapped the directory that has the socket
    assert state(host) == "Stopped"
    host.run("multipass", "start", "foo")
    assert in_guest(host, "cat unsynced") == "written\n"
    host.run("snap", "remove", "--purge", "multipass")
    assert nothing_runs(host)
    host.run("ls", COMMON, code=2)


def qemu(host: SnapHost) -> str:
    return host.run("pgrep", "-u", "snap_daemon", "-x", "qemu-foo", code=None).stdout.strip()


def nothing_runs(host: SnapHost) -> bool:
    return host.run("pgrep", "-u", "snap_daemon", code=None).stdout == ""
