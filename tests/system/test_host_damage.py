"""Damaged files and disks of a packaged service: it stays up, reports it, and trusts no new client.

The reported repair is done, and all clients that were trusted still are.
"""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from tests.system.host import Host, new_host
from tests.system.host_trust import STORE
from tests.system.site import EMPTY_LIST

SOCKET, SERVICE = "multipassd.socket", "multipassd.service"
STATE = "/var/lib/multipassd"
COPY = "/root/copy.pem"
PASSPHRASE = "correct horse"
DAMAGED = "The Multipass service can't rely on its list of trusted clients"
PATIENCE = 30.0
RESET = "start over with `sudo multipass-trust reset`"


class Damage(NamedTuple):
    spoil: str  # a shell command
    what: str  # what is said about it
    cure: str  # and what to do
    mend: str  # which is this


PUT_RIGHT = "Put that right"
FROM_COPY = "Restore it from a copy"
RESTORE = f"rm -f {STORE}; install -m 600 {COPY} {STORE}"
DAMAGES = {
    "unreadable": Damage(f"chmod 0 {STORE}", "can't be read", PUT_RIGHT, f"chmod 600 {STORE}"),
    "loose": Damage(
        f"chmod 666 {STORE}", "others may write to it", PUT_RIGHT, f"chmod 600 {STORE}"
    ),
    "foreign": Damage(
        f"chown carol {STORE}", "it belongs to uid", PUT_RIGHT, f"chown root {STORE}"
    ),
    "link": Damage(
        f"mv {STORE} {STATE}/else && ln -s {STATE}/else {STORE}",
        "not safe to believe: it is a symbolic link",
        PUT_RIGHT,
        f"mv -T {STATE}/else {STORE}",
    ),
    "garbage": Damage(
        f"head -c 3000 /dev/urandom > {STORE}", "holds no valid certificate", FROM_COPY, RESTORE
    ),
    "missing": Damage(f"rm {STORE}", "is missing", FROM_COPY, RESTORE),
}

# Comments up to the end of the store's last page, so that one more certificate needs another.
FILL = f"""
cat /dev/zero > {STATE}/ballast || true
missing=$((4096 - $(stat -c %s {STORE}) % 4096))
yes '#' | head -c $missing | tee -a {STORE} > /dev/null
"""

MOUNT = "var-lib-multipassd.mount"
DISK = "/srv/disk"
MOUNT_UNIT = f"""
[Mount]
What={DISK}
Where={STATE}
Type=none
Options=bind
"""
# systemd makes a missing directory to bind, but cannot mount a file in its place.
TAKE_DISK_AWAY = f"mv {DISK} {DISK}.gone; touch {DISK}"
BRING_DISK_BACK = f"rm {DISK}; mv {DISK}.gone {DISK}; systemctl reset-failed {MOUNT}"

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """Alice and bob are trusted, carol and root are not. Each test leaves it so."""
    with new_host() as one:
        one.boot()
        assert one.run("multipass", "list", user="alice").stdout == EMPTY_LIST
        one.run("multipass", "set", f"local.passphrase={PASSPHRASE}", user="alice")
        one.run("multipass", "authenticate", PASSPHRASE, user="bob")
        one.run("cp", STORE, COPY)
        yield one


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_store_is_told_and_mended_and_nobody_gets_in_meanwhile(
    host: Host, damage: Damage
) -> None:
    shell(host, damage.spoil)
    try:
        for start in ("", "restart"):  # noticed while it runs; and at its next start
            if start:
                host.run("systemctl", start, "multipassd")
            nobody_gets_in(host)
            assert host.show(SERVICE, "ActiveState") == "active"
            assert host.show(SOCKET, "ActiveState") == "active"
            for told in (status(host, damage.what), journal_of_this_run(host, damage.what)):
                assert f"The trust store {STORE}" in told
                assert damage.cure in told
                assert RESET in told
    finally:
        shell(host, damage.mend)
    the_trusted_are_still_trusted(host)
    status(host, "2 trusted clients")


def test_a_reset_begins_anew_with_the_first_client_from_the_admin_group(host: Host) -> None:
    shell(host, f"head -c 3000 /dev/urandom > {STORE}")
    nobody_gets_in(host)
    host.run("multipass-trust", "reset", "--yes")
    assert host.run("stat", "-c", "%a", "/run/multipass_socket").stdout == "660\n"
    assert "access denied" in host.run("multipass", "list", user="bob", code=2).stdout
    assert host.run("multipass", "list", user="dave").stdout == EMPTY_LIST
    assert "not authenticated" in host.run("multipass", "list", user="alice", code=2).stdout
    shell(host, f"install -m 600 {COPY} {STORE}")
    the_trusted_are_still_trusted(host)


