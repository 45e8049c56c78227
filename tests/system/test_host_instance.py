"""Instances on a real Debian 13: each in a unit of its own, which outlives the daemon, ends in
order with the host and is started again with it.

One test, as each step stands on the one before and a boot of a guest takes 20 s; what it measured
is printed (`pytest -s`).
"""

import json
import shutil
import time
from collections.abc import Iterator

import pytest

from tests.system.guests import guests_boot, in_guest, state, wait_until
from tests.system.host import PACKAGE, Host, new_host
from tests.system.test_host_dropins import documented, write
from tools import cloudimage

SERVICE = "multipassd.service"
UNIT = "multipass-instance-foo.service"
STORAGE = "/var/lib/multipassd"
PLACE = f"{STORAGE}/machines/foo"
RUNTIME = "/run/multipass-instance-foo"
IMAGE = "/srv/tiny.qcow2"
RECORD = f"{STORAGE}/data/instances/foo.json"
MARK = f"{STORAGE}/data/running/foo"
REQUEST = "multipass-machines@.service"
MOUNTS = "multipass-mounts@.service"
UNITS = (
    SERVICE, "multipassd-boot.service", "multipass-machines.socket", REQUEST,
    "multipass-mounts.socket", MOUNTS,
)  # fmt: skip
MOST_EXPOSED = 2.0
# KVM does not work in a container, and trying it takes time.
DROP_IN = """
[Service]
Environment=MULTIPASS_ACCELERATOR=tcg
ExecStart=
ExecStart=/usr/sbin/multipassd --idle-exit 2
"""
MOVED = "[Service]\nEnvironment=MULTIPASS_STORAGE=/srv/multipass\n"
# What QEMU can see of the files below its unit's directories, from its own mount namespace.
SEEN = f"find {STORAGE} /run -mindepth 1 -maxdepth 2 ! -type l | sort"

pytestmark = pytest.mark.host


@pytest.fixture
def host() -> Iterator[Host]:
    with new_host(kind="instances") as one:
        shutil.copyfile(cloudimage.kept(), f"{one.root}{IMAGE}")
        (one.root / IMAGE[1:]).chmod(0o600)
        one.drop_in(DROP_IN)
        # As udev has it, which containers lack.
        (one.root / "etc/tmpfiles.d/tun.conf").write_text("z /dev/net/tun 0666\n")
        one.boot()
        yield one


def test_an_instance_outlives_the_daemon_and_comes_back_with_the_host(host: Host) -> None:
    units_are_sound(host)
    launched(host)
    another_user_can_not_launch_roots_file(host)
    a_native_mount_is_served_by_virtiofsd(host)
    qemu_reaches_its_own_files_only(host)
    alices_directory_is_served_as_alice(host)
    the_daemon_comes_and_goes(host)
    another_storage_directory_leaves_it_alone(host)
    the_host_goes_down_in_order_and_starts_it_again(host)
    a_guest_that_crashed_while_nobody_watched_stays_stopped(host)
    snapshots_and_a_clone_are_made_within_the_sandboxes(host)
    without_a_running_instance_nothing_stays(host)
    removal_powers_guests_down_and_purge_takes_their_disks(host)


def units_are_sound(host: Host) -> None:
    places = [f"/usr/lib/systemd/system/{unit}" for unit in UNITS]
    assert host.run("systemd-analyze", "verify", "--man=no", *places).stdout == ""
    exposure = host.exposure(SERVICE)
    print(f"\nexposure {exposure}")
    assert exposure <= MOST_EXPOSED
    assert host.show("multipassd-boot.service", "UnitFileState") == "enabled"
    assert host.show(SERVICE, "ActiveState") == "inactive"  # no instance to start, no call


