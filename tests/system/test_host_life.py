"""The built deb on a real Debian 13 with systemd as PID 1: an installation's life in order.

One test, as each step stands on the one before; what it measured is printed (`pytest -s`).
"""

import re
from collections.abc import Iterator

import pytest

from tests.system.host import PACKAGE, Host, new_host
from tests.system.host_trust import CLOSED, OPEN, STORE, refused, socket_mode
from tests.system.site import DENIED, EMPTY_LIST
from tools import roots

UNITS = "/usr/lib/systemd/system/multipass*"
PASSPHRASE = "correct horse"
STATE = "/var/lib/multipassd"

MOST_EXPOSED = 2.0

pytestmark = pytest.mark.host


@pytest.fixture
def host() -> Iterator[Host]:
    """The package is not installed yet."""
    with new_host(installed=False) as one:
        yield one


def test_the_life_of_an_installation(host: Host) -> None:
    host.boot()
    print(f"\nbooted in {host.boot_seconds:.1f} s")
    host.run("dpkg", "-i", PACKAGE)
    installed_as_meant(host)
    units_are_sound(host)
    the_first_client_is_adopted(host)
    others_get_in_by_passphrase(host)
    every_user_starts_what_was_compiled(host)
    the_daemon_is_known_to_its_administrator(host)
    stopping_leaves_nothing_in_run(host)
    trust_outlives_a_reboot(host)
    removal_keeps_and_purge_takes(host)
    purge_empties_a_disk_of_its_own(host)


def test_an_image_comes_up_with_the_socket_and_without_tcp(host: Host) -> None:
    done = roots.run_in(host.root, "dpkg", "-i", PACKAGE)
    assert done.returncode == 0, done.stdout
    # As images are made: what was enabled at build time is decided again by presets.
    (host.root / "etc/machine-id").unlink(missing_ok=True)
    host.boot()
    assert host.show("multipassd.socket", "ActiveState") == "active"
    assert host.show("multipassd-tcp.socket", "ActiveState") == "inactive"
    assert host.show("multipassd-tcp.socket", "UnitFileState") == "disabled"
    assert host.show("multipassd.service", "ActiveState") == "inactive"


def installed_as_meant(host: Host) -> None:
    assert socket_mode(host) == CLOSED
    assert host.show("multipassd.socket", "UnitFileState") == "enabled"
    assert host.show("multipassd-tcp.socket", "UnitFileState") == "disabled"
    assert host.show("multipassd-tcp.socket", "ActiveState") == "inactive"
    assert host.show("multipassd.service", "ActiveState") == "inactive"  # no call


def units_are_sound(host: Host) -> None:
    assert host.run("sh", "-c", f"systemd-analyze verify --man=no {UNITS}").stdout == ""
    exposure = host.exposure("multipassd.service")
    print(f"exposure {exposure}")
    assert exposure <= MOST_EXPOSED


def the_first_client_is_adopted(host: Host) -> None:
    said = host.run("multipass", "list", user="bob", code=2).stdout
    assert said.startswith(f"list failed: {DENIED}")
    assert host.run("multipass", "list", user="alice").stdout == EMPTY_LIST
    assert socket_mode(host) == OPEN
    assert host.run("stat", "-c", "%U %a", STORE).stdout.strip() == "root 600"
    refused(host, "bob")


def others_get_in_by_passphrase(host: Host) -> None:
    host.run("multipass", "set", f"local.passphrase={PASSPHRASE}", user="alice")
    settings = "/etc/multipassd/multipassd.conf"
    assert host.run("stat", "-c", "%U %a", settings).stdout.strip() == "root 600"
    host.run("multipass", "authenticate", PASSPHRASE, user="bob")
    assert host.run("multipass", "list", user="bob").stdout == EMPTY_LIST
    refused(host, "root")
    host.run("multipass", "authenticate")  # root is never locked out
    assert host.run("multipass", "list").stdout == EMPTY_LIST


def every_user_starts_what_was_compiled(host: Host) -> None:
    """One who has to compile it can't write the result down, and each start takes twice as long."""
    words = ("/usr/bin/python3", "-I", "-S", "-v", "/usr/bin/multipass", "list")
    said = host.run(*words, user="bob").stdout
    origins = re.findall(r"# code object from '?(/usr/lib/multipass/[^\s']+)", said)
    assert len(origins) > 20 and all(path.endswith(".pyc") for path in origins), said
    assert "# wrote" not in said


def the_daemon_is_known_to_its_administrator(host: Host) -> None:
    status = host.run("systemctl", "status", "--no-pager", "multipassd").stdout
    assert "3 trusted clients, open to all users, 0 instances" in status
    assert host.show("multipassd.service", "WatchdogUSec") == "30s"
    host.run("systemctl", "reload", "multipassd")
    host.run("systemctl", "try-reload-or-restart", "multipassd")
    journal = host.journal("-o", "cat", "-u", "multipassd.service")
    assert "is ready" in journal
    assert "reloaded" in journal
    assert PASSPHRASE not in journal


def stopping_leaves_nothing_in_run(host: Host) -> None:
    host.run("systemctl", "stop", "multipassd.service")
    assert socket_mode(host) == OPEN
    host.run("systemctl", "stop", "multipassd.socket")
    assert host.run("find", "/run", "-name", "*multipass*").stdout == ""
    host.run("systemctl", "start", "multipassd.socket")


def trust_outlives_a_reboot(host: Host) -> None:
    host.stop()
    host.boot()
    assert host.show("multipassd.service", "ActiveState") == "inactive"
    assert socket_mode(host) == OPEN  # the daemon never ran
    assert host.run("multipass", "list", user="bob").stdout == EMPTY_LIST


def removal_keeps_and_purge_takes(host: Host) -> None:
    host.run("multipass-trust", "tcp", "enable", "--user", "alice")
    host.run("dpkg", "-r", "multipass")
    assert host.run("find", "/run", "-name", "*multipass*").stdout == ""
    host.run("test", "-e", STORE)
    host.run("dpkg", "-i", PACKAGE)
    assert host.run("multipass", "list", user="bob").stdout == EMPTY_LIST
    assert host.show("multipassd-tcp.socket", "ActiveState") == "active"
    host.run("systemctl", "stop", "multipassd-tcp.socket", "multipassd.service")
    host.run("dpkg", "-i", PACKAGE)  # an upgrade begins nothing that was stopped
    assert host.show("multipassd-tcp.socket", "ActiveState") == "inactive"
    host.run("dpkg", "-P", "multipass")
    left = ("find", "/etc", "/usr", "/var", "/run", "-xdev", "-name", "*multipass*")
    kept = host.run(*left, code=None).stdout.splitlines()
    # dpkg's and apt's own records do not count, nor does the journal's text.
    assert [path for path in kept if not path.startswith("/var/lib/dpkg/")] == []


def purge_empties_a_disk_of_its_own(host: Host) -> None:
    host.run("mkdir", STATE)
    host.run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", STATE)
    host.run("dpkg", "-i", PACKAGE)
    assert host.run("multipass", "list").stdout == EMPTY_LIST
    host.run("test", "-e", STORE)
    host.run("dpkg", "-P", "multipass")
    assert host.run("find", STATE, "-mindepth", "1").stdout == ""
    host.run("umount", STATE)