def test_a_full_disk_refuses_the_new_and_keeps_the_trusted(host: Host) -> None:
    host.run("systemctl", "stop", "multipassd")
    shell(
        host,
        f"cp -a {STATE} /root/kept; mount -t tmpfs -o size=1m,mode=755 tmpfs {STATE}; "
        f"cp -a /root/kept/. {STATE}",
    )
    try:
        the_trusted_are_still_trusted(host)
        shell(host, FILL)
        for start in ("", "restart"):
            if start:
                host.run("systemctl", start, "multipassd")
            said = host.run("multipass", "authenticate", PASSPHRASE, user="carol", code=2).stdout
            assert "No space left on device" in said
            assert "Free some space" in said
            assert host.show(SERVICE, "ActiveState") == "active"
            assert host.show(SOCKET, "ActiveState") == "active"
            the_trusted_are_still_trusted(host)
        journal_of_this_run(host, "No space left on device")
        host.run("rm", f"{STATE}/ballast")
        host.run("multipass", "authenticate", PASSPHRASE, user="carol")
        the_trusted_are_still_trusted(host)
    finally:
        host.run("systemctl", "stop", "multipassd")
        shell(host, f"umount {STATE}")
    the_trusted_are_still_trusted(host)


def test_without_its_disk_nobody_is_served_nobody_is_adopted_and_nothing_is_lost(
    host: Host,
) -> None:
    host.run("install", "/dev/stdin", f"/etc/systemd/system/{MOUNT}", given=MOUNT_UNIT)
    shell(
        host,
        f"systemctl stop {SERVICE} {SOCKET}; mv {STATE} {DISK}; mkdir {STATE};"
        f"systemctl daemon-reload; systemctl start {SOCKET}",
    )
    the_trusted_are_still_trusted(host)  # so the disk was mounted
    try:
        shell(host, f"systemctl stop {SERVICE}; umount {STATE}; {TAKE_DISK_AWAY}")
        for user in ("alice", "dave", ""):
            said = host.run("multipass", "list", user=user, code=2).stdout
            assert "cannot connect to the multipass socket" in said
            assert "systemctl status multipassd.socket multipassd.service" in said
        assert host.show(SERVICE, "ActiveState") == "inactive"
        assert host.show(SOCKET, "Result") == "trigger-limit-hit", "no spinning until it comes back"
        assert host.run("ls", "-A", STATE).stdout == "", "no store where the disk belongs"
        journal = host.journal("-o", "cat", "-u", SERVICE)
        assert f"Dependency failed for {SERVICE}" in journal
        shell(host, BRING_DISK_BACK)
        host.run("systemctl", "start", SOCKET)  # as `multipass` said
        the_trusted_are_still_trusted(host)
        assert host.run("stat", "-c", "%a", "/run/multipass_socket").stdout == "666\n"
    finally:
        shell(
            host,
            f"systemctl stop {SERVICE} {SOCKET} {MOUNT}; rm /etc/systemd/system/{MOUNT};"
            f"systemctl daemon-reload; rmdir {STATE}; mv {DISK} {STATE}; systemctl start {SOCKET}",
        )
    the_trusted_are_still_trusted(host)


def shell(host: Host, command: str) -> None:
    host.run("sh", "-ec", command)


def nobody_gets_in(host: Host) -> None:
    for user in ("alice", "dave", "carol", ""):
        said = host.run("multipass", "list", user=user, code=2).stdout
        assert said.startswith(f"list failed: {DAMAGED}"), (user, said)
    for user in ("carol", ""):
        said = host.run("multipass", "authenticate", PASSPHRASE, user=user, code=2).stdout
        assert said.startswith(f"authenticate failed: {DAMAGED}"), (user, said)


def the_trusted_are_still_trusted(host: Host) -> None:
    for user in ("alice", "bob"):
        assert host.run("multipass", "list", user=user).stdout == EMPTY_LIST


def status(host: Host, awaited: str) -> str:
    """The daemon's word in `systemctl status`, as soon as it holds what is awaited."""
    return _soon(lambda: _status(host), awaited)


def _status(host: Host) -> str:
    said = host.run("systemctl", "status", "--no-pager", "--full", "multipassd").stdout
    return said.split("Status: ")[1].splitlines()[0]


def journal_of_this_run(host: Host, awaited: str) -> str:
    invocation = host.show(SERVICE, "InvocationID")
    match = f"_SYSTEMD_INVOCATION_ID={invocation}"
    return _soon(lambda: host.journal("-o", "cat", match), awaited)


def _soon(read: Callable[[], str], awaited: str) -> str:
    """The daemon looks at its files, and tells of them, twice a second."""
    deadline = time.monotonic() + PATIENCE
    while awaited not in (said := read()):
        assert time.monotonic() < deadline, said
        time.sleep(0.1)
    return said