def launched(host: Host) -> None:
    began = time.monotonic()
    host.run(
        "multipass", "launch", "--name", "foo", "--memory", "160M", "--disk", "1G",
        f"file://{IMAGE}",
    )  # fmt: skip
    print(f"launched in {time.monotonic() - began:.1f} s")
    assert host.show(UNIT, "ActiveState") == "active"
    assert state(host) == "Running"
    assert host.run("ls", MARK).stdout.strip() == MARK
    assert host.show(SERVICE, "StatusText").endswith(", 1 instance")


def another_user_can_not_launch_roots_file(host: Host) -> None:
    host.run("multipass-trust", "add", "--user", "bob")
    said = host.run("multipass", "launch", f"file://{IMAGE}", user="bob", code=2).stdout
    assert f"Custom image `{IMAGE}` can't be read: Permission denied. It is opened" in said
    assert (
        "does not exist"
        in host.run("multipass", "launch", "file:///srv/none.img", user="bob", code=2).stdout
    )  # /srv is open to all


def qemu_reaches_its_own_files_only(host: Host) -> None:
    pid = host.show(UNIT, "MainPID")
    status = host.run("cat", f"/proc/{pid}/status").stdout
    assert "CapEff:\t0000000000000000" in status
    assert host.run("ps", "-o", "user:20=", "-p", pid).stdout.strip() == "multipass-vm"
    as_qemu = ("setpriv", "--reuid=multipass-vm", "--regid=multipass-vm", "--init-groups")
    seen = host.run("nsenter", "-t", pid, "-m", "--", "sh", "-c", SEEN).stdout.splitlines()
    assert PLACE in seen
    assert f"{RUNTIME}/stop" in seen
    assert not [path for path in seen if path.startswith(f"{STORAGE}/data") or "socket" in path]
    # Other machines' processes, which are the same user's; as root, who would see all there is.
    assert (
        host.run("nsenter", "-t", pid, "-m", "--", "find", "/proc", "-mindepth", "1").stdout == ""
    )
    # The files' own modes, without the namespace.
    host.run(*as_qemu, "test", "-w", f"{PLACE}/disk.qcow2")
    for path in (f"{PLACE}/new", f"{STORAGE}/machines/new", f"{STORAGE}/images/new"):
        host.run(*as_qemu, "touch", path, code=1)
    host.run(*as_qemu, "ls", f"{STORAGE}/data", code=2)
    for path in (f"{PLACE}/disk.qcow2", f"{PLACE}/seed.iso", f"{STORAGE}/images"):
        host.run("ls", path, user="bob", code=2)


def a_native_mount_is_served_by_virtiofsd(host: Host) -> None:
    """For a user without capabilities in the unit's bounding set, and for root, who has them."""
    host.run("multipass", "stop", "foo")
    host.run("install", "-d", "-m", "0700", "-o", "bob", "/home/bob/native", "/srv/native")
    host.run("chown", "root", "/srv/native")
    host.run("multipass", "mount", "--type", "native", "/srv/native", "foo:roots")
    bob = int(host.run("id", "-u", "bob").stdout)
    pair = [{"host": bob, "guest": -1}]
    mount = {
        "source": "/home/bob/native", "target": "bobs", "kind": "native",
        "uid": bob, "gid": bob, "uids": pair, "gids": pair,
    }  # fmt: skip
    host.run("systemctl", "stop", SERVICE)
    known = json.loads(host.run("cat", RECORD).stdout)
    known["mounts"].append(mount)
    host.run("tee", RECORD, given=json.dumps(known))
    host.run("multipass", "start", "foo")
    in_guest(host, "echo there > roots/file; echo there > bobs/file")
    for path, uid in (("/srv/native/file", 0), ("/home/bob/native/file", bob)):
        assert host.run("stat", "-c", "%u", path).stdout == f"{uid}\n"
    for process in host.run("pgrep", "virtiofsd").stdout.split():
        status = host.run("cat", f"/proc/{process}/status").stdout
        assert "CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status
        seen = host.run("ls", f"/proc/{process}/root").stdout.split()
        assert seen == ["lib", "lib64", "proc", "source", "usr"]
    host.run("multipass", "umount", "foo")
    host.run("multipass", "restart", "foo")
    assert host.run("pgrep", "virtiofsd", code=1).stdout == ""


def alices_directory_is_served_as_alice(host: Host) -> None:
    mount_alices_directory(host)
    in_guest(host, "echo there > data/guest; sudo cat data/secret data/shadow || true")
    assert host.run("cat", "/home/alice/shared/guest", user="alice").stdout == "there\n"
    assert "CapEff:\t0000000000000000" in host.run("cat", f"/proc/{server(host)}/status").stdout
    (files,) = host.run("pgrep", "-u", "alice", "-f", "multipass-mounts").stdout.split()
    status = host.run("cat", f"/proc/{files}/status").stdout
    assert "CapPrm:\t0000000000000000" in status and "NoNewPrivs:\t1" in status
    seen = host.run("nsenter", "-t", files, "-m", "--wd=/", "--", "/bin/true", code=None)
    assert seen.returncode != 0  # there is no program in its sight
    host.run("systemctl", "kill", "--signal=KILL", "multipass-mounts@*.service")
    wait_until(lambda: mounted(host) and server(host) != "0")


def mount_alices_directory(host: Host) -> None:
    host.run("install", "-d", "-m", "0700", "-o", "alice", "/home/alice/shared")
    host.run("sh", "-c", "echo hi > /home/alice/shared/hello")
    host.run("install", "-m", "0600", "/etc/shadow", "/home/alice/shared/secret")
    host.run("ln", "-s", "/etc/shadow", "/home/alice/shared/shadow")
    alice = int(host.run("id", "-u", "alice").stdout)
    mount = {"source": "/home/alice/shared", "target": "data", "uid": alice, "gid": alice}
    host.run("systemctl", "stop", SERVICE)
    known = json.loads(host.run("cat", RECORD).stdout)
    host.run("tee", RECORD, given=json.dumps({**known, "mounts": [mount]}))
    host.run("systemctl", "start", SERVICE)
    wait_until(lambda: mounted(host))


def mounted(host: Host) -> bool:
    return in_guest(host, "cat data/hello 2>/dev/null || true") == "hi\n"


def server(host: Host) -> str:
    units = host.run("systemctl", "list-units", "--plain", "--no-legend", "multipass-mounts@*")
    (line,) = units.stdout.splitlines() or ("",)
    return host.show(line.split()[0], "MainPID") if line else "0"


def the_daemon_comes_and_goes(host: Host) -> None:
    boot, served = guests_boot(host), server(host)
    host.run("systemctl", "kill", "--signal=KILL", SERVICE)
    assert guests_boot(host) == boot
    host.run("systemctl", "restart", SERVICE)
    assert guests_boot(host) == boot
    host.run("dpkg", "-i", PACKAGE)  # as an upgrade does
    assert guests_boot(host) == boot
    host.run("systemctl", "stop", SERVICE)
    assert host.show(UNIT, "ActiveState") == "active"
    assert guests_boot(host) == boot
    served_by = host.show(SERVICE, "MainPID")
    assert mounted(host) and server(host) == served
    time.sleep(5)  # longer than it takes to be idle
    assert host.show(SERVICE, "MainPID") == served_by != "0"


def another_storage_directory_leaves_it_alone(host: Host) -> None:
    boot = guests_boot(host)
    write(host, f"/etc/systemd/system/{SERVICE}.d/storage.conf", MOVED)
    host.run("systemctl", "restart", SERVICE)
    assert host.show(UNIT, "ActiveState") == "active"
    told = host.journal("-u", SERVICE)
    assert "the storage directory /srv/multipass/data is read-only for the service" in told
    assert "a machine runs under the name foo, and no instance of that name is known" in told
    found = host.run("multipass-trust", "check", code=1).stdout
    assert "the storage directory /srv/multipass is read-only for multipassd.service" in found
    for unit in (SERVICE, "multipass-images@.service", REQUEST):
        write(host, *documented(unit, "storage"))
    for place in ("", "/machines", "/images"):
        host.run("install", "-d", "-m", "2750", "-g", "multipass-vm", f"/srv/multipass{place}")
    host.run("systemctl", "restart", SERVICE)
    assert host.run("multipass", "list").stdout == "No instances found.\n"
    assert "storage directory" not in host.run("multipass-trust", "check", code=None).stdout
    refused = host.run("multipass", "launch", "--name", "foo", f"file://{IMAGE}", code=2)
    assert "a machine runs under the name foo" in refused.stdout
    for unit in (SERVICE, "multipass-images@.service", REQUEST):
        host.run("rm", f"/etc/systemd/system/{unit}.d/storage.conf")
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "restart", SERVICE)
    assert guests_boot(host) == boot


def the_host_goes_down_in_order_and_starts_it_again(host: Host) -> None:
    in_guest(host, "echo written > unsynced")
    began = time.monotonic()
    host.stop()
    print(f"host off in {time.monotonic() - began:.1f} s")
    host.boot()
    wait_until(lambda: host.show(UNIT, "ActiveState") == "active")  # without a call
    ended = host.run("journalctl", "-b", "-1", "-o", "cat", "--no-pager", "-u", UNIT).stdout
    assert f"{UNIT}: Deactivated successfully." in ended  # neither killed nor timed out
    wait_until(lambda: state(host) == "Running")
    assert in_guest(host, "cat unsynced") == "written\n"
    wait_until(lambda: mounted(host))


def a_guest_that_crashed_while_nobody_watched_stays_stopped(host: Host) -> None:
    host.run("systemctl", "stop", SERVICE)
    host.run("systemctl", "kill", "--signal=KILL", UNIT)
    wait_until(lambda: host.show(UNIT, "ActiveState") == "inactive")
    assert state(host) == "Stopped"
    host.run("ls", MARK, code=2)


def snapshots_and_a_clone_are_made_within_the_sandboxes(host: Host) -> None:
    host.run("multipass", "snapshot", "foo", "--name", "kept")
    host.run("multipass", "restore", "--destructive", "foo.kept")
    said = host.run("multipass", "clone", "foo", "--name", "bar").stdout
    assert said == "Cloned from foo to bar.\n"
    files = ("disk.qcow2", "seed.iso")
    rights = [
        host.run("stat", "-c", "%U %G %a", *(f"{STORAGE}/machines/{name}/{file}" for file in files))
        for name in ("foo", "bar")
    ]
    assert rights[0].stdout == rights[1].stdout
    info = json.loads(host.run("multipass", "info", "foo.kept", "--format", "json").stdout)
    assert info["info"]["foo"]["snapshots"]["kept"]["size"].endswith("MiB")
    host.run("multipass", "delete", "--purge", "foo.kept", "bar")


def without_a_running_instance_nothing_stays(host: Host) -> None:
    wait_until(lambda: host.show(SERVICE, "ActiveState") == "inactive")
    host.run("systemctl", "stop", "multipassd.socket")
    # The network's service, which goes with it, ends its children first.
    wait_until(lambda: host.run("find", "/run", "-name", "*multipass*").stdout == "")
    host.run("systemctl", "start", "multipassd.socket")


def removal_powers_guests_down_and_purge_takes_their_disks(host: Host) -> None:
    host.run("multipass", "start", "foo")
    in_guest(host, "echo too > unsynced")
    host.run("dpkg", "-r", "multipass")
    assert host.run("pgrep", "-u", "multipass-vm", code=1).stdout == ""
    assert host.run("find", "/run", "-name", "*multipass*").stdout == ""
    host.run("dpkg", "-i", PACKAGE)
    assert state(host) == "Stopped"
    host.run("dpkg", "-P", "multipass")
    host.run("ls", STORAGE, code=2)
